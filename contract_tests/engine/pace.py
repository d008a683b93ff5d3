"""The speed and the length of a run: rate, budget, and waits that a busy target requests."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping

from contract_tests.engine.failures import BudgetSpent, Busy
from contract_tests.engine.options import Options

ATTEMPTS = 8
"""Attempts of a request to a busy target."""
_ALL_WAITS = 60.0
"""Seconds that a run waits for a busy target in total."""
_PATIENCE = 6
"""Unanswered requests after which a run gives up."""
_CLEAN_UP = 8.0
"""Seconds for the clean-up of a run with a budget."""
_LEAST_EXTENSION, _MOST_EXTENSION = 0.5, 5.0
"""Bounds in seconds of the time that each deletion adds to the clean-up."""
_GATEWAY = (502, 503, 504)
_OUTAGE = 5.0
"""Seconds that the clean-up waits for a target that a gateway cannot reach."""
_SLOWEST = 1.0
"""Longest pause in seconds between two requests to a target that limits them."""


class Pace:
    """The rate and the budget of one run."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.count = 0
        self.unanswered = 0
        self.stopped = False
        """The run was interrupted: running checks send nothing more until the clean-up."""
        self.limited = 0
        """Number of answers with 429 (too many requests)."""
        self._started = time.monotonic()
        self._closing_until: float | None = None
        self._told_to_wait = ""
        """Why nothing more is sent before the clean-up: the target has asked for a wait that exceeds the budget."""
        self._deleted_at = 0.0
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
        """The slowest rate, in requests per second, that the target's limit has forced; 0 if there was none."""
        if not self._slowest_interval:
            return 0
        # If the target requested waits of seconds, they determined the average rate.
        return max(1, math.floor(min(1 / self._slowest_interval, self.count / max(self.elapsed, 1.0))))

    def close(self) -> None:
        """Begin the clean-up, which has a separate time budget and its own allowance for waits."""
        self._deleted_at = time.monotonic()
        self._closing_until = self._deleted_at + _CLEAN_UP
        self._waited = 0.0

    def seconds(self) -> float:
        """Return the timeout of the next request in seconds."""
        return max(0.05, min(self.options.timeout, self._left()))

    def _left(self) -> float:
        """Return the seconds that are left of the budget, or of the clean-up once it has begun."""
        if self.options.time_budget is None:
            return math.inf
        if self._closing_until is not None:
            return self._closing_until - time.monotonic()
        return self.options.time_budget - self.elapsed

    def spend(self) -> None:
        """Take one request out of the budget and wait for its slot.

        Raises:
            BudgetSpent: the budget is used up, or will be before the slot.
        """
        with self._lock:
            self.check_budget()
            now = time.monotonic()
            slot = max(now, self._next_slot)
            if slot - now > self._left():
                raise BudgetSpent(f"{self.options.time_budget:g} seconds")
            self.count += 1
            rate = 1 / self.options.rate if self.options.rate else 0.0
            self._next_slot = slot + max(rate, self._interval)
        if slot > now:
            time.sleep(slot - now)

    def check_budget(self) -> None:
        """Raise BudgetSpent if no further request may be sent."""
        most = self.options.max_requests
        if self._left() <= 0:
            raise BudgetSpent(f"{self.options.time_budget:g} seconds")
        if self._closing_until is not None:
            if self._unanswered_in_closing >= _PATIENCE:
                raise BudgetSpent(f"{_PATIENCE} requests without an answer")
            return
        if self._told_to_wait:
            raise BudgetSpent(self._told_to_wait)
        if self.stopped:
            raise BudgetSpent("a run that was interrupted")
        if most is not None and self.count >= most:
            raise BudgetSpent(f"{most} requests")
        if self.unanswered >= _PATIENCE:
            raise BudgetSpent(f"{_PATIENCE} requests without an answer")

    # -- learning from answers --------------------------------------------------------------------

    def wait_to_retry(self, status: int, headers: Mapping[str, str], message: str, attempt: int) -> bool:
        """Wait if the target requests it; return whether to send the request again.

        The clean-up also waits while a gateway cannot reach the target.

        Raises:
            BudgetSpent: the requested wait exceeds the budget.
            Busy: the target still limits requests after the last attempt.
        """
        is_limit = status == 429 and "larger than max" not in message
        is_closing = self._closing_until is not None
        is_outage = is_closing and status in _GATEWAY and self._waited < _OUTAGE
        if not (is_limit or is_outage or (status == 503 and "Retry-After" in headers)):
            with self._lock:
                self._interval = self._interval * 0.98 if self._interval > 0.002 else 0.0
            return False
        wait = _seconds_of(headers.get("Retry-After"), attempt)
        if is_closing and wait > self._left():
            wait = _seconds_of(None, attempt)  # what is left behind is worse than asking too soon
        with self._lock:
            self._waited += wait if wait >= 1 or not is_limit else 0  # short waits set the rate
            if is_limit:
                self.limited += 1
                self._interval = min(max(self._interval * 1.5, 0.01), _SLOWEST)
                self._slowest_interval = max(self._slowest_interval, self._interval)
        if wait > self._left():
            why = f"{self.options.time_budget:g} seconds (the target answers {status} and asks to wait {wait:g} s)"
            self._told_to_wait = why
            raise BudgetSpent(why)
        if attempt == ATTEMPTS - 1 or self._waited > _ALL_WAITS:
            if is_limit:
                raise Busy(
                    "the target still limits requests (429) after several attempts; slow the run down with --rate"
                )
            return False
        time.sleep(wait)
        return True

    def record_answer(self) -> None:
        """Record that a request was answered."""
        self._unanswered_in_closing = 0

    def record_no_answer(self, *, timed_out: bool) -> None:
        """Record that a request got no answer.

        Raises:
            BudgetSpent: the budget cut the request's timeout short.
        """
        if timed_out and self._left() <= 0.05:
            raise BudgetSpent(f"{self.options.time_budget:g} seconds")
        self.unanswered += 1
        self._unanswered_in_closing += 1

    def extend_clean_up(self) -> None:
        """Extend the clean-up by the time that the last DELETE took, so that a slow target is cleaned, too."""
        if self._closing_until is not None:
            now = time.monotonic()
            self._closing_until += min(max(now - self._deleted_at, _LEAST_EXTENSION), _MOST_EXTENSION)
            self._deleted_at = now


def _seconds_of(retry_after: str | None, attempt: int) -> float:
    """Return how many seconds to wait: as Retry-After says, or twice as long with each attempt."""
    try:
        wait = float(retry_after) if retry_after is not None else 0.1 * 2**attempt
    except ValueError:
        wait = 1.0  # a date
    return wait if wait >= 0 else 1.0
