"""A request and its answer, as every part of the harness reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from requests.structures import CaseInsensitiveDict

from mock_server import bounded_http

COLLECTION = "/v1/imageintegrations"
_DEEPEST = 100
"""Maximum depth of JSON that is read, because comparisons and reports are recursive."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `elapsed` is the time in seconds until the whole answer was read."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    elapsed: float
    redacted: bool = False
    """The answer contained credentials of the run, which were replaced."""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        """The body as a JSON value, or None if it is not JSON."""
        return read_json(self.content)

    @property
    def object(self) -> dict[str, Any]:
        """The body as a JSON object, or {} if it is not one."""
        value = self.json
        return value if isinstance(value, dict) else {}

    @property
    def integrations(self) -> list[dict[str, Any]] | None:
        """The integrations of a list, or None if the body is not such a list."""
        items = self.object.get("integrations")
        return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else None

    @property
    def message(self) -> str:
        """The message of an error body, or ""."""
        message = self.object.get("message")
        # Some builds of protobuf-go write a no-break space.
        return message.replace("\u00a0", " ") if isinstance(message, str) else ""


@dataclass(slots=True)
class Exchange:
    """One request and its answer, without secret headers of the user, so that reports can show it.

    `elapsed` is the time in seconds until the answer arrived; `at` is the time since the start of the run by then.
    """

    number: int
    check: str
    method: str
    path: str
    role: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    status: int = 0
    reply_headers: dict[str, str] = field(default_factory=dict)
    reply: bytes = b""
    elapsed: float = 0.0
    at: float = 0.0

    @property
    def answer(self) -> Reply:
        """The answer; the body of a long one is cut."""
        return Reply(self.status, CaseInsensitiveDict(self.reply_headers), self.reply, self.elapsed)


def read_json(content: bytes) -> Any:
    """Decode strict JSON text: UTF-8 without a byte order mark, and without NaN or Infinity.

    Return None if it is anything else, nested too deeply, or so complex that its value would exhaust the memory.
    """
    if bounded_http.is_expensive(content):
        return None
    try:
        value = _JSON.decode(content.decode())
    except (ValueError, RecursionError):
        return None
    return None if _is_deep(value, content) else value


def _is_deep(value: Any, content: bytes) -> bool:
    if content.count(b"{") + content.count(b"[") <= _DEEPEST:
        return False
    level = [value]
    for _ in range(_DEEPEST):
        holders = [
            each.values() if isinstance(each, dict) else each for each in level if isinstance(each, (dict, list))
        ]
        level = [each for holder in holders for each in holder]
    return bool(level)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_no_constant)
