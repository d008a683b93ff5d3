"""Counts of the requests of all clients, for the consumer report.

Unlike the request journal they have no limit, contain no values, and continue over resets and sandboxes: requests of
one kind are counted together, with the names of the fields that were sent, but not their values.
"""

from __future__ import annotations

import gzip
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mock_server.contract.tables import MASK
from mock_server.simulation.faults import Fault
from mock_server.state import files as states

FORMAT = "mock-central usage"
VERSION = 1
MOST_KINDS = 5000
"""Number of kinds of requests that are distinguished; further kinds are counted without their fields."""
_MOST_WARNINGS = 1000
_MASK = MASK.encode()
_LONGEST_ANSWER = 64 * 1024
"""Size in bytes up to which an answer is searched for a mask."""

MASK_SENT, MASK_READ, STORED, BY_NAME, BY_CLUSTER, DEPLOYED = (
    *("mask-sent", "mask-read", "stored-credentials", "by-name", "by-cluster", "as-deployed"),
)
"""Properties of a kind of request."""


OTHER_ANSWER = "answer"
"""The name of faults that answer with custom headers or a custom body."""


class Kind(NamedTuple):
    """A kind of request, with all that the report uses."""

    operation: str
    status: int
    rule: str
    type: str = ""
    fields: tuple[str, ...] = ()
    """The fields sent with a value, such as `docker.password`."""
    marks: tuple[str, ...] = ()
    fault: str = ""


class UsageError(Exception):
    """A file or an answer does not contain usage counts; the text says why."""


class Usage:
    """The counts of one server; `as_deployed` is its mode."""

    def __init__(self, release: str = "", *, as_deployed: bool = False) -> None:
        self.release = release
        self.kinds: Counter[Kind] = Counter()
        self.warnings: Counter[tuple[str, str]] = Counter()
        """Requests that violated the contract, by operation and text."""
        self.survived: Counter[str] = Counter()
        """Faults after which the same operation succeeded in the same sandbox."""
        self._marks = (DEPLOYED,) if as_deployed else ()
        self._unsolved: dict[tuple[str, str], str] = {}
        self._mask_was_read = False
        self._lock = threading.Lock()

    def count(
        self,
        *,
        sandbox: str,
        operation: str,
        status: int,
        rule: str,
        message: Mapping[str, Any],
        body: bytes,
        marks: tuple[str, ...],
        answer: Any,
        violations: Collection[object],
        fault: Fault | None,
    ) -> None:
        """Count one request."""
        config = message.get("config", message) if message else None
        marks = self._marks + marks
        if message.get("updatePassword") is False:
            marks += (STORED,)
        if _MASK in body:
            marks += (MASK_SENT,)
        if not self._mask_was_read and status == 200 and _shows_mask(answer):
            marks += (MASK_READ,)
            self._mask_was_read = True
        type, fields = (config["type"], _sent(config)) if config else ("", ())
        kind = Kind(operation, status, rule, type, fields, marks, "" if fault is None else _named(fault))
        with self._lock:
            if len(self.kinds) >= MOST_KINDS and kind not in self.kinds:
                kind = kind._replace(type="", fields=())
            self.kinds[kind] += 1
            self._warn(operation, violations)
            if fault is not None:
                self._unsolved[sandbox, operation] = kind.fault
            elif self._unsolved and status < 400 and (solved := self._unsolved.pop((sandbox, operation), "")):
                self.survived[solved] += 1

    def _warn(self, operation: str, violations: Collection[object]) -> None:
        for each in violations:
            text = (operation, str(each))
            if text in self.warnings or len(self.warnings) < _MOST_WARNINGS:
                self.warnings[text] += 1

    def add(self, other: Usage) -> None:
        """Add the counts of another run."""
        kinds = other.copied()
        with self._lock:
            self.release = self.release or other.release
            self.kinds.update(kinds)
            self.warnings.update(other.warnings)
            self.survived.update(other.survived)

    def copied(self) -> dict[Kind, int]:
        """Return a snapshot of the number of requests of each kind."""
        with self._lock:
            return dict(self.kinds)

    def document(self) -> dict[str, Any]:
        """Return the counts as JSON data."""
        with self._lock:
            return {
                "format": FORMAT,
                "version": VERSION,
                "centralVersion": self.release,
                "requests": [{**kind._asdict(), "count": number} for kind, number in self.kinds.items()],
                "warnings": [
                    {"operation": operation, "text": text, "count": number}
                    for (operation, text), number in self.warnings.items()
                ],
                "survived": dict(self.survived),
            }


def _sent(message: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths of the fields that are set. To Central, an empty field equals a missing one."""
    found = []
    for name, value in message.items():
        if value:
            if value.__class__ is dict:
                found += [f"{name}.{inner}" for inner in _sent(value)]
            else:
                found.append(name)
    return tuple(found)


def _shows_mask(answer: Any) -> bool:
    if not isinstance(answer, bytes) or len(answer) > _LONGEST_ANSWER:
        return False
    return _MASK in (gzip.decompress(answer) if answer.startswith(b"\x1f\x8b") else answer)


def _named(fault: Fault) -> str:
    spoilt = fault.fault or (OTHER_ANSWER if fault.headers or fault.body_kind else "delay")
    return f"code={fault.code}" if fault.code is not None else spoilt


def parse(document: Any, name: str) -> Usage:
    """Parse the counts from JSON.

    Raises:
        UsageError: the document does not contain usage counts.
    """
    if not isinstance(document, dict) or document.get("format") != FORMAT or document.get("version") != VERSION:
        raise UsageError(f"{name}: is not what `serve --usage` writes or GET /__admin/usage answers")
    found = Usage(str(document.get("centralVersion", "")))
    place = "$.requests"
    try:
        for number, each in enumerate(document["requests"]):
            place = f"$.requests[{number}]"
            names = [str(each[key]) for key in ("operation", "rule", "type", "fault")]
            fields, marks = (tuple(map(str, each[key])) for key in ("fields", "marks"))
            kind = Kind(names[0], int(each["status"]), names[1], names[2], fields, marks, names[3])
            found.kinds[kind] += int(each["count"])
        place = "$.warnings"
        for number, each in enumerate(document["warnings"]):
            place = f"$.warnings[{number}]"
            found.warnings[str(each["operation"]), str(each["text"])] += int(each["count"])
        place = "$.survived"
        found.survived.update({str(key): int(value) for key, value in document["survived"].items()})
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise UsageError(f"{name}: is damaged at {place}; `mock-central serve --usage FILE` writes a new one") from None
    return found


def read(path: Path) -> Usage:
    """Read a file of `serve --usage`.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return parse(states.read_json(path.read_bytes()), str(path))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except states.StateError as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None


def merged(usages: Iterable[Usage]) -> Usage:
    """Return the sum of the counts of several runs."""
    whole = Usage()
    for each in usages:
        whole.add(each)
    return whole
