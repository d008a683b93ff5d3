"""Signals that ask a command to end, so that it cleans up and reports first."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from contract_tests.engine.failures import Interrupted

_ONE_INTERRUPTION = 1.0
"""Seconds in which further signals count as the first: `timeout` and shells send one to a process and to its group."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` on SIGINT and SIGTERM, which CI services send; a later signal also ends the clean-up."""
    last = -_ONE_INTERRUPTION

    def stop(number: int, _frame: object) -> None:
        nonlocal last
        if time.monotonic() - last >= _ONE_INTERRUPTION:
            last = time.monotonic()
            raise Interrupted(signal.Signals(number).name)

    handlers = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
