"""The journal: what was asked and what was answered, credentials masked, for tests to verify.

Requests are kept as they came and made readable only when somebody looks, so that keeping costs little.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from mock_server.contract.tables import MASK

LONGEST_BODY = 16 * 1024
"""Bytes up to which a body is kept; of a longer one only the size is told."""

_SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie")
_GZIP = b"\x1f\x8b"
_STATUS = re.compile(r"[1-5](?:[0-9]{2}|xx)")


class Entry(NamedTuple):
    """One request and its answer, as they came.

    `seconds` is how long the answer took; `headers` are those of the request; `body` and `answer` are None where they
    are too long to be kept.
    """

    number: int
    at: float
    seconds: float
    method: str
    path: str
    query: str
    operation: str
    headers: Mapping[str, str]
    body: bytes | None
    size: int
    violations: Collection[object]
    fault: str
    status: int
    rule: str
    answer: bytes | None
    answer_size: int

    @property
    def name(self) -> str:
        """The name of the integration that the request is about, as far as it says."""
        value, _ = _read(self.body)
        for each in (value, value.get("config") if isinstance(value, dict) else None):
            if isinstance(each, dict) and isinstance(each.get("name"), str):
                return str(each["name"])
        return parse_qs(self.query).get("name", [""])[0]


def _read(body: bytes | None) -> tuple[Any, bool]:
    """Read a body that is one JSON value; return whether it is."""
    try:
        return json.loads(body or b"", object_pairs_hook=_unique), True
    except (ValueError, RecursionError):
        return None, False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice: one of its values would be neither shown nor masked")
    return found


@dataclass(frozen=True, slots=True)
class Filter:
    """Which requests are looked for; what is empty matches all.

    `status` is a number or a class such as ``4xx``, `path` and `name` are shell patterns, `since` is the
    number of the last request that does not count.
    """

    operation: str = ""
    method: str = ""
    path: str = ""
    status: str = ""
    rule: str = ""
    name: str = ""
    since: int = 0

    def __post_init__(self) -> None:
        """Refuse a status that is none."""
        if self.status and not _STATUS.fullmatch(self.status):
            raise ValueError(f"status={self.status}: is not a status such as 404 or 4xx")

    def matches(self, entry: Entry) -> bool:
        """Return whether a request is one of those."""
        return (
            entry.number > self.since
            and (not self.operation or self.operation == entry.operation)
            and (not self.method or self.method.upper() == entry.method)
            and (not self.path or fnmatchcase(entry.path, self.path))
            and (not self.status or self.status.replace("xx", "") == str(entry.status)[: len(self.status.rstrip("x"))])
            and (not self.rule or self.rule == entry.rule)
            and (not self.name or fnmatchcase(entry.name, self.name))
        )


class Journal:
    """The last requests of one sandbox."""

    def __init__(self, size: int, credential_names: Collection[str], *, texts_show_credentials: bool = False) -> None:
        """`texts_show_credentials`: refusals may show what was sent, as deployed Central's do."""
        self._entries: deque[tuple[Any, ...]] = deque(maxlen=size)
        self.last = 0
        """The number of the last request that was kept."""
        self._lock = threading.Lock()
        self._names = credential_names
        self._texts_show_credentials = texts_show_credentials
        self._arrived = threading.Condition()
        self._waiting = 0

    def keep(
        self,
        *,
        method: str,
        path: str,
        query: str,
        operation: str,
        headers: Mapping[str, str],
        body: bytes,
        violations: Collection[object],
        fault: str,
        status: int,
        rule: str,
        answer: bytes,
        seconds: float,
    ) -> None:
        """Keep a request that was answered; the fields are those of `Entry`."""
        size, answer_size = len(body), len(answer)
        with self._lock:  # who follows by number would miss one that comes after the next
            self.last += 1
            # A plain tuple of texts and numbers: the garbage collector soon leaves it alone.
            self._entries.append(
                (
                    self.last,
                    time.time(),
                    seconds,
                    method,
                    path,
                    query,
                    operation,
                    headers,
                    body if size <= LONGEST_BODY else None,
                    size,
                    violations,
                    fault,
                    status,
                    rule,
                    answer if answer_size <= LONGEST_BODY else None,
                    answer_size,
                )
            )
        if self._waiting:
            with self._arrived:
                self._arrived.notify_all()

    def clear(self) -> None:
        """Forget every request; numbers go on, so that `since` stays true."""
        self._entries.clear()

    def found(self, wanted: Filter | None = None) -> list[Entry]:
        """List the requests that match, oldest first."""
        wanted = wanted or Filter()
        return [entry for entry in map(Entry._make, self._entries.copy()) if wanted.matches(entry)]

    def wait(self, wanted: Filter, number: int = 1, timeout: float = 5.0) -> list[Entry]:
        """Wait until `number` requests match, or for `timeout` seconds; give those that do."""
        until = time.monotonic() + timeout
        with self._arrived:
            self._waiting += 1
            try:
                while len(found := self.found(wanted)) < number and (left := until - time.monotonic()) > 0:
                    self._arrived.wait(left)
                return found
            finally:
                self._waiting -= 1

    def shown(self, entry: Entry) -> dict[str, Any]:
        """Make a request readable, credentials masked."""
        secrets: list[str] = []
        sent, readable = _read(entry.body)
        body = self._masked(sent, secrets) if readable else _omitted(entry.size)
        return {
            "number": entry.number,
            "time": datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "method": entry.method,
            "path": entry.path,
            "query": self._masked_query(entry.query),
            "operation": entry.operation,
            "headers": dict(map(_shown_header, entry.headers.keys(), entry.headers.values())),
            "body": body,
            "status": entry.status,
            "rule": entry.rule,
            "warnings": [str(each) for each in entry.violations],
            "fault": entry.fault,
            "ms": round(entry.seconds * 1000, 2),
            "answer": self._shown_answer(entry, secrets, readable=readable or not entry.size),
        }

    def _shown_answer(self, entry: Entry, secrets: Iterable[str], *, readable: bool) -> Any:
        answer = entry.answer
        if answer is not None and answer.startswith(_GZIP):
            answer = gzip.decompress(answer)
        value, is_json = _read(answer)
        if not is_json:
            return _omitted(entry.answer_size)
        if not isinstance(value, dict) or entry.status < 400:
            return self._masked(value, [])
        hidden = self._texts_show_credentials and not readable
        return {
            key: (MASK if hidden else _without(text, secrets)) if key in ("message", "error") else text
            for key, text in value.items()
        }

    def _masked(self, value: Any, secrets: list[str]) -> Any:
        """Copy a JSON value with the mask for each credential, wherever it stands; `secrets` takes their texts."""
        if isinstance(value, list):
            return [self._masked(each, secrets) for each in value]
        if not isinstance(value, dict):
            return value
        masked = {}
        for key, each in value.items():
            if key.lower() not in self._names or each in ("", None):
                masked[key] = self._masked(each, secrets)
            else:
                masked[key] = MASK
                secrets.append(each if isinstance(each, str) else json.dumps(each))
        return masked

    def _masked_query(self, query: str) -> str:
        parts = (part.partition("=") for part in query.split("&"))
        return "&".join(
            f"{key}={MASK}" if equals and key.lower() in self._names else key + equals + value
            for key, equals, value in parts
        )


def _shown_header(name: str, value: str) -> tuple[str, str]:
    if name not in _SECRET_HEADERS:
        return name, value
    scheme, blank, _ = value.partition(" ")
    return name, f"{scheme} {MASK}" if blank else MASK


def _omitted(size: int) -> str | None:
    """Say that a body is not shown: what cannot be read cannot be masked either."""
    return f"({size} bytes, not shown)" if size else None


def _without(text: Any, secrets: Iterable[str]) -> Any:
    for secret in secrets:
        text = text.replace(secret, MASK) if isinstance(text, str) else text
    return text
