"""Integrations that a run does not own, compared before and after the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from contract_tests.engine.failures import Failure
from contract_tests.engine.options import Options
from contract_tests.engine.ownership import Ownership, run_of
from contract_tests.oracle.observers import UNTOUCHED
from contract_tests.runner.leftovers import describe_age, is_over, orphans
from contract_tests.runner.report import BLOCKED, FAILED, PASSED, Result

Snapshot = Mapping[str, Mapping[str, Any]]
"""The items of a list, by id."""


def notes_on_orphans(items: Iterable[Mapping[str, Any]], options: Options) -> Iterator[str]:
    """Yield a note if integrations of earlier runs without a ledger exist."""
    left = [orphan for orphan in orphans(items, options) if is_over(orphan) or orphan.age is None]
    if left:
        runs = {orphan.run for orphan in left}
        oldest = max((orphan.age for orphan in left if orphan.age is not None), default=None)
        yield (
            f"{len(left)} integrations are left over from {'a run' if len(runs) == 1 else f'{len(runs)} runs'} without "
            f"a ledger in {options.state_dir}; the oldest run is {describe_age(oldest)}. "
            f"`central-contract clean {options.base} --orphans` lists and deletes them."
        )


def compare(before: Snapshot | None, after: Snapshot | None, ownership: Ownership) -> Result:
    """Return the result of the check `others-untouched`."""
    result = Result(UNTOUCHED, "Integrations that the run did not create have changed", "observed", "", PASSED)
    if before is None or after is None:
        result.skipped(BLOCKED, "the target did not return its list")
        return result
    changed = [
        id
        for id in before.keys() | after.keys()
        if before.get(id) != after.get(id)
        and not (_is_of_a_run(before.get(id), ownership) and _is_of_a_run(after.get(id), ownership))
    ]
    if changed:
        names = ", ".join(sorted(str((before.get(id) or after.get(id) or {}).get("name")) for id in changed))
        result.outcome = FAILED
        result.failures = [
            Failure(
                result.check,
                f"integrations that the run did not create have changed, by the run or by somebody else: {names}",
                expected={id: before.get(id) for id in changed},
                got={id: after.get(id) for id in changed},
            )
        ]
    return result


def _is_of_a_run(item: Mapping[str, Any] | None, ownership: Ownership) -> bool:
    """Return whether an integration is absent, or belongs to this run or another that runs at the same time."""
    if item is None:
        return True
    name, id = item.get("name"), str(item.get("id"))
    return run_of(name) is not None or (ownership.owns(id) and not ownership.is_foreign(id)) or ownership.is_named(name)
