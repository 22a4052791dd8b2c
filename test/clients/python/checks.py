"""Runs the checks of one client and prints one line of JSON for each, which ../main.ts reads."""

import http.server
import json
import os
import time
import traceback
import urllib.request
from importlib.metadata import version

BASE = os.environ["INFERQ_URL"]
KEY = os.environ["INFERQ_KEY"]
MODEL = os.environ["INFERQ_MODEL"]
"""Serves no job: what is submitted for it stays unfinished."""
PAUSED = os.environ["INFERQ_PAUSED_MODEL"]
TEXT = "The boy is sitting on a bench"
LONG = "many words " * 800
"""An id whose time is long past: 410."""
EXPIRED_ID = "0190f3f2-7c1e-7000-8000-000000000000"


class Checks:
    def __init__(self, package: str, title: str):
        self.client = f"{title} {version(package)}"

    def check(self, feature):
        """Decorator: the function is called at once; an exception is a failed check."""

        def run(function):
            note = ""
            try:
                function()
            except Exception as error:  # whatever a client throws is its verdict
                traceback.print_exc()
                note = f"{type(error).__name__}: {error}".split("\n")[0][:200]
            print(json.dumps({"client": self.client, "feature": feature, "ok": note == "", "note": note}), flush=True)
            return function

        return run


def until(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.1)
    raise TimeoutError(what)


def raises(error_class, call, **attributes):
    try:
        call()
    except error_class as error:
        for name, expected in attributes.items():
            assert getattr(error, name) == expected, f"{name} is {getattr(error, name)!r}, not {expected!r}"
        return error
    raise AssertionError(f"nothing was raised, but {error_class.__name__} was expected")


def call(path, body=None, method=None, headers=None):
    """A request without a client; its JSON."""
    own = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", **(headers or {})}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(BASE + path, data, own, method=method)) as response:
        text = response.read()
        return json.loads(text) if text else None


def receive_webhook():
    """Headers and body of the webhook of a new prediction, and the secret that signs it."""
    received = {}

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            received["body"] = self.rfile.read(int(self.headers["content-length"])).decode()
            received["headers"] = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.timeout = 60
        webhook = f"http://127.0.0.1:{server.server_port}/"
        call("/v1/predictions", {"model": MODEL, "input": {"text": TEXT}, "webhook": webhook})
        server.handle_request()
    return received["headers"], received["body"], call("/v1/webhooks/default/secret")["key"]
