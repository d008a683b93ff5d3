"""The report on a terminal: progress while the checks run, then what a person can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from contract_tests.options import Options
from contract_tests.reports.curl import Access, access, sequence
from contract_tests.reports.text import diff, printable
from contract_tests.run import ERROR, FAILED, KNOWN, OUTCOMES, SKIPPED, Report, Result
from contract_tests.run import Progress as Watcher

_STYLES = {"passed": "green", FAILED: "bold red", KNOWN: "yellow", SKIPPED: "dim", ERROR: "bold magenta"}
_MOST_LINES = 40


@contextmanager
def progress(options: Options) -> Iterator[Watcher]:
    """Show how far the run is."""
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
        failed = 0

        def watch(result: Result, number: int, total: int) -> None:
            nonlocal failed
            failed += result.outcome == FAILED
            bar.update(task, completed=number, total=total, description=result.check[:30].ljust(30), failed=failed)

        yield watch


def summary(report: Report, options: Options) -> None:
    """Print the verdict."""
    console = Console(highlight=False, soft_wrap=True)
    way = access(options)
    for result in report.results:
        if result.outcome == FAILED:
            console.print(_failed(result, way))
        elif result.outcome == ERROR:
            console.print(Text(f"ERROR  {result.check}: the harness failed", _STYLES[ERROR]))
            console.print(Padding(Text(printable(result.reason)), (0, 0, 1, 7)))
    for result in report.results:
        if result.outcome == KNOWN:
            console.print(Text(f"KNOWN  {result.check}: {result.reason}", _STYLES[KNOWN]))
    for each in report.gone:
        console.print(Text(f"GONE   {each.check}: this known difference no longer occurs", "dim"))
    for reason, checks in _skipped(report).items():
        console.print(Text(f"SKIP   {reason}: {', '.join(checks)}", _STYLES[SKIPPED]))
    if report.not_covered:
        console.print(Text(f"NOT COVERED  {', '.join(report.not_covered)}", "yellow"))
    if report.left_behind:
        console.print(Text(f"LEFT BEHIND  {', '.join(report.left_behind)}", "bold red"))
    counts = ", ".join(f"{report.count(outcome)} {outcome}" for outcome in OUTCOMES if report.count(outcome))
    console.print(
        Text(
            f"\n{report.target} plays Central {report.version}: {counts}; {report.requests} requests "
            f"in {report.seconds:.1f} s; seed {report.seed}, run {report.run}.",
            _STYLES[FAILED] if report.exit_code == 1 else "bold",
        )
    )


def _failed(result: Result, way: Access) -> Group:
    parts: list[Text | Padding] = [Text(f"FAILED {result.check}: {result.title}", _STYLES[FAILED])]
    if result.source:
        parts.append(Padding(Text(f"rule of {result.source}", "dim"), (0, 0, 0, 7)))
    for failure in result.failures:
        what = failure.what + (" (now and then)" if failure.intermittent else "")
        what += f" (and {failure.also} times more)" if failure.also else ""
        parts.append(Padding(Text(printable(what)), (0, 0, 0, 7)))
        lines = diff(failure.expected, failure.got)
        for line in lines[:_MOST_LINES]:
            style = {"-": "green", "+": "red"}.get(line[:1], "dim")
            parts.append(Padding(Text(line, style), (0, 0, 0, 9)))
        parts += [Padding(Text(line, "cyan"), (0, 0, 0, 9)) for line in sequence(failure.exchanges[-8:], way)]
    parts.append(Text(""))
    return Group(*parts)


def _skipped(report: Report) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for result in report.results:
        if result.outcome == SKIPPED:
            reasons.setdefault(result.reason.partition(": ")[0], []).append(result.check)
    return reasons
