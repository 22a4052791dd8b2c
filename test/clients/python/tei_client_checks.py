"""tei-client, whose /info is a typed object."""

import asyncio

from checks import BASE, KEY, TEXT, Checks
from tei_client import HttpClient

checks = Checks("tei-client", "tei-client")
check = checks.check
client = HttpClient(BASE, headers={"Authorization": f"Bearer {KEY}"})


@check("health, info")
def info():
    assert client.health()
    described = client.info()
    assert described.max_batch_tokens and described.server_model_metadata.id2label


@check("classify: one text, many, a pair, raw scores")
def classify():
    [one] = client.classify(TEXT)
    assert one
    assert len(client.classify([TEXT, TEXT])) == 2
    assert client.classify((TEXT, TEXT))
    assert client.classify(TEXT, raw_scores=True)


@check("async_classify")
def asynchronous():
    assert asyncio.run(client.async_classify([TEXT]))
