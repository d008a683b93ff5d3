"""Observed answers of a running Central on the wire, compared with a served mock.

docs/reference/hostile-input.md lists what differs.
"""

import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from mock_server.serving.addresses import free_port
from mock_server.tests.conftest import Answer
from mock_server.tests.hostile import send
from mock_server.tests.test_observed import of_kind

PAGE = (Path(__file__).parents[2] / "docs/reference/hostile-input.md").read_text("utf-8")


@pytest.fixture(scope="module")
def ports():
    """Served mocks, one of which requires credentials."""
    served = {}
    servers = []
    for auth in (False, True):
        port = served[auth] = free_port("127.0.0.1", 0)
        options = ["--as-deployed", "--port", str(port), "--log-level", "error", *(["--auth"] if auth else ())]
        servers.append(subprocess.Popen([sys.executable, "-m", "mock_server", "serve", *options]))
    until = time.monotonic() + 60
    for port in served.values():
        while not is_up(port):
            assert time.monotonic() < until
            time.sleep(0.05)
    yield served
    for server in servers:
        server.terminate()
    for server in servers:
        server.wait(30)


def is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/ping", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def filled(text: str) -> bytes:
    """Expand what a fact abbreviates."""
    text = re.sub(r"\{a\*(\d+)\}", lambda match: "a" * int(match[1]), text)
    return text.replace("{{ADMIN}}", "mock-admin-token").encode()


def answer_of(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answer(int(status.split()[1]), headers, body)


@pytest.mark.served
@pytest.mark.parametrize("fact", of_kind("wire"))
def test_the_served_mock_answers_as_observed(fact, ports):
    auth = fact.get("server", {}).get("auth", False)
    answer = answer_of(send(ports[auth], filled(fact["request"]["raw"])).raw)
    right = fact["right"]
    if "decided_below" in fact:
        assert answer.status == fact["decided_below"]
        assert f"| `{fact['id']}` |" in PAGE
        return
    assert answer.status in right.get("status_in", [right.get("status")]), answer
    for name, value in right.get("headers", {}).items():
        assert answer.headers.get(name) == value.lower()
    if "message" in right:
        assert answer.message == right["message"]
    if "json" in right:
        assert answer.json == right["json"]
    if "text" in right:
        assert answer.body.decode() == right["text"]


@pytest.mark.heavy
def test_every_row_of_the_page_is_tested():
    rows = set(
        re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE.partition("## Where the HTTP server decides")[2], re.MULTILINE)
    )
    known = {fact.values[0]["id"] for fact in of_kind("wire") if "decided_below" in fact.values[0]}
    assert {row for row in rows if row not in RACES} == known


RACES = {f"difference-0{number}" for number in range(6)}
"""Rows of races; test_database.py plays the first two."""
