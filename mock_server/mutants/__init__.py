"""Planted faults: what a server of this API can get wrong, one at a time.

They are for trying out testers. A fault is a small override of one function of one app; the code
of the mock knows nothing of them, and other apps of the process stay healthy.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from mock_server.state.memory import MemoryStore

if TYPE_CHECKING:
    from mock_server.web.app import MockCentral

KINDS = ("rule", "schema", "status", "state", "security", "wire", "concurrency", "latency")

Plant = Callable[["MockCentral"], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `check` is the id of the check that has to find it.

    `also`: checks whose own matter the fault touches too. `settings`: what the mock has to be set
    to for the fault to show.
    """

    name: str
    kind: str
    check: str
    summary: str
    plant: Plant
    also: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


_FAULTS: dict[str, Fault] = {}


def fault(
    name: str, *, kind: str, check: str, summary: str, also: tuple[str, ...] = (), **settings: Any
) -> Callable[[Plant], Plant]:
    """Register a function as the one that plants the fault `name`.

    Raises:
        ValueError: the name is taken or the kind unknown.
    """
    if name in _FAULTS or kind not in KINDS:
        raise ValueError(f"fault {name!r} is there already, or {kind!r} is none of {', '.join(KINDS)}")

    def register(function: Plant) -> Plant:
        _FAULTS[name] = Fault(name, kind, check, summary, function, also, settings)
        return function

    return register


@cache
def all_faults() -> Mapping[str, Fault]:
    """Give every fault by its name, kind after kind."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return {each.name: each for each in sorted(_FAULTS.values(), key=lambda each: KINDS.index(each.kind))}


def memory(app: MockCentral) -> MemoryStore:
    """Give the store of an app, for faults that reach into it; settings see to its being in memory."""
    store = app.central.store
    assert isinstance(store, MemoryStore)
    return store


def find(name: str) -> Fault:
    """Give the fault of that name.

    Raises:
        ValueError: there is none; the text names those that are close.
    """
    known = all_faults()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise ValueError(f"unknown fault {name!r}{hint}")
    return known[name]


def plant(app: MockCentral, names: Iterable[str]) -> None:
    """Plant faults in an app.

    Raises:
        ValueError: a name is unknown.
    """
    # Such an app breaks the contract on purpose, which must not stop it.
    setattr(app.central, "answer_broken", lambda _violations: None)  # noqa: B010 (a method, for mypy)
    for each in [find(name) for name in names]:
        each.plant(app)
