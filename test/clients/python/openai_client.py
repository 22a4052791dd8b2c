"""openai, with strict validation of every response."""

import asyncio
import hashlib
import io
import json

import openai
from checks import BASE, KEY, MODEL, PAUSED, TEXT, Checks, raises, receive_webhook, until

client = openai.OpenAI(api_key=KEY, base_url=f"{BASE}/v1", max_retries=0, _strict_response_validation=True)
checks = Checks("openai", "openai (Python, strict)")
check = checks.check


def lines(model=MODEL, count=2, bodies=None):
    bodies = bodies or [{"inputs": f"{TEXT} {index}", "model": model} for index in range(count)]
    rows = [{"custom_id": f"row-{i}", "method": "POST", "url": "/predict", "body": b} for i, b in enumerate(bodies)]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def upload(content, name="input.jsonl", **more):
    return client.files.create(file=(name, content), purpose="batch", **more)


def create(file, window="24h", **more):
    return client.batches.create(input_file_id=file.id, endpoint="/predict", completion_window=window, **more)


def ended(batch):
    def look():
        now = client.batches.retrieve(batch.id)
        return now if now.status in ("completed", "failed", "expired", "cancelled") else None

    return until(f"the end of {batch.id}", look)


def rows(file_id):
    return [json.loads(line) for line in client.files.content(file_id).text.splitlines()]


@check("files: create, retrieve, list, content, delete")
def files():
    file = upload(lines(), "Überprüfung 📄.jsonl", expires_after={"anchor": "created_at", "seconds": 3600})
    assert file.filename == "Überprüfung 📄.jsonl", file.filename
    assert client.files.retrieve(file.id) == file
    assert file.id in [each.id for each in client.files.list(limit=1)]
    assert client.files.content(file.id).read() == lines()
    assert client.files.delete(file.id).deleted
    raises(openai.NotFoundError, lambda: client.files.retrieve(file.id))


@check("files: an empty page for other purposes; deleting while paging")
def paging():
    assert list(client.files.list(purpose="fine-tune")) == []
    made = {upload(lines(), f"{index}.jsonl").id for index in range(3)}
    for file in client.files.list(limit=1, purpose="batch"):
        if file.id in made:
            client.files.delete(file.id)
            made.remove(file.id)
        if not made:
            break
    assert made == set()


@check("files: Idempotency-Key")
def idempotent_file():
    first, second = (upload(lines(), extra_headers={"Idempotency-Key": "python"}) for _ in range(2))
    assert first.id == second.id
    raises(openai.BadRequestError, lambda: upload(lines(count=3), extra_headers={"Idempotency-Key": "python"}))


@check("uploads: upload_file_chunked; parts, md5, a batch of the file; cancel")
def uploads():
    content = lines()
    chunked = client.uploads.upload_file_chunked(
        file=content, filename="a.jsonl", bytes=len(content), mime_type="application/jsonl", purpose="batch", part_size=50
    )
    assert chunked.status == "completed" and chunked.file, chunked
    assert client.files.content(chunked.file.id).read() == content
    assert ended(create(chunked.file)).status == "completed"
    begin = lambda: client.uploads.create(filename="a", bytes=4, mime_type="text/plain", purpose="batch")
    upload, other = begin(), begin()
    parts = [client.uploads.parts.create(upload.id, data=data).id for data in (b"cd", b"ab")]
    complete = lambda md5: client.uploads.complete(upload.id, part_ids=parts[::-1], md5=md5)
    raises(openai.BadRequestError, lambda: complete("0" * 32))
    first, again = (complete(hashlib.md5(b"abcd").hexdigest()) for _ in range(2))
    assert first.file == again.file and client.files.content(first.file.id).read() == b"abcd"
    assert client.uploads.cancel(other.id).status == "cancelled"
    raises(openai.ConflictError, lambda: client.uploads.parts.create(other.id, data=b"ab"))


@check("a completed batch: output and error file")
def completed():
    bodies = [{"inputs": TEXT, "model": MODEL}, {"inputs": 7}]
    batch = ended(create(upload(lines(bodies=bodies)), metadata={"run": "one"}))
    assert (batch.status, batch.errors, batch.metadata) == ("completed", None, {"run": "one"})
    assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (2, 1, 1)
    [answered], [failed] = rows(batch.output_file_id), rows(batch.error_file_id)
    assert answered["response"]["status_code"] == 200 and answered["error"] is None
    assert failed["response"]["status_code"] == 422 and failed["error"] is None
    assert failed["response"]["body"]["error"]["message"]


@check("an unfinished batch, then a cancelled one")
def cancelled():
    batch = create(upload(lines(PAUSED)))
    until("the start", lambda: client.batches.retrieve(batch.id).status == "in_progress")
    assert client.batches.cancel(batch.id).status in ("cancelling", "cancelled")
    batch = ended(batch)
    assert (batch.status, batch.request_counts.failed) == ("cancelled", 2)
    assert {row["error"]["code"] for row in rows(batch.error_file_id)} == {"batch_cancelled"}


@check("a failed batch")
def failed():
    batch = ended(create(upload(b"nonsense\n")))
    assert batch.status == "failed" and batch.errors.data[0].line == 1 and batch.errors.data[0].code


@check("an expired batch")
def expired():
    batch = ended(create(upload(lines(PAUSED)), "2s"))
    assert batch.status == "expired" and batch.expired_at
    assert {row["error"]["code"] for row in rows(batch.error_file_id)} == {"batch_expired"}


@check("batches: list in pages, null metadata, Idempotency-Key")
def batch_list():
    file = upload(lines())
    headers = {"Idempotency-Key": "python-batch"}
    first, second = (create(file, metadata=None, extra_headers=headers) for _ in range(2))
    assert first.id == second.id
    ended(first)
    assert first.id in [each.id for each in client.batches.list(limit=1)]


@check("models: list and retrieve")
def models():
    listed = {model.id: model for model in client.models.list()}
    assert listed[MODEL].owned_by and listed[MODEL].created
    assert client.models.retrieve(MODEL).id == MODEL


@check("webhooks.verify_signature")
def webhooks():
    headers, body, secret = receive_webhook()
    client.webhooks.verify_signature(body, headers, secret=secret)
    wrong = lambda: client.webhooks.verify_signature(body + " ", headers, secret=secret)
    raises(openai.InvalidWebhookSignatureError, wrong)


@check("errors: 400, 401, 404, 409, an unknown route; a 409 is sent once")
def errors():
    file = upload(lines(PAUSED))
    error = raises(openai.BadRequestError, lambda: create(file, "soon"), param="completion_window")
    assert error.type == "invalid_request_error" and error.code and error.request_id
    raises(openai.BadRequestError, lambda: client.files.create(file=b"", purpose="batch"))
    wrong = openai.OpenAI(api_key="wrong", base_url=f"{BASE}/v1", max_retries=0)
    raises(openai.AuthenticationError, lambda: wrong.batches.list())
    raises(openai.NotFoundError, lambda: client.batches.retrieve("batch_none"))
    error = raises(openai.NotFoundError, lambda: client.embeddings.create(model=MODEL, input=TEXT))
    assert "/v1/batches" in error.message
    batch = create(file)
    sent = []
    patient = client.with_options(max_retries=2)
    patient._client.event_hooks["request"] = [lambda request: sent.append(request)]
    raises(openai.ConflictError, lambda: patient.files.delete(file.id))
    patient._client.event_hooks["request"] = []
    assert len(sent) == 1, f"sent {len(sent)} times"
    client.batches.cancel(batch.id)


@check("AsyncOpenAI")
def asynchronous():
    async def run():
        async with openai.AsyncOpenAI(
            api_key=KEY, base_url=f"{BASE}/v1", max_retries=0, _strict_response_validation=True
        ) as remote:
            file = await remote.files.create(file=io.BytesIO(lines()), purpose="batch")
            listed = [each.id async for each in remote.files.list(limit=2)]
            assert file.id in listed
            await remote.files.delete(file.id)

    asyncio.run(run())
