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
    authorization: str = ""
    is_insecure: bool = False
    _local: threading.local = field(default_factory=threading.local, repr=False)
    _open: list[http.client.HTTPConnection] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{self.url!r} is not the URL of a Central, such as https://central.example.com")
        self.host = parts.hostname
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
                answer = connection.getresponse()
                found = {name.lower(): value for name, value in answer.getheaders()}
                return Reply(answer.status, found, answer.read())
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
        raw = b""
        with suppress(OSError), socket.create_connection((self.host, self.port), timeout=SECONDS) as plain:
            connection = self._context.wrap_socket(plain, server_hostname=self.host) if self._context else plain
            with suppress(OSError):  # the server may have closed the connection
                connection.sendall(sent)
            while piece := connection.recv(65536):
                raw += piece
                if _is_whole(raw):
                    break
        return parsed(raw)


def _is_whole(raw: bytes) -> bool:
    head, blank, rest = raw.partition(b"\r\n\r\n")
    length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0].strip()
    return bool(blank) and length.isdigit() and len(rest) >= int(length)


def parsed(raw: bytes) -> Reply:
    """Parse an answer as it was received from a socket."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split()
    if len(words) < 2 or not words[1].isdigit():
        return Reply(0, {}, raw[:200])
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    if words[1] == "100":  # an interim answer: the final one follows
        return parsed(body)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = _unchunked(body)
    if headers.get("content-encoding", "").lower() == "gzip":
        with suppress(OSError, EOFError, zlib.error):  # otherwise it is compared as it came
            body = gzip.decompress(body)
    return Reply(int(words[1]), headers, body)


def _unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        try:
            length = int(size.partition(b";")[0], 16)
        except ValueError:
            break
        if length == 0:
            break
        whole, body = whole + body[:length], body[length + 2 :]
    return whole
