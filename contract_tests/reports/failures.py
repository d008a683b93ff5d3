"""What is reported of failures: at most three at length, the rest by what they show."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contract_tests.engine.failures import Failure
from contract_tests.engine.options import Options
from contract_tests.engine.text import diff, printable
from contract_tests.oracle.observers import operation_of
from contract_tests.runner.replay import name_of
from contract_tests.runner.report import FAILED, Report, Result
from contract_tests.runner.symptoms import symptom

AT_LENGTH = 3
"""Failures that are reported with their requests; the JSON report has those of all."""
LEGEND = "- expected, + answered"


@dataclass(frozen=True, slots=True)
class Group:
    """Failed checks that are reported in one line: what they show, and their ids."""

    shows: str
    checks: tuple[str, ...]

    @property
    def text(self) -> str:
        """The line."""
        count = "1 more check" if len(self.checks) == 1 else f"{len(self.checks)} more checks"
        return f"{count}: {self.shows}: {', '.join(self.checks)}"


def at_length(report: Report) -> list[Result]:
    """Return the failed checks that are reported at length: the first of those that show something of their own."""
    own = [each for each in report.results if each.outcome == FAILED and not each.like and not each.unseen]
    return own[:AT_LENGTH]


def groups(report: Report) -> list[Group]:
    """Return the other failed checks, by what they show."""
    told = {each.check for each in at_length(report)}
    found: dict[Any, tuple[str, list[str]]] = {}
    for result in report.results:
        if result.outcome != FAILED or result.check in told:
            continue
        key, shows = _shown(result)
        found.setdefault(key, (shows, []))[1].append(result.check)
    return [Group(printable(shows), tuple(checks)) for shows, checks in found.values()]


def _shown(result: Result) -> tuple[Any, str]:
    if result.unseen:
        return result.reason, f"skipped (--strict): {result.reason}"
    if result.like:
        return result.like, f"the same answers as {result.like}"
    failure = result.failures[0]
    return symptom(failure) or failure.what, _symptom_text(failure)


def _symptom_text(failure: Failure) -> str:
    expected, got = failure.expected, failure.got
    if failure.exchanges and isinstance(expected, Mapping) and isinstance(got, Mapping):
        operation = operation_of(failure.exchanges[-1])
        where = operation.id if operation else failure.exchanges[-1].method
        for part in ("status", "code"):
            if part in expected and expected[part] != got.get(part):
                return f"{where} answers {part} {got.get(part)}, not {expected[part]}"
    return what(failure)


def what(failure: Failure) -> str:
    """Return what a failure says, and how often it showed."""
    text = failure.what + (" (intermittent)" if failure.intermittent else "")
    if failure.also:
        text += f" (and {failure.also} more time{'' if failure.also == 1 else 's'})"
    return printable(text)


def title(result: Result) -> str:
    """Return one line that says what failed."""
    return printable(f"{result.title}: {result.failures[0].what}" if result.failures else result.title)


def differences(failure: Failure) -> list[str]:
    """Return the lines of the diff of a failure under their legend."""
    lines = diff(failure.expected, failure.got)
    return [f"({LEGEND})", *lines] if lines else []


def replays(report: Report, options: Options, result: Result) -> Iterator[str]:
    """Return the command that judges each failure of a check again."""
    if report.kept is None:
        return
    for number in range(1, len(result.failures) + 1):
        words = ("replay", str(report.kept), name_of(result.check, number), *options.target_words)
        yield shlex.join(("central-contract", *words))
