"""Comparison of two servers: send both the same requests and report where their answers differ.

The requests are those of the checks, with the same seed and run id. Failures of checks are ignored, as
a fault that both servers share is not a difference.
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
from contract_tests.engine.failures import HarnessError
from contract_tests.engine.guard import PROOF
from contract_tests.engine.options import NAME_PREFIX, Options
from contract_tests.engine.ownership import new_run_id
from contract_tests.engine.text import changed, diff
from contract_tests.oracle.observers import integrations_of
from contract_tests.runner.history import created_id
from contract_tests.runner.run import Run
from contract_tests.runner.symptoms import place_of

_NOT_REPEATABLE = ("concurrency", "latency")
"""Groups of checks whose requests depend on timing."""
_HEADERS = ("content-type", "location", "www-authenticate")
"""Compared headers; others depend on proxies and on time."""
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{11,12}", re.IGNORECASE)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


@dataclass(slots=True)
class Difference:
    """One difference between two servers: the first pair of answers that shows it, and the number of further pairs."""

    check: str
    one: Exchange
    two: Exchange
    lines: list[str]
    also: int = 0


@dataclass(slots=True)
class Comparison:
    """The result of a comparison."""

    compared: int = 0
    """Number of requests that were sent to both servers."""
    differences: list[Difference] = field(default_factory=list)
    apart: dict[str, int] = field(default_factory=dict)
    """Number of requests by check that were sent to one server only, because an earlier answer differed."""


def compare(one: Options, two: Options) -> Comparison:
    """Run the checks against two targets and compare the answers; those of the first are the expected ones.

    Raises:
        HarnessError: a target does not answer or refuses the credentials, or none returns a list of integrations, or
            one keeps what was created.
    """
    repeatable = tuple(each.id for each in all_checks().values() if each.group not in _NOT_REPEATABLE)
    # With one worker, as checks reuse integrations of earlier checks.
    chosen = [replace(each, only=each.only or repeatable, workers=1) for each in (one, two)]
    run_id = new_run_id()
    reports, show_list = [], False
    for options in chosen:
        run = Run(options, run_id=run_id)
        run.skips_dependents = False  # failures of checks are ignored
        reports.append(run())
        show_list = show_list or run.shows_list
        if reports[-1].interrupted:
            raise KeyboardInterrupt
        if left := reports[-1].left_behind:
            raise HarnessError(
                f"not deleted from {options.base}: {', '.join(left)}; "
                f"`central-contract clean {options.base}` tries again"
            )
    if not show_list:
        raise HarnessError(f"neither {one.base} nor {two.base} returns a list of integrations; look at the URLs")
    return compared(*(report.exchanges for report in reports))


def compared(one: Sequence[Exchange], two: Sequence[Exchange]) -> Comparison:
    """Compare the answers of two servers to the requests of the same run."""
    comparison = Comparison()
    normalisers = _Normaliser(one), _Normaliser(two)
    first, second = _by_check(one), _by_check(two)
    for check in dict.fromkeys((*first, *second)):
        _compare_check(comparison, check, first.get(check, []), second.get(check, []), normalisers)
    return comparison


def _by_check(exchanges: Iterable[Exchange]) -> dict[str, list[Exchange]]:
    by_check: dict[str, list[Exchange]] = {}
    for exchange in exchanges:
        if exchange.check not in ("set-up", "clean-up", PROOF):
            by_check.setdefault(exchange.check, []).append(exchange)
    return by_check


def _compare_check(
    comparison: Comparison,
    check: str,
    first: list[Exchange],
    second: list[Exchange],
    normalisers: tuple[_Normaliser, _Normaliser],
) -> None:
    """Align the requests of one check at both servers and compare the answers to those that were sent to both."""
    one, two = normalisers
    requests = [one.request(exchange) for exchange in first], [two.request(exchange) for exchange in second]
    matcher = SequenceMatcher(None, *requests, autojunk=False)
    matched = 0
    for start_one, start_two, size in matcher.get_matching_blocks():
        matched += size
        pairs = zip(first[start_one : start_one + size], second[start_two : start_two + size], strict=True)
        for left, right in pairs:
            comparison.compared += 1
            expected, got = one.answer(left), two.answer(right)
            if expected != got:
                _add(comparison, Difference(check, left, right, diff(expected, got)))
    if apart := len(first) + len(second) - 2 * matched:
        comparison.apart[check] = apart


def _add(comparison: Comparison, new: Difference) -> None:
    """Add a difference, or count it if the same lines already differ for the same operation, whatever their values."""
    for known in comparison.differences:
        if _kind(known) == _kind(new):
            known.also += 1
            return
    comparison.differences.append(new)


def _kind(difference: Difference) -> tuple[Any, ...]:
    return place_of(difference.one), changed(difference.lines)


class _Normaliser:
    """Replaces the ids and times of one server with names that are the same at another server.

    An id is named after its integration, whose name the run has sent, or after the create that returned it.
    """

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._sent: set[str] = set()
        """Ids that the run has invented."""
        self._ids: dict[str, str] = {}
        creates: Counter[str] = Counter()
        for exchange in exchanges:
            self._sent |= {_key(id) for id in _UUID.findall(_sent(exchange)) if _key(id) not in self._ids}
            if id := created_id(exchange):
                creates[exchange.check] += 1
                body = read_json(exchange.body)
                name = body.get("name") if isinstance(body, Mapping) else None
                self._learn(id, name or f"create {creates[exchange.check]} of {exchange.check}")
            for item in integrations_of(read_json(exchange.reply)):
                self._learn(item.get("id"), item.get("name"))

    def _learn(self, id: Any, name: Any) -> None:
        if isinstance(id, str) and _UUID.fullmatch(id) and isinstance(name, str) and _key(id) not in self._sent:
            self._ids.setdefault(_key(id), f"id of {name}")

    def text(self, text: str) -> str:
        """Replace each id that came from the server with its name."""
        return _UUID.sub(self._named, text)

    def _named(self, match: re.Match[str]) -> str:
        """Return the name of an id, even if a check has sent it in upper case or truncated."""
        id = match[0]
        if _key(id) in self._sent:
            return id
        name = self._ids.get(_key(id), "an id")
        return f"{name.upper() if id.isupper() else name}, {len(id)} characters"

    def request(self, exchange: Exchange) -> Hashable:
        """Return a request in a form that is equal for both servers."""
        body = exchange.body.decode("utf-8", "backslashreplace")
        headers = tuple(sorted(exchange.headers.items()))
        return exchange.method, self.text(exchange.path), self.text(body), headers, exchange.role

    def answer(self, exchange: Exchange) -> dict[str, Any]:
        """Return the compared parts of an answer: status, some headers and the body, without ids and times."""
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
    """Apply `change` to every text in a JSON value, including keys."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(key): _mapped(each, change) for key, each in value.items()}
    return [_mapped(each, change) for each in value] if isinstance(value, list) else value


def _key(id: str) -> str:
    return id.lower()[:35]


def _sent(exchange: Exchange) -> str:
    return exchange.path + exchange.body.decode("utf-8", "replace")


def _own_items(body: Any, exchange: Exchange) -> Any:
    """Return a list answer with the check's own integrations only, sorted by name; other answers unchanged."""
    items = body.get("integrations") if isinstance(body, Mapping) else None
    if not isinstance(items, list):
        return body
    prefix = re.compile(rf"{NAME_PREFIX}-[0-9a-z]+-{re.escape(exchange.check)}-\d")
    own = [each for each in items if isinstance(each, dict) and prefix.match(str(each.get("name")))]
    return {**body, "integrations": sorted(own, key=lambda each: str(each.get("name")))}
