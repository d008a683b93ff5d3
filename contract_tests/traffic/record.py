"""What the judgement keeps from exchange to exchange: the outcomes, and the state of each Central."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from contract_tests.engine.exchange import Exchange
from contract_tests.oracle.observers import Observers
from contract_tests.traffic.exchanges import Seen
from contract_tests.traffic.follow import Follower
from mock_server.contract.routes import Match, Routes
from mock_server.contract.tables import Contract, Operation

HELD, BROKEN, UNDECIDABLE = "held", "broken", "undecidable"
_STORED = (
    *("name-unique", "get-missing", "update-missing", "delete-missing"),
    *("scanner-v4-not-deleted", "scanner-v4-type-fixed"),
)
"""Rules that depend on stored integrations, besides those whose ids start with `reconcile-`."""
_MOST_EXPLAINED = 100
"""Maximum number of invalid requests that are explained; each explanation takes milliseconds."""
_MOST_WRITES = 1_000
"""Maximum number of writes that are remembered, to find those that overlap a later request."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an exchange shows about a rule: HELD, BROKEN or UNDECIDABLE.

    `what` is the failure of a broken rule, "" if an observer has reported it. `by_store`: the outcome depends on the
    store, so another writer may be the cause.
    """

    rule: str
    kind: str
    what: str = ""
    _: KW_ONLY
    expected: Any = None
    got: Any = None
    by_store: bool = False


def check(rule: str, held: bool, what: str, **more: Any) -> Outcome:
    """Return whether a rule held, as an outcome."""
    return Outcome(rule, HELD if held else BROKEN, what, **more)


class Record:
    """The outcomes of all exchanges so far."""

    def __init__(self, contract: Contract, observers: Observers, *, others_write: bool) -> None:
        """`others_write`: other clients may write unseen, so nothing that depends on the store is a failure."""
        self.observers = observers
        self.others_write = others_write
        self.routes = Routes(contract)
        self.tally: Counter[tuple[str, str, str]] = Counter()
        """Number of times that a rule held, was broken or was undecidable, by operation, rule and outcome."""
        self.client: Counter[str] = Counter()
        """Number of invalid requests by operation and place."""
        self.dropped = 0
        """Number of incomplete answers."""
        self._explained = 0

    def count(self, outcome: Outcome, operation: str, exchange: Exchange) -> Outcome:
        """Count an outcome, report a broken rule, and return the outcome as it was counted."""
        by_store = outcome.by_store or outcome.rule in _STORED or outcome.rule.startswith("reconcile-")
        if outcome.kind == BROKEN and by_store and self.others_write:
            outcome = Outcome(outcome.rule, UNDECIDABLE)
        self.tally[operation, outcome.rule, outcome.kind] += 1
        if outcome.kind == BROKEN and outcome.what:
            what = f"{operation}: {outcome.what}{' (likely: no other writer was seen)' if by_store else ''}"
            self.observers.findings.add(outcome.rule, what, exchange, expected=outcome.expected, got=outcome.got)
        return outcome

    def explain(self, operation: Operation, body: bytes) -> None:
        """Count the places in which the body of a request violates the contract."""
        if self._explained >= _MOST_EXPLAINED:
            self.client[f"{operation.id}: further invalid requests"] += 1
            return
        self._explained += 1
        found = self.observers.validator.request_violations(operation, body)
        self.client.update(f"{operation.id}: {re.sub(r'[0-9]+', 'n', str(each))}" for each in found)


@dataclass(slots=True)
class State:
    """The state of one Central, as far as the traffic shows it."""

    follower: Follower
    writes: deque[tuple[Match, Seen]] = field(default_factory=lambda: deque(maxlen=_MOST_WRITES))
    last: tuple[tuple[int, bool], tuple[Any, ...]] | None = None
    """The last read, and the state of the model before it."""
    last_outcomes: Sequence[Outcome] = ()
    shows_credentials: bool = False
    """Whether a request with credentials was seen."""
    asks_credentials: bool = False
    """Whether a request without credentials was refused."""
    paces: Counter[tuple[str, int, bool]] = field(default_factory=Counter)
    """Number of answers by operation, status and whether they were quick."""
