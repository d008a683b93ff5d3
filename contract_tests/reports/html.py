"""The report as one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from contract_tests.engine.text import clean, printable
from contract_tests.reports.failures import detailed
from contract_tests.reports.hints import hints
from contract_tests.reports.json_report import document
from contract_tests.runner.report import OUTCOMES, Report


def render(report: Report) -> str:
    """Return the report as HTML text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    value = clean(document(report))
    groups = list(dict.fromkeys(result["group"] for result in value["results"]))
    return environment.get_template("report.html.jinja").render(
        report=value,
        verdict=[printable(line) for line in report.verdict_lines],
        detailed=[result.check for result in detailed(report)],
        outcomes=OUTCOMES,
        groups=groups,
        hints=[printable(hint) for hint in hints(report)],
        coverage={"Operation": report.answers_by(0), "Type": report.answers_by(1)},
    )
