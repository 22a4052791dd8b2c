"""Moves a Celery task to inferq: the same delay() and get(), without a broker, a result backend or workers of one's own.

pip install httpx

Before:

    @app.task(bind=True, max_retries=3)
    def classify(self, text):
        return classifier(text)[0]

    classify.delay("She saw him.").get(timeout=60)
"""

import os
import time
import uuid

import httpx

client = httpx.Client(
    base_url=os.environ.get("INFERQ_URL", "http://localhost:8000"),
    headers={"Authorization": f"Bearer {os.environ.get('INFERQ_API_KEY', 'any')}"},
    timeout=60,
)


class Result:
    """Celery's AsyncResult."""

    def __init__(self, id: str):
        self.id = id

    def get(self, timeout: float = 60) -> dict:
        """The best label; a long poll waits for it, instead of a result backend."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            answer = client.get(f"/v1/predictions/{self.id}", headers={"Prefer": f"wait={max(1, min(30, int(left)))}"})
            prediction = answer.raise_for_status().json()
            if prediction["status"] == "succeeded":
                return prediction["output"][0]
            if prediction["status"] not in ("starting", "processing"):
                raise RuntimeError(prediction["error"] or prediction["status"])
        raise TimeoutError(self.id)

    def revoke(self) -> None:
        client.post(f"/v1/predictions/{self.id}/cancel")


def delay(text: str, retries: int = 3, expires: str = "10m") -> Result:
    """Submits a text. The id is ours, so a request that is repeated after a lost connection is the same task."""
    id = str(uuid.uuid4())
    body = {"input": {"text": text}, "retries": retries}
    answer = client.put(f"/v1/predictions/{id}", json=body, headers={"Prefer": "respond-async", "Cancel-After": expires})
    answer.raise_for_status()
    return Result(id)


if __name__ == "__main__":
    results = [delay(text) for text in ("She saw him.", "Her saw he.")]
    for result in results:
        print(result.id, result.get())
