"""Leftovers of runs on a target: found by ledger or by name, deleted only if they still have their run's name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contract_tests.engine.exchange import COLLECTION
from contract_tests.engine.failures import BudgetSpent, CheckFailed, Skip
from contract_tests.engine.ledger import Ledger, leftovers, runs_at
from contract_tests.engine.options import Options
from contract_tests.engine.ownership import age_of, new_run_id, run_of
from contract_tests.engine.text import one_line
from contract_tests.engine.transport import Transport

_NO_ANSWER = (CheckFailed, BudgetSpent, Skip)
"""Exceptions of requests that were not answered or not sent."""
_UNSURE = ", which may be somebody else's: the answer to its create was lost"


@dataclass(slots=True)
class Cleaned:
    """The result of a clean-up: the number of deletions, what could not be deleted, and what is not the run's."""

    deleted: int = 0
    left: list[str] = field(default_factory=list)
    not_ours: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Orphan:
    """An integration named by a run without a ledger here; that run is over, or runs on another machine."""

    id: str
    name: str
    run: str

    @property
    def age(self) -> dt.timedelta | None:
        """Time since its run began, or None if the run's id does not contain it."""
        return age_of(self.run)

    def __str__(self) -> str:
        return f"{describe(self.id, self.name)}, {describe_age(self.age)}"


def describe(id: Any, name: Any) -> str:
    """Return the name and id of an integration for a message."""
    return one_line(f"{name} ({id})", 300)


def is_over(orphan: Orphan, older_than: float = 3600.0) -> bool:
    """Return whether the run of an orphan began at least `older_than` seconds ago; False if its age is unknown."""
    return orphan.age is not None and orphan.age.total_seconds() >= older_than


def describe_age(age: dt.timedelta | None) -> str:
    """Return an age in words, such as "90 min old"."""
    if age is None:
        return "of unknown age"
    minutes = int(age.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} min old"
    return f"{minutes // 60} h old" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days old"


def remove_owned(transport: Transport) -> list[str]:
    """Delete the integrations of a run; return descriptions of those that could not be deleted.

    They are found by the ids in the answers to creates, and by name if an answer was lost. If the target does not
    return its list, those with known ids are deleted.
    """
    left: dict[str, str] = {}
    for _ in range(2):
        items = listed(transport)
        if items is None:
            return _remove_unlisted(transport)
        owned = {str(item.get("id")): item for item in items if _is_of_run(item, transport)}
        unlisted = {id: {"id": id} for id in sorted(transport.ledger.left - owned.keys()) if _may_exist(transport, id)}
        remaining = owned | unlisted
        for item in remaining.values():
            _remove(transport, item)
        left = {
            id: describe(id, item.get("name", "not listed")) + ("" if transport.ownership.owns(id) else _UNSURE)
            for id, item in remaining.items()
        }
        if not left:
            break
    return sorted(text for id, text in left.items() if not transport.ownership.is_foreign(id))


def _is_of_run(item: Mapping[str, Any], transport: Transport) -> bool:
    id, ownership = str(item.get("id")), transport.ownership
    return not ownership.is_foreign(id) and ownership.is_named(item.get("name"))


def _may_exist(transport: Transport, id: str) -> bool:
    """Return whether an integration that is missing in the list may exist, as the list may be stale."""
    try:
        reply = transport.send("GET", f"{COLLECTION}/{id}", check="clean-up")
    except _NO_ANSWER:
        return True
    if reply.status == 404:
        transport.ownership.record_deleted(id)
    return reply.status != 404


def _remove_unlisted(transport: Transport) -> list[str]:
    for id in sorted(transport.ownership.live):
        _remove(transport, {"id": id})
    is_unsure = transport.pace.unanswered or transport.guard.has_lost_create
    unknown = ["integrations whose create was not answered, if any"] if is_unsure else []
    return [*sorted(map(one_line, transport.ownership.live)), *unknown]


def listed(transport: Transport) -> list[dict[str, Any]] | None:
    """Return the integrations of the target, or None if it does not return its list."""
    try:
        return transport.send("GET", COLLECTION, check="clean-up").integrations
    except _NO_ANSWER:
        return None


def _remove(transport: Transport, item: Mapping[str, Any]) -> None:
    id = str(item.get("id"))
    try:
        if not transport.guard.adopt(id, item.get("name")):
            return
        reply = transport.send("DELETE", f"{COLLECTION}/{id}", check="clean-up")
        if reply.status == 400 and item.get("type") == "scannerv4":
            # The target accepted an update to Scanner V4, which cannot be deleted; change it back.
            body = {"name": item.get("name"), "type": "docker", "categories": ["REGISTRY"],
                    "docker": {"endpoint": "registry.example.com"}, "skipTestIntegration": True}  # fmt: skip
            transport.send("PUT", f"{COLLECTION}/{id}", value=body, check="clean-up")
            transport.send("DELETE", f"{COLLECTION}/{id}", check="clean-up")
    except _NO_ANSWER:
        return  # it stays in the list, so it is reported as left behind


def clean_leftovers(options: Options) -> Cleaned:
    """Delete the integrations of killed runs against this target, as recorded in their ledgers.

    Raises:
        HarnessError: the target does not answer.
    """
    cleaned = Cleaned()
    for run in leftovers(options.state_dir, options.base):
        ledger = Ledger(options.state_dir, run, options.base)
        left = [f"integrations of run {run}"]
        try:
            transport = Transport(options, run, ledger)
            transport.ownership.has_baseline = True  # the ledger has it, or the run created nothing
            transport.pace.close()
            if not options.may_write:
                left = [f"integrations of run {run}; delete them with --allow-writes"]
            elif listed(transport) is None:
                left = [f"integrations of run {run}; the target does not return its list"]
            else:
                left = remove_owned(transport)
            cleaned.deleted += sum(each.method == "DELETE" and each.status == 200 for each in transport.exchanges)
            cleaned.not_ours.extend(describe(id, name) for id, name in transport.ownership.refused.items())
        finally:
            ledger.close(keep=bool(left))
        cleaned.left.extend(left)
    return cleaned


def orphans(items: Iterable[Mapping[str, Any]], options: Options) -> list[Orphan]:
    """Return the items that are named by runs without a ledger for this URL in the state folder, by run and name."""
    runs_with_ledger = runs_at(options.state_dir, options.base)
    without_ledger = [
        Orphan(str(item.get("id")), str(item.get("name")), run)
        for item in items
        if (run := run_of(item.get("name"))) is not None and run not in runs_with_ledger
    ]
    return sorted(without_ledger, key=lambda orphan: (orphan.run, orphan.name))


def find_orphans(options: Options) -> list[Orphan] | None:
    """Return the orphans on the target, or None if it does not return its list."""
    ledger = Ledger(options.state_dir, new_run_id(), options.base)
    try:
        items = listed(Transport(options, ledger.run, ledger))
    finally:
        ledger.close(keep=False)
    return None if items is None else orphans(items, options)


def remove_orphans(options: Options, chosen: Collection[Orphan]) -> list[str]:
    """Delete orphans; return descriptions of those that the target still lists, or all if it returns no list.

    An orphan stays if it has another name by now, or if the target does not delete it.
    """
    left: list[str] = []
    for run in dict.fromkeys(each.run for each in chosen):
        ledger = Ledger(options.state_dir, run, options.base)
        has_other_url = bool(ledger.target)
        try:
            transport = Transport(options, run, ledger)
            transport.ownership.has_baseline = True
            of_run = [orphan for orphan in chosen if orphan.run == run]
            for orphan in of_run:
                ledger.record_name(orphan.name)
                _remove(transport, {"id": orphan.id, "name": orphan.name})
            items = listed(transport)
        finally:
            ledger.close(keep=has_other_url)
        listed_ids = {str(item.get("id")) for item in items or ()}
        left += [describe(each.id, each.name) for each in of_run if items is None or each.id in listed_ids]
    return left
