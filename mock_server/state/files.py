"""The state of a Central in a file: written whole or not at all, read with every error named by its place."""

from __future__ import annotations

import json
import logging
import multiprocessing.util
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mock_server.central import protojson
from mock_server.central.errors import Refusal
from mock_server.central.integration import Integration
from mock_server.central.store import Store
from mock_server.contract.tables import Contract
from mock_server.contract.validator import Validator

log = logging.getLogger("mock_central")

FORMAT = "mock-central state"
VERSION = 1

INTERVAL = 0.2
"""Seconds that a change may wait until it is in the file."""

_OPTIONAL = ("scenario", "invented")


class StateError(ValueError):
    """A state that cannot be used; the text names the place and what is wrong there."""


def document(integrations: Iterable[Integration], **more: Any) -> dict[str, Any]:
    """Return what stands in a file: integrations as they are stored, credentials in clear."""
    return {"format": FORMAT, "version": VERSION, **more, "integrations": list(integrations)}


def read(path: Path, contract: Contract, validator: Validator) -> list[Integration]:
    """Read the integrations of a file (JSON, or YAML by its name).

    Raises:
        StateError: the file cannot be read, is none of ours, or holds what no Central could.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeError) as error:
        raise StateError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    try:
        return checked(_parsed(path, text), contract, validator)
    except StateError as error:
        raise StateError(f"{path}: {error}") from None


def _parsed(path: Path, text: str) -> Any:
    if path.suffix in (".yaml", ".yml"):
        import yaml

        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
            raise StateError(f"{place}{getattr(error, 'problem', None) or 'is not YAML'}") from None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise StateError(f"line {error.lineno}, column {error.colno}: {error.msg}") from None


def checked(value: Any, contract: Contract, validator: Validator) -> list[Integration]:
    """Return the integrations of a document, gaps filled.

    Raises:
        StateError: with the JSON path of what is wrong.
    """
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise StateError(f'$.format: is not "{FORMAT}", so this is no state of a mock')
    if value.get("version") != VERSION:
        raise StateError(f"$.version: is not {VERSION}, the one that this release reads")
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
                raise StateError(f"$.integrations[{number}].{field}: is that of $.integrations[{first}] too")
    return found


def _integration(place: str, entry: Any, contract: Contract, validator: Validator) -> Integration:
    if not validator.accepts(contract.integration.name, entry, answer=True):
        operation = contract.operations["PostImageIntegration"]
        found = validator.request_violations(operation, operation.path, {}, protojson.render(entry), "application/json")
        raise StateError(f"{place}{str(found[0])[1:] if found else ': is no integration'}")
    if not entry.get("id"):
        raise StateError(f"{place}.id: is required")
    try:
        return protojson.complete(contract.integration, entry)
    except ValueError as error:
        raise StateError(f"{place}: {error}") from None


def write(path: Path, value: Mapping[str, Any]) -> None:
    """Write a state for its owner alone; whoever reads finds the old one or the new one, never half.

    Raises:
        StateError: the file cannot be written.
    """
    try:
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                json.dump(value, file, ensure_ascii=False, indent=2)
                file.write("\n")
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
    # The new name has to be on the disk too. Not every system can open a folder.
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


class Saver:
    """Keeps a file up to date with a store, beside the requests."""

    def __init__(self, path: Path, store: Callable[[], Store]) -> None:
        """`store` gives the store of the moment; the first state is written at once.

        Raises:
            StateError: the file cannot be written.
        """
        self.path = path
        self._store = store
        self._lock = threading.Lock()
        self._saved: tuple[Store, int] | None = None
        self.save()
        threading.Thread(target=self._save_at_times, daemon=True).start()
        # A worker process ends without running what `atexit` knows.
        multiprocessing.util.Finalize(self, self._save_or_log, exitpriority=1)

    def save(self) -> None:
        """Write the state if it changed since it was written."""
        with self._lock:
            store = self._store()
            now = (store, store.changes)
            if now == self._saved:
                return
            write(self.path, document(store.integrations()))
            self._saved = now

    def _save_or_log(self) -> None:
        try:
            self.save()
        except Refusal as refusal:
            log.debug("the state is not saved yet: %s", refusal.message)  # the store has told of it
        except StateError as error:
            log.error("the state is not saved: %s", error)  # noqa: TRY400 (the text says it all)

    def _save_at_times(self) -> None:
        while True:
            time.sleep(INTERVAL)
            self._save_or_log()
