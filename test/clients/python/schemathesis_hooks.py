"""Changes what schemathesis sends and expects where the OpenAPI document cannot say what is valid."""

import re
import uuid

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection


@schemathesis.hook
def before_call(context, case, **kwargs):
    """A key belongs to one request, so each gets its own; keys that are no keys stay."""
    headers = case.headers or {}
    key = headers.get("Idempotency-Key")
    if key is not None and re.fullmatch(r"[ -~]{1,255}", str(key)):
        headers["Idempotency-Key"] = str(uuid.uuid4())


@schemathesis.check
def invalid_data_rejection(context, response, case):
    """As negative_data_rejection, but null for a field of a body is the same as leaving it out."""
    return None if has_null(case.body) else negative_data_rejection(context, response, case)


def has_null(body):
    if isinstance(body, dict):
        return any(value is None or has_null(value) for value in body.values())
    return isinstance(body, list) and any(has_null(entry) for entry in body)
