"""The report on a terminal: progress while the checks run, then failures, notes and the verdict."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO

from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from contract_tests.engine.options import Options
from contract_tests.engine.text import middle_out, printable
from contract_tests.reports.annotations import commands
from contract_tests.reports.curl import sequence
from contract_tests.reports.failures import detailed, differences, groups, replays, what
from contract_tests.reports.hints import hints
from contract_tests.reports.sources import links
from contract_tests.runner.compare import Comparison
from contract_tests.runner.replay import Outcome, Recorded
from contract_tests.runner.report import ERROR, FAILED, KNOWN, OUTCOMES, PASSED, SKIPPED, Report, Result
from contract_tests.runner.run import Progress as Watcher
from mock_server.contract import tables as contracts

_STYLES = {"passed": "green", FAILED: "bold red", KNOWN: "yellow", SKIPPED: "dim", ERROR: "bold magenta"}
_MOST_LINES = 40
_MOST_NAMES = 12
_MOST_REQUESTS = 40
"""Maximum number of lines of a script on the terminal; a longer one is omitted, as part of a script cannot run."""
_SILENCE = 10.0
"""Seconds between progress lines if standard error is not a terminal."""


@contextmanager
def progress(options: Options) -> Iterator[Watcher]:
    """Show the progress of a run on standard error."""
    console = Console(stderr=True)
    console.print(f"Checking {options.url}, profile {options.profile}, seed {options.seed}.", highlight=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]} failed"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("checks", total=None, failed=0)
        failed, last_line = 0, time.monotonic()

        def watch(result: Result, number: int, total: int) -> None:
            nonlocal failed, last_line
            failed += result.is_news
            if bar.disable and time.monotonic() - last_line > _SILENCE:
                last_line = time.monotonic()
                console.print(f"{number} of {total} checks, {failed} failed.", highlight=False)
            bar.update(task, completed=number, total=total, description=result.check[:30].ljust(30), failed=failed)

        yield watch


def text_of(result: Result, report: Report) -> str:
    """Return the report on a failed check as plain text."""
    console = Console(file=StringIO(), highlight=False, soft_wrap=True)
    with console.capture() as captured:
        console.print(_failed(result, report))
    return captured.get().rstrip()


def summary(report: Report, console: Console | None = None) -> None:
    """Print failures, notes and coverage, and the verdict at the end."""
    console = console or Console(highlight=False, soft_wrap=True)
    for result in detailed(report):
        console.print(_failed(result, report))
    for result in report.results:
        if result.outcome == ERROR:
            console.print(Text(f"ERROR  {result.check}: the harness failed", _STYLES[ERROR]))
            console.print(_indented(f"{printable(result.reason)}\n", 7))
    for group in groups(report):
        console.print(Text(f"FAILED {group.text}\n", _STYLES[FAILED]))
    for result in report.results:
        if result.outcome == KNOWN:
            console.print(Text(f"KNOWN  {result.check}: {result.reason}", _STYLES[KNOWN]))
    if report.gone:
        gone = ", ".join(dict.fromkeys(each.check for each in report.gone))
        console.print(Text(f"FIXED  known differences not found on this target: {gone}", "dim"))
    notes = [f"{each.check}: {each.reason}" for each in report.results if each.outcome == PASSED and each.reason]
    for note in notes:
        console.print(Text(f"NOTE   {printable(note)}", "dim"))
    for reason, checks in _skipped(report).items():
        console.print(Text(printable(f"SKIP   {reason}: {_some(checks)}"), _STYLES[SKIPPED]))
    console.print(Text(coverage(report), "dim"))
    if report.not_covered:
        console.print(Text(f"NOT COVERED  rules {_some(report.not_covered)}", "yellow"))
    if report.left_behind:
        console.print(Text(printable(f"LEFT BEHIND  {', '.join(report.left_behind)}"), "bold red"))
        console.print(Text(f"             delete them with `central-contract clean {report.target}`", "bold red"))
    for hint in hints(report):
        console.print(Text(printable(f"HINT   {hint}"), "bold yellow"))
    console.print(_by_group(report))
    _verdict(report, console)


def traffic(report: Report) -> None:
    """Print the report on traffic: failures, counts by rule, and the verdict."""
    console = Console(highlight=False, soft_wrap=True)
    for result in report.results:
        if result.outcome == FAILED:
            console.print(_failed(result, report))
        elif result.outcome == KNOWN:
            console.print(Text(f"KNOWN  {result.check}: {result.reason}", _STYLES[KNOWN]))
    for note in report.notes:
        console.print(Text(printable(f"NOTE   {note}"), "dim"))
    console.print(_by_rule(report))
    _verdict(report, console)


def _by_rule(report: Report) -> Table:
    """Return the counts of outcomes by operation and rule."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("OPERATION", "RULE"):
        table.add_column(title, no_wrap=True)
    for title in ("seen", "held", "broken", "undecidable"):
        table.add_column(title, justify="right")
    for each in report.traffic:
        counts = (each.seen, each.held, each.broken, each.undecidable)
        style = _STYLES[FAILED] if each.broken else ""
        table.add_row(each.operation, each.rule, *(str(number or "") for number in counts), style=style)
    return table


def _verdict(report: Report, console: Console) -> None:
    """Print the verdict, after annotations in a GitHub job."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in commands(report):
            console.out(line, highlight=False)
    style = {PASSED: "bold green", FAILED: "bold red"}.get(report.verdict, "bold yellow")
    headline, *more = (printable(line) for line in report.verdict_lines)
    console.print(Text(f"\n{headline}", style))
    for line in more:
        console.print(Text(line))


def _by_group(report: Report) -> Table:
    """Return the number of outcomes by kind of check."""
    outcomes = [outcome for outcome in OUTCOMES if report.count(outcome)]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("KIND")
    for outcome in outcomes:
        table.add_column(outcome, justify="right")
    for group, counts in report.by_group().items():
        table.add_row(group, *(Text(str(counts[each] or ""), _STYLES[each]) for each in outcomes))
    return table


def replayed(outcome: Outcome, recorded: Recorded) -> None:
    """Print the result of a replay."""
    console = Console(highlight=False, soft_wrap=True)
    if outcome.result is not None:
        for failure in outcome.result.failures:
            console.print(_indented(what(failure), 7))
            for line in _lines(differences(failure)):
                console.print(line)
    sentence = f"{recorded.check} {outcome.verdict}" + (f": {outcome.reason}" if outcome.reason else "")
    style = {"still fails": "bold red", "no longer fails": "bold green"}.get(outcome.verdict, "bold yellow")
    console.print(Text(printable(f"{sentence}."), style))


def comparison(result: Comparison, one: str, two: str) -> None:
    """Print the differences between two servers."""
    console = Console(highlight=False, soft_wrap=True)
    for difference in result.differences:
        more = f" (and {difference.also} more)" if difference.also else ""
        request = printable(f"{difference.one.method} {difference.one.path}")
        console.print(Text(f"DIFFERS  {difference.check}: {request}{more}", _STYLES[FAILED]))
        if difference.one.body:
            body = middle_out(printable(difference.one.body.decode("utf-8", "replace")), 400)
            console.print(_indented(body, 9, "cyan"))
        for line in _lines(difference.lines):
            console.print(line)
    if result.apart:
        checks = ", ".join(f"{check} ({count})" for check, count in result.apart.items())
        console.print(Text(f"APART    requests to one server only, as an earlier answer differed: {checks}", "yellow"))
    console.print(
        Text(
            f"\n- {one}\n+ {two}\nRequests compared: {result.compared}, differences: {len(result.differences)}.", "bold"
        )
    )


def _indented(text: str, spaces: int, style: str = "") -> Text:
    """Indent every line without wrapping or cutting it, so that commands can be copied."""
    return Text("\n".join(" " * spaces + line for line in text.split("\n")), style)


def _lines(lines: Iterable[str]) -> Iterator[Text]:
    """Yield the first lines of a diff, coloured."""
    for line in list(lines)[:_MOST_LINES]:
        yield _indented(line, 9, {"-": "green", "+": "red"}.get(line[:1], "dim"))


def _failed(result: Result, report: Report) -> Group:
    parts: list[Text] = [Text(f"FAILED {result.check}: {result.title}", _STYLES[FAILED])]
    if result.source:
        parts.append(_indented(f"rule in {result.source}", 7, "dim"))
        parts += [_indented(url, 7, "dim") for url in links(result.source, report.version)]
    replay_commands = list(replays(report, result))
    for number, failure in enumerate(result.failures):
        parts.append(_indented(what(failure), 7))
        parts += _lines(differences(failure))
        lines = sequence(failure.exchanges, report.options)
        if len(lines) > _MOST_REQUESTS and replay_commands:
            script = f"`{replay_commands[number]} --script` prints them"
            parts.append(_indented(f"{len(failure.exchanges)} requests lead to this failure; {script}", 9, "cyan"))
        else:
            parts += [_indented(line, 9, "cyan") for line in lines]
    parts += [_indented(f"repeat it: {command}", 7) for command in replay_commands]
    parts.append(Text(""))
    return Group(*parts)


def coverage(report: Report) -> str:
    """Return how much of the contract the run has covered, in one line."""
    contract = contracts.load().at(report.version)
    operations, types = report.answers_by(0), [type for type in report.answers_by(1) if type]
    statuses = sorted({status for by_status in operations.values() for status in by_status})
    rules = len(contract.rules)
    return (
        f"COVERED  {len(operations)} of {len(contract.operations)} operations, "
        f"{len(types)} of {len(contract.types)} types, "
        f"{rules - len(report.not_covered)} of {rules} rules; statuses {', '.join(map(str, statuses)) or 'none'}"
    )


def _some(names: Sequence[str]) -> str:
    """Return the first names and the number of the others; the JSON report has them all."""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES + 1 else ""
    return ", ".join(names[:_MOST_NAMES] if more else names) + more


def _skipped(report: Report) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for result in report.results:
        if result.outcome == SKIPPED:
            reasons.setdefault(result.reason.partition(": ")[0], []).append(result.check)
    return reasons
