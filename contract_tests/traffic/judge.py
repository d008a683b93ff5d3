"""The order in which exchanges are judged, and the Central that each belongs to."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import count, takewhile

from contract_tests.engine.central import Shared
from contract_tests.oracle.observers import Observers
from contract_tests.traffic.exchanges import Seen
from contract_tests.traffic.follow import Follower
from contract_tests.traffic.judgement import OVERRIDE, judge_exchange, may_write
from contract_tests.traffic.record import Record, State
from contract_tests.traffic.secrets import RUN, Secrets, path_of
from mock_server.contract.routes import Match

_SANDBOX = "Mock-Central-Sandbox"


class Judge:
    """Judges exchanges in the order in which they ended.

    `others_write`: other clients may write without being observed, so a difference that depends on the store is not
    reported as a failure.
    """

    def __init__(self, version: str, *, others_write: bool = False) -> None:
        shared = Shared(RUN, version)
        self.contract = shared.contract
        self.version = shared.version
        self.secrets = Secrets(self.contract)
        self.observers = Observers(shared)
        self.findings = self.observers.findings
        self.record = Record(self.contract, self.observers, others_write=others_write)
        self.judged = 0
        self._waiting: list[tuple[float, int, Seen]] = []
        self._arrivals = count()
        self._centrals: defaultdict[str, State] = defaultdict(lambda: State(Follower(self.contract)))
        """By sandbox, because each sandbox of the mock behaves like a separate Central."""

    def concerns(self, target: str) -> bool:
        """Return whether a request belongs to the API under judgement."""
        return self.record.routes.is_below(path_of(target))

    def add(self, seen: Seen) -> Seen:
        """Queue an exchange of the API to be judged, and return it without credentials."""
        safe = self.secrets.hide(seen)
        heapq.heappush(self._waiting, (safe.ended, next(self._arrivals), safe))
        return safe

    def settle(self, until: float = math.inf) -> None:
        """Judge all exchanges that ended before `until`, the time at which the oldest pending request began."""
        while self._waiting and self._waiting[0][0] < until:
            self._judge(heapq.heappop(self._waiting)[2])

    def begin(self) -> None:
        """Forget the state: the following traffic belongs to another Central."""
        self._centrals.clear()

    def judge(self, traffic: Iterable[Seen], keep: Callable[[Seen], object] | None = None) -> None:
        """Judge recorded traffic; call `keep` with each exchange without credentials."""
        for seen in sorted(traffic, key=lambda each: each.began):
            self.settle(seen.began)
            safe = self.add(seen)
            if keep is not None:
                keep(safe)
        self.settle()

    def _judge(self, seen: Seen) -> None:
        self.judged += 1
        central = self._centrals[_sandbox(seen)]
        overlapping = self._overlapping_writes(central, seen)
        match = self._match(seen)
        central.follower.now = seen.ended
        if match is not None and may_write(match.operation):
            central.writes.append((match, seen))
        judge_exchange(self.record, central, seen.exchange(self.judged), seen, match, overlapping)
        if OVERRIDE in seen.headers:
            del self._centrals[_sandbox(seen)]  # its effect is unknown

    def _overlapping_writes(self, central: State, seen: Seen) -> list[tuple[Match, Seen]]:
        """Return the writes that overlap an exchange."""
        before = takewhile(lambda write: write[1].ended > seen.began, reversed(central.writes))
        sandbox = _sandbox(seen)
        waiting = ((self._match(each), each) for _, _, each in self._waiting if _sandbox(each) == sandbox)
        later = [(match, each) for match, each in waiting if match is not None and may_write(match.operation)]
        return [write for write in (*before, *later) if write[1].overlaps(seen)]

    def _match(self, seen: Seen) -> Match | None:
        return self.record.routes.match(seen.method, path_of(seen.target))


def _sandbox(seen: Seen) -> str:
    return seen.headers.get(_SANDBOX, "")
