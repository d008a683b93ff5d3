"""The report as Markdown, for the summary of a CI job."""

from __future__ import annotations

from collections.abc import Mapping

from contract_tests.engine.text import markdown, printable
from contract_tests.reports.curl import sequence
from contract_tests.reports.failures import detailed, differences, groups, replays, what
from contract_tests.reports.hints import hints
from contract_tests.reports.sources import links
from contract_tests.runner.report import KNOWN, OUTCOMES, Report


def render(report: Report) -> str:
    """Return the report as Markdown text."""
    headline, *more = report.verdict_lines
    head = markdown(headline) if report.error else printable(headline)  # an error may quote the target
    lines = [f"## {head}", *(part for line in more for part in ("", markdown(line)))]
    if hint_lines := [printable(hint) for hint in hints(report)]:
        lines += ["", *_fenced("text", hint_lines)]
    if report.error:
        return "\n".join(lines) + "\n"
    lines += _failures(report)
    known = [result for result in report.results if result.outcome == KNOWN]
    if known:
        lines += ["", "### Known differences", "", *(f"- {result.check}: {result.reason}" for result in known)]
    if report.gone:
        lines += ["", "### Known differences not found", "", *(f"- {each.check}" for each in report.gone)]
    if report.left_behind:
        lines += ["", "### Left behind", "", *(f"- {markdown(each)}" for each in report.left_behind)]
    lines += ["", "### Results by kind", "", *_by_group(report)]
    lines += ["", *_coverage("operation", report.answers_by(0)), "", *_coverage("type", report.answers_by(1))]
    return "\n".join(lines) + "\n"


def _failures(report: Report) -> list[str]:
    lines: list[str] = []
    for result in detailed(report):
        urls = [f"<{url}>" for url in links(result.source, report.version)]
        source = ", ".join([result.source or "the contract", *urls])
        lines += ["", f"### {result.check}", "", f"{result.title}. Rule in {source}."]
        for failure in result.failures:
            lines += ["", markdown(what(failure))]
            lines += ["", *_fenced("diff", differences(failure))]
            lines += ["", *_fenced("sh", sequence(failure.exchanges, report.options))]
        if commands := list(replays(report, result)):
            lines += ["", "Replay it:", "", *_fenced("sh", commands)]
    others = groups(report)
    if others:
        lines += [
            "",
            "### More failures",
            "",
            *(f"- {markdown(group.symptom)}: {', '.join(group.checks)}" for group in others),
        ]
    return lines


def _by_group(report: Report) -> list[str]:
    rows = [[group, *(str(count or "") for count in counts.values())] for group, counts in report.by_group().items()]
    totals = ["all", *(str(report.count(outcome) or "") for outcome in OUTCOMES)]
    return _table(["kind", *OUTCOMES], [*rows, totals])


def _coverage(what: str, counts: Mapping[str, Mapping[int, int]]) -> list[str]:
    """Return a table of the number of answers with each status."""
    statuses = sorted({status for by_status in counts.values() for status in by_status})
    rows = [
        [name or "none", *(str(by_status.get(status, "")) for status in statuses)] for name, by_status in counts.items()
    ]
    return _table([what, *map(str, statuses)], rows)


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _fenced(language: str, text: list[str]) -> list[str]:
    if not text:
        return []
    fence = "```"
    while any(fence in line for line in text):
        fence += "`"
    return [fence + language, *text, fence]
