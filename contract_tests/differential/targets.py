"""A Central as a target: over HTTP, or with raw bytes over a socket."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import ssl
import threading
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from contract_tests.engine.exchange import COLLECTION

SECONDS = 30.0


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


@dataclass
class Target:
    """A base URL with the credentials for it."""

    url: str
    authorization: str = field(default="", repr=False)
    is_insecure: bool = False
    _local: threading.local = field(default_factory=threading.local, repr=False)
    _open: list[http.client.HTTPConnection] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self.host = parts.hostname or ""
        self.is_tls = parts.scheme == "https"
        self.port = parts.port or (443 if self.is_tls else 80)
        self._context: ssl.SSLContext | None = None
        if self.is_tls:
            self._context = ssl.create_default_context()
            if self.is_insecure:
                self._context.check_hostname = False
                self._context.verify_mode = ssl.CERT_NONE

    def ask(self, method: str, path: str, body: Any = None) -> Reply:
        """Send one request over a kept connection; a body that is not bytes is sent as JSON."""
        whole = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self.authorization:
            headers["Authorization"] = self.authorization
        for attempt in range(2):
            connection = self._connection(afresh=attempt > 0)
            try:
                connection.request(method, path, whole or None, headers)
                return _reply(connection.getresponse())
            except (OSError, http.client.HTTPException):
                continue  # a kept connection may have been closed
        return Reply(0, {}, b"")

    def _connection(self, *, afresh: bool) -> http.client.HTTPConnection:
        kept: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if kept is not None and not afresh:
            return kept
        if kept is not None:
            kept.close()
        made: http.client.HTTPConnection
        if self.is_tls:
            made = http.client.HTTPSConnection(self.host, self.port, timeout=SECONDS, context=self._context)
        else:
            made = http.client.HTTPConnection(self.host, self.port, timeout=SECONDS)
        self._local.connection = made
        self._open.append(made)
        return made

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._open:
            self._open.pop().close()

    def ask_once(self, method: str, path: str, body: Any = None) -> Reply:
        """Send one request over a new connection."""
        other = Target(self.url, self.authorization, self.is_insecure)
        try:
            return other.ask(method, path, body)
        finally:
            other.close()

    def send(self, sent: bytes) -> Reply:
        """Send raw bytes over a new connection, and read the first answer."""
        with suppress(OSError), socket.create_connection((self.host, self.port), timeout=SECONDS) as plain:
            connection = self._context.wrap_socket(plain, server_hostname=self.host) if self._context else plain
            with suppress(OSError):  # the server may have closed the connection
                connection.sendall(sent)
            return parsed(connection, sent.partition(b" ")[0].decode("latin-1"))
        return Reply(0, {}, b"")

    def has(self, id: str, prefix: str) -> bool:
        """Return whether a read shows `id` under a name with `prefix`: a create may be answered with a foreign id."""
        value = self.ask("GET", f"{COLLECTION}/{id}").json
        return isinstance(value, dict) and prefix in str(value.get("name"))


def parsed(connection: socket.socket, method: str = "GET") -> Reply:
    """Read an answer from a socket; status 0 if it is not HTTP."""
    answer = http.client.HTTPResponse(connection, method=method)
    try:
        answer.begin()
        return _reply(answer)
    except http.client.HTTPException as error:
        return Reply(0, {}, str(error).encode()[:200])


def _reply(answer: http.client.HTTPResponse) -> Reply:
    headers = {name.lower(): value for name, value in answer.getheaders()}
    try:
        body = answer.read()
    except http.client.IncompleteRead as error:
        body = error.partial
    if headers.get("content-encoding", "").lower() == "gzip":
        with suppress(OSError, EOFError, zlib.error):  # otherwise it is compared as it came
            body = gzip.decompress(body)
    return Reply(answer.status, headers, body)
