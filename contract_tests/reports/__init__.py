"""Reports of a run: terminal, JSON, JUnit XML, Markdown and one HTML page."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contract_tests.engine.failures import HarnessError
from contract_tests.engine.options import Options
from contract_tests.runner.report import Report

KINDS = ("json", "junit", "markdown", "html")


def requested(chosen: dict[str, Any]) -> dict[str, Path]:
    """Remove the report options from `chosen`, and return the file of each requested report.

    Their folders are created now, so that a run cannot lose its report.

    Raises:
        HarnessError: a folder cannot be created, or a report not be written.
    """
    files = {kind: path for kind in KINDS if (path := chosen.pop(f"report_{kind}", None)) is not None}
    for path in files.values():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(path, error.strerror) from None
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise _unwritable(path, "Permission denied")
    return files


def write(report: Report, options: Options, files: Mapping[str, Path]) -> None:
    """Write the report on a run to the file of each kind.

    Raises:
        HarnessError: a file cannot be written.
    """
    from contract_tests.reports import html, json_report, junit, markdown

    render = {"json": json_report.render, "junit": junit.render, "markdown": markdown.render, "html": html.render}
    for kind, path in files.items():
        write_text(path, render[kind](report, options))


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
