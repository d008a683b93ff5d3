"""HTTP requests to untrusted servers, with a deadline for each request and a limit for each body.

The timeouts of http.client, urllib3 and requests are for single reads, so a server that sends a byte a second blocks
them forever; and they decompress bodies of any size.
"""

from __future__ import annotations

import http.client
import io
import logging
import re
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

MOST = 8 * 2**20
"""Greatest size in bytes of an uncompressed body: about ten thousand integrations."""
MOST_PARTS = 300_000
"""Greatest number of objects and lists in JSON: small ones take forty times the memory of their text."""
_PIECE = 2**16
_BAD_ESCAPE = re.compile("%(?![0-9a-fA-F]{2})")
_local = threading.local()


class BodyTooLongError(Exception):
    """A body is longer than allowed."""


def _is_of_others(_record: logging.LogRecord) -> bool:
    """Return whether a message of urllib3 is about another request; it may quote headers with credentials."""
    return getattr(_local, "deadline", None) is None


logging.getLogger("urllib3.connection").addFilter(_is_of_others)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise TimeoutError if this thread has not read an answer completely after so many seconds."""
    before = getattr(_local, "deadline", None)
    _local.deadline = time.monotonic() + seconds
    try:
        yield
    finally:
        _local.deadline = before


class KeptConnection:
    """A context in which this thread uses only open connections, and otherwise gets ConnectionResetError.

    `refused` is True if there was none. http.client would silently open one, perhaps to another server.
    """

    def __init__(self) -> None:
        self.refused = False

    def __enter__(self) -> Self:
        """Allow only open connections."""
        _local.kept = self
        return self

    def __exit__(self, *_: object) -> None:
        """Allow new connections again."""
        _local.kept = None


def _seconds_left() -> float | None:
    """Return the seconds until the deadline of this thread, or None without a deadline.

    Raises:
        TimeoutError: the deadline has passed.
    """
    until: float | None = getattr(_local, "deadline", None)
    if until is None:
        return None
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("the answer was not whole in time")
    return left


class _TimedSocket(io.RawIOBase):
    """The reading end of a socket, which waits at most until the deadline of the thread."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read the available bytes, or wait for some."""
        left = _seconds_left()
        if left is not None:
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Close the stream."""
        if not self.closed:
            self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer whose status line, headers and body are read from a timed socket."""

    def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self.fp = io.BufferedReader(_TimedSocket(sock, self.fp.detach()))


@contextmanager
def exact_target(url: str) -> Iterator[None]:
    """Let this thread's requests ask for exactly this URL if it has a bad escape, which urllib3 would correct."""
    _local.target = "/" + url.split("/", 3)[3] if _BAD_ESCAPE.search(url) else None
    try:
        yield
    finally:
        _local.target = None


class _Connection(HTTPConnection):
    response_class = _Response

    def putrequest(self, method: str, url: str, *arguments: Any, **named: Any) -> None:
        """Begin a request, for the exact target if there is one and no proxy needs the whole URL."""
        target = getattr(_local, "target", None) if url.startswith("/") else None
        super().putrequest(method, target or url, *arguments, **named)

    def connect(self) -> None:
        """Open the connection; raise ConnectionResetError inside a `KeptConnection`."""
        kept: KeptConnection | None = getattr(_local, "kept", None)
        if kept is not None:
            kept.refused = True
            raise ConnectionResetError("the connection is not open any more")
        super().connect()


class _TlsConnection(_Connection, HTTPSConnection):
    """The same over TLS."""


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def bounded(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    """Make the connections of a manager observe `deadline`, and return the manager."""
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return manager


def read(response: urllib3.BaseHTTPResponse, most: int = MOST) -> bytes:
    """Read and return the body of an answer, decompressed if it is gzip.

    Raises:
        BodyTooLongError: it has more than `most` bytes; the connection is closed.
        TimeoutError: the deadline has passed.
        urllib3.exceptions.HTTPError: it cannot be read, or is not valid gzip.
    """
    packed = response.headers.get("Content-Encoding", "").strip().lower() in ("gzip", "x-gzip")
    unpacker = zlib.decompressobj(31) if packed else None
    found = bytearray()
    while piece := response.read1(_PIECE, decode_content=False):
        _seconds_left()
        while piece:
            if unpacker is None:
                found += piece
                break
            try:
                found += unpacker.decompress(piece, most + 1 - len(found))
            except zlib.error as error:
                response.close()
                raise urllib3.exceptions.DecodeError(f"the body is not valid gzip: {error}") from None
            piece = unpacker.unconsumed_tail or unpacker.unused_data
            if len(found) > most:
                break
            if unpacker.eof:  # gzip may consist of several members
                unpacker = zlib.decompressobj(31)
        if len(found) > most:
            response.close()
            raise BodyTooLongError(f"the body of an answer has more than {most:,} bytes")
    response.release_conn()
    return bytes(found)


def is_expensive(json_text: bytes) -> bool:
    """Return whether a JSON text has more than `MOST_PARTS` objects and lists."""
    return json_text.count(b"{") + json_text.count(b"[") > MOST_PARTS
