"""A request and its answer as observed."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from requests.structures import CaseInsensitiveDict

from contract_tests.engine.exchange import Exchange, Reply
from mock_server import bounded_http
from mock_server.simulation.redaction import read

Headers = Mapping[str, str]
NOT_SHOWN = re.compile(r"\([0-9]+ bytes, not shown\)")
"""Placeholder of the mock's request journal for text that may contain a credential."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request and its answer, live or recorded.

    `target` is the path with its query. `body` and `reply` are decompressed, or None if they were not kept. `began` and
    `ended` are seconds of the same clock. `status` 0 means no answer; `dropped`: the answer is incomplete. `blind`:
    credentials were masked by the recorder, so masking cannot be judged. `whole`: the answer is exactly as sent.
    `headers_kept`: so are its headers.
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
        """Return whether both were under way at the same time, so that their order is unknown."""
        return self.began < other.ended and other.began < self.ended

    def exchange(self, number: int) -> Exchange:
        """Return the exchange in the form that observers and reports use."""
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
        """Return the answer in the form that observers use."""
        return Reply(self.status, self.reply_headers, self.reply or b"", self.ended - self.began)


def _rebuilt(*values: Any) -> Seen:
    plain_values: list[Any] = [headers_of(each) if isinstance(each, list) else each for each in values]
    return Seen(*plain_values)


_SHOWN = ("content-type", "x-http-method-override")
"""Request headers that change the meaning of a request."""


def headers_of(pairs: Iterable[tuple[str, str]]) -> Headers:
    """Return headers whose names match in any case."""
    return CaseInsensitiveDict(pairs)


def plain(body: bytes, encoding: str) -> bytes | None:
    """Return a body decompressed; unchanged if its gzip is broken, None if it is too long or has another encoding."""
    if encoding.strip().lower() in ("", "identity"):
        return body
    if encoding.strip().lower() not in ("gzip", "x-gzip"):
        return None
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            found = file.read(bounded_http.MOST + 1)
    except (OSError, EOFError, zlib.error):
        return body
    return found if len(found) <= bounded_http.MOST else None


def json_of(body: bytes | None) -> Any:
    """Return the decoded body, or None unless it is a single JSON value without duplicate keys."""
    try:
        return read(body or b"")
    except (ValueError, RecursionError):
        return None
