"""A served mock withstands what no honest client sends; docs/hostile.md tells what it answers."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from mock_server.server import free_port

from .conftest import PATH, Api, ask, docker
from .hostile import CONTROL_PATHS, HOST, NAMES, SHAPES, SMUGGLED, complete, get, post, send, statuses

PAGE = (Path(__file__).parents[2] / "docs/hostile.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE))
TOKEN = "not-a-real-token"


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """A mock as people serve it, with a control token."""
    file = tmp_path_factory.mktemp("hostile") / "token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    port = free_port("127.0.0.1", 0)
    options = ["--empty", "--port", str(port), "--log-level", "warning", "--control-token-file", str(file)]
    command = [sys.executable, "-m", "mock_server", "serve", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as server:
        until = time.monotonic() + 60
        while control(port, "/health") is None:
            assert server.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        yield port
        server.terminate()
        _, printed = server.communicate(timeout=30)
    assert b"Traceback" not in printed


def control(port, path, method="GET"):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/__admin{path}", method=method, headers={"Authorization": f"Bearer {TOKEN}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except OSError:
        return None


def see(port: int, sent: bytes, told: str) -> None:
    """See that an answer is what the page tells: statuses, and whether the server closes."""
    seen = send(port, sent, closing=told.endswith("closed"))
    statuses = ", then ".join(map(str, seen.statuses))
    assert (statuses or "no answer") == told.removesuffix(", closed")
    assert seen.closed or not told.endswith("closed")


@pytest.mark.parametrize("name", SHAPES)
def test_a_malformed_request_is_answered_as_the_page_says(port, name):
    control(port, "/requests", "DELETE")
    see(port, SHAPES[name], ROWS[name])
    smuggled = control(port, f"/requests/count?path={PATH}/smuggled")
    assert smuggled == {"count": 0}, "a request within a request was carried out"
    assert send(port, get(PATH)).statuses == [200]


UNREAD = {
    "unknown path": ("POST", "/v1/other"),
    "wrong method": ("PATCH", PATH),
    "a get": ("GET", PATH),
    "a delete": ("DELETE", f"{PATH}/nobody"),
    "control": ("POST", "/__admin/settings"),
}


@pytest.mark.parametrize(("method", "target"), UNREAD.values(), ids=UNREAD.keys())
def test_a_body_that_nobody_reads_neither_ends_the_connection_nor_is_a_request(port, method, target):
    control(port, "/requests", "DELETE")
    head = f"{method} {target} HTTP/1.1\r\n".encode() + HOST + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for _ in range(20):
            connection.sendall(head)
            connection.sendall(SMUGGLED)  # it may come after the answer has begun
            connection.sendall(get(PATH))
            raw = b""
            while len(statuses(raw)) < 2 or not complete(raw):
                piece = connection.recv(65536)
                assert piece, f"closed after {raw!r}"
                raw += piece
            assert statuses(raw)[1:] == [200]
    assert control(port, f"/requests/count?path={PATH}/smuggled") == {"count": 0}


@pytest.mark.parametrize("target", CONTROL_PATHS)
def test_no_spelling_of_a_path_gets_round_the_control_token(port, target):
    see(port, get(target), ROWS[f"`{target}`"])


@pytest.mark.parametrize("target", ["//__admin/health", "///__admin/settings", "//__world/a/__admin/health"])
@pytest.mark.parametrize("headers", [{}, {"Mock-Central-World": "a"}], ids=["default", "world"])
def test_a_control_path_that_begins_otherwise_is_not_found(target, headers):
    answer = ask(Api(control_token=TOKEN).app, "GET", target, headers=headers)
    assert (answer.status, answer.rule) == (404, "unknown-route")


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_no_header_comes_from_a_name(port, name):
    """In a key that is warned of, in a name that is refused, in what is preferred, and in a header that is echoed."""
    stored = json.dumps(docker(name=name)).encode()
    unknown = json.dumps(docker(name="other") | {name: 1}).encode()
    for sent in (post(stored), post(stored), post(unknown), get(f"{PATH}?{urllib.request.quote(name)}=1")):
        seen = send(port, sent)
        assert len(seen.statuses) == 1
        head = seen.raw.partition(b"\r\n\r\n")[0]
        assert not [line for line in head.split(b"\r\n") if line.lower().startswith(b"x-injected")]
        assert re.fullmatch(rb"[\x20-\x7e\r\n]*", head)


def test_slow_and_half_open_clients_keep_nobody_waiting(port):
    """More of them than the mock has threads: one byte of a header each, or half of a body that never ends."""
    half = post(b"{}", b"Content-Length: 100\r\n", length=False)
    beginnings = [b"G", f"GET {PATH} HTTP/1.1\r\nHo".encode(), b""] * 30 + [half] * 20
    connections = []
    try:
        for sent in beginnings:
            connections.append(socket.create_connection(("127.0.0.1", port), timeout=10))
            connections[-1].sendall(sent)
        time.sleep(0.3)
        began = time.monotonic()
        assert send(port, get(PATH), wait=10).statuses == [200]
        assert time.monotonic() - began < 5
    finally:
        for each in connections:
            each.close()
    assert send(port, get(PATH)).statuses == [200]


def test_a_client_that_leaves_in_the_middle_of_a_body_stores_nothing(port):
    before = control(port, "/health")["integrations"]
    body = json.dumps(docker(name="never whole")).encode()
    head = f"POST {PATH} HTTP/1.1\r\n".encode() + HOST + b"Content-Length: %d\r\n\r\n" % (len(body) + 1)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head + body)
    time.sleep(0.3)
    assert control(port, "/health")["integrations"] == before


def test_the_page_has_a_row_for_each_case_and_no_other():
    headings = {"what is sent", "path", "---"}
    assert set(ROWS) - headings == {*SHAPES, *(f"`{target}`" for target in CONTROL_PATHS)}
