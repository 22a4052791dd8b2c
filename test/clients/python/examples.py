"""Runs the examples in Python, as their readers do."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from checks import BASE, KEY, TEXT, Checks

EXAMPLES = Path(__file__).parents[3] / "examples"
ENV = {**os.environ, "INFERQ_URL": BASE, "INFERQ_API_KEY": KEY}
LABEL = "(?:positive|negative)"
checks = Checks("openai", "examples")
# They are no client with a version.
checks.client = "examples"
check = checks.check


def run(name, *args):
    """What an example prints."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *args], env=ENV, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until_connected(call, process):
    for _ in range(600):
        assert process.poll() is None, f"it ended with {process.returncode}"
        try:
            return call()
        except httpx.ConnectError:
            time.sleep(0.1)
    raise AssertionError("it does not listen")


@check("notebook.py")
def notebook():
    lines = run("notebook.py").splitlines()
    assert len(lines) == 5, lines
    assert re.fullmatch(rf"0\.\d{{4}}  {LABEL}", lines[0]), lines
    assert re.fullmatch(rf"{TEXT} {LABEL}", lines[4]), lines


@check("pandas_column.py")
def pandas_column():
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.csv"), Path(folder, "out.csv")
        source.write_text('id,review\n1,"A moving, funny film."\n2,\n3,NA\n' + "4,Again.\n" * 300)
        run("pandas_column.py", source, "review", target)
        rows = target.read_text().splitlines()
    assert rows[0] == "id,review,label,score", rows[0]
    assert re.fullmatch(rf'1,"A moving, funny film\.",{LABEL},0\.\d+', rows[1]), rows[1]
    assert rows[2] == "2,,,", rows[2]
    assert re.fullmatch(rf"3,NA,{LABEL},0\.\d+", rows[3]), rows[3]
    assert len(rows) == 304 and re.fullmatch(rf"4,Again\.,{LABEL},0\.\d+", rows[303]), rows[303]


@check("from_fastapi.py")
def from_fastapi():
    port = free_port()
    service = subprocess.Popen([sys.executable, EXAMPLES / "from_fastapi.py"], env={**ENV, "PORT": str(port)})
    try:
        url = f"http://127.0.0.1:{port}/classify"
        answer = until_connected(lambda: httpx.post(url, json={"text": TEXT}, timeout=60), service)
        assert answer.status_code == 200 and set(answer.json()) == {"label", "score"}, answer.text
        refused = httpx.post(url, json={"text": ""}, timeout=60)
        assert refused.status_code == 422 and "empty" in refused.json()["detail"], refused.text
    finally:
        service.terminate()
        service.wait()


@check("from_celery.py")
def from_celery():
    lines = run("from_celery.py").splitlines()
    assert len(lines) == 2 and all(re.fullmatch(rf"\S{{36}} {{'label': '{LABEL}', .*}}", line) for line in lines), lines
