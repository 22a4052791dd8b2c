"""replicate 1.0, whose objects are pydantic models without nullable fields where Replicate has none."""

import asyncio
import io
import json

import replicate.exceptions
from checks import BASE, EXPIRED_ID, KEY, LONG, MODEL, PAUSED, TEXT, Checks, call, raises, receive_webhook, until
from replicate.client import Client
from replicate.webhook import InvalidSignatureError, Webhooks

client = Client(api_token=KEY, base_url=BASE)
checks = Checks("replicate", "replicate (Python)")
check = checks.check
STATUS = replicate.exceptions.ReplicateError


def version_of(model):
    return client.models.get(f"any/{model}").latest_version.id


@check("run: owner/name, owner/name:version, with and without a wait")
def run():
    expected = client.run(f"any/{MODEL}", input={"text": TEXT})
    assert {each["label"] for each in expected} and len(expected) > 1
    assert client.run(f"any/{MODEL}:{version_of(MODEL)}", input={"text": TEXT}) == expected
    assert client.run(f"any/{MODEL}", input={"text": TEXT}, wait=False) == expected
    assert client.run(f"any/{MODEL}", input={"text": TEXT}, wait=10) == expected
    assert asyncio.run(client.async_run(f"any/{MODEL}", input={"text": TEXT})) == expected


@check("models and versions: get, list")
def look_ups():
    model = client.models.get(f"any/{MODEL}")
    assert (model.owner, model.name) == ("any", MODEL)
    [version, *_] = model.versions.list()
    assert version.id == model.latest_version.id and model.versions.get(version.id).id == version.id
    assert MODEL in [each.name for each in client.models.list()]
    raises(STATUS, lambda: client.models.get("any/none"), status=404)


@check("stream, async_stream, prediction.stream: the output, and the error of a prediction that fails")
def streams():
    expected = client.run(f"any/{MODEL}", input={"text": TEXT})
    first, last = client.stream(f"any/{MODEL}", input={"text": TEXT})
    assert (json.loads(str(first)), last.event.value) == (expected, "done")
    made = client.predictions.create(model=f"any/{MODEL}", input={"text": TEXT})
    assert json.loads("".join(str(event) for event in made.stream())) == expected

    async def read():
        # The connections of the other client belong to an event loop that is closed.
        client = Client(api_token=KEY, base_url=BASE)
        return [event async for event in await client.async_stream(f"any/{MODEL}", input={"text": TEXT})]

    assert json.loads(str(asyncio.run(read())[0])) == expected
    error = raises(RuntimeError, lambda: list(client.stream(f"any/{MODEL}", input={"text": LONG, "truncate": False})))
    assert "could not be classified" in str(error)


@check("an unfinished prediction, then a canceled one")
def canceled():
    made = client.predictions.create(model=f"any/{PAUSED}", input={"text": TEXT})
    assert (made.status, made.version, made.output) == ("starting", version_of(PAUSED), None)
    assert client.predictions.get(made.id).status == "starting"
    made.reload()
    made.cancel()
    made.reload()
    assert (made.status, made.output) == ("canceled", None)


@check("a succeeded prediction: create, wait, reload, by model, version and reference")
def succeeded():
    version = version_of(MODEL)
    for kind in ({"model": f"any/{MODEL}"}, {"version": version}, {"version": f"any/{MODEL}:{version}"}):
        made = client.predictions.create(input={"inputs": [TEXT, TEXT]}, **kind)
        made.wait()
        assert (made.status, made.version, len(made.output)) == ("succeeded", version, 2)
        assert made.metrics["predict_time"] >= 0


@check("a failed prediction")
def failed():
    made = client.predictions.create(model=f"any/{MODEL}", input={"text": LONG, "truncate": False})
    made.wait()
    assert made.status == "failed" and made.error


@check("an expired prediction: 410")
def expired():
    raises(STATUS, lambda: client.predictions.get(EXPIRED_ID), status=410)


@check("an aborted prediction, of a caller that sends Cancel-After: this client cannot read it, until it is deleted")
def aborted():
    body = {"model": PAUSED, "input": {"text": TEXT}}
    made = call("/v1/predictions", body, headers={"Cancel-After": "1s"})
    path = f"/v1/predictions/{made['id']}"
    until("the deadline", lambda: call(path)["status"] == "aborted")
    for read in (lambda: client.predictions.get(made["id"]), client.predictions.list):
        assert "status" in str(raises(ValueError, read))
    call(path, method="DELETE")
    client.predictions.list()


@check("predictions: list in pages")
def listing():
    made = [client.predictions.create(model=f"any/{MODEL}", input={"text": TEXT}).id for _ in range(3)]
    page = client.predictions.list()
    assert set(made) <= {each.id for each in page}
    assert until("all ends", lambda: all(client.predictions.get(id).status == "succeeded" for id in made))


@check("webhooks.default.secret, Webhooks.validate")
def webhooks():
    headers, body, key = receive_webhook()
    secret = client.webhooks.default.secret()
    assert secret.key == key
    Webhooks.validate(headers=headers, body=body, secret=secret, tolerance=300)
    raises(InvalidSignatureError, lambda: Webhooks.validate(headers=headers, body=body + " ", secret=secret))


@check("deployments: predictions.create")
def deployments():
    made = client.deployments.predictions.create(f"any/{MODEL}", input={"text": TEXT})
    made.wait()
    assert made.status == "succeeded"


@check("errors: 401, 422; a file as input is refused")
def errors():
    raises(STATUS, lambda: Client(api_token="wrong", base_url=BASE).predictions.list(), status=401)
    raises(STATUS, lambda: client.predictions.create(model=f"any/{MODEL}", input={"text": ""}), status=422)
    data = {"text": "data:text/plain;base64,aGVsbG8="}
    error = raises(STATUS, lambda: client.predictions.create(model=f"any/{MODEL}", input=data), status=422)
    assert "data: URI" in str(error)
    raises(STATUS, lambda: client.predictions.create(model=f"any/{MODEL}", input={"text": io.BytesIO(b"hello")}))
