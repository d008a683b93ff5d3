"""The report as Markdown, for the summary of a CI job."""

from __future__ import annotations

from collections.abc import Mapping

from contract_tests.engine.options import Options
from contract_tests.engine.text import diff, markdown, printable
from contract_tests.reports.curl import access, sequence
from contract_tests.reports.hints import hints
from contract_tests.runner.run import FAILED, KNOWN, OUTCOMES, Report


def render(report: Report, options: Options) -> str:
    """Write the report as Markdown text."""
    way = access(options)
    verdict = {0: "keeps the contract", 1: "does not keep the contract", 2: "could not be checked"}[report.exit_code]
    lines = [
        f"## {report.target} {verdict}",
        "",
        f"Central {report.version}, profile {report.profile}, seed {report.seed}.",
        "",
        f"{report.requests} requests in {report.seconds:.1f} s.",
        "",
        "| " + " | ".join(OUTCOMES) + " |",
        "|" + " ---: |" * len(OUTCOMES),
        "| " + " | ".join(str(report.count(outcome)) for outcome in OUTCOMES) + " |",
    ]
    if told := [printable(hint) for hint in hints(report)]:
        lines += ["", *_fenced("text", told)]
    lines += ["", *_coverage("operation", report.answers_by(0)), "", *_coverage("type", report.answers_by(1))]
    for result in report.results:
        if result.outcome != FAILED:
            continue
        if result.like:
            like = f"Its answers show the same as that of {result.like}."
            lines += ["", f"### {result.check}", "", f"{result.title}. {like}"]
            continue
        lines += ["", f"### {result.check}", "", f"{result.title}. Source: {result.source or 'the contract'}"]
        for failure in result.failures:
            lines += ["", markdown(failure.what) + (" (now and then)" if failure.intermittent else "")]
            lines += ["", *_fenced("diff", diff(failure.expected, failure.got))]
            lines += ["", *_fenced("sh", sequence(failure.exchanges, way))]
    known = [result for result in report.results if result.outcome == KNOWN]
    if known:
        lines += ["", "### Known differences", "", *(f"- {result.check}: {result.reason}" for result in known)]
    if report.gone:
        lines += ["", "### Known differences that no longer occur", "", *(f"- {each.check}" for each in report.gone)]
    if report.left_behind:
        lines += ["", "### Left behind", "", *(f"- {markdown(each)}" for each in report.left_behind)]
    return "\n".join(lines) + "\n"


def _coverage(what: str, counts: Mapping[str, Mapping[int, int]]) -> list[str]:
    """Return a table of how often each status was answered."""
    statuses = sorted({status for by_status in counts.values() for status in by_status})
    rows = [
        [name or "none", *(str(by_status.get(status, "")) for status in statuses)] for name, by_status in counts.items()
    ]
    head = [[what, *map(str, statuses)], ["---", *["---:"] * len(statuses)]]
    return [f"| {' | '.join(row)} |" for row in (*head, *rows)]


def _fenced(language: str, text: list[str]) -> list[str]:
    if not text:
        return []
    fence = "```"
    while any(fence in line for line in text):
        fence += "`"
    return [fence + language, *text, fence]
