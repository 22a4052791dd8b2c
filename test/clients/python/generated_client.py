"""The client that openapi-python-client generates from /openapi.json."""

import io
import json
import sys

from checks import BASE, EXPIRED_ID, KEY, LONG, MODEL, PAUSED, TEXT, Checks, until

sys.path.insert(0, sys.argv[1])
from inferq_client import AuthenticatedClient, models  # noqa: E402
from inferq_client.api.batches import cancel_batch, create_batch, get_batch, get_batch_results, list_batches  # noqa: E402
from inferq_client.api.files import delete_file, get_file, get_file_content, list_files, upload_file  # noqa: E402
from inferq_client.api.models import get_model, list_model_versions, list_models  # noqa: E402
from inferq_client.api.operations import get_health, get_info, get_metrics, get_queue  # noqa: E402
from inferq_client.api.predict import classify, classify_text, classify_with_model  # noqa: E402
from inferq_client.api.predictions import (  # noqa: E402
    cancel_prediction,
    create_prediction,
    get_prediction,
    list_predictions,
)
from inferq_client.types import File  # noqa: E402

client = AuthenticatedClient(BASE, token=KEY)
checks = Checks("openapi-python-client", "openapi-python-client")
check = checks.check


def prediction(model, text=TEXT, **more):
    chosen = models.PredictionInputWithText(text=text, **more)
    return create_prediction.sync(client=client, body=models.PredictionBody(model=model, input_=chosen))


def batch(model, window="24h"):
    requests = [models.InlineRequest.from_dict({"custom_id": "a", "body": {"inputs": TEXT, "model": model}})]
    body = models.BatchBodyWithRequests(endpoint="/predict", completion_window=window, requests=requests)
    return create_batch.sync(client=client, body=body)


def ended(made):
    def look():
        now = get_batch.sync(made.id, client=client)
        return now if now.status in ("completed", "failed", "expired", "cancelled") else None

    return until(f"the end of {made.id}", look)


@check("predict: one text, many, pairs, by model")
def predict():
    [best, *_] = classify_text.sync(client=client, text=TEXT)
    assert isinstance(best, models.LabelScore)
    body = models.PredictBodyWithInputs(inputs=[TEXT, [TEXT, TEXT]], parameters=models.Parameters(top_k=1))
    assert len(classify.sync(client=client, body=body)) == 2
    assert classify.sync(client=client, body=models.PredictBodyWithText(text=TEXT))[0].label
    nested = classify_with_model.sync(MODEL, client=client, body=models.HuggingFaceBody(inputs=TEXT))
    assert nested[0][0].label


@check("errors: a typed problem, and OpenAI's error")
def errors():
    problem = classify.sync(client=client, body=models.PredictBodyWithText(text=""))
    assert isinstance(problem, models.Problem) and problem.error_type == "Empty"
    error = get_batch.sync("batch_none", client=client)
    assert isinstance(error, models.OpenAIError) and error.error.message


@check("predictions: unfinished, canceled, succeeded, failed, expired, list")
def predictions():
    made = prediction(PAUSED)
    assert isinstance(made, models.Prediction) and made.status == "starting" and made.output is None
    assert cancel_prediction.sync(made.id, client=client).status == "canceled"
    good, bad = prediction(MODEL), prediction(MODEL, LONG, truncate=False)
    look = lambda each: get_prediction.sync(each.id, client=client)  # noqa: E731
    assert until("the end", lambda: look(good).status == "succeeded") and look(good).output[0].label
    assert until("the failure", lambda: look(bad).status == "failed") and look(bad).errors[0].message
    expired = get_prediction.sync(EXPIRED_ID, client=client)
    assert isinstance(expired, models.Problem) and expired.status == 410
    assert good.id in [each.id for each in list_predictions.sync(client=client).results]


@check("files: upload, get, list, content, delete")
def files():
    content = json.dumps({"custom_id": "a", "body": {"inputs": TEXT}}).encode() + b"\n"
    upload = models.Upload(purpose=models.UploadPurpose.BATCH, file=File(payload=io.BytesIO(content), file_name="input.jsonl"))
    file = upload_file.sync(client=client, body=upload)
    assert isinstance(file, models.File) and file.filename == "input.jsonl"
    assert get_file.sync(file.id, client=client) == file
    assert file.id in [each.id for each in list_files.sync(client=client).data]
    assert get_file_content.sync(file.id, client=client).payload.read() == content
    assert delete_file.sync(file.id, client=client).deleted is True


@check("batches: unfinished, cancelled, completed, expired, failed, results, list")
def batches():
    made = batch(PAUSED)
    assert isinstance(made, models.Batch) and made.status in ("validating", "in_progress")
    assert cancel_batch.sync(made.id, client=client).status in ("cancelling", "cancelled")
    assert ended(made).status == "cancelled"
    assert ended(batch(PAUSED, "2s")).status == "expired"
    done = ended(batch(MODEL))
    assert done.status == "completed" and done.request_counts.completed == 1
    [row] = get_batch_results.sync(done.id, client=client).splitlines()
    assert json.loads(row)["response"]["status_code"] == 200
    upload = models.Upload(purpose=models.UploadPurpose.BATCH, file=File(payload=io.BytesIO(b"nonsense\n"), file_name="input.jsonl"))
    file = upload_file.sync(client=client, body=upload)
    body = models.BatchBodyWithFile(endpoint="/predict", completion_window="24h", input_file_id=file.id)
    failed = ended(create_batch.sync(client=client, body=body))
    assert failed.status == "failed" and failed.errors.data[0].line == 1
    assert done.id in [each.id for each in list_batches.sync(client=client).data]


@check("models, queue, info, health, metrics")
def operations():
    assert MODEL in [each.id for each in list_models.sync(client=client).data]
    assert get_model.sync(MODEL, client=client).labels
    assert list_model_versions.sync("any", MODEL, client=client).results[0].id
    assert get_queue.sync(client=client).models.additional_properties[MODEL].workers >= 1
    assert get_info.sync(client=client).served_model_name
    assert get_health.sync(client=client).status == "ok"
    assert "inferq_" in get_metrics.sync(client=client)
