"""What was seen of one request and its answer."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from requests.structures import CaseInsensitiveDict

from contract_tests.engine.exchange import Exchange, Reply
from mock_server.simulation.redaction import read

Headers = Mapping[str, str]
NOT_SHOWN = re.compile(r"\([0-9]+ bytes, not shown\)")
"""What the request journal of the mock shows in the place of what may hold a credential."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request and its answer, however they were come by.

    `target` is the path with its query. `body` and `reply` are plain, and None where they were not kept. `began` and
    `ended` are seconds of one clock. `status` 0 is a request without an answer; `dropped`: there was no whole answer.
    `blind`: credentials were masked before this was read, so nothing can be said of them. `whole`: the answer is there
    as it was given. `headers_kept`: and so are its headers.
    """

    method: str
    target: str
    status: int
    began: float
    ended: float
    headers: Headers = field(default_factory=CaseInsensitiveDict)
    body: bytes | None = b""
    reply_headers: Headers = field(default_factory=CaseInsensitiveDict)
    reply: bytes | None = b""
    dropped: bool = False
    blind: bool = False
    whole: bool = True
    headers_kept: bool = True

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the headers as lists, which load ten times as fast."""
        values = (getattr(self, each.name) for each in fields(self))
        return _rebuilt, tuple(list(each.items()) if isinstance(each, Mapping) else each for each in values)

    def overlaps(self, other: Seen) -> bool:
        """Return whether both were under way at the same time, so that nobody knows which came first."""
        return self.began < other.ended and other.began < self.ended

    def exchange(self, number: int) -> Exchange:
        """Return the value that observers and reports know."""
        return Exchange(
            number,
            "traffic",
            self.method,
            self.target,
            "admin",
            {name: value for name, value in self.headers.items() if name.lower() in _SHOWN},
            self.body or b"",
            self.status,
            dict(self.reply_headers),
            self.reply or b"",
            self.ended - self.began,
            self.began,
        )

    def answer(self) -> Reply:
        """Return the answer as observers know it."""
        return Reply(self.status, self.reply_headers, self.reply or b"", self.ended - self.began)


def _rebuilt(*values: Any) -> Seen:
    plain_values: list[Any] = [headers_of(each) if isinstance(each, list) else each for each in values]
    return Seen(*plain_values)


_SHOWN = ("content-type", "x-http-method-override")
"""Headers of a request that change what it means."""


def headers_of(pairs: Iterable[tuple[str, str]]) -> Headers:
    """Return headers that are found in any case."""
    return CaseInsensitiveDict(pairs)


def plain(body: bytes, encoding: str) -> bytes | None:
    """Return a body without its compression, as it is where that is broken, None where it is another than gzip."""
    if encoding.strip().lower() in ("", "identity"):
        return body
    if encoding.strip().lower() not in ("gzip", "x-gzip"):
        return None
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        return body


def json_of(body: bytes | None) -> Any:
    """Return a body that is one JSON value in which no key stands twice, None where it is not."""
    try:
        return read(body or b"")
    except (ValueError, RecursionError):
        return None
