"""FastAPI in front of the Celery task, which it waits for in its pool of threads."""

from celery_tasks import classify
from fastapi import Body, FastAPI

app = FastAPI()


@app.get("/predict")
def predict_one(text: str):
    return classify.delay([text]).get(timeout=30)[0]


@app.post("/predict")
def predict_many(inputs: list[str] = Body(embed=True)):
    return classify.delay(inputs).get(timeout=30)
