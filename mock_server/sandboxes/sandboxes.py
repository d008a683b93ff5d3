"""Sandboxes: separate states in one server, so that parallel tests do not interfere.

A sandbox has its own integrations, registry-test rules, faults and journal. It is created on first use, and deleted
after an idle time. Requests that name none use the default sandbox.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeVar

from mock_server.central.errors import Refusal
from mock_server.central.registry_test_rules import RegistryTestRule
from mock_server.contract.tables import Contract
from mock_server.sandboxes.central import Central
from mock_server.settings import Settings
from mock_server.simulation.faults import Faults
from mock_server.simulation.request_journal import Journal
from mock_server.state import scenarios

NAME = re.compile(r"(?!\.\.?$)[A-Za-z0-9._~-]{1,100}")
"""Clients resolve `.` and `..` in a path before they send it."""
DEFAULT = ""
PREFIX = "/__sandbox/"
"""Prefix of paths in a sandbox: its name and the path follow."""


class Instance(Protocol):
    """Answers for a sandbox: a Central, and the layers in front of it."""

    @property
    def central(self) -> Central:
        """The parts of the Central."""

    @property
    def settings(self) -> Settings:
        """The settings of the parts."""


InstanceT = TypeVar("InstanceT", bound=Instance)
MakeInstance = Callable[[Settings, Contract], InstanceT]
"""Makes an instance with its own Central, and applies the mutants of the settings."""


class Sandbox(Generic[InstanceT]):
    """One sandbox. Its `central` is that of its `instance`, unless several sandboxes share the instance."""

    __slots__ = ("_home", "_make", "central", "faults", "instance", "journal", "mutants", "name", "scenario", "used")

    def __init__(self, name: str, home: InstanceT, make: MakeInstance[InstanceT]) -> None:
        """`home` answers unless the mutants of the sandbox differ from the settings."""
        self.name = name
        self.instance = self._home = home
        self._make = make
        self.central = self._home_central()
        self.central.store.bind(name)
        self.mutants = home.settings.mutants
        self.scenario = _first_scenario(home.settings)
        self.faults = Faults(home.settings.faults)
        self.journal = _journal(self.central)
        self.used = time.monotonic()

    def reset(self) -> None:
        """Restore the initial state."""
        settings = self._home.settings
        self.mutate(settings.mutants)
        self.central.store.reset()
        self.central.network.rules = self.central.initial_registry_tests()
        self.faults.reset()
        self.scenario = _first_scenario(settings)
        if self.journal is not None:
            self.journal.clear()

    def switch(self, scenario: str) -> None:
        """Replace the state and the rules of registry tests with those of a scenario.

        Raises:
            ValueError: the scenario is unknown.
        """
        self.central.store.replace(self.central.scenario(scenario))
        network = self.central.network
        kept = [each for each in network.rules if each not in _rules_of(self.scenario)]
        network.rules = (*kept, *_rules_of(scenario))
        self.scenario = scenario

    def mutate(self, mutants: tuple[str, ...]) -> None:
        """Apply these mutants and no others; the state stays.

        Raises:
            ValueError: a mutant is unknown.
        """
        if mutants == self.mutants:
            return
        if mutants == self._home.settings.mutants:
            self._move(self._home, self._home_central())
        else:
            mutated = self._make(replace(self._home.settings, mutants=mutants), self.central.contract)
            self._move(mutated, mutated.central)
        self.mutants = mutants

    def _home_central(self) -> Central:
        """Return the Central of the home instance, or a fork of it if sandboxes share the instance."""
        shared = self.name != DEFAULT and not self._home.settings.mutants
        return self._home.central.fork() if shared else self._home.central

    def _move(self, instance: InstanceT, central: Central) -> None:
        """Switch to another instance, and keep state and registry-test rules."""
        central.store.adopt(self.central.store)
        central.network.adopt(self.central.network)
        self.instance, self.central = instance, central

    def renew(self, home: InstanceT, make: MakeInstance[InstanceT], *, keep_state: bool) -> None:
        """Switch to an instance with other settings or another contract."""
        old, self._home, self._make = self._home.settings, home, make
        self._move(home, self._home_central())
        if home.settings.registry_tests != old.registry_tests:
            self.central.network.rules = (*home.settings.registry_tests, *_rules_of(self.scenario))
        if home.settings.faults != old.faults:
            self.faults = Faults(home.settings.faults)
        self.mutants = home.settings.mutants
        if not keep_state:
            self.central.store.reset()
            self.scenario = _first_scenario(home.settings)


def _rules_of(scenario: str) -> tuple[RegistryTestRule, ...]:
    try:
        return scenarios.parse(scenario)[0].registry_tests
    except ValueError:  # the name of a file, or of a removed scenario
        return ()


def _first_scenario(settings: Settings) -> str:
    return str(settings.load) if settings.load else "empty" if settings.empty else settings.scenario


def _journal(central: Central) -> Journal | None:
    settings = central.settings
    if not settings.journal:
        return None
    names = central.contract.credential_names
    return Journal(settings.journal, names, texts_show_credentials=settings.as_deployed)


class Sandboxes(Generic[InstanceT]):
    """The sandboxes of one server; `home` answers for those without their own instance."""

    def __init__(self, home: InstanceT, make: MakeInstance[InstanceT]) -> None:
        self.home = home
        self.make = make
        self._lock = threading.Lock()
        self._sandboxes: dict[str, Sandbox[InstanceT]] = {}
        self.default = Sandbox(DEFAULT, home, make)

    def get(self, name: str) -> Sandbox[InstanceT]:
        """Return the sandbox with this name; create it if it is missing.

        Raises:
            Refusal: the name is invalid, or the limit of sandboxes is reached.
        """
        sandbox = self._sandboxes.get(name)
        if sandbox is None:
            sandbox = self._made(name)
        sandbox.used = time.monotonic()
        return sandbox

    def _made(self, name: str) -> Sandbox[InstanceT]:
        if not NAME.fullmatch(name):
            raise Refusal(
                "sandbox", 400, 3, f"{name!r} is not the name of a sandbox: 1 to 100 letters, digits or any of . _ ~ -"
            )
        settings = self.home.settings
        with self._lock:
            if name in self._sandboxes:
                return self._sandboxes[name]
            if len(self._sandboxes) >= settings.max_sandboxes:
                self._free_unused()
            if len(self._sandboxes) >= settings.max_sandboxes:
                raise Refusal(
                    "sandbox",
                    429,
                    8,
                    f"there are {settings.max_sandboxes} sandboxes, as many as --max-sandboxes allows; "
                    f"allow more, free one with DELETE /__admin/sandboxes/NAME, or choose a shorter --sandbox-ttl",
                )
            sandbox = self._sandboxes[name] = Sandbox(name, self._home_of_a_sandbox(), self.make)
            if len(self._sandboxes) == 1:
                threading.Thread(target=self._free_at_times, daemon=True).start()
            return sandbox

    def _free_at_times(self) -> None:
        while True:
            time.sleep(max(self.home.settings.sandbox_ttl / 10, 0.01))
            with self._lock:
                self._free_unused()
                if not self._sandboxes:
                    return

    def _free_unused(self) -> None:
        oldest = time.monotonic() - self.home.settings.sandbox_ttl
        for name in [name for name, sandbox in self._sandboxes.items() if sandbox.used < oldest]:
            del self._sandboxes[name]

    def remove(self, name: str | None = None) -> int:
        """Delete the sandbox with this name, or all; return the number of deleted ones."""
        with self._lock:
            names = [name] if name in self._sandboxes else [] if name else list(self._sandboxes)
            for each in names:
                self._sandboxes.pop(each).central.store.free()
            return len(names)

    def listed(self) -> list[dict[str, Any]]:
        """List the sandboxes as JSON data, the default one first."""
        with self._lock:
            sandboxes = [self.default, *self._sandboxes.values()]
        now = time.monotonic()
        return [
            {"name": each.name, "scenario": each.scenario, "integrations": len(each.central.store)}
            | ({} if each is self.default else {"idleSeconds": round(now - each.used, 1)})
            for each in sandboxes
        ]

    def renew(self, home: InstanceT, make: MakeInstance[InstanceT], *, keep_state: bool) -> None:
        """Switch every sandbox to an instance with other settings or another contract."""
        with self._lock:
            self.home, self.make = home, make
            self.default.renew(home, make, keep_state=keep_state)
            for sandbox in self._sandboxes.values():
                sandbox.renew(self._home_of_a_sandbox(), make, keep_state=keep_state)

    def _home_of_a_sandbox(self) -> InstanceT:
        if not self.home.settings.mutants:
            return self.home
        # Mutants change parts that sandboxes would share.
        return self.make(self.home.settings, self.home.central.contract)
