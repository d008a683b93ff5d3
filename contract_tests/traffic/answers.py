"""Judge an answer whatever its operation: its form and headers, access, and the response time."""

from __future__ import annotations

from collections.abc import Iterator

from contract_tests.engine.exchange import Exchange
from contract_tests.oracle.observers import Observers
from contract_tests.traffic.case import Case
from contract_tests.traffic.exchanges import Seen
from contract_tests.traffic.record import BROKEN, HELD, UNDECIDABLE, Outcome, State, check

_OF_CREDENTIALS = frozenset(("credentials-masked", "credential-leak", "create-answer-in-clear"))
_SLOW = 5.0
"""Seconds from which an answer that waits for no registry is slow."""
_OFTEN = 4
"""Least number of slow answers of one kind, and of quick answers of other kinds, that show a fault."""


def observe(observers: Observers, exchange: Exchange, seen: Seen) -> Iterator[Outcome]:
    """Run the general observers, which report what they find themselves."""
    before = _found(observers)
    observers.seen = set()
    observers(exchange, seen.answer())
    found = {rule for rule, *_ in _found(observers) - before}
    for each in (observers.seen | found) - (_OF_CREDENTIALS if seen.blind else frozenset()):
        yield Outcome(each, BROKEN if each in found else HELD)


def _found(observers: Observers) -> set[tuple[str, str, int]]:
    return {(each.check, each.what, each.also) for each in observers.findings.failures}


def headers(seen: Seen) -> Iterator[Outcome]:
    """Judge the headers of an answer."""
    for name, wanted in (("Cache-Control", "no-store"), ("Vary", "accept-encoding")):
        kept = seen.reply_headers.get(name, "")
        what = f"the header {name} lacks {wanted}"
        yield check("answer-headers", wanted in kept.lower(), what, expected=wanted, got=kept)


def unknown_route(seen: Seen, *, has_path: bool) -> Outcome:
    """Judge the answer to a request of no operation; `has_path`: other methods have its path."""
    rule, status = ("method-not-allowed", 501) if has_path else ("unknown-route", 404)
    what = f"the answer is {seen.status}, not {status}"
    return check(rule, seen.status == status, what, expected={"status": status}, got={"status": seen.status})


def access(seen: Seen, central: State) -> Iterator[Outcome]:
    """Judge access: a caller without credentials must be refused if another one was.

    Some programs omit credentials from the recording of every request.
    """
    central.shows_credentials |= "Authorization" in seen.headers
    has_credentials = "Authorization" in seen.headers or "Cookie" in seen.headers
    is_nobody = central.shows_credentials and not has_credentials
    central.asks_credentials |= seen.status == 401 or (is_nobody and seen.status == 403)
    if is_nobody and seen.status == 200 and central.asks_credentials:
        rule = "read-permission" if seen.method == "GET" else "credentials-missing"
        yield Outcome(rule, BROKEN, "a caller without credentials is accepted; another was refused")


def is_quick(seen: Seen) -> bool:
    """Return whether an answer came in the time that any operation may take."""
    return seen.ended - seen.began < _SLOW


def pace(case: Case, central: State) -> Iterator[Outcome]:
    """Judge the time of answers that wait for no registry, relative to those of other kinds."""
    if case.asks_registry or (case.whole and case.whole["type"] == "ecr"):
        return
    kind, paces = (case.operation.id, case.seen.status), central.paces
    paces[*kind, is_quick(case.seen)] += 1
    slow, quick = paces[*kind, False], paces[*kind, True]
    others = sum(number if each else -number for (*_, each), number in paces.items()) - quick + slow
    if is_quick(case.seen):
        yield Outcome("response-time", HELD)
    elif quick or min(slow, others) < _OFTEN:
        yield Outcome("response-time", UNDECIDABLE)
    else:
        what = f"every answer {case.seen.status} takes more than {_SLOW:.0f} seconds"
        yield Outcome("response-time", BROKEN, what)
