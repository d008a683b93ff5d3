"""How the threads of the server are shared out: what waits for others never holds all of them.

WSGI gives a request a thread until it is answered. Python runs one thread at a time, so more of them only wait.
"""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

BODIES = 12
"""Requests whose bodies may be waited for at once."""
CONTROL_CALLS = 16
"""Control calls that may wait or stream at once."""
ALWAYS_FREE = 4
"""Threads that are left for everything else."""
OWN = BODIES + CONTROL_CALLS + ALWAYS_FREE
"""Threads of the mock itself."""
UPSTREAM = 32
"""Requests that may wait for the upstream at once, each in a thread that the mock does not count on."""

_PAUSE = 0.005


HolderT = TypeVar("HolderT")


class Places(Generic[HolderT]):
    """A share of the threads."""

    def __init__(self, most: int, patience: float = 1.0) -> None:
        """`patience`: seconds after which a place counts as held by a request that is stuck."""
        self.most = most
        self._patience = patience
        self._lock = threading.Lock()
        self._taken: dict[HolderT, float] = {}
        """When each place was taken, by who has it."""

    def take(self, holder: HolderT) -> bool:
        """Take a place; wait a moment for one, unless all are held by requests that are stuck."""
        until = time.monotonic() + self._patience
        while True:
            now = time.monotonic()
            with self._lock:
                if len(self._taken) < self.most:
                    self._taken[holder] = now
                    return True
                if now > until or all(now - since > self._patience for since in self._taken.values()):
                    return False
            time.sleep(_PAUSE)

    def holders(self) -> tuple[HolderT, ...]:
        """Return who has a place."""
        with self._lock:
            return tuple(self._taken)

    def release(self, holder: HolderT) -> None:
        """Free the place of a holder, unless it is free already."""
        with self._lock:
            self._taken.pop(holder, None)
