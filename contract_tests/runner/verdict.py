"""Verdict from the results of checks: move, mark, group and order failures."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from contract_tests.engine.failures import Failure
from contract_tests.oracle.observers import UNTOUCHED
from contract_tests.runner.known import InForce, KnownDifference
from contract_tests.runner.report import FAILED, KNOWN, NOT_APPLICABLE, PASSED, SKIPPED, WAITING, Result
from contract_tests.runner.symptoms import group_by_observed, group_by_symptom


def conclude(results: Iterable[Result], known: InForce, shown_by: Mapping[int, str]) -> list[Result]:
    """Return the results with each failure at the check that covers it, known differences marked, and causes first.

    `shown_by` has the observed check that an answer fails, by the number of its exchange.
    """
    results = list(results)
    found_by_others = _move_failures_to_their_checks(results)
    found_by_others |= _fail_for_unmet_preconditions(results)
    for result in results:
        if result.outcome == FAILED:
            mark_known(result, known)
    group_by_observed(_failures(results), shown_by)
    results.sort(key=lambda result: 3 if result.check in found_by_others else _causes_first(result))
    group_by_symptom(_failures(results))
    return results


def mark_known(result: Result, known: InForce) -> None:
    """Mark the known failures of a check; if it has no others, it ends as a known difference."""
    for failure in result.failures:
        failure.known = known.reason(failure)
    if result.failures and all(failure.known is not None for failure in result.failures):
        result.outcome, result.reason = KNOWN, result.failures[0].known or ""


def gone(results: Iterable[Result], known: InForce) -> list[KnownDifference]:
    """Return the known differences of the release whose checks passed."""
    passed = {result.check for result in results if result.outcome == PASSED}
    return [each for each in known.differences if each.check in passed and each.is_of(known.version)]


def fail_skipped(results: Iterable[Result], only: Collection[str]) -> None:
    """Turn skips into failures (--strict), except of checks that do not apply, wait, or are not in --only."""
    for result in results:
        asked = not only or result.check in only
        if result.outcome == SKIPPED and asked and result.skip not in (NOT_APPLICABLE, WAITING):
            result.outcome = FAILED
            result.failures = [Failure(result.check, f"skipped: {result.reason}")]


def _failures(results: Iterable[Result]) -> list[Failure]:
    return [failure for result in results if result.outcome == FAILED for failure in result.failures]


def _move_failures_to_their_checks(results: Sequence[Result]) -> set[str]:
    """Move each failure to the check that covers it, and count repetitions.

    Return the checks that would have passed, because their failures occurred only in others.
    """
    found_by_others: set[str] = set()
    by_id = {result.check: result for result in results}
    if server_errors := by_id.get("no-server-error"):
        _drop_shown_elsewhere(server_errors, results)
    for result in results:
        if result.outcome != FAILED:
            continue
        for failure in [each for each in result.failures if each.check != result.check and each.check in by_id]:
            owner = by_id[failure.check]
            result.failures.remove(failure)
            same = next((each for each in owner.failures if each.what == failure.what), None)
            if same is None:
                if owner.outcome != FAILED and owner.group != "observed":
                    found_by_others.add(owner.check)
                owner.failures.append(failure)
                owner.outcome, owner.skip, owner.reason = FAILED, "", ""
            else:
                same.also += 1
            if not result.failures:
                result.skipped(WAITING, f"needs {failure.check}, which failed: {failure.what}")
    return found_by_others


def _drop_shown_elsewhere(observed: Result, results: Iterable[Result]) -> None:
    """Remove the failures of an observed check whose exchanges other failures contain."""
    elsewhere = {
        id(exchange)
        for result in results
        if result is not observed
        for failure in result.failures
        for exchange in failure.exchanges
    }
    observed.failures = [
        failure for failure in observed.failures if not all(id(exchange) in elsewhere for exchange in failure.exchanges)
    ]
    if not observed.failures:
        observed.outcome = PASSED


def _fail_for_unmet_preconditions(results: Sequence[Result]) -> set[str]:
    """Turn an unmet precondition into a failure of the check that covers it, unless that has failed anyway.

    Return the checks that would have passed.
    """
    by_id = {result.check: result for result in results}
    reported = {failure.check for failure in _failures(results)}
    found_by_others: set[str] = set()
    for result in results:
        if result.outcome != SKIPPED or not result.failures:
            continue
        (failure,), result.failures = result.failures, []
        if failure.check not in reported:
            reported.add(failure.check)
            found_by_others.add(failure.check)
            owner = by_id.get(failure.check, result)
            owner.outcome, owner.skip, owner.reason, owner.failures = FAILED, "", "", [failure]
    return found_by_others


def _causes_first(result: Result) -> int:
    """Return the sort key of a result: base checks first, then observed checks, then the others."""
    if result.outcome != FAILED or result.check == UNTOUCHED:
        return 2
    if result.group == "observed":
        return 1
    return 0 if result.group == "base" and not result.like else 2
