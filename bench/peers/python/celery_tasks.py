"""A Celery task that classifies texts; each process of the pool loads the model once."""

import os

from celery import Celery

app = Celery("tasks", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app.conf.worker_prefetch_multiplier = 1
classify_texts = None


@app.task
def classify(texts: list[str]) -> list[list[dict]]:
    global classify_texts
    if classify_texts is None:
        from classifier import Classifier

        classify_texts = Classifier()
    return classify_texts(texts)
