"""Registry of checks by id, and their order. A check is a function of `Central`; that of a rule has the rule's id."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from contract_tests.engine.options import PROFILES
from contract_tests.engine.ownership import OWN_ID
from mock_server.contract import tables as contracts

if TYPE_CHECKING:
    from contract_tests.engine.central import Central

GROUPS = (
    "base", "schema", "rules", "lifecycle", "secrets", "permissions", "robustness", "concurrency", "latency",
    "generated",
)  # fmt: skip
"""Groups of checks, in the order in which they run."""


LONGER = ("default", "deep")
"""Profiles with enough requests for more than one pass over the rules and a short lifecycle."""

STRUCTURE = ("list", "error-shape", "get-missing")
"""Checks that all others need."""

FOUNDATION = (
    *STRUCTURE, "create", OWN_ID, "read-after-create", "list-by-name", "update", "update-replaces", "test",
    "delete-answer", "zero-values-emitted", "answer-complete",
)  # fmt: skip
"""Checks that all other writing checks need."""

_ORDER = ("base", "routing", "wire", "values", "validation", "types", "reconcile")
"""Modules whose checks come first within a group, because requests are routed, read and validated in this order."""

SERVICE = "central/imageintegration/service/service_impl.go"
"""The source file of most behaviour that is not a rule."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check."""

    id: str
    title: str
    group: str
    source: str
    run: Callable[[Central], None]
    needs: tuple[str, ...] = ()
    writes: bool = True
    alone: bool = False
    profiles: tuple[str, ...] = PROFILES

    @property
    def is_of_rule(self) -> bool:
        """Whether the check is that of a rule, in any release."""
        return self.id in contracts.load().history


_CHECKS: dict[str, Check] = {}


def check(
    id: str,
    group: str,
    title: str = "",
    *,
    source: str = "",
    needs: tuple[str, ...] = (),
    writes: bool = True,
    alone: bool = False,
    profiles: tuple[str, ...] = PROFILES,
) -> Callable[[Callable[[Central], None]], Callable[[Central], None]]:
    """Register a function as a check.

    `title` names the fault that the check finds, `source` is a file of Central; for a rule, both come from the
    contract. `needs` names checks that must pass first, besides `FOUNDATION` (`STRUCTURE` for reads); `writes`: the
    check creates or changes something; `alone`: no other check may run at the same time.

    Raises:
        ValueError: the id is already registered, the group is unknown, or there is no title.
    """

    def register(function: Callable[[Central], None]) -> Callable[[Central], None]:
        rule = contracts.load().history.get(id)
        what = title or (rule.broken if rule else "")
        if id in _CHECKS or not what or group not in GROUPS:
            raise ValueError(f"check {id!r} is registered twice, has no title or no known group")
        origin = source or (rule.source if rule else "")
        _CHECKS[id] = Check(id, what, group, origin, function, needs, writes, alone, profiles)
        return function

    return register


@cache
def all_checks() -> dict[str, Check]:
    """Return every check by its id, in the order in which they run."""
    from contract_tests import checks

    for module in pkgutil.iter_modules(checks.__path__):
        if module.name.startswith("_"):
            continue  # imports hypothesis, and registers no checks
        importlib.import_module(f"{checks.__name__}.{module.name}")
    known = {each.id: _with_base_needs(each) for each in sorted(_CHECKS.values(), key=_sort_key)}
    ordered: dict[str, Check] = {}
    for each in known.values():
        _add_after_its_needs(each, known, ordered)
    return ordered


def _add_after_its_needs(each: Check, known: Mapping[str, Check], ordered: dict[str, Check]) -> None:
    for need in each.needs:
        if need not in ordered:
            _add_after_its_needs(known[need], known, ordered)
    ordered.setdefault(each.id, each)


def _sort_key(each: Check) -> tuple[int, int, str]:
    """Return the group and the module of a check as its sort key; checks of a module keep their order."""
    module = each.run.__module__
    name = module.rpartition(".")[2]
    step = _ORDER.index(name) if name in _ORDER else len(_ORDER)
    return GROUPS.index(each.group), step, module


def _with_base_needs(each: Check) -> Check:
    """Make each check need the basic ones, so that one fault is reported once."""
    if each.group == "base":
        writes = each.writes and each.id not in ("create", OWN_ID)
        return replace(each, needs=tuple(dict.fromkeys((*each.needs, OWN_ID)))) if writes else each
    needs: tuple[str, ...] = FOUNDATION if each.writes else STRUCTURE
    if each.group == "schema":
        needs = tuple(need for need in needs if need not in ("zero-values-emitted", "answer-complete"))
    return replace(each, needs=tuple(dict.fromkeys((*each.needs, *needs))))
