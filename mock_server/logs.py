"""Log lines of a server: written together, because each write makes the other threads wait."""

from __future__ import annotations

import logging
import logging.handlers
import multiprocessing.util
import sys
import threading
import time

FORMAT = "%(asctime)s %(levelname)-7s %(message)s"
INTERVAL = 0.1
"""Seconds that a line may wait; warnings and errors are written at once."""

_CAPACITY = 1000


class _Together(logging.handlers.MemoryHandler):
    """Keeps lines for a moment and writes them in one go."""

    def __init__(self) -> None:
        super().__init__(_CAPACITY, logging.WARNING)
        threading.Thread(target=self._write_at_times, daemon=True).start()
        # A worker process ends without the hooks that the logging module relies on.
        multiprocessing.util.Finalize(self, self.flush, exitpriority=0)

    def _write_at_times(self) -> None:
        while True:
            time.sleep(INTERVAL)
            self.flush()

    def flush(self) -> None:
        """Write what was kept: one call, where the base class makes one for each line."""
        self.acquire()
        try:
            lines = "".join(f"{self.format(record)}\n" for record in self.buffer)
            self.buffer.clear()
            if lines:
                sys.stderr.write(lines)
                sys.stderr.flush()
        finally:
            self.release()


def configure(level: str) -> None:
    """Log to standard error from this level (a name of `logging`'s, in either case)."""
    together = _Together()
    together.setFormatter(logging.Formatter(FORMAT))
    logging.basicConfig(level=level.upper(), handlers=[together])
