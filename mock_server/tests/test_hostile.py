"""A served mock survives malformed requests; docs/reference/hostile-input.md lists its answers."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from benchmarks import load
from mock_server.serving.addresses import free_port
from mock_server.serving.body_timeouts import MOST_WAITING
from mock_server.serving.connection_faults import stop_reading
from mock_server.serving.worker import SECONDS_FOR_HEAD
from mock_server.web.threads import PATIENCE

from .conftest import PATH, Api, ask, docker
from .hostile import CONTROL_PATHS, HALF, HOST, NAMES, SHAPES, SMUGGLED, VALID, complete, get, post, send, statuses

pytestmark = pytest.mark.served

PAGE = (Path(__file__).parents[2] / "docs/reference/hostile-input.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE))
TOKEN = "not-a-real-token"
BODY_TIMEOUT = 3


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """A served mock with a control token."""
    file = tmp_path_factory.mktemp("hostile") / "token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    port = free_port("127.0.0.1", 0)
    options = ["--empty", "--port", str(port), "--log-level", "warning", "--control-token-file", str(file)]
    options += ["--body-timeout", str(BODY_TIMEOUT)]
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


def see(port: int, sent: bytes, expected: str) -> None:
    """Check the statuses, and whether the server closes the connection."""
    seen = send(port, sent, closing=expected.endswith("closed"))
    statuses = ", then ".join(map(str, seen.statuses))
    assert (statuses or "no answer") == expected.removesuffix(", closed")
    assert seen.closed or not expected.endswith("closed")


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
def test_an_unread_body_neither_ends_the_connection_nor_becomes_a_request(port, method, target):
    control(port, "/requests", "DELETE")
    head = f"{method} {target} HTTP/1.1\r\n".encode() + HOST + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for _ in range(20):
            connection.sendall(head)
            connection.sendall(SMUGGLED)  # it may arrive after the answer has started
            connection.sendall(get(PATH))
            raw = b""
            while len(statuses(raw)) < 2 or not complete(raw):
                piece = connection.recv(65536)
                assert piece, f"closed after {raw!r}"
                raw += piece
            assert statuses(raw)[1:] == [200]
    assert control(port, f"/requests/count?path={PATH}/smuggled") == {"count": 0}


@pytest.mark.parametrize("target", CONTROL_PATHS)
def test_no_spelling_of_a_path_bypasses_the_control_token(port, target):
    see(port, get(target), ROWS[f"`{target}`"])


@pytest.mark.parametrize("target", ["//__admin/health", "///__admin/settings", "//__sandbox/a/__admin/health"])
@pytest.mark.parametrize("headers", [{}, {"Mock-Central-Sandbox": "a"}], ids=["default", "sandbox"])
def test_a_control_path_that_begins_otherwise_is_not_found(target, headers):
    answer = ask(Api(control_token=TOKEN).app, "GET", target, headers=headers)
    assert (answer.status, answer.rule) == (404, "unknown-route")


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_cannot_inject_headers(port, name):
    """Names in a warning, in a refusal, in a preference, and in an echoed header."""
    stored = json.dumps(docker(name=name)).encode()
    unknown = json.dumps(docker(name="other") | {name: 1}).encode()
    for sent in (post(stored), post(stored), post(unknown), get(f"{PATH}?{urllib.request.quote(name)}=1")):
        seen = send(port, sent)
        assert len(seen.statuses) == 1
        head = seen.raw.partition(b"\r\n\r\n")[0]
        assert not [line for line in head.split(b"\r\n") if line.lower().startswith(b"x-injected")]
        assert re.fullmatch(rb"[\x20-\x7e\r\n]*", head)


@contextmanager
def opened(port: int, *beginnings: bytes) -> Iterator[list[socket.socket]]:
    """Open a connection for each of these beginnings, and send it."""
    with ExitStack() as stack:
        connections = []
        for sent in beginnings:
            connections.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20)))
            connections[-1].sendall(sent)
        yield connections


def answered(connections: list[socket.socket], until: float) -> list[list[int]]:
    """Return the statuses received on each connection until the server closes it or the time is over."""
    found = []
    for each in connections:
        raw = b""
        with suppress(TimeoutError):
            while (left := until - time.monotonic()) > 0:
                each.settimeout(left)
                piece = each.recv(65536)
                if not piece:
                    break
                raw += piece
        found.append(statuses(raw))
    return found


@pytest.mark.timing
def test_slow_and_half_open_clients_do_not_delay_others(port):
    """More clients than the mock has threads each send part of a header, or half of a body."""
    with opened(port, *[b"G", f"GET {PATH} HTTP/1.1\r\nHo".encode(), b"", HALF] * 40):
        time.sleep(0.3)
        began = time.monotonic()
        for target in (PATH, "/__admin/health", "/v1/metadata"):
            assert send(port, get(target), wait=10).statuses == [200]
        assert time.monotonic() - began < 5
    assert send(port, get(PATH)).statuses == [200]


@pytest.mark.slow
@pytest.mark.timing
def test_thousands_of_incomplete_heads_delay_no_others_and_are_closed_in_time(port):
    with opened(port, *[f"GET {PATH} HTTP/1.1\r\nHo".encode()] * 3000) as connections:
        began = time.monotonic()
        assert send(port, get(PATH), wait=10).statuses == [200]
        assert time.monotonic() - began < 3
        connections[-1].settimeout(SECONDS_FOR_HEAD + 5)
        assert connections[-1].recv(100) == b""


@pytest.mark.heavy
def test_a_low_limit_of_open_files_limits_connections():
    port = free_port("127.0.0.1", 0)
    command = [sys.executable, "-m", "mock_server", "serve", "--port", str(port), "--log-level", "warning"]
    limited = ["sh", "-c", 'ulimit -n 400; exec "$@"', "sh", *command]
    with subprocess.Popen(limited, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout.readline()
        with opened(port, *[b"G"] * 500):
            time.sleep(0.5)
        assert send(port, get(PATH), wait=20).statuses == [200]
        server.terminate()
        assert "Traceback" not in server.communicate(timeout=10)[1]


@pytest.mark.timing
def test_waiting_for_bodies_is_limited_in_threads_and_time(port):
    control(port, "/requests", "DELETE")
    with opened(port, *[HALF] * 40) as connections:
        time.sleep(PATIENCE + 0.5)
        refused = send(port, post(VALID))
        assert refused.statuses == [503]
        assert f"{MOST_WAITING} requests are waiting for incomplete bodies".encode() in refused.raw
        seen = answered(connections, time.monotonic() + BODY_TIMEOUT + 2)
    assert seen.count([408]) == MOST_WAITING
    assert seen.count([503]) == 40 - MOST_WAITING
    assert control(port, "/requests/count?status=408") == {"count": MOST_WAITING}
    assert control(port, "/requests/count?status=503") == {"count": 41 - MOST_WAITING}
    assert send(port, post(b"{}")).statuses == [400]


UNKNOWN_LENGTH = b"Transfer-Encoding: chunked\r\n"
NEVER_WHOLE = {
    "known length": HALF,
    "chunks": post(b"%x\r\n%b\r\n" % (len(VALID), VALID), UNKNOWN_LENGTH, length=False),
    "nobody asks for it": HALF.replace(PATH.encode(), b"/v1/other"),
    "a get": HALF.replace(b"POST", b"GET"),
    "method override": HALF.replace(
        b"Content-Type: application/json", b"Content-Type: application/x-www-form-urlencoded"
    ).replace(b"\r\n\r\n", b"\r\nX-HTTP-Method-Override: PUT\r\n\r\n"),
}


@pytest.mark.timing
@pytest.mark.parametrize("sent", NEVER_WHOLE.values(), ids=NEVER_WHOLE.keys())
def test_an_incomplete_body_times_out_and_stores_nothing(port, sent):
    before = control(port, "/health")["integrations"]
    began = time.monotonic()
    with opened(port, sent) as connections:
        (seen,) = answered(connections, began + BODY_TIMEOUT + 3)
    assert len(seen) == 1
    assert BODY_TIMEOUT <= time.monotonic() - began < BODY_TIMEOUT + 2
    assert control(port, "/health")["integrations"] == before


@pytest.mark.timing
def test_a_slow_body_within_the_timeout_is_accepted(port):
    with opened(port, post(VALID)[:-40]) as (connection,):
        for byte in post(VALID)[-40:]:
            time.sleep(BODY_TIMEOUT / 2 / 40)
            connection.sendall(bytes([byte]))
        assert answered([connection], time.monotonic() + 1) in ([[200]], [[400]])  # its name is free


def test_no_arriving_body_is_refused_however_many_arrive_at_once(port):
    load.run(port, load.creates(2000), connections=100)  # raises for any status but 200


@pytest.mark.timing
def test_no_connection_is_ended_if_several_qualify(port):
    """The server knows the address of a request but not its connection."""
    delay = BODY_TIMEOUT + 2
    slow = get(PATH).replace(b"\r\n\r\n", b"\r\nPrefer: delay=%d\r\n\r\n" % delay)
    with opened(port, slow, HALF) as (slow_one, half_one):
        assert answered([slow_one], time.monotonic() + delay + 1) == [[200]]
        assert answered([half_one], time.monotonic() + 2) == [[408]]


@pytest.mark.timing
@pytest.mark.skipif(sys.platform != "linux", reason="no other system tells when a connection last sent something")
def test_only_an_unanswered_connection_to_the_port_is_ended():
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        ends = []
        for _ in range(3):  # other clients have the same address and another port
            client = stack.enter_context(socket.create_connection(listener.getsockname()))
            ends.append((client, stack.enter_context(listener.accept()[0])))
        (one, waits), (other, answers), (_, nothing_came) = ends
        one.sendall(b"half")
        other.sendall(b"whole")
        time.sleep(0.4)
        answers.sendall(b"answer")
        port = listener.getsockname()[1]
        stop_reading("127.0.0.1", port, 0.3, most=0)
        waits.settimeout(0.1)
        assert waits.recv(10) == b"half"
        with pytest.raises(TimeoutError):
            waits.recv(10)
        stop_reading("127.0.0.1", port, 0.3, most=1)
        assert waits.recv(10) == b""
        waits.sendall(b"late")
        assert one.recv(10) == b"late"
        for each in (answers, nothing_came, other):
            each.settimeout(0.1)
        assert (answers.recv(10), other.recv(10)) == (b"whole", b"answer")
        for each in (answers, nothing_came, other):
            with pytest.raises(TimeoutError):
                each.recv(10)


def test_a_client_that_disconnects_during_its_body_stores_nothing(port):
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
