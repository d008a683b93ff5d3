"""The journal: what was asked and what was answered, credentials masked, for tests to verify.

Requests are kept as they came and made readable only when somebody looks, so that keeping costs little.
"""

from __future__ import annotations

import gzip
import re
import threading
import time
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from mock_server.contract.tables import MASK
from mock_server.simulation.redaction import Redaction, omitted, read

LONGEST_BODY = 16 * 1024
"""Bytes up to which a body is kept; of a longer one the journal holds only the size."""

LONGEST_HEAD = 16 * 1024
"""Characters of path, query and headers up to which they are kept; of longer ones the journal holds the sizes."""
MOST_BYTES = 32 * 1024 * 1024
"""Of all requests together; the oldest make room for new ones."""
_OVERHEAD = 1024
"""Bytes of an entry, roughly, beside what was sent and answered."""
_GZIP = b"\x1f\x8b"
_STATUS = re.compile(r"[1-5](?:[0-9]{2}|xx)")


class Entry(NamedTuple):
    """One request and its answer, as they came.

    `seconds` is how long the answer took; `headers` are those of the request; `body` and `answer` are None where they
    are too long to be kept; `weight` is the bytes of all of it.
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
    weight: int

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
        return read(body or b""), True
    except (ValueError, RecursionError):
        return None, False


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
        self._size = size
        self._entries: deque[tuple[Any, ...]] = deque()
        self._weight = 0
        self.last = 0
        """The number of the last request that was kept."""
        self._lock = threading.Lock()
        self._redaction = Redaction(credential_names)
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
        head = len(path) + len(query) + len("".join(headers)) + len("".join(headers.values()))
        if head > LONGEST_HEAD:
            path, query, headers = _shortened(path), _shortened(query), _without_values(headers)
            head = LONGEST_HEAD
        kept_body = body if size <= LONGEST_BODY else None
        kept_answer = answer if answer_size <= LONGEST_BODY else None
        weight = _OVERHEAD + head + (size if kept_body else 0) + (answer_size if kept_answer else 0)
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
                    kept_body,
                    size,
                    violations,
                    fault,
                    status,
                    rule,
                    kept_answer,
                    answer_size,
                    weight,
                )
            )
            self._weight += weight
            while self._weight > MOST_BYTES or len(self._entries) > self._size:
                self._weight -= self._entries.popleft()[-1]
        if self._waiting:
            with self._arrived:
                self._arrived.notify_all()

    def clear(self) -> None:
        """Forget every request; numbers go on, so that `since` stays true."""
        with self._lock:
            self._entries.clear()
            self._weight = 0

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
        """Make a request readable, credentials hidden."""
        shown = self._redaction
        sent, readable = _read(entry.body)
        return {
            "number": entry.number,
            "time": datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "method": entry.method,
            "path": shown.text(entry.path),
            "query": shown.query(entry.query),
            "operation": entry.operation,
            "headers": {name: shown.header(name, value) for name, value in entry.headers.items()},
            "body": self._shown_value(sent, entry.size) if readable else _omitted(entry.size),
            "status": entry.status,
            "rule": entry.rule,
            "warnings": [shown.text(str(each)) for each in entry.violations],
            "fault": entry.fault,
            "ms": round(entry.seconds * 1000, 2),
            "answer": self._shown_answer(entry, readable=readable or not entry.size),
        }

    def _shown_value(self, value: Any, size: int) -> Any:
        try:
            return self._redaction.value(value)
        except RecursionError:
            return _omitted(size)

    def _shown_answer(self, entry: Entry, *, readable: bool) -> Any:
        answer = entry.answer
        if answer is not None and answer.startswith(_GZIP):
            answer = gzip.decompress(answer)
        value, is_json = _read(answer)
        if not is_json:
            return _omitted(entry.answer_size)
        if not isinstance(value, dict) or entry.status < 400:
            return self._shown_value(value, entry.answer_size)
        hidden = self._texts_show_credentials and not readable
        return {
            key: (MASK if hidden else self._redaction.message(text))
            if key in ("message", "error") and isinstance(text, str)
            else self._shown_value(text, entry.answer_size)
            for key, text in value.items()
        }


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_HEAD // 4 else f"({len(text)} characters, not shown)"


def _without_values(headers: Mapping[str, str]) -> dict[str, str]:
    """Keep the names of headers that are too long together, as many as there is room for."""
    names = [name for name in headers if len(name) <= 100][: LONGEST_HEAD // 200]
    return dict.fromkeys(names, "(not shown)")


def _omitted(size: int) -> str | None:
    """Say that a body is not shown, if there is one."""
    return omitted(size) if size else None
