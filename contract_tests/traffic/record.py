"""What the judgement keeps from exchange to exchange: the outcomes, and the state of each Central."""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from contract_tests.oracle.observers import Observers
from contract_tests.traffic.exchanges import Seen
from contract_tests.traffic.follow import Follower
from contract_tests.traffic.parsing import Request
from contract_tests.traffic.rules import Texts
from mock_server.contract.routes import Match, Routes
from mock_server.contract.tables import Contract

_MOST_EXPLAINED = 100
"""Greatest number of invalid requests that are explained; an explanation takes milliseconds."""
_MOST_WRITES = 1_000
"""Greatest number of writes that are remembered, to find those that overlap a later request."""


class Record:
    """The outcomes of all exchanges so far."""

    def __init__(self, contract: Contract, observers: Observers, *, others_write: bool) -> None:
        """`others_write`: other clients may write unseen, so what depends on the store is never a failure."""
        self.contract = contract
        self.observers = observers
        self.others_write = others_write
        self.routes = Routes(contract)
        self.texts = Texts(contract)
        self.tally: Counter[tuple[str, str, str]] = Counter()
        """Number of times that a rule held, was broken or was undecidable, by operation, rule and outcome."""
        self.client: Counter[str] = Counter()
        """Number of invalid requests by operation and place."""
        self.dropped = 0
        """Number of incomplete answers."""
        self._explained = 0

    def explain(self, request: Request) -> None:
        """Count the places in which a request violates the contract."""
        operation = request.operation
        if self._explained >= _MOST_EXPLAINED:
            self.client[f"{operation.id}: further invalid requests"] += 1
            return
        self._explained += 1
        found = self.observers.validator.request_violations(
            operation, operation.path, {}, request.seen.body or b"", "application/json"
        )
        self.client.update(f"{operation.id}: {re.sub(r'[0-9]+', 'n', str(each))}" for each in found)


@dataclass(slots=True)
class State:
    """The state of one Central, as far as the traffic shows it."""

    follower: Follower
    writes: deque[tuple[Match, Seen]] = field(default_factory=lambda: deque(maxlen=_MOST_WRITES))
    last: tuple[tuple[int, bool], tuple[Any, ...]] | None = None
    """The last read, and the state of the model before it."""
    last_outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    shows_credentials: bool = False
    """Whether a request with credentials was seen."""
    asks_credentials: bool = False
    """Whether a request without credentials was refused."""
    paces: Counter[tuple[str, int, bool]] = field(default_factory=Counter)
    """Number of answers by operation, status and whether they were quick."""
