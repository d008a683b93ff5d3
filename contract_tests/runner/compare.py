"""Two servers side by side: the same requests at both, and where their answers differ.

The requests are those of the checks, drawn from the same seed under the same run id. What a check
finds is of no matter here: a fault that both have is no difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from contract_tests.checks.registry import all_checks
from contract_tests.engine.options import Options
from contract_tests.engine.ownership import new_run_id
from contract_tests.engine.text import changed, diff
from contract_tests.engine.transport import PROOF, Exchange, read_json
from contract_tests.oracle.observers import operation_of
from contract_tests.runner.run import Progress, Run

_NOT_REPEATABLE = ("concurrency", "latency")
"""Groups of checks whose requests depend on the moment."""
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{11,12}", re.IGNORECASE)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


@dataclass(slots=True)
class Difference:
    """One way in which two servers differ: the first pair of answers that shows it, and how many more do."""

    check: str
    one: Exchange
    two: Exchange
    lines: list[str]
    also: int = 0

    @property
    def request(self) -> str:
        """The request that both were sent."""
        return f"{self.one.method} {self.one.path}"


@dataclass(slots=True)
class Comparison:
    """How two servers compare."""

    compared: int = 0
    """Requests that both were sent."""
    differences: list[Difference] = field(default_factory=list)
    apart: list[str] = field(default_factory=list)
    """Checks that went on with other requests at one of the two, because an answer differed."""


def compare(one: Options, two: Options, progress: Progress = lambda *_: None) -> Comparison:
    """Play the checks at two targets and compare the answers, those of the first being the expected ones.

    Raises:
        HarnessError: a target does not answer, or refuses the credentials.
    """
    repeatable = tuple(each.id for each in all_checks().values() if each.group not in _NOT_REPEATABLE)
    # One check after the other: ids are told apart by the order in which they are given out.
    chosen = [replace(each, only=each.only or repeatable, workers=1) for each in (one, two)]
    run_id = new_run_id()
    reports = [Run(each, progress, run_id)() for each in chosen]
    found = Comparison()
    mine, theirs = (_by_check(report.exchanges) for report in reports)
    names = _Names(), _Names()
    for check, sent in mine.items():
        _compare_check(found, check, sent, theirs.get(check, []), names)
    return found


def _by_check(exchanges: Iterable[Exchange]) -> dict[str, list[Exchange]]:
    found: dict[str, list[Exchange]] = {}
    for each in exchanges:
        if each.check not in ("set-up", "clean-up", PROOF):
            found.setdefault(each.check, []).append(each)
    return found


def _compare_check(
    found: Comparison, check: str, mine: list[Exchange], theirs: list[Exchange], names: tuple[_Names, _Names]
) -> None:
    one, two = names
    for left, right in zip(mine, theirs, strict=False):
        if _request(left, one) != _request(right, two):
            found.apart.append(check)
            return
        found.compared += 1
        expected, got = one.answer(left), two.answer(right)
        if expected != got:
            _note(found, Difference(check, left, right, diff(expected, got)))
    if len(mine) != len(theirs):
        found.apart.append(check)


def _note(found: Comparison, new: Difference) -> None:
    """Keep a difference once: the same operation, and the same lines differ, whatever their values."""
    for known in found.differences:
        if _kind(known) == _kind(new):
            known.also += 1
            return
    found.differences.append(new)


def _kind(each: Difference) -> tuple[Any, ...]:
    operation = operation_of(each.one)
    return operation.id if operation else each.one.method, changed(each.lines)


class _Names:
    """Names for what a server gives out: ids by the order in which they first show, times, and its own items."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.sent: set[str] = set()

    def text(self, text: str) -> str:
        """Put a name in the place of each id that was not sent first."""
        return _UUID.sub(self._named, text)

    def _named(self, match: re.Match[str]) -> str:
        """Name an id, also one that a check has sent in capitals or cut short."""
        id = match[0]
        name = self.ids.get(_key(id))
        return id if name is None else f"{name.upper() if id.isupper() else name}, {len(id)} characters"

    def answer(self, exchange: Exchange) -> dict[str, Any]:
        """Return the part of an answer that has to be the same."""
        for id in _UUID.findall(exchange.path + exchange.body.decode("utf-8", "replace")):
            if _key(id) not in self.ids:
                self.sent.add(_key(id))
        value = read_json(exchange.reply)
        body = exchange.reply.decode("utf-8", "backslashreplace") if value is None else _own_items(value, exchange)
        whole = json.dumps(body, sort_keys=True)
        for id in _UUID.findall(whole):
            if _key(id) not in self.sent and _key(id) not in self.ids:
                self.ids[_key(id)] = f"id {len(self.ids) + 1}"
        named = _TIME.sub(lambda match: match[0] if match[0].encode() in exchange.body else "a time", self.text(whole))
        media_type = exchange.reply_headers.get("Content-Type", "")
        return {"status": exchange.status, "content type": media_type, "body": json.loads(named)}


def _key(id: str) -> str:
    return id.lower()[:35]


def _request(exchange: Exchange, names: _Names) -> tuple[Any, ...]:
    body = exchange.body.decode("utf-8", "backslashreplace")
    return exchange.method, names.text(exchange.path), names.text(body), exchange.headers, exchange.role


def _own_items(body: Any, exchange: Exchange) -> Any:
    """Leave out of a list what the check did not create, and sort it: other integrations and order are no matter."""
    items = body.get("integrations") if isinstance(body, Mapping) else None
    if not isinstance(items, list):
        return body
    prefix = re.compile(rf"central-contract-[0-9a-z]+-{re.escape(exchange.check)}-\d")
    own = [each for each in items if isinstance(each, dict) and prefix.match(str(each.get("name")))]
    return {**body, "integrations": sorted(own, key=lambda each: str(each.get("name")))}
