"""What runs have left on a target: found by ledger or by name, deleted only where it still carries its run's name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contract_tests.engine.exchange import COLLECTION
from contract_tests.engine.failures import BudgetSpent, CheckFailed, Skip
from contract_tests.engine.ledger import Ledger, leftovers
from contract_tests.engine.options import Options
from contract_tests.engine.ownership import age_of, new_run_id, run_of
from contract_tests.engine.text import one_line
from contract_tests.engine.transport import Transport

_NO_ANSWER = (CheckFailed, BudgetSpent, Skip)
"""What ends a request of the clean-up without a verdict."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """How a clean-up ended: what is still there, and what was left alone because it is not the run's."""

    left: list[str] = field(default_factory=list)
    not_ours: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Orphan:
    """An integration that carries the name of a run which has no ledger here: it is over, or runs elsewhere."""

    id: str
    name: str
    run: str

    @property
    def age(self) -> dt.timedelta | None:
        """How long ago its run began, None where the run's id does not tell."""
        return age_of(self.run)

    def __str__(self) -> str:
        return f"{describe(self.id, self.name)}, {describe_age(self.age)}"


def describe(id: Any, name: Any) -> str:
    """Return the name and id of an integration for a message."""
    return one_line(f"{name} ({id})", 300)


def is_over(orphan: Orphan, older_than: float = 3600.0) -> bool:
    """Return whether the run of an orphan is so old that it is surely over; one of unknown age is not."""
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
    """Delete what a run has created; name what could not be deleted.

    It is found by the ids that creates were answered with, and by name where an answer was lost. Where the target
    does not give its list, what is known by its id is deleted.
    """
    left: dict[str, str] = {}
    for _ in range(2):
        items = listed(transport)
        if items is None:
            return _remove_unlisted(transport)
        owned = {str(item.get("id")): item for item in items if _is_of_run(item, transport)}
        unlisted = {
            id: {"id": id} for id in sorted(transport.ledger.left - owned.keys()) if _may_be_there(transport, id)
        }
        for item in (found := owned | unlisted).values():
            _remove(transport, item)
        left = {id: describe(id, item.get("name", "not listed")) for id, item in found.items()}
        if not left:
            break
    return sorted(shown for id, shown in left.items() if not transport.ownership.is_foreign(id))


def _is_of_run(item: Mapping[str, Any], transport: Transport) -> bool:
    id, own = str(item.get("id")), transport.ownership
    return not own.is_foreign(id) and own.is_named(item.get("name"))


def _may_be_there(transport: Transport, id: str) -> bool:
    """Return whether what a list does not hold, which may be an old one, may still exist."""
    try:
        reply = transport.send("GET", f"{COLLECTION}/{id}", check="clean-up")
    except _NO_ANSWER:
        return True
    if reply.status == 404:
        transport.ownership.record_deleted(id)
    return reply.status != 404


def _remove_unlisted(transport: Transport) -> list[str]:
    for id in sorted(transport.live):
        _remove(transport, {"id": id})
    unknown = ["integrations of requests that got no answer, if any"] if transport.pace.unanswered else []
    return [*sorted(map(one_line, transport.live)), *unknown]


def listed(transport: Transport) -> list[Mapping[str, Any]] | None:
    """Read what the target holds, None where it does not tell."""
    try:
        items = transport.send("GET", COLLECTION, check="clean-up").object.get("integrations")
    except _NO_ANSWER:
        return None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else None


def _remove(transport: Transport, item: Mapping[str, Any]) -> None:
    id = str(item.get("id"))
    try:
        if not transport.guard.adopt(id, item.get("name")):
            return
        reply = transport.send("DELETE", f"{COLLECTION}/{id}", check="clean-up")
        if reply.status == 400 and item.get("type") == "scannerv4":
            # A target that let one of ours become Scanner V4 does not let it go as that.
            body = {"name": item.get("name"), "type": "docker", "categories": ["REGISTRY"],
                    "docker": {"endpoint": "registry.example.com"}, "skipTestIntegration": True}  # fmt: skip
            transport.send("PUT", f"{COLLECTION}/{id}", value=body, check="clean-up")
            transport.send("DELETE", f"{COLLECTION}/{id}", check="clean-up")
    except _NO_ANSWER:
        return  # it stays in the list, and is named as left behind


def clean_leftovers(options: Options) -> Cleaned:
    """Remove what runs against this target have left that were killed.

    Raises:
        HarnessError: the target does not answer.
    """
    found = Cleaned()
    for run in leftovers(options.state_dir, options.url.rstrip("/")):
        ledger = Ledger(options.state_dir, run, options.url.rstrip("/"))
        left = [f"integrations of run {run}"]
        try:
            transport = Transport(options, run, ledger)
            transport.ownership.has_baseline = True  # the ledger knows it, or nothing was created
            transport.pace.close()
            if not transport.may_write:
                left = [f"integrations of run {run}; delete them with --allow-writes"]
            elif listed(transport) is None:
                left = [f"integrations of run {run}; the target does not return its list"]
            else:
                left = remove_owned(transport)
            found.not_ours.extend(describe(id, name) for id, name in transport.ownership.refused.items())
        finally:
            ledger.close(keep=bool(left))
        found.left.extend(left)
    return found


def orphans(items: Iterable[Mapping[str, Any]], options: Options) -> list[Orphan]:
    """Return what carries the name of a run that has no ledger here."""
    known = {path.stem for path in options.state_dir.glob("*.ledger")}
    found = [
        Orphan(str(item.get("id")), str(item.get("name")), owner)
        for item in items
        if (owner := run_of(item.get("name"))) is not None and owner not in known
    ]
    return sorted(found, key=lambda each: (each.run, each.name))


def find_orphans(options: Options) -> list[Orphan] | None:
    """Ask the target for what runs without a ledger have left, None where it does not tell."""
    ledger = Ledger(options.state_dir, new_run_id(), options.url.rstrip("/"))
    try:
        items = listed(Transport(options, ledger.run, ledger))
    finally:
        ledger.close(keep=False)
    return None if items is None else orphans(items, options)


def remove_orphans(options: Options, chosen: Collection[Orphan]) -> list[str]:
    """Delete orphans; name those that could not be deleted, or no longer carry the name."""
    left: list[str] = []
    for run in dict.fromkeys(each.run for each in chosen):
        ledger = Ledger(options.state_dir, run, options.url.rstrip("/"))
        transport = Transport(options, run, ledger)
        transport.ownership.has_baseline = True
        for each in chosen:
            if each.run == run:
                ledger.record_name(each.name)
                _remove(transport, {"id": each.id, "name": each.name})
        items = listed(transport) or []
        mine = {each.id for each in chosen if each.run == run}
        still = [describe(item.get("id"), item.get("name")) for item in items if str(item.get("id")) in mine]
        left += still
        ledger.close(keep=False)
    return left
