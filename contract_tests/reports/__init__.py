"""Reports of a run: terminal, JSON, JUnit XML, Markdown and one HTML page."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from contract_tests.engine.failures import HarnessError
from contract_tests.runner.report import Report

KINDS = ("json", "junit", "markdown", "html")
_ALSO_WRITTEN = ("redact", "archive")
"""Parameters of commands that name a file to write, besides reports."""


def requested(chosen: dict[str, Any]) -> dict[str, Path]:
    """Remove the report options from `chosen`, and return the file of each requested report.

    Their folders are created now, so that a run cannot lose its report.

    Raises:
        HarnessError: a folder cannot be created, or a report not be written, or it would replace another file
            of the command.
    """
    files = {kind: path for kind in KINDS if (path := chosen.pop(f"report_{kind}", None)) is not None}
    _refuse_overwriting(files.values())
    for path in files.values():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(path, error.strerror) from None
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise _unwritable(path, "Permission denied")
    return files


def _refuse_overwriting(reports: Iterable[Path]) -> None:
    """Raise HarnessError if a file is given twice to the command, and would be written."""
    context = click.get_current_context(silent=True)
    values = context.params.values() if context else reports
    given = [each for value in values for each in (value if isinstance(value, tuple) else (value,))]
    times = Counter(each.resolve() for each in given if isinstance(each, Path))
    written = [*reports, *(context.params.get(name) for name in _ALSO_WRITTEN if context)]
    for path in filter(None, written):
        if times[path.resolve()] > 1 and (path.is_file() or not path.exists()):  # /dev/null may be given twice
            raise _unwritable(path, "the command line names this file twice")


def write(report: Report, files: Mapping[str, Path]) -> None:
    """Write the report on a run to the file of each kind.

    Raises:
        HarnessError: a file cannot be written; the others are.
    """
    from contract_tests.reports import html, json_report, junit, markdown

    render = {"json": json_report.render, "junit": junit.render, "markdown": markdown.render, "html": html.render}
    problem: HarnessError | None = None
    for kind, path in files.items():
        try:
            write_text(path, render[kind](report))
        except HarnessError as error:
            problem = problem or error
    if problem is not None:
        raise problem


def write_text(path: Path, text: str) -> None:
    """Write the text of a report to a file.

    Raises:
        HarnessError: the file cannot be written.
    """
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise _unwritable(path, error.strerror) from None


def _unwritable(path: Path, why: str | None) -> HarnessError:
    return HarnessError(f"the report {path} cannot be written: {why}")
