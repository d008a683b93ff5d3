"""Failures that show the same: one fault in what many checks rely on turns many of them red.

All of them are reported, but only the first is told at length.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping

from contract_tests.checks.registry import STRUCTURE
from contract_tests.engine.failures import Failure
from contract_tests.engine.text import changed, diff, without_values
from contract_tests.oracle.observers import operation_of

MANY = 4
"""Checks that show the same and are told as one; fewer may have faults of their own."""


def group_by_observed(failures: Iterable[Failure], shown_by: Mapping[int, str]) -> None:
    """Let a failure whose answer breaks a rule of every answer name the check of that rule, where that one is told.

    What everything stands on comes first: where such a check fails by the answer, the rule of every answer names it.
    """
    failures = list(failures)
    failed = {each.check for each in failures}
    for each in failures:
        observed = shown_by.get(each.exchanges[-1].number) if each.exchanges else None
        if observed is None or observed not in failed or each.check == observed:
            continue
        if each.check not in STRUCTURE:
            each.like = observed
            continue
        for other in failures:
            if other.check == observed:
                other.like = each.check


def group_by_symptom(failures: Iterable[Failure]) -> None:
    """Let each failure that shows what at least three others show name the check of the first of them."""
    alike: dict[Hashable, list[Failure]] = defaultdict(list)
    for failure in failures:
        if not failure.like and (found := symptom(failure)) is not None:
            alike[found].append(failure)
    for first, *others in alike.values():
        if len({first.check, *(each.check for each in others)}) >= MANY:
            for each in others:
                each.like = first.check if each.check != first.check else ""


def symptom(failure: Failure) -> Hashable | None:
    """Return what is wrong with the answer that a failure shows, whatever was asked; None where no answer shows it."""
    if not failure.exchanges:
        return None
    operation = operation_of(failure.exchanges[-1])
    where = operation.id if operation is not None else failure.exchanges[-1].method
    expected, got = failure.expected, failure.got
    if isinstance(expected, Mapping) and isinstance(got, Mapping) and "status" in expected and "status" in got:
        for part in ("status", "code"):
            if part == "code" and expected.get("code") and got.get("code") is None:
                return "an error without a code"
            if expected.get(part) != got.get(part):
                return where, part, str(expected.get(part)), str(got.get(part))
        return where, "message", without_values(str(got.get("message")))
    return where, changed(diff(expected, got))
