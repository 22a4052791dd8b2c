"""Moves a model out of a FastAPI service: routes and answers stay, the service starts in a second and blocks no thread.

pip install fastapi uvicorn httpx

Before:

    classifier = pipeline("text-classification", model="./my-classifier")

    @app.post("/classify")
    def classify(comment: Comment):
        return classifier(comment.text)[0]
"""

import os

import httpx
import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

app = FastAPI()
inferq = httpx.AsyncClient(
    base_url=os.environ.get("INFERQ_URL", "http://localhost:8000"),
    headers={"Authorization": f"Bearer {os.environ.get('INFERQ_API_KEY', 'any')}"},
    timeout=30,
)


class Comment(BaseModel):
    text: str


@app.post("/classify")
async def classify(comment: Comment):
    answer = await inferq.post("/predict", json={"inputs": comment.text})
    if answer.is_error:
        # 422 for a text that is refused, 429 and 503 with Retry-After: the caller knows what to do with each.
        retry = {name: answer.headers[name] for name in ("Retry-After",) if name in answer.headers}
        raise HTTPException(answer.status_code, answer.json()["detail"], retry)
    return answer.json()[0]


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "3002")), log_level="warning")
