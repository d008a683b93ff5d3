"""Reloading changed files; an invalid file is logged, and the last valid state stays."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mock_server.contract import tables as contracts
from mock_server.contract import yaml_files
from mock_server.contract.tables import Contract
from mock_server.state import scenarios

if TYPE_CHECKING:
    from mock_server.settings import Settings
    from mock_server.web.app import MockCentral

log = logging.getLogger("mock_central")

INTERVAL = 0.5
"""Seconds between two checks of the files."""


class Watcher:
    """Watches the files of one server."""

    def __init__(self, app: MockCentral, files: Mapping[str, Path], settings: Callable[[], Settings]) -> None:
        """`files` are the watched files by purpose; `settings` reads the options again."""
        self._app = app
        self._settings = settings
        shipped = {"document": contracts.find(), "scenarios": scenarios.PATH}
        self._files = {**shipped, **files}
        self._seen = {what: _mark(path) for what, path in self._files.items()}

    def start(self) -> None:
        """Start watching."""
        threading.Thread(target=self._look_at_times, daemon=True).start()

    def _look_at_times(self) -> None:
        while True:
            time.sleep(INTERVAL)
            self.look()

    def look(self) -> None:
        """Apply the changes, if there are any."""
        marks = {what: _mark(path) for what, path in self._files.items()}
        changed = [what for what, mark in marks.items() if mark != self._seen[what]]
        if not changed:
            return
        self._seen = marks
        names = ", ".join(str(self._files[what]) for what in changed)
        try:
            self._take_up(changed)
        except (ValueError, OSError, click.ClickException) as error:
            text = error.format_message() if isinstance(error, click.ClickException) else str(error)
            log.error("not applied, the last valid state stays: %s", text)  # noqa: TRY400 (the text says it all)
        except Exception:
            log.exception("not applied, the last valid state stays: %s", names)
        else:
            log.info("applied: %s", names)

    def _take_up(self, changed: list[str]) -> None:
        from mock_server.web.app import create_app

        contract = self._app.gateway.home.central.contract
        if "document" in changed:
            contract = read_document(self._files["document"])
        if "scenarios" in changed:
            scenarios.read_again()
        app = create_app(self._settings(), contract)
        self._app.gateway.renew(app.gateway, keep_state=not {"state", "scenarios"} & set(changed))


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def read_document(path: Path) -> Contract:
    """Return the contract from an OpenAPI document.

    Raises:
        ValueError: the document is invalid; the text gives the file, the place and the problem.
    """
    document = yaml_files.read(path)
    if not isinstance(document, dict):
        raise ValueError(f"{path}: is not an OpenAPI document")  # noqa: TRY004 (all errors of documents are ValueError)
    from openapi_spec_validator import OpenAPIV31SpecValidator

    broken: Any = next(iter(OpenAPIV31SpecValidator(document).iter_errors()), None)
    if broken is not None:
        raise ValueError(f"{path}: at {'/'.join(map(str, broken.absolute_path)) or 'the top'}: {broken.message}")
    try:
        contract = Contract(document)
        # Read each table now, so that none fails during a request.
        for each in contract.every_release:
            _ = each.operations, each.rules, each.types, each.differences, each.defaults
            _ = each.integration, each.categories, each.credential_names
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: lacks a part that the mock needs: {error}") from None
    return contract
