"""The request journal: requests and answers with credentials masked, for tests to verify.

Requests are stored raw and formatted only when they are listed, so that recording is cheap.
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
"""Size in bytes up to which a body is kept; of a longer one only the size is kept."""

LONGEST_HEAD = 16 * 1024
"""Length in characters up to which path, query and headers are kept; of longer ones only the size is kept."""
MOST_BYTES = 32 * 1024 * 1024
"""Size in bytes of all requests together; the oldest are dropped for new ones."""
_OVERHEAD = 1024
"""Approximate size in bytes of an entry besides the request and the answer."""
_GZIP = b"\x1f\x8b"
_STATUS = re.compile(r"[1-5](?:[0-9]{2}|xx)")


class Entry(NamedTuple):
    """A raw request and its answer.

    `seconds` is the duration of the request; `headers` are those of the request; `body` and `answer` are None if they
    are too long to be kept; `weight` is the size of everything in bytes.
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
        """The name of the integration in the request, if it has one."""
        value, _ = _read(self.body)
        for each in (value, value.get("config") if isinstance(value, dict) else None):
            if isinstance(each, dict) and isinstance(each.get("name"), str):
                return str(each["name"])
        return parse_qs(self.query).get("name", [""])[0]


def _read(body: bytes | None) -> tuple[Any, bool]:
    """Decode a body; return whether it is a single JSON value, and the value."""
    try:
        return read(body or b""), True
    except (ValueError, RecursionError):
        return None, False


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of requests; an empty field matches all.

    `status` is a number or a class such as ``4xx``, `path` and `name` are shell patterns, `since` is the number of the
    last request before the matching ones.
    """

    operation: str = ""
    method: str = ""
    path: str = ""
    status: str = ""
    rule: str = ""
    name: str = ""
    since: int = 0

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> Filter:
        """Return the filter of texts by field.

        Raises:
            ValueError: the status or the number of `since` is invalid.
        """
        since = texts.get("since", "0")
        if not re.fullmatch(r"[0-9]{1,18}", since):
            raise ValueError(f"since={since}: is not the number of a request")
        return cls(**{**texts, "since": int(since)})  # type: ignore[arg-type] # the others are texts

    def __post_init__(self) -> None:
        """Raise ValueError if the status is invalid."""
        if self.status and not _STATUS.fullmatch(self.status):
            raise ValueError(f"status={self.status}: is not a status such as 404 or 4xx")

    def matches(self, entry: Entry) -> bool:
        """Return whether a request matches."""
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
        """`texts_show_credentials`: errors may repeat what was sent, as those of deployed Central do."""
        self._size = size
        self._entries: deque[tuple[Any, ...]] = deque()
        self._weight = 0
        self.last = 0
        """The number of the last request."""
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
        """Add an answered request; the arguments are the fields of `Entry`."""
        size, answer_size = len(body), len(answer)
        head = len(path) + len(query) + len("".join(headers)) + len("".join(headers.values()))
        if head > LONGEST_HEAD:
            path, query, headers = _shortened(path), _shortened(query), _without_values(headers)
            head = LONGEST_HEAD
        kept_body = body if size <= LONGEST_BODY else None
        kept_answer = answer if answer_size <= LONGEST_BODY else None
        weight = _OVERHEAD + head + (size if kept_body else 0) + (answer_size if kept_answer else 0)
        with self._lock:  # a client that polls by number must not miss a request
            self.last += 1
            # A plain tuple of texts and numbers is cheap for the garbage collector.
            self._entries.append(
                (self.last, time.time(), seconds, method, path, query, operation, headers, kept_body, size, violations,
                 fault, status, rule, kept_answer, answer_size, weight)
            )  # fmt: skip
            self._weight += weight
            while self._weight > MOST_BYTES or len(self._entries) > self._size:
                self._weight -= self._entries.popleft()[-1]
        if self._waiting:
            with self._arrived:
                self._arrived.notify_all()

    def clear(self) -> None:
        """Remove every request; the numbers continue, so that `since` stays valid."""
        with self._lock:
            self._entries.clear()
            self._weight = 0

    def found(self, wanted: Filter | None = None) -> list[Entry]:
        """Return the requests that match, oldest first."""
        wanted = wanted or Filter()
        return [entry for entry in map(Entry._make, self._entries.copy()) if wanted.matches(entry)]

    def wait(self, wanted: Filter, number: int = 1, timeout: float = 5.0) -> list[Entry]:
        """Wait up to `timeout` seconds until `number` requests match; return the matching ones."""
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
        """Return a request as JSON data, without credentials."""
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
    """Return the names of headers that are too long together, as many as fit."""
    names = [name for name in headers if len(name) <= 100][: LONGEST_HEAD // 200]
    return dict.fromkeys(names, "(not shown)")


def _omitted(size: int) -> str | None:
    """Return a placeholder for a body of this size that is not shown, or None if there is none."""
    return omitted(size) if size else None
