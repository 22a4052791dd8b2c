"""FastAPI with the model in the request's handler, without a queue."""

from classifier import Classifier
from fastapi import Body, FastAPI

app = FastAPI()
classify = Classifier()


@app.get("/predict")
async def predict_one(text: str):
    return classify([text])[0]


@app.post("/predict")
async def predict_many(inputs: list[str] = Body(embed=True)):
    return classify(inputs)
