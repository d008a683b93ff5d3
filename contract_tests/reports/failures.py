"""Selection of failures for reports: at most three in detail, the others grouped by symptom."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contract_tests.engine.failures import Failure
from contract_tests.engine.text import diff, printable
from contract_tests.runner.replay import name_of
from contract_tests.runner.report import FAILED, Report, Result
from contract_tests.runner.symptoms import place_of, symptom

MOST_DETAILED = 3
"""Number of failures that are reported with their requests; the JSON report has the requests of all."""


@dataclass(frozen=True, slots=True)
class Group:
    """Failed checks that are reported in one line: their symptom and their ids."""

    symptom: str
    checks: tuple[str, ...]

    @property
    def text(self) -> str:
        """The group in one line."""
        count = "1 more check" if len(self.checks) == 1 else f"{len(self.checks)} more checks"
        return f"{count}: {self.symptom}: {', '.join(self.checks)}"


def detailed(report: Report) -> list[Result]:
    """Return the failed checks to report in detail: the first ones with different symptoms."""
    distinct = [each for each in report.results if each.outcome == FAILED and not each.like and not each.failed_by_skip]
    return distinct[:MOST_DETAILED]


def groups(report: Report) -> list[Group]:
    """Return the other failed checks, grouped by symptom."""
    in_detail = {result.check for result in detailed(report)}
    by_symptom: dict[Any, tuple[str, list[str]]] = {}
    for result in report.results:
        if result.outcome != FAILED or result.check in in_detail:
            continue
        key, text = _symptom(result)
        by_symptom.setdefault(key, (text, []))[1].append(result.check)
    return [Group(printable(text), tuple(checks)) for text, checks in by_symptom.values()]


def _symptom(result: Result) -> tuple[Any, str]:
    """Return the key of a failed check's symptom, and its text."""
    if result.failed_by_skip:
        return result.reason, f"skipped (--strict): {result.reason}"
    if result.like:
        return result.like, f"the same answers as {result.like}"
    failure = result.failures[0]
    return symptom(failure) or failure.what, _symptom_text(failure)


def _symptom_text(failure: Failure) -> str:
    expected, got = failure.expected, failure.got
    if failure.exchanges and isinstance(expected, Mapping) and isinstance(got, Mapping):
        for part in ("status", "code"):
            if part in expected and expected[part] != got.get(part):
                return f"{place_of(failure.exchanges[-1])} answers {part} {got.get(part)}, not {expected[part]}"
    return what(failure)


def what(failure: Failure) -> str:
    """Return the text of a failure, with the number of its repetitions."""
    text = failure.what + (" (intermittent)" if failure.intermittent else "")
    if failure.also:
        text += f" (and {failure.also} more time{'' if failure.also == 1 else 's'})"
    return printable(text)


def title(result: Result) -> str:
    """Return the title of a failed check and its first failure in one line."""
    return printable(f"{result.title}: {result.failures[0].what}")


def differences(failure: Failure) -> list[str]:
    """Return the diff of a failure in lines, after a legend; empty if there is none."""
    lines = diff(failure.expected, failure.got)
    return ["(- expected, + answered)", *lines] if lines else []


def replays(report: Report, result: Result) -> Iterator[str]:
    """Yield the command that replays each failure of a check, if the run wrote a JSON report."""
    if report.kept is None:
        return
    for number in range(1, len(result.failures) + 1):
        words = ("replay", str(report.kept), name_of(result.check, number), *report.options.target_words)
        yield shlex.join(("central-contract", *words))
