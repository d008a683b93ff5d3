"""Which runs have written to which target, on disk before they write.

One file a run, a JSON object a line. A run that was killed leaves its file; `clean` and the
next run against the same target read it and remove what is left.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from contract_tests.engine.failures import HarnessError


class Ledger:
    """The ledger of one run.

    Its first line is on disk before the run sends anything. The names of all that the run creates begin
    with the run's id, so that line is enough to find them; the ids find what was renamed since.

    Raises:
        HarnessError: the ledger cannot be written.
    """

    def __init__(self, folder: Path, run: str, target: str) -> None:
        self.path = folder / f"{run}.ledger"
        self.run = run
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise HarnessError(
                f"the ledger cannot be written to {folder} ({error.strerror}); --state-dir names another folder"
            ) from None
        self.ids: set[str] = set()
        self._write({"run": run, "target": target, "pid": os.getpid()})
        os.fsync(self._file.fileno())

    def created(self, id: str) -> None:
        """Write down the id of what was created."""
        if id not in self.ids:
            self.ids.add(id)
            self._write({"id": id})

    def close(self, *, keep: bool) -> None:
        """End the run; without `keep` nothing is left and the file goes."""
        self._file.close()
        if not keep:
            self.path.unlink(missing_ok=True)

    def _write(self, entry: dict[str, object]) -> None:
        with self._lock:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()


class Leftover:
    """The ledger of a run that is over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = path.stem
        self.target = ""
        self.pid = 0
        self.ids: set[str] = set()
        for line in path.read_text("utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the line that was being written when the run was killed
            self.target = entry.get("target", self.target)
            self.pid = entry.get("pid", self.pid)
            if "id" in entry:
                self.ids.add(entry["id"])

    @property
    def alive(self) -> bool:
        """Return whether the run is still going on."""
        if self.pid == os.getpid():
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return self.pid > 0


def leftovers(folder: Path, target: str) -> Iterator[Leftover]:
    """Return the ledgers of runs against `target` that ended without cleaning up."""
    for path in sorted(folder.glob("*.ledger")):
        found = Leftover(path)
        if found.target == target and not found.alive:
            yield found
