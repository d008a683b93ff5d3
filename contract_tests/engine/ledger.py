"""Which runs have written to which target, on disk before they write.

One file a run, a JSON object a line. A run that was killed leaves its file; `clean` and the
next run against the same target read it and remove what is left.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from contract_tests.engine.failures import HarnessError

if os.name == "posix":
    import fcntl

_HAS_LOCKS = os.name == "posix"
_PATIENCE = 2.0
"""Seconds to wait for a lock: whoever looks for leftovers holds it for a moment."""
_SURELY_OVER = 3600.0


class Ledger:
    """The ledger of one run, new or left by a run that was killed; no other process may use it meanwhile.

    Its first line is on disk before the run sends anything. The names of all that the run creates begin
    with the run's id, so that line is enough to find them; the ids find what was renamed since.

    Raises:
        HarnessError: the ledger cannot be written, or another process uses it.
    """

    def __init__(self, folder: Path, run: str, target: str) -> None:
        self.path = folder / f"{run}.ledger"
        self.run = run
        self.target = ""
        self.ids: set[str] = set()
        """Ids that creates were answered with, and that were not disowned."""
        self.left: set[str] = set()
        """Those of them that no DELETE has removed."""
        self.foreign: set[str] = set()
        """Ids that were there before the run, and those that turned out to be somebody's."""
        self.names: set[str] = set()
        """Digests of the names that writes have given."""
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+", encoding="utf-8")
        except OSError as error:
            raise HarnessError(
                f"the ledger cannot be written to {folder} ({error.strerror}); --state-dir names another folder"
            ) from None
        if not _locked(self._file, _PATIENCE):
            self._file.close()
            raise HarnessError(f"another process uses the ledger of the run {run}: {self.path}")
        self._read()
        self._write({"run": run, "target": target, "pid": os.getpid()})
        os.fsync(self._file.fileno())

    def existed(self, ids: Iterable[str]) -> None:
        """Write down what was there before the first create."""
        found = list(ids)
        self.foreign.update(found)
        self._write({"foreign": found})
        os.fsync(self._file.fileno())

    def naming(self, name: str) -> None:
        """Write down a name before a request gives it: its answer may be lost."""
        digest = digest_of(name)
        if digest not in self.names:
            self.names.add(digest)
            self._write({"name": digest})

    def created(self, id: str) -> None:
        """Write down the id of what was created."""
        if id not in self.left:
            self.ids.add(id)
            self.left.add(id)
            self._write({"id": id})

    def gone(self, id: str) -> None:
        """Write down that an integration was deleted."""
        self.left.discard(id)
        self._write({"gone": id})

    def disowned(self, id: str) -> None:
        """Write down that an id which a create was answered with is somebody's."""
        self.ids.discard(id)
        self.left.discard(id)
        self.existed([id])

    def close(self, *, keep: bool) -> None:
        """End the run; without `keep` nothing is left and the file goes."""
        if not keep:
            self.path.unlink(missing_ok=True)
        self._file.close()

    def _write(self, entry: dict[str, object]) -> None:
        with self._lock:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()

    def _read(self) -> None:
        self._file.seek(0)
        for line in self._file.read().splitlines():
            entry = _entry(line)
            self.target = entry.get("target", self.target)
            if "id" in entry:
                self.ids.add(entry["id"])
                self.left.add(entry["id"])
            self.left.discard(entry.get("gone", ""))
            self.foreign.update(entry.get("foreign", ()))
            if "name" in entry:
                self.names.add(entry["name"])
        self.ids -= self.foreign
        self.left -= self.foreign


def digest_of(name: str) -> str:
    """Return what stands for a name, which may be of any length."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def leftovers(folder: Path, target: str) -> Iterator[str]:
    """Return the runs against `target` that ended without cleaning up."""
    for path in sorted(folder.glob("*.ledger")):
        try:
            with path.open("r+", encoding="utf-8") as file:
                is_of_target = any(_entry(line).get("target") == target for line in file)
                is_over = _locked(file) and (_HAS_LOCKS or _is_old(path))
        except FileNotFoundError:
            continue  # its run has ended meanwhile
        if is_of_target and is_over:
            yield path.stem


def _entry(line: str) -> dict[str, Any]:
    """Return an entry, an empty one for the line that was being written when the run was killed."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _locked(file: IO[str], seconds: float = 0.0) -> bool:
    """Lock a file until it is closed or its process ends; False if somebody else holds it all the time."""
    if not _HAS_LOCKS:
        return True
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.02)
        else:
            return True


def _is_old(path: Path) -> bool:
    """Return whether a run is surely over, where no lock tells."""
    return time.time() - path.stat().st_mtime > _SURELY_OVER
