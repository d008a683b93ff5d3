"""Reports of a run: terminal, JSON, JUnit XML, Markdown and one HTML page."""

from __future__ import annotations

import os
from pathlib import Path

from contract_tests.engine.failures import HarnessError
from contract_tests.engine.options import Options
from contract_tests.runner.report import Report


def prepare(path: Path) -> None:
    """Create the folder of a report before the run, so that no run ends without its report.

    Raises:
        HarnessError: the folder cannot be created, or the report not be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(f"the report {path} cannot be written: {error.strerror}") from None
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise HarnessError(f"the report {path} cannot be written: Permission denied")


def write(kind: str, report: Report, options: Options, path: Path) -> None:
    """Write a report to a file; `kind` is "json", "junit", "markdown" or "html".

    Raises:
        HarnessError: the file cannot be written.
    """
    from contract_tests.reports import html, json_report, junit, markdown

    render = {"json": json_report.render, "junit": junit.render, "markdown": markdown.render, "html": html.render}[kind]
    write_text(path, render(report, options))


def write_text(path: Path, text: str) -> None:
    """Write the text of a report to a file.

    Raises:
        HarnessError: the file cannot be written.
    """
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise HarnessError(f"the report {path} cannot be written: {error.strerror}") from None
