"""Two servers side by side: the same requests at both, and where their answers differ.

The requests are those of the checks, drawn from the same seed under the same run id. What a check
finds is of no matter here: a fault that both have is no difference.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import Any

from contract_tests.checks.registry import all_checks
from contract_tests.engine.exchange import Exchange, read_json
from contract_tests.engine.guard import PROOF
from contract_tests.engine.options import Options
from contract_tests.engine.ownership import new_run_id
from contract_tests.engine.text import changed, diff
from contract_tests.oracle.observers import operation_of
from contract_tests.runner.history import created_id
from contract_tests.runner.run import Progress, Run

_NOT_REPEATABLE = ("concurrency", "latency")
"""Groups of checks whose requests depend on the moment."""
_HEADERS = ("content-type", "location", "www-authenticate")
"""Headers whose values say something of the server rather than of what stands before it."""
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
    apart: dict[str, int] = field(default_factory=dict)
    """By check the requests that only one of the two was sent, because an answer before differed."""


def compare(one: Options, two: Options, progress: Progress = lambda *_: None) -> Comparison:
    """Play the checks at two targets and compare the answers, those of the first being the expected ones.

    Raises:
        HarnessError: a target does not answer, or refuses the credentials.
    """
    repeatable = tuple(each.id for each in all_checks().values() if each.group not in _NOT_REPEATABLE)
    # One check after the other: what a check keeps stands for those after it.
    chosen = [replace(each, only=each.only or repeatable, workers=1) for each in (one, two)]
    run_id = new_run_id()
    reports = []
    for each in chosen:
        run = Run(each, progress, run_id)
        run.waits = False  # what a check finds is of no matter here
        reports.append(run())
        if reports[-1].interrupted:
            raise KeyboardInterrupt
    return compared(*(report.exchanges for report in reports))


def compared(one: Sequence[Exchange], two: Sequence[Exchange]) -> Comparison:
    """Compare what two servers answered to the requests of the same run."""
    found = Comparison()
    names = _Names(one), _Names(two)
    mine, theirs = _by_check(one), _by_check(two)
    for check in dict.fromkeys((*mine, *theirs)):
        _compare_check(found, check, mine.get(check, []), theirs.get(check, []), names)
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
    left, right = [one.request(each) for each in mine], [two.request(each) for each in theirs]
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    matched = 0
    for start, other, size in matcher.get_matching_blocks():
        matched += size
        for each, its in zip(mine[start : start + size], theirs[other : other + size], strict=True):
            found.compared += 1
            expected, got = one.answer(each), two.answer(its)
            if expected != got:
                _note(found, Difference(check, each, its, diff(expected, got)))
    if apart := len(mine) + len(theirs) - 2 * matched:
        found.apart[check] = apart


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
    """Names for what a server gives out, which are the same at another: times, and ids by whose they are.

    An id is named after the integration that has it, whose name the run has given, or after the create that was
    answered with it.
    """

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._sent: set[str] = set()
        """Ids that the run has made up."""
        self._ids: dict[str, str] = {}
        creates: Counter[str] = Counter()
        for each in exchanges:
            self._sent |= {_key(id) for id in _UUID.findall(_sent(each)) if _key(id) not in self._ids}
            answer = read_json(each.reply)
            if id := created_id(each):
                creates[each.check] += 1
                name = read_json(each.body)
                of = name.get("name") if isinstance(name, Mapping) else None
                self._learn(id, of or f"create {creates[each.check]} of {each.check}")
            for item in _items(answer):
                self._learn(item.get("id"), item.get("name"))

    def _learn(self, id: Any, name: Any) -> None:
        if isinstance(id, str) and _UUID.fullmatch(id) and isinstance(name, str) and _key(id) not in self._sent:
            self._ids.setdefault(_key(id), f"id of {name}")

    def text(self, text: str) -> str:
        """Put a name in the place of each id that was not sent first."""
        return _UUID.sub(self._named, text)

    def _named(self, match: re.Match[str]) -> str:
        """Name an id, also one that a check has sent in capitals or cut short."""
        id = match[0]
        if _key(id) in self._sent:
            return id
        name = self._ids.get(_key(id), "an id")
        return f"{name.upper() if id.isupper() else name}, {len(id)} characters"

    def request(self, exchange: Exchange) -> Hashable:
        """Return what has to be the same for two requests to be one."""
        body = exchange.body.decode("utf-8", "backslashreplace")
        headers = tuple(sorted(exchange.headers.items()))
        return exchange.method, self.text(exchange.path), self.text(body), headers, exchange.role

    def answer(self, exchange: Exchange) -> dict[str, Any]:
        """Return the part of an answer that has to be the same."""
        value = read_json(exchange.reply)
        body = exchange.reply.decode("utf-8", "backslashreplace") if value is None else _own_items(value, exchange)

        def named(text: str) -> str:
            return _TIME.sub(
                lambda match: match[0] if match[0].encode() in exchange.body else "a time", self.text(text)
            )

        headers = {name.lower(): value for name, value in exchange.reply_headers.items()}
        kept = {name: self.text(headers[name]) for name in _HEADERS if name in headers}
        return {"status": exchange.status, "headers": kept, "body": _mapped(body, named)}


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """Change every text in a JSON value."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(key): _mapped(each, change) for key, each in value.items()}
    return [_mapped(each, change) for each in value] if isinstance(value, list) else value


def _key(id: str) -> str:
    return id.lower()[:35]


def _sent(exchange: Exchange) -> str:
    return exchange.path + exchange.body.decode("utf-8", "replace")


def _items(answer: Any) -> list[Mapping[str, Any]]:
    """Return the integrations of an answer."""
    if not isinstance(answer, Mapping):
        return []
    items = answer.get("integrations", [answer])
    return [each for each in items if isinstance(each, Mapping)] if isinstance(items, list) else []


def _own_items(body: Any, exchange: Exchange) -> Any:
    """Leave out of a list what the check did not create, and sort it: other integrations and order are no matter."""
    items = body.get("integrations") if isinstance(body, Mapping) else None
    if not isinstance(items, list):
        return body
    prefix = re.compile(rf"central-contract-[0-9a-z]+-{re.escape(exchange.check)}-\d")
    own = [each for each in items if isinstance(each, dict) and prefix.match(str(each.get("name")))]
    return {**body, "integrations": sorted(own, key=lambda each: str(each.get("name")))}
