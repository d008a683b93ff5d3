"""Reports of a run: terminal, JSON, JUnit XML, Markdown and one HTML page."""

from __future__ import annotations

from pathlib import Path

from contract_tests.options import Options
from contract_tests.run import Report


def write(kind: str, report: Report, options: Options, path: Path) -> None:
    """Write a report of a kind ("json", "junit", "markdown" or "html") to a file."""
    from contract_tests.reports import html, json_report, junit, markdown

    render = {"json": json_report.render, "junit": junit.render, "markdown": markdown.render, "html": html.render}[kind]
    path.write_text(render(report, options), "utf-8")
