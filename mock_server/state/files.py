"""State files: written atomically; read errors give the place."""

from __future__ import annotations

import glob
import json
import logging
import math
import multiprocessing.util
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mock_server.central import protojson
from mock_server.central.errors import Refusal
from mock_server.central.integration import Integration
from mock_server.central.store import Store
from mock_server.contract.tables import Contract
from mock_server.contract.validator import Validator

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger("mock_central")

FORMAT = "mock-central state"
VERSION = 1

INTERVAL = 0.2
"""Seconds between two attempts to save in the background."""
_UNFINISHED = ".tmp"
"""Suffix of a file while it is written."""

_OPTIONAL = ("scenario", "invented")


class StateError(ValueError):
    """An invalid state; the text gives the place and the problem."""


def document(integrations: Iterable[Integration], **more: Any) -> dict[str, Any]:
    """Return the content of a file: the stored integrations, credentials in clear text."""
    return {"format": FORMAT, "version": VERSION, **more, "integrations": list(integrations)}


def read(path: Path, contract: Contract, validator: Validator) -> list[Integration]:
    """Read the integrations of a file (JSON, or YAML by its name).

    Raises:
        StateError: the file cannot be read, is not a state, or contains something that Central could not store.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise StateError(f"{path}: {error.strerror or error}") from None
    except UnicodeError:
        raise StateError(f"{path}: is not UTF-8") from None
    try:
        return checked(_parsed(path, text), contract, validator)
    except StateError as error:
        raise StateError(f"{path}: {error}") from None


def _parsed(path: Path, text: str) -> Any:
    if path.suffix not in (".yaml", ".yml"):
        return read_json(text)
    import yaml

    with _as_state_error():
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
            raise StateError(f"{place}{getattr(error, 'problem', None) or 'is not YAML'}") from None
        _check_value(value)
    return value


def read_json(text: str | bytes) -> Any:
    """Decode JSON that can be encoded again.

    Raises:
        StateError: it is not valid JSON.
    """
    with _as_state_error():
        value = json.loads(text)
        _check_value(value)
    return value


@contextmanager
def _as_state_error() -> Iterator[None]:
    """Raise the errors of decoding JSON or YAML as StateError."""
    try:
        yield
    except json.JSONDecodeError as error:
        raise StateError(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except UnicodeError:
        raise StateError("is not UTF-8") from None
    except RecursionError:
        raise StateError("is nested too deeply") from None
    except StateError:
        raise
    except ValueError as error:  # an invalid date, or a number that is too long
        raise StateError("has a number with too many digits" if "digits" in str(error) else str(error)) from None


def _check_value(value: Any, place: str = "$") -> None:
    """Raise StateError for values that JSON does not have: half a surrogate pair, NaN, or a date of YAML."""
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
            raise StateError(f"{place}: has half of a surrogate pair (\\ud800 to \\udfff)")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            _check_value(each, f"{place}[{number}]")
    elif isinstance(value, dict):
        for key, each in value.items():
            _check_value(key, f"{place}, a key")
            _check_value(each, f"{place}.{key}")
    elif isinstance(value, float) and not math.isfinite(value):
        raise StateError(f"{place}: is {value}, which JSON has no number for")
    elif value is not None and not isinstance(value, int | float):
        raise StateError(f"{place}: is a {type(value).__name__}, which JSON does not have; put it in quotes")


def checked(value: Any, contract: Contract, validator: Validator) -> list[Integration]:
    """Return the integrations of a document, gaps filled.

    Raises:
        StateError: the document is invalid; the text begins with a JSON path.
    """
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise StateError(f'$.format: is not "{FORMAT}", so this is not a state file')
    if value.get("version") != VERSION:
        raise StateError(f"$.version: is not {VERSION}, the version that this release reads")
    if unknown := sorted(value.keys() - {"format", "version", "integrations", *_OPTIONAL}):
        raise StateError(f"$.{unknown[0]}: is not a field of a state")
    entries = value.get("integrations")
    if not isinstance(entries, list):
        raise StateError("$.integrations: is not a list")
    found: list[Integration] = []
    places: dict[tuple[str, str], int] = {}
    for number, entry in enumerate(entries):
        found.append(_integration(f"$.integrations[{number}]", entry, contract, validator))
        for field in ("id", "name"):
            first = places.setdefault((field, found[-1][field]), number)
            if first != number:
                raise StateError(f"$.integrations[{number}].{field}: is also that of $.integrations[{first}]")
    return found


def _integration(place: str, entry: Any, contract: Contract, validator: Validator) -> Integration:
    entry = contract.fitting(contract.integration, entry)  # a state may come from another release
    if not validator.accepts(contract.integration.name, entry, answer=True):
        operation = contract.operations["PostImageIntegration"]
        found = validator.request_violations(operation, protojson.render(entry))
        raise StateError(f"{place}{str(found[0])[1:] if found else ': is not an integration'}")
    if not entry.get("id"):
        raise StateError(f"{place}.id: is required")
    return protojson.complete(contract.integration, entry)


def write(path: Path, value: Mapping[str, Any]) -> None:
    """Write a state atomically, readable only by its owner.

    Raises:
        StateError: the file cannot be written.
    """
    _write(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    path = path.resolve()  # the target of a link is written, the link stays
    try:
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_UNFINISHED, dir=path.parent)  # mode 0600
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise StateError(f"{path}: cannot be written: {error.strerror or error}") from None


def _sync_folder(folder: Path) -> None:
    # The new name must be on the disk, too. Not every system can open a folder.
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other servers from saving to the same file, and remove an unfinished file of a killed one.

    The lock ends with the process. The lock file stays: if it were removed, two servers could lock two different files.

    Raises:
        StateError: another server saves to the file, or the folder is not writable.
    """
    path = path.resolve()
    try:
        file = path.with_name(f".{path.name}.lock").open("a+", encoding="ascii")
    except OSError as error:
        raise StateError(f"{path}: cannot be written: {error.strerror or error}") from None
    with file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read(20).strip()
                by = f" (process {holder})" if holder.isdecimal() else ""
                raise StateError(
                    f"{path}: another mock-central{by} already saves to this file; choose another file"
                ) from None
            except OSError as error:  # some network file systems have no locks
                log.warning("%s: cannot be locked, so another server could overwrite it: %s", path, error.strerror)
        with suppress(OSError):  # on a full disk
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        for leftover in path.parent.glob(f".{glob.escape(path.name)}.*{_UNFINISHED}"):
            with suppress(OSError):
                leftover.unlink()
        yield


class Saver:
    """Keeps a file up to date with a store.

    The server calls `save` before it acknowledges a change. A background thread does so five times a second: it retries
    failed attempts, and saves changes that come without a request.
    """

    def __init__(self, path: Path, store: Callable[[], Store]) -> None:
        """Write the initial state; `store` returns the current store."""
        self.path = path
        self._store = store
        self._problem = ""
        self._lock = threading.Lock()
        self._saved: tuple[Store, int] | None = None
        self._texts: dict[str, tuple[Integration, str]] = {}
        self._save_or_log()
        threading.Thread(target=self._save_at_times, daemon=True).start()
        # A worker process ends without the hooks of `atexit`.
        multiprocessing.util.Finalize(self, self._save_or_log, exitpriority=1)

    def save(self) -> None:
        """Save the changes, unless the last attempt failed a moment ago."""
        store = self._store()
        if not self._problem and (store, store.changes) != self._saved:
            self._save_or_log()

    def _save_or_log(self) -> None:
        with self._lock:
            try:
                self._save()
            except Refusal as refusal:
                log.debug("the state is not saved yet: %s", refusal.message)  # the store has logged why
                return
            except StateError as error:
                if str(error) != self._problem:
                    log.error("the state is not saved: %s", error)  # noqa: TRY400 (the text says it all)
                self._problem = str(error)
            else:
                if self._problem:
                    log.warning("the state is saved again: %s", self.path)
                self._problem = ""
            self._store().problem = self._problem

    def _save(self) -> None:
        store = self._store()
        now = (store, store.changes)
        if now == self._saved:
            return
        self._texts = {each["id"]: self._text(each) for each in store.integrations()}
        entries = ",\n".join(text for _, text in self._texts.values())
        head = json.dumps({"format": FORMAT, "version": VERSION}, indent=2).removesuffix("\n}")
        _write(self.path, f'{head},\n  "integrations": [\n{entries}\n  ]\n}}\n')
        self._saved = now

    def _text(self, integration: Integration) -> tuple[Integration, str]:
        """Return an integration as text; cached, because stored integrations never change."""
        known = self._texts.get(integration["id"])
        if known is not None and known[0] is integration:
            return known
        text = json.dumps(integration, ensure_ascii=False, indent=2).replace("\n", "\n    ")
        return integration, f"    {text}"

    def _save_at_times(self) -> None:
        while True:
            time.sleep(INTERVAL)
            self._save_or_log()
