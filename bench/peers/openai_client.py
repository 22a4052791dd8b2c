"""Tests files and batches with the unmodified `openai` package for Python.

    pip install openai
    python bench/peers/openai_client.py [http://127.0.0.1:8000] [API key]

Uploads a file, creates a batch, polls it, reads output and error file, lists, cancels another batch and erases the file.
Exits with code 1 at the first failed check.
"""

import json
import sys
import time

from openai import NotFoundError, OpenAI

LINES = 2_000
ENDED = {"completed", "failed", "expired", "cancelled"}


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
    key = sys.argv[2] if len(sys.argv) > 2 else "any"
    client = OpenAI(base_url=f"{url}/v1", api_key=key)

    file = client.files.create(file=("input.jsonl", jsonl(LINES)), purpose="batch")
    check(client.files.retrieve(file.id).bytes == len(jsonl(LINES)), "the file has the bytes that were sent")
    check(file.id in [each.id for each in client.files.list()], "the file is listed")

    batch = client.batches.create(
        input_file_id=file.id, endpoint="/predict", completion_window="24h", metadata={"from": "python"}
    )
    batch = ended(client, batch.id)
    check(batch.status == "completed", "the batch is completed")
    counts = batch.request_counts
    check((counts.total, counts.failed) == (LINES, LINES // 100), "its counts are those of the file")
    output, errors = rows(client, batch.output_file_id), rows(client, batch.error_file_id)
    check(len(output) == counts.completed and len(errors) == counts.failed, "every line gave one row")
    check([each["custom_id"] for each in output] == [f"row-{n}" for n in range(LINES) if n % 100 != 7], "in order")
    check(all(each["response"]["status_code"] == 200 for each in output), "with an answer")
    check(all(each["error"]["message"] for each in errors), "or an error")
    check(batch.id in [each.id for each in client.batches.list(limit=1)], "the batch is listed, page by page")

    other = client.batches.create(input_file_id=file.id, endpoint="/predict", completion_window="1h")
    cancelled = ended(client, client.batches.cancel(other.id).id)
    check(cancelled.status == "cancelled", "another one is cancelled")
    check(cancelled.request_counts.completed + cancelled.request_counts.failed == LINES, "and every line has a row")

    check(client.files.delete(file.id).deleted, "the file is erased")
    try:
        client.files.retrieve(file.id)
        check(False, "an erased file is not found")
    except NotFoundError as error:
        check(error.body["code"] == "not_found", "an erased file is not found")


def jsonl(count: int) -> bytes:
    lines = (
        json.dumps({"custom_id": f"row-{n}", "method": "POST", "url": "/predict", "body": body(n)}) for n in range(count)
    )
    return ("\n".join(lines) + "\n").encode()


def body(n: int) -> dict:
    return {"inputs": 7 if n % 100 == 7 else f"The boy number {n} is sitting on a bench"}


def ended(client: OpenAI, batch_id: str):
    while (batch := client.batches.retrieve(batch_id)).status not in ENDED:
        time.sleep(0.2)
    return batch


def rows(client: OpenAI, file_id: str | None) -> list[dict]:
    return [json.loads(line) for line in client.files.content(file_id).text.splitlines()] if file_id else []


def check(holds: bool, what: str) -> None:
    print(f"{'ok ' if holds else 'NOT'} {what}")
    if not holds:
        sys.exit(1)


main()
