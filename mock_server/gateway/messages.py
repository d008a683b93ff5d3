"""Requests and responses as values: what the edge makes of HTTP, and what it makes HTTP of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mock_server.central.decoding import MAX_MESSAGE
from mock_server.central.errors import Refusal

LONGEST_BODY = 10 * MAX_MESSAGE
"""Bytes of the longest body that is read; JSON may be longer than the message that it becomes."""

Headers = tuple[tuple[str, str], ...]


class BodyTooLongError(Exception):
    """A body of more than `LONGEST_BODY` bytes; `size` is None where the client does not say how many."""

    def __init__(self, size: int | None) -> None:
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
        """Make a body of bytes that are at hand."""
        return cls(lambda _: whole, len(whole), whole)

    @property
    def is_read(self) -> bool:
        """Whether the client's bytes were taken from the connection."""
        return self._whole is not None or self._failure is not None

    def read(self) -> bytes:
        """Return the whole body.

        Raises:
            BodyTooLongError: it is longer than any that is read.
            Refusal: it ended before it was whole, even if what came is JSON, or it did not come in time.
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
                    raise BodyTooLongError(size)
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
        method: As it was sent, so `get` is not `GET`.
        path: Percent escapes decoded, one character a byte (latin-1); `text` reads it as UTF-8.
        query: As it was sent, one character a byte.
        headers: By their names in small letters, the last one first; the body tells its length itself.
        body: Read on demand.
        prefix: The part of the path in front of `path`, such as that of a sandbox.
        target: The path and query as they were sent, where the server tells.
        origin: What the edge made this of. Only the edge, and what it injects, looks inside.
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
        """The path as people read it."""
        return utf8(self.path)

    @property
    def is_preflight(self) -> bool:
        """Whether a browser asks what a page may send."""
        return self.method == "OPTIONS" and "access-control-request-method" in self.headers


def utf8(text: str) -> str:
    """Read a text of one character a byte as UTF-8."""
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "replace")


class Response(NamedTuple):
    """One answer.

    Attributes:
        body: Bytes, or an iterable of pieces that are sent as they come.
        is_final: Nothing may change how the body is written, as for files and another server's answers.
        reason: The phrase behind the status where it is not the usual one.
    """

    status: int
    headers: Headers = ()
    body: bytes | Iterable[bytes] = b""
    is_final: bool = False
    reason: str = ""

    @property
    def bytes(self) -> bytes:
        """The body, of a stream too, which is then used up."""
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
        """Return the answer with its length behind the other headers."""
        whole = self.bytes
        sized = self.without_header("content-length").with_header("Content-Length", str(len(whole)))
        return sized._replace(body=whole)
