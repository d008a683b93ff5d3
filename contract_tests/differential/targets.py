"""A Central as a target: over HTTP, or with raw bytes over a socket."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import ssl
import zlib
from collections.abc import Iterable
from contextlib import closing, suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import urllib3

from contract_tests.engine.exchange import COLLECTION
from mock_server import bounded_http
from mock_server.settings import DEFAULT_PORTS

SECONDS = 30.0
_CONNECTIONS = 64
"""Maximum number of kept connections; each thread needs one."""


class Reply(NamedTuple):
    """An answer; status 0 means that there was none."""

    status: int
    headers: dict[str, str]
    """Header values by lower-case name."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON, or None if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Target:
    """A base URL with the credentials for it."""

    def __init__(self, url: str, authorization: str = "", is_insecure: bool = False) -> None:
        self.url = url
        self.authorization = authorization
        self.is_insecure = is_insecure
        parts = urlsplit(url)
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.hostname or ""
        self._port = parts.port or DEFAULT_PORTS[parts.scheme]
        self._context: ssl.SSLContext | None = None
        if parts.scheme == "https":
            self._context = ssl.create_default_context()
            if is_insecure:
                self._context.check_hostname = False
                self._context.verify_mode = ssl.CERT_NONE
                urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # --insecure wants none
        # A kept connection may have been closed.
        again = urllib3.Retry(1, allowed_methods=None, respect_retry_after_header=False)
        self._pools = bounded_http.bounded(
            urllib3.PoolManager(ssl_context=self._context, timeout=SECONDS, retries=again, maxsize=_CONNECTIONS)
        )

    def ask(self, method: str, path: str, body: Any = None) -> Reply:
        """Send one request over a kept connection, with a body as JSON."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self.authorization:
            headers["Authorization"] = self.authorization
        content = None if body is None else json.dumps(body).encode()
        url = self._base + path
        with bounded_http.exact_target(url), suppress(urllib3.exceptions.HTTPError):
            # A request whose answer has begun is not repeated: that could create an integration twice.
            answer = self._pools.request(
                method, url, body=content, headers=headers, redirect=False, preload_content=False
            )
            return _reply(answer.status, answer.headers.items(), _body(answer))
        return Reply(0, {}, b"")

    def ask_once(self, method: str, path: str, body: Any = None) -> Reply:
        """Send one request over a new connection."""
        with closing(Target(self.url, self.authorization, self.is_insecure)) as other:
            return other.ask(method, path, body)

    def close(self) -> None:
        """Close the kept connections."""
        self._pools.clear()

    def send(self, sent: bytes) -> Reply:
        """Send raw bytes over a new connection, and read the first answer."""
        with suppress(OSError), socket.create_connection((self._host, self._port), timeout=SECONDS) as plain:
            connection = self._context.wrap_socket(plain, server_hostname=self._host) if self._context else plain
            with suppress(OSError):  # the server may have closed the connection
                connection.sendall(sent)
            return parsed(connection, sent.partition(b" ")[0].decode("latin-1"))
        return Reply(0, {}, b"")

    def delete(self, ids: Iterable[str]) -> None:
        """Delete integrations."""
        for id in ids:
            self.ask("DELETE", f"{COLLECTION}/{id}")

    def has(self, id: str, prefix: str) -> bool:
        """Return whether a read shows `id` under a name with `prefix`: a create may be answered with a foreign id."""
        value = self.ask("GET", f"{COLLECTION}/{id}").json
        return isinstance(value, dict) and prefix in str(value.get("name"))


def parsed(connection: socket.socket, method: str = "GET") -> Reply:
    """Read an answer from a socket; status 0 if it is not HTTP."""
    answer = http.client.HTTPResponse(connection, method=method)
    try:
        answer.begin()
        try:
            body = answer.read()
        except http.client.IncompleteRead as error:
            body = error.partial
        return _reply(answer.status, answer.getheaders(), body)
    except http.client.HTTPException as error:
        return Reply(0, {}, str(error).encode()[:200])


def _body(answer: urllib3.BaseHTTPResponse) -> bytes:
    """Read the body of an answer, or what comes before the connection breaks."""
    found = bytearray()
    with suppress(urllib3.exceptions.HTTPError):
        for piece in answer.stream(decode_content=False):
            found += piece
    return bytes(found)


def _reply(status: int, fields: Iterable[tuple[str, str]], body: bytes) -> Reply:
    headers = {name.lower(): value for name, value in fields}
    if headers.get("content-encoding", "").lower() == "gzip":
        with suppress(OSError, EOFError, zlib.error):  # otherwise it is compared as it came
            body = gzip.decompress(body)
    return Reply(status, headers, body)
