"""Shares of the server's threads, so that waiting requests never occupy all of them.

WSGI occupies a thread for a request until it is answered. Python runs one thread at a time, so more threads would only
add waiting ones.
"""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

BODIES = 12
"""Number of requests whose bodies may be waited for at once."""
CONTROL_CALLS = 16
"""Number of control calls that may wait or stream at once."""
ALWAYS_FREE = 4
"""Number of threads that remain for everything else."""
OWN = BODIES + CONTROL_CALLS + ALWAYS_FREE
"""Number of threads for requests that the mock answers itself."""
UPSTREAM = 32
"""Number of requests that may wait for the upstream at once, in additional threads."""

PATIENCE = 1.0
"""Seconds after which a request that holds a place counts as stuck."""
_PAUSE = 0.005


HolderT = TypeVar("HolderT")


class Places(Generic[HolderT]):
    """A limited share of the threads."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._taken: dict[HolderT, float] = {}
        """Time at which each holder took its place."""

    def take(self, holder: HolderT) -> bool:
        """Take a place, and return whether one was free; wait briefly, unless stuck requests hold all places."""
        until = time.monotonic() + PATIENCE
        while True:
            now = time.monotonic()
            with self._lock:
                if len(self._taken) < self.most:
                    self._taken[holder] = now
                    return True
                if now > until or all(now - since > PATIENCE for since in self._taken.values()):
                    return False
            time.sleep(_PAUSE)

    def holders(self) -> tuple[HolderT, ...]:
        """Return the holders of places."""
        with self._lock:
            return tuple(self._taken)

    def release(self, holder: HolderT) -> None:
        """Free the place of a holder, if it has one."""
        with self._lock:
            self._taken.pop(holder, None)
