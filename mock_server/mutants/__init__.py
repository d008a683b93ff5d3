"""Mutants: bugs that a server of this API can have, one at a time, to test the tests.

Each is a small override of a part or a layer of one instance. The rest of the mock does not know them.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol

from mock_server.state.memory import MemoryStore

if TYPE_CHECKING:
    from mock_server.gateway.instance import Instance

KINDS = ("rule", "schema", "status", "state", "security", "wire", "concurrency", "latency")

Mutate = Callable[["Instance"], None]
Arguments = ParamSpec("Arguments")


class Register(Protocol):
    """Registers the function of a mutant."""

    def __call__(
        self,
        function: Callable[Concatenate[Instance, Arguments], None],
        /,
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> object:
        """Apply the mutant by `function(instance, *arguments)`."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mutant. `check` is the id of the check that has to find it.

    `also`: other checks whose subject the mutant breaks. `settings`: the settings that the mutant
    needs to have an effect.
    """

    name: str
    kind: str
    check: str
    summary: str
    mutate: Mutate
    also: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


_MUTANTS: dict[str, Mutant] = {}


def mutant(
    name: str, summary: str, check: str = "", also: tuple[str, ...] = (), *, kind: str, **settings: Any
) -> Register:
    """Return a function that registers the mutant `name`, for use as a decorator or with one of `tools`.

    `check`: by default the one of the same name.

    Raises:
        ValueError: the name exists already, or the kind is unknown.
    """
    if name in _MUTANTS or kind not in KINDS:
        raise ValueError(f"mutant {name!r} exists already, or {kind!r} is not one of {', '.join(KINDS)}")

    def register(
        function: Callable[Concatenate[Instance, Arguments], None],
        /,
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> None:
        def mutate(mock: Instance) -> None:
            function(mock, *arguments, **named)

        _MUTANTS[name] = Mutant(name, kind, check or name, summary, mutate, also, settings)

    return register


@cache
def all_mutants() -> Mapping[str, Mutant]:
    """Return every mutant by its name, ordered by kind."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return {each.name: each for each in sorted(_MUTANTS.values(), key=lambda each: KINDS.index(each.kind))}


def memory(mock: Instance) -> MemoryStore:
    """Return the store of an instance, for mutants that reach into it; settings keep it in memory."""
    store = mock.central.store
    assert isinstance(store, MemoryStore)
    return store


def find(name: str) -> Mutant:
    """Return the mutant of that name.

    Raises:
        ValueError: there is none; the text suggests similar names.
    """
    known = all_mutants()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "`mock-central mutants` lists them"
        raise ValueError(f"unknown mutant {name!r}; {hint}")
    return known[name]


def mutate(mock: Instance, names: Iterable[str]) -> None:
    """Apply mutants to a mock.

    Raises:
        ValueError: a name is unknown.
    """
    # A mutant breaks the contract on purpose, so its answers must not raise.
    setattr(mock.central.rendering, "answer_broken", lambda _violations: None)  # noqa: B010 (a method, for mypy)
    for each in [find(name) for name in names]:
        each.mutate(mock)
