"""Failures as annotations of a GitHub job, in escaped workflow commands."""

from __future__ import annotations

from collections.abc import Iterator

from contract_tests.engine.text import middle_out, printable
from contract_tests.reports.failures import detailed, groups, title
from contract_tests.runner.report import FAILED, INCOMPLETE, UNABLE, Report


def commands(report: Report) -> Iterator[str]:
    """Yield a command for each detailed failure, each group of other failures, and an incomplete verdict."""
    for result in detailed(report):
        yield _command("error", f"central-contract: {result.check}", title(result))
    for group in groups(report):
        yield _command("error", "central-contract", group.text)
    if report.verdict in (INCOMPLETE, UNABLE):
        yield _command("error", "central-contract", " ".join((report.headline, *report.incomplete)))
    elif report.verdict == FAILED and report.interrupted:
        yield _command("warning", "central-contract", report.headline)


def _command(level: str, title: str, message: str) -> str:
    return f"::{level} title={_property(title)}::{_data(middle_out(printable(message), 1000))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
