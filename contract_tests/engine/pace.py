"""How fast a run may ask and how long it may take: rate, budget, and waits that a busy target asks for."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping

from contract_tests.engine.failures import BudgetSpent, Busy
from contract_tests.engine.options import Options

ATTEMPTS = 8
"""How often a target that is busy is asked."""
_ALL_WAITS = 60.0
"""Seconds that a run waits for a busy target where no budget ends it, in one piece or in several."""
_PATIENCE = 6
"""Requests without an answer after which a run gives up."""
_CLEAN_UP = 8.0
"""Seconds for the clean-up after a budget is spent; each integration that is deleted gives it some more."""
_A_DELETE = 0.5
_SLOWEST = 1.0
"""Seconds between two requests to a target that limits them."""


class Pace:
    """The rate and the budget of one run."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.count = 0
        self.unanswered = 0
        self.stopped = False
        """The run was interrupted: until it cleans up, what still runs sends no more."""
        self.limited = 0
        """Answers that there were too many requests."""
        self._started = time.monotonic()
        self._closing_until: float | None = None
        self._unanswered_in_closing = 0
        self._waited = 0.0
        self._interval = 0.0
        self._slowest_interval = 0.0
        self._next_slot = 0.0
        self._lock = threading.Lock()

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started

    @property
    def rate(self) -> int:
        """Requests a second that a target which limits them was sent, when it was slowest."""
        if not self._slowest_interval:
            return 0
        # Where it asks for waits of seconds, these were the pace.
        return max(1, math.floor(min(1 / self._slowest_interval, self.count / max(self.elapsed, 1.0))))

    def close(self) -> None:
        """Begin the clean-up, which has a time of its own."""
        self._closing_until = time.monotonic() + _CLEAN_UP

    def seconds(self) -> float:
        """Return how long the next request may take."""
        return max(0.05, min(self.options.timeout, self._left()))

    def _left(self) -> float:
        """Return the seconds of the budget that are left, of that of the clean-up while it goes on."""
        if self.options.time_budget is None:
            return math.inf
        if self._closing_until is not None:
            return self._closing_until - time.monotonic()
        return self.options.time_budget - self.elapsed

    def spend(self) -> None:
        """Take one request out of the budget, waiting for its turn.

        Raises:
            BudgetSpent: nothing is left of it.
        """
        with self._lock:
            self.check_budget()
            self.count += 1
            now = time.monotonic()
            slot = max(now, self._next_slot)
            rate = 1 / self.options.rate if self.options.rate else 0.0
            self._next_slot = slot + max(rate, self._interval)
        if slot > now:
            time.sleep(slot - now)

    def check_budget(self) -> None:
        """Check that a request may be sent.

        Raises:
            BudgetSpent: none may.
        """
        most = self.options.max_requests
        if self._left() <= 0:
            raise BudgetSpent(f"{self.options.time_budget:g} seconds")
        if self._closing_until is not None:
            if self._unanswered_in_closing >= _PATIENCE:
                raise BudgetSpent(f"{_PATIENCE} requests without an answer")
            return
        if self.stopped:
            raise BudgetSpent("a run that was interrupted")
        if most is not None and self.count >= most:
            raise BudgetSpent(f"{most} requests")
        if self.unanswered >= _PATIENCE:
            raise BudgetSpent(f"{_PATIENCE} requests without an answer")

    # -- what answers tell ------------------------------------------------------------------------

    def is_to_wait(self, status: int, headers: Mapping[str, str], message: str, attempt: int) -> bool:
        """Wait if the target asks to, and return whether the request is to be sent again.

        Raises:
            BudgetSpent: the target wants to be left alone for longer than the budget lasts.
            Busy: it limits requests, and has been asked often enough.
        """
        is_limit = status == 429 and "larger than max" not in message
        if not is_limit and not (status == 503 and "Retry-After" in headers):
            with self._lock:
                self._interval = self._interval * 0.98 if self._interval > 0.002 else 0.0
            return False
        wait = _seconds_of(headers.get("Retry-After"), attempt)
        if wait > self._left():
            raise BudgetSpent(f"{self.options.time_budget:g} seconds (the target answers {status} and asks to wait)")
        with self._lock:
            self._waited += wait if wait >= 1 or not is_limit else 0  # short ones are the pace
            if is_limit:
                self.limited += 1
                self._interval = min(max(self._interval * 1.5, 0.01), _SLOWEST)
                self._slowest_interval = max(self._slowest_interval, self._interval)
        if attempt == ATTEMPTS - 1 or self._waited > _ALL_WAITS:
            if is_limit:
                raise Busy("the target limits requests (429), also when asked again; --rate slows the run down")
            return False
        time.sleep(wait)
        return True

    def was_answered(self) -> None:
        """Note that a request got an answer."""
        self._unanswered_in_closing = 0

    def was_not_answered(self, *, timed_out: bool) -> None:
        """Note that a request got no answer.

        Raises:
            BudgetSpent: it was the budget that ended it, not the target's time.
        """
        if timed_out and self._left() <= 0.05:
            raise BudgetSpent(f"{self.options.time_budget:g} seconds")
        self.unanswered += 1
        self._unanswered_in_closing += 1

    def was_cleaned(self) -> None:
        """Return the clean-up some more time: it gets on."""
        if self._closing_until is not None:
            self._closing_until += _A_DELETE


def _seconds_of(retry_after: str | None, attempt: int) -> float:
    """Return how long to wait: what the target says, or longer from attempt to attempt."""
    try:
        found = float(retry_after) if retry_after is not None else 0.1 * 2**attempt
    except ValueError:
        found = 1.0  # a date
    return found if found >= 0 else 1.0
