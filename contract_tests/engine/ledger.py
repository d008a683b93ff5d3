"""Ledgers: files that record the integrations of each run before they are created.

One file per run, one JSON object per line. A killed run leaves its ledger; `clean` and the next
run against the same target read it and delete the leftovers.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from contract_tests.engine.failures import HarnessError

if os.name == "posix":
    import fcntl

_HAS_LOCKS = os.name == "posix"
_PATIENCE = 2.0
"""Seconds to wait for a lock: a search for leftovers holds it briefly."""
_SURELY_OVER = 3600.0
"""Seconds without a write after which a run counts as over, on systems without file locks."""


class Ledger:
    """The ledger of one run: a new one, or that of a killed run. It is locked against other processes.

    The first line is on disk before the run sends anything. It is enough to find the run's integrations,
    as their names begin with the run's id; the recorded ids find those that were renamed.
    With `exact`, names do not contain the run's id: only those that were sent are the run's.

    Raises:
        HarnessError: the ledger cannot be written, or another process uses it.
    """

    def __init__(self, folder: Path, run: str, target: str, *, exact: bool = False) -> None:
        self.path = folder / f"{run}.ledger"
        self.run = run
        self.target = ""
        self.exact = exact
        self.ids: set[str] = set()
        """Ids from the answers to creates, without those that turned out to be foreign."""
        self.left: set[str] = set()
        """Ids of `ids` that are not deleted yet."""
        self.foreign: set[str] = set()
        """Ids that existed before the run, or that turned out to belong to somebody else."""
        self.names: set[str] = set()
        """Digests of the names that the run has sent."""
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+", encoding="utf-8", errors="replace")
        except OSError as error:
            raise _unusable(folder, error) from None
        if not _locked(self._file, _PATIENCE):
            self._file.close()
            raise HarnessError(f"another process uses the ledger of the run {run}: {self.path}")
        self._read()
        try:
            self._write({"run": run, "target": target, "pid": os.getpid(), "exact": self.exact}, sync=True)
        except HarnessError:
            self.close(keep=True)
            raise

    def record_foreign(self, ids: Iterable[str]) -> None:
        """Record ids of integrations that are not the run's."""
        foreign = list(ids)
        self.foreign.update(foreign)
        self._write({"foreign": foreign}, sync=True)

    def record_name(self, name: str) -> None:
        """Record a name before a request sends it, because the answer may be lost."""
        digest = digest_of(name)
        if digest not in self.names:
            self.names.add(digest)
            self._write({"name": digest})

    def record_created(self, id: str) -> None:
        """Record the id of an integration that the run has created."""
        if id not in self.left:
            self.ids.add(id)
            self.left.add(id)
            self._write({"id": id})

    def record_deleted(self, id: str) -> None:
        """Record that an integration was deleted."""
        self.left.discard(id)
        self._write({"gone": id})

    def disown(self, id: str) -> None:
        """Record that an id from the answer to a create belongs to somebody else."""
        self.ids.discard(id)
        self.left.discard(id)
        self.record_foreign([id])

    def close(self, *, keep: bool) -> None:
        """Release the ledger; without `keep`, also delete its file."""
        if not keep:
            self.path.unlink(missing_ok=True)
        with suppress(OSError):  # reported by the write that failed first
            self._file.close()

    def _write(self, entry: dict[str, object], *, sync: bool = False) -> None:
        """Append a line; with `sync`, wait until it is on disk.

        Raises:
            HarnessError: the disk is full, for example.
        """
        try:
            with self._lock:
                self._file.write(json.dumps(entry) + "\n")
                self._file.flush()
                if sync:
                    os.fsync(self._file.fileno())
        except OSError as error:
            raise _unusable(self.path, error) from None

    def _read(self) -> None:
        self._file.seek(0)
        for line in self._file.read().splitlines():
            entry = _entry(line)
            self.target = entry.get("target", self.target)
            self.exact = entry.get("exact", self.exact)
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
    """Return a short digest of a name, as names can have any length."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def leftovers(folder: Path, target: str) -> Iterator[str]:
    """Return the ids of the runs against `target` that ended without cleaning up.

    Raises:
        HarnessError: a ledger cannot be read, so its target is unknown.
    """
    for path in sorted(folder.glob("*.ledger")):
        try:
            with path.open("r+", encoding="utf-8", errors="replace") as file:
                is_of_target = any(_entry(line).get("target") == target for line in file)
                is_over = _locked(file) and (_HAS_LOCKS or _is_old(path))
        except FileNotFoundError:
            continue  # its run has ended meanwhile
        except OSError as error:
            raise _unusable(path, error) from None
        if is_of_target and is_over:
            yield path.stem


def runs_at(folder: Path, target: str) -> set[str]:
    """Return the ids of the runs that have a ledger for `target`."""
    return {run for run, entry in _entries(folder) if entry.get("target") == target}


def is_left_by_this_process(folder: Path) -> bool:
    """Return whether a run of this process left its ledger, because its clean-up did not end."""
    return any(entry.get("pid") == os.getpid() for _, entry in _entries(folder))


def _entries(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the id of a run with each entry of its ledger, for the ledgers that can be read."""
    for path in folder.glob("*.ledger"):
        lines: list[str] = []
        if path.is_file():
            with suppress(OSError):
                lines = path.read_text("utf-8", "replace").splitlines()
        yield from ((path.stem, _entry(line)) for line in lines)


def _unusable(path: Path, error: OSError) -> HarnessError:
    return HarnessError(f"the ledger {path} cannot be used ({error.strerror}); --state-dir names another folder")


def _entry(line: str) -> dict[str, Any]:
    """Decode one line; return {} for a line that is damaged, or was cut off when the run was killed."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _locked(file: IO[str], seconds: float = 0.0) -> bool:
    """Lock a file until it is closed; return False if another process still holds it after `seconds`."""
    if not _HAS_LOCKS:
        return True
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def _is_old(path: Path) -> bool:
    """Return whether a ledger is so old that its run is over, on systems without file locks."""
    return time.time() - path.stat().st_mtime > _SURELY_OVER
