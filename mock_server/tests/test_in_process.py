"""The server of `serving`: connections stay open, unless the end of a request is unknown."""

import http.client
import json
import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from mock_server.gateway.messages import LONGEST_BODY
from mock_server.serving.server import MockServer, serving
from mock_server.settings import Settings

pytestmark = pytest.mark.served

PATH = "/v1/imageintegrations"


@pytest.fixture(scope="module")
def mock() -> Iterator[MockServer]:
    with serving(Settings(scenario="one-of-each")) as found:
        yield found


@pytest.fixture
def connection(mock: MockServer) -> Iterator[http.client.HTTPConnection]:
    found = http.client.HTTPConnection(urlsplit(mock.url).netloc, timeout=5)
    found.connect()
    yield found
    found.close()


def ask(connection: http.client.HTTPConnection, method: str, path: str, **more: object) -> int:
    connection.request(method, path, **more)  # type: ignore[arg-type]
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_a_connection_stays_open(connection: http.client.HTTPConnection) -> None:
    before = connection.sock
    asked = (("GET", PATH, b""), ("POST", PATH, b"{}"), ("HEAD", PATH, b""), ("GET", "/v1/nothing", b""))
    assert [ask(connection, method, path, body=body) for method, path, body in asked] == [200, 400, 501, 404]
    assert connection.sock is before


def test_a_doubled_slash_is_redirected(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", f"/{PATH}?a=b")
    answer = connection.getresponse()
    answer.read()
    assert (answer.status, answer.headers["Location"]) == (307, f"{PATH}?a=b")


@pytest.mark.parametrize("fault", ["", "code=503", 'code=503,json="{}"'])
def test_the_answer_to_a_form_that_overrides_its_method_with_head_has_a_body(
    connection: http.client.HTTPConnection, fault: str
) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-HTTP-Method-Override": "HEAD", "Prefer": fault}
    connection.request("POST", f"{PATH}/x", "a=b", headers)
    answer = connection.getresponse()
    assert (answer.status, len(answer.read())) == (503 if fault else 501, int(answer.headers["Content-Length"]))
    assert answer.headers["Content-Length"] != "0"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/%ff", r'image integration "\xff" not found'),
        ("/\xc3\xa9", 'image integration "é" not found'),
        ("/%C3%A9", 'image integration "é" not found'),
        ("/a%3Fb?c", 'image integration "a?b" not found'),
        ("/a%2523", 'image integration "a%23" not found'),
    ],
)
def test_the_bytes_of_a_path_arrive(mock: MockServer, path: str, message: str) -> None:
    body = '{"name":"x","categories":[0]}'
    address = urlsplit(mock.url)
    for begin in ("", "http://a"):
        with socket.create_connection((address.hostname, address.port), timeout=5) as raw:
            head = f"PUT {begin}{PATH}{path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
            raw.sendall(f"{head}Connection: close\r\n\r\n{body}".encode("latin-1"))
            with raw.makefile("rb") as answer:
                assert json.loads(answer.read().partition(b"\r\n\r\n")[2])["message"] == f"{message}: not found"


def test_blanks_around_a_header_do_not_count() -> None:
    with serving(Settings(auth=True)) as mock, closing(http.client.HTTPConnection(urlsplit(mock.url).netloc)) as sent:
        sent.request("GET", PATH, headers={"Authorization": "Basic "})
        assert b"basic" not in sent.getresponse().read()
        assert ask(sent, "GET", PATH, headers={"Authorization": "Bearer mock-admin-token \t"}) == 200


@pytest.mark.parametrize("more", [{}, {"encode_chunked": True, "headers": {"Transfer-Encoding": "chunked"}}])
def test_an_unread_body_does_not_become_the_next_request(
    connection: http.client.HTTPConnection, more: dict[str, object]
) -> None:
    hidden = b"GET /v1/metadata HTTP/1.1\r\n\r\n"
    body = iter([hidden]) if more else hidden
    assert ask(connection, "GET", "/v1/nothing", body=body, **more) == 404
    assert ask(connection, "GET", PATH) == 200


def test_an_unread_incomplete_body_ends_its_connection(mock: MockServer) -> None:
    address = urlsplit(mock.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as raw:
        raw.sendall(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {LONGEST_BODY + 1}\r\n\r\n".encode())
        with raw.makefile("rb") as answers:
            assert answers.read().startswith(b"HTTP/1.1 429")


@pytest.mark.parametrize("fault", ["fault=reset", "fault=truncated"])
def test_a_fault_ends_a_kept_connection(mock: MockServer, connection: http.client.HTTPConnection, fault: str) -> None:
    assert ask(connection, "GET", PATH) == 200
    mock.fault(f"{fault} times=1")
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        ask(connection, "GET", PATH)
    connection.close()
    assert ask(connection, "GET", PATH) == 200


def test_no_connection_outlives_the_server() -> None:
    with serving() as mock:
        kept = http.client.HTTPConnection(urlsplit(mock.url).netloc, timeout=5)
        assert ask(kept, "GET", PATH) == 200
    kept.auto_open = 0
    with closing(kept), pytest.raises((ConnectionError, http.client.NotConnected)):
        ask(kept, "GET", PATH)


def raw(mock: MockServer, sent: bytes, *, then_close: bool = False) -> bytes:
    """Send bytes and return everything received until the connection ends."""
    address = urlsplit(mock.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as found:
        found.sendall(sent)
        if then_close:
            found.shutdown(socket.SHUT_WR)
        with found.makefile("rb") as answers:
            return answers.read()


CHUNKED = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
NEXT = f"GET {PATH}?name=none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize(
    "chunks",
    [b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", b"02;ext=1 \r\n{}\r\n0\r\nX-A: b\r\n\r\n"],
    ids=["plain", "extension and trailer"],
)
def test_the_next_request_begins_after_the_chunks(mock: MockServer, chunks: bytes) -> None:
    answers = raw(mock, CHUNKED + chunks + NEXT)
    assert answers.startswith(b"HTTP/1.1 400")
    assert b"category" in answers.partition(b"HTTP/1.1 200")[0]
    assert answers.endswith(b'{"integrations":[]}')


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        (b"zz\r\n{}\r\n0\r\n\r\n", b"invalid byte in chunk length"),
        (b"\r\n{}\r\n0\r\n\r\n", b"empty hex number for chunk length"),
        (b"1" * 17 + b"\r\n{}", b"http chunk length too large"),
        (b"1\r\n{}\r\n0\r\n\r\n", b"malformed chunked encoding"),
        (b"5\r\n{}", b"unexpected EOF"),
        (b"2\r\n{}", b"unexpected EOF"),
        (b"2", b"unexpected EOF"),
    ],
)
def test_bad_chunks_are_refused_as_by_go(mock: MockServer, chunks: bytes, text: bytes) -> None:
    answers = raw(mock, CHUNKED + chunks, then_close=True)
    assert answers.startswith(b"HTTP/1.1 400")
    assert b'"message":"%b"' % text in answers
    assert answers.count(b"HTTP/1.1") == 1


def test_a_client_gets_one_100_continue(mock: MockServer) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    assert raw(mock, head.encode() + b"{}").count(b"100 Continue") == 1


@pytest.mark.parametrize("announced", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_a_client_that_resets_during_its_body_causes_no_error(
    mock: MockServer, announced: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    address = urlsplit(mock.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        found.sendall(b"PUT %b/broken HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n4\r\n" % (PATH.encode(), announced))
    entry = mock.journal.wait(path=f"{PATH}/broken")[-1]
    assert entry["status"] == 400
    assert "failed" not in caplog.text
    mock.journal.clear()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("localhost", "http://localhost:"),
        ("::1", "http://[::1]:"),
        ("[::1]", "http://[::1]:"),
        ("", "http://127.0.0.1:"),
    ],
)
def test_a_url_can_be_requested(host: str, url: str) -> None:
    with serving(host=host) as mock:
        assert mock.url.startswith(url)
        with closing(http.client.HTTPConnection(urlsplit(mock.url).netloc, timeout=5)) as connection:
            assert ask(connection, "GET", PATH) == 200


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"host": "no.such.invalid"}, OSError, "serving: host: 'no.such.invalid' cannot be resolved"),
        ({"host": "192.0.2.1"}, OSError, "serving: host: 192.0.2.1 is not an address of this machine"),
        ({"settings": {"auth": True}}, TypeError, r"settings: a dict is not a Settings; give Settings\("),
        ({"host": None}, TypeError, "serving: host=None is not a string"),
        ({"port": 70000}, ValueError, "serving: port=70000 is not a number from 0 to 65535"),
        ({"port": -1}, ValueError, "serving: port=-1 is not a number"),
        ({"port": "80"}, ValueError, "serving: port='80' is not a number"),
    ],
)
def test_an_invalid_address_is_named(
    arguments: dict[str, Any], error: type[Exception], text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(error, match=text), serving(**arguments):
        pass
    assert capfd.readouterr() == ("", "")


def test_a_sandbox_has_the_name_in_its_url(mock: MockServer) -> None:
    sandbox = mock.sandbox(5)  # type: ignore[arg-type]
    sandbox.scenario("empty")
    assert sandbox.url == f"{mock.url}/__sandbox/5"
    assert len(sandbox.journal()) == 0
    with closing(http.client.HTTPConnection(urlsplit(mock.url).netloc, timeout=5)) as connection:
        connection.request("GET", f"/__sandbox/5{PATH}")
        assert connection.getresponse().read() == b'{"integrations":[]}'
