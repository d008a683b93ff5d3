"""The server of `serving`: connections stay open, and end where the next request could not be told from the last."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import closing
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


@pytest.mark.parametrize("more", [{}, {"encode_chunked": True, "headers": {"Transfer-Encoding": "chunked"}}])
def test_a_body_that_is_not_read_is_not_taken_for_the_next_request(
    connection: http.client.HTTPConnection, more: dict[str, object]
) -> None:
    hidden = b"GET /v1/metadata HTTP/1.1\r\n\r\n"
    body = iter([hidden]) if more else hidden
    assert ask(connection, "GET", "/v1/nothing", body=body, **more) == 404
    assert ask(connection, "GET", PATH) == 200


def test_a_body_that_is_not_read_and_does_not_come_ends_its_connection(mock: MockServer) -> None:
    address = urlsplit(mock.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as raw:
        raw.sendall(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {LONGEST_BODY + 1}\r\n\r\n".encode())
        with raw.makefile("rb") as answers:
            assert answers.read().startswith(b"HTTP/1.1 429")


@pytest.mark.parametrize("fault", ["fault=reset", "fault=truncated"])
def test_a_fault_ends_a_connection_that_was_kept(
    mock: MockServer, connection: http.client.HTTPConnection, fault: str
) -> None:
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
