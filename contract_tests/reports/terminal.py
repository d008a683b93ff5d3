"""The report on a terminal: progress while the checks run, then what a person can act on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO

from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from contract_tests.engine.options import Options
from contract_tests.engine.text import diff, middle_out, printable
from contract_tests.reports.curl import Access, access, sequence
from contract_tests.reports.hints import hints
from contract_tests.runner.compare import Comparison
from contract_tests.runner.replay import Played
from contract_tests.runner.run import ERROR, FAILED, KNOWN, OUTCOMES, PASSED, SKIPPED, Report, Result
from contract_tests.runner.run import Progress as Watcher
from mock_server.contract import tables as contracts

_STYLES = {"passed": "green", FAILED: "bold red", KNOWN: "yellow", SKIPPED: "dim", ERROR: "bold magenta"}
_MOST_LINES = 40
_MOST_NAMES = 12
_SILENCE = 10.0
"""Seconds after which a log, which has no bar, is told how far the run is."""


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
        failed, told = 0, time.monotonic()

        def watch(result: Result, number: int, total: int) -> None:
            nonlocal failed, told
            failed += result.outcome == FAILED
            if bar.disable and time.monotonic() - told > _SILENCE:
                told = time.monotonic()
                console.print(f"{number} of {total} checks, {failed} failed.", highlight=False)
            bar.update(task, completed=number, total=total, description=result.check[:30].ljust(30), failed=failed)

        yield watch


def text_of(result: Result, options: Options) -> str:
    """Return what is told of a check that failed, as plain text."""
    console = Console(file=StringIO(), highlight=False, soft_wrap=True)
    with console.capture() as captured:
        console.print(_failed(result, access(options)))
    return captured.get().rstrip()


def summary(report: Report, options: Options, console: Console | None = None) -> None:
    """Print the verdict."""
    console = console or Console(highlight=False, soft_wrap=True)
    way = access(options)
    for result in report.results:
        if result.outcome == FAILED and not result.like:
            console.print(_failed(result, way))
        elif result.outcome == ERROR:
            console.print(Text(f"ERROR  {result.check}: the harness failed", _STYLES[ERROR]))
            console.print(_indented(f"{printable(result.reason)}\n", 7))
    for like, checks in _alike(report).items():
        told = f"FAILED {len(checks)} more checks, whose answers show the same as that of {like}: {', '.join(checks)}"
        console.print(Text(f"{told}\n", _STYLES[FAILED]))
    for result in report.results:
        if result.outcome == KNOWN:
            console.print(Text(f"KNOWN  {result.check}: {result.reason}", _STYLES[KNOWN]))
    if report.gone:
        gone = ", ".join(each.check for each in report.gone)
        console.print(Text(f"FIXED   known differences of deployed Central that do not show here: {gone}", "dim"))
    for result in report.results:
        if result.outcome == PASSED and result.reason:
            console.print(Text(f"NOTE   {result.check}: {printable(result.reason)}", "dim"))
    for reason, checks in _skipped(report).items():
        console.print(Text(printable(f"SKIP   {reason}: {_some(checks)}"), _STYLES[SKIPPED]))
    console.print(Text(coverage(report), "dim"))
    if report.not_covered:
        console.print(Text(f"NOT COVERED  {_some(report.not_covered)}", "yellow"))
    if report.left_behind:
        console.print(Text(printable(f"LEFT BEHIND  {', '.join(report.left_behind)}"), "bold red"))
        console.print(Text(f"             `central-contract clean {report.target}` tries again", "bold red"))
    for hint in hints(report):
        console.print(Text(printable(f"HINT   {hint}"), "bold yellow"))
    counts = ", ".join(f"{report.count(outcome)} {outcome}" for outcome in OUTCOMES if report.count(outcome))
    console.print(
        Text(
            f"\n{report.target} plays Central {report.version}: {counts}; {report.requests} requests "
            f"in {report.seconds:.1f} s; seed {report.seed}, run {report.run}.",
            _STYLES[FAILED] if report.exit_code == 1 else "bold",
        )
    )


def played(each: Played) -> Played:
    """Print a request that was sent again, and how its answer differs; give it back."""
    console = Console(highlight=False, soft_wrap=True)
    told = f"recorded {each.recorded}" if each.recorded != each.status else "as recorded" if each.same else "other body"
    request = f"{each.status or 'no answer'}  {printable(each.request)}  ({told})"
    console.print(Text(request, "" if each.same else "yellow"))
    for line in [] if each.same else _lines(each.differences):
        console.print(line)
    return each


def comparison(found: Comparison, one: str, two: str) -> None:
    """Print how two servers compare."""
    console = Console(highlight=False, soft_wrap=True)
    for each in found.differences:
        more = f" (and {each.also} more)" if each.also else ""
        console.print(Text(f"DIFFERS  {each.check}: {printable(each.request)}{more}", _STYLES[FAILED]))
        if each.one.body:
            body = middle_out(printable(each.one.body.decode("utf-8", "replace")), 400)
            console.print(_indented(body, 9, "cyan"))
        for line in _lines(each.lines):
            console.print(line)
    if found.apart:
        checks = ", ".join(dict.fromkeys(found.apart))
        console.print(Text(f"APART    an answer made the requests differ from there on: {checks}", "yellow"))
    console.print(
        Text(f"\n- {one}\n+ {two}\n{found.compared} requests compared, {len(found.differences)} differences.", "bold")
    )


def _indented(text: str, blanks: int, style: str = "") -> Text:
    """Indent every line; a line is never cut, so that a command in it can be copied."""
    return Text("\n".join(" " * blanks + line for line in text.split("\n")), style)


def _lines(lines: Iterable[str]) -> Iterator[Text]:
    """Return the lines of a diff, coloured."""
    for line in list(lines)[:_MOST_LINES]:
        yield _indented(line, 9, {"-": "green", "+": "red"}.get(line[:1], "dim"))


def _failed(result: Result, way: Access) -> Group:
    parts: list[Text] = [Text(f"FAILED {result.check}: {result.title}", _STYLES[FAILED])]
    if result.source:
        parts.append(_indented(f"rule of {result.source}", 7, "dim"))
    for failure in result.failures:
        what = failure.what + (" (now and then)" if failure.intermittent else "")
        what += f" (and {failure.also} times more)" if failure.also else ""
        parts.append(_indented(printable(what), 7))
        parts += _lines(diff(failure.expected, failure.got))
        parts += [_indented(line, 9, "cyan") for line in sequence(failure.exchanges[-8:], way)]
    parts.append(Text(""))
    return Group(*parts)


def coverage(report: Report) -> str:
    """Return how much of the contract the run has come to."""
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
    """Name the first of many; the JSON report has them all."""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES + 1 else ""
    return ", ".join(names[:_MOST_NAMES] if more else names) + more


def _alike(report: Report) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for result in report.results:
        if result.outcome == FAILED and result.like:
            found.setdefault(result.like, []).append(result.check)
    return found


def _skipped(report: Report) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for result in report.results:
        if result.outcome == SKIPPED:
            reasons.setdefault(result.reason.partition(": ")[0], []).append(result.check)
    return reasons
