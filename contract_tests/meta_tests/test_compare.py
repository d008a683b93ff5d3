"""Comparison of any two URLs: proxies in between and the order of lists are not differences."""

import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner, Result

from contract_tests.cli.main import main
from contract_tests.engine.exchange import Exchange
from contract_tests.runner.compare import compared
from mock_server.serving.server import serving
from mock_server.settings import Settings

pytestmark = pytest.mark.served

NEVER = "00000000-0000-4000-8000-000000000000"


@contextmanager
def behind(url: str, *, missing: int = 0, last: int = 0, seconds: float = 0.0) -> Iterator[str]:
    """Serve the answers of `url` with lower-case headers and lists in random order.

    The read of an integration of the number `missing` is answered 404, as it is on a server that forgot it. After as
    many requests as `last` says it is dead. Each answer takes some `seconds` longer.
    """
    reads = count = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            nonlocal reads, count
            count += 1
            if last and count > last:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            time.sleep(seconds)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path
            if self.command == "GET" and "/v1/imageintegrations/" in path:
                reads += 1
                path = f"/v1/imageintegrations/{NEVER}" if reads == missing else path
            headers = {name: value for name, value in self.headers.items() if name not in ("Host", "Accept-Encoding")}
            asked = Request(url + path, body or None, headers, method=self.command)
            try:
                answer = urlopen(asked, timeout=10)
            except HTTPError as error:
                answer = error
            content = answer.read()
            if self.command == "GET" and answer.status == 200 and content.startswith(b'{"integrations"'):
                value = json.loads(content)
                random.shuffle(value["integrations"])
                content = json.dumps(value, separators=(",", ":")).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "server", "date"):
                    self.send_header(name.lower(), value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = forward

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # a client that does not wait goes

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def compare(tmp_path: Path, one: str, two: str) -> Result:
    only = (
        "create",
        "read-after-create",
        "list-holds-what-was-created",
        "list-by-name",
        "update-read-back",
        "name-unique",
    )
    words = [word for check in only for word in ("--only", check)]
    return CliRunner().invoke(main, ["compare", one, two, "--state-dir", str(tmp_path), *words])


def test_mock_at_a_url_equals_mock(tmp_path: Path) -> None:
    with serving() as mock, behind(mock.url) as url:
        result = compare(tmp_path, "mock", url)
    assert result.exit_code == 0, result.output
    assert "differences: 0." in result.output
    assert "APART" not in result.output


def test_comparison_without_requests_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contract_tests.engine.options.is_loopback", lambda _: False)
    words = ("--state-dir", str(tmp_path), "--only", "name-required")
    result = CliRunner().invoke(main, ["compare", "mock", "mock", *words])
    assert result.exit_code == 2, result.output
    assert "nothing was compared" in result.output


def test_servers_that_are_no_central_are_not_equal(tmp_path: Path) -> None:
    with serving() as mock:
        url = f"{mock.url}/no-central"
        result = compare(tmp_path, url, url)
    assert result.exit_code == 2, result.output
    assert "returns a list of integrations" in result.output


def test_leftovers_of_a_comparison_are_named(tmp_path: Path) -> None:
    with serving() as mock:
        mock.fault(code=500, method="DELETE")
        result = compare(tmp_path, mock.url, "mock")
        assert result.exit_code == 2, result.output
        assert f"not deleted from {mock.url}: central-contract-" in result.output
    assert len(list(tmp_path.glob("*.ledger"))) == 1


def test_single_404_is_a_single_difference(tmp_path: Path) -> None:
    with serving() as mock, behind(mock.url, missing=1) as url:
        result = compare(tmp_path, "mock", url)
    assert result.exit_code == 1, result.output
    assert "differences: 1." in result.output
    assert '+   "status": 404' in result.output
    apart = [line for line in result.output.splitlines() if line.startswith("APART")]
    assert all("read-after-create" in line and "," not in line.rpartition(": ")[2] for line in apart), apart


@pytest.mark.heavy
def test_common_difference_does_not_misalign_requests(tmp_path: Path) -> None:
    with serving(Settings(mutants=("get-missing-400",))) as other:
        result = CliRunner().invoke(main, ["compare", "mock", other.url, "--state-dir", str(tmp_path)])
    differences = [line for line in result.output.splitlines() if line.startswith(("DIFFERS", "APART"))]
    assert result.exit_code == 1
    assert len(differences) <= 3, differences


def created(number: int, id: str, name: str) -> Exchange:
    body = json.dumps({"name": name}).encode()
    reply = json.dumps({"id": id, "name": name}).encode()
    return Exchange(number, "c", "POST", "/v1/imageintegrations", "admin", {}, body, 200, {"Content-Type": "x"}, reply)


def read(number: int, id: str, name: str, headers: dict[str, str]) -> Exchange:
    reply = json.dumps({"id": id, "name": name}).encode()
    return Exchange(number, "c", "GET", f"/v1/imageintegrations/{id}", "admin", {}, b"", 200, headers, reply)


def test_ids_are_compared_by_integration_not_by_order() -> None:
    """Two integrations with swapped ids are not a difference; one that reads as the other is."""
    a, b = (f"{number}" * 8 + "-1111-4111-8111-111111111111" for number in (1, 2))
    one = [created(1, a, "first"), created(2, b, "second"), read(3, b, "second", {"Content-Type": "x"})]
    two = [created(1, b, "first"), created(2, a, "second"), read(3, a, "second", {"content-type": "x"})]
    assert not compared(one, two).differences
    wrong = [*two[:2], read(3, a, "first", {"content-type": "x"})]
    (difference,) = compared(one, wrong).differences
    assert difference.check == "c"
