"""huggingface_hub's InferenceClient."""

import asyncio

from checks import BASE, KEY, MODEL, TEXT, Checks, raises
from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.errors import HfHubHTTPError

checks = Checks("huggingface_hub", "huggingface_hub")
check = checks.check


def client(path=f"/models/{MODEL}", token=KEY):
    return InferenceClient(model=BASE + path, token=token)


@check("text_classification: at /, /models/NAME, /models/OWNER/NAME")
def paths():
    first = client().text_classification(TEXT)
    assert first[0].label and first[0].score >= first[-1].score
    for path in ("/", f"/models/any/{MODEL}"):
        assert client(path).text_classification(TEXT)[0].label


@check("text_classification: top_k, function_to_apply")
def parameters():
    assert len(client().text_classification(TEXT, top_k=1)) == 1
    scores = {
        name: client().text_classification(TEXT, function_to_apply=name)[0].score
        for name in ("softmax", "sigmoid", "none")
    }
    assert len(set(scores.values())) == 3


@check("AsyncInferenceClient")
def asynchronous():
    async def run():
        remote = AsyncInferenceClient(model=f"{BASE}/models/{MODEL}", token=KEY)
        answers = await asyncio.gather(*(remote.text_classification(TEXT) for _ in range(10)))
        assert all(answer == answers[0] for answer in answers)

    asyncio.run(run())


@check("health_check, get_endpoint_info: of the server, and of a model")
def endpoint():
    endpoints = InferenceClient(provider="hf-inference", token=KEY)
    assert endpoints.health_check(model=BASE)
    assert endpoints.get_endpoint_info(model=BASE)["model_id"]
    assert endpoints.health_check(model=f"{BASE}/models/{MODEL}")
    assert endpoints.get_endpoint_info(model=f"{BASE}/models/{MODEL}")["model_id"] == MODEL


@check("errors: 401, 404, 422")
def errors():
    for call in (
        lambda: client(token="wrong").text_classification(TEXT),
        lambda: client("/models/none").text_classification(TEXT),
        lambda: client().text_classification(""),
    ):
        raises(HfHubHTTPError, call)
