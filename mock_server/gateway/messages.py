"""Requests and responses as values; `web.edge` converts them from and to HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mock_server.central.decoding import MAX_MESSAGE
from mock_server.central.errors import Refusal

LONGEST_BODY = 10 * MAX_MESSAGE
"""Greatest size in bytes of a body; JSON may be longer than its message."""

Headers = tuple[tuple[str, str], ...]


class BodyTooLongError(Exception):
    """A body of more than `LONGEST_BODY` bytes; `size` is as announced, or the number of bytes that were read."""

    def __init__(self, size: int) -> None:
        super().__init__(f"a body of {size} bytes")
        self.size = size


@dataclass(slots=True, eq=False)
class Body:
    """The body of one request. It is read once, up to `LONGEST_BODY`; later reads return or raise the same."""

    _read: Callable[[int], bytes]
    """Reads up to so many bytes."""
    size: int | None
    """None if the client does not announce it."""
    _whole: bytes | None = None
    _failure: Exception | None = None

    @classmethod
    def of(cls, whole: bytes) -> Body:
        """Return a body of known bytes."""
        return cls(lambda _: whole, len(whole), whole)

    @property
    def is_read(self) -> bool:
        """Whether reading has succeeded or failed."""
        return self._whole is not None or self._failure is not None

    def read(self) -> bytes:
        """Return the whole body.

        Raises:
            BodyTooLongError: it is longer than `LONGEST_BODY`.
            Refusal: it is incomplete, or did not come in time.
        """
        if self._failure is not None:
            raise self._failure
        if self._whole is None:
            size = self.size
            try:
                if size is not None and size > LONGEST_BODY:
                    raise BodyTooLongError(size)
                found = self._read(LONGEST_BODY + 1 if size is None else size)
                if len(found) > LONGEST_BODY:
                    raise BodyTooLongError(len(found))
                if size is not None and len(found) < size:
                    raise Refusal("http", 400, 3, f"the body ended after {len(found)} of {size} bytes")
            except (Refusal, BodyTooLongError) as failure:
                self._failure = failure
                raise
            self._whole = found
        return self._whole


NO_BODY = Body.of(b"")


class Request(NamedTuple):
    """One request.

    Attributes:
        method: As sent, so `get` is not `GET`.
        path: Percent escapes decoded, one character a byte (latin-1); `text` reads it as UTF-8.
        query: As sent, one character a byte.
        headers: By lower-case name, the last one first, without the length of the body.
        body: Read on demand.
        prefix: The part of the path in front of `path`, such as that of a sandbox.
        target: Path and query as sent, if the server provides them.
        origin: The source of the request, for the edge and the parts that it injects.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = {}
    body: Body = NO_BODY
    prefix: str = ""
    target: str = ""
    origin: Any = None

    @property
    def text(self) -> str:
        """The path as UTF-8."""
        return utf8(self.path)

    @property
    def is_preflight(self) -> bool:
        """Whether this is a CORS preflight."""
        return self.method == "OPTIONS" and "access-control-request-method" in self.headers


def utf8(text: str) -> str:
    """Return a text of one character a byte as UTF-8."""
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "replace")


class Response(NamedTuple):
    """One answer.

    Attributes:
        body: Bytes, or an iterable of pieces to stream.
        is_final: Layers must not re-encode the body, such as a file or another server's answer.
        reason: The reason phrase, if it is not the usual one.
    """

    status: int
    headers: Headers = ()
    body: bytes | Iterable[bytes] = b""
    is_final: bool = False
    reason: str = ""

    @property
    def bytes(self) -> bytes:
        """The whole body; this consumes a stream."""
        return self.body if isinstance(self.body, bytes) else b"".join(self.body)

    def header(self, name: str) -> str | None:
        """Return the first header of that name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def with_header(self, name: str, value: str) -> Response:
        """Return the answer with one more header."""
        return self._replace(headers=(*self.headers, (name, value)))

    def without_header(self, name: str) -> Response:
        """Return the answer without the headers of that name."""
        return self._replace(headers=tuple(each for each in self.headers if each[0].lower() != name.lower()))

    def sized(self) -> Response:
        """Return the answer with `Content-Length` as its last header."""
        whole = self.bytes
        sized = self.without_header("content-length").with_header("Content-Length", str(len(whole)))
        return sized._replace(body=whole)
