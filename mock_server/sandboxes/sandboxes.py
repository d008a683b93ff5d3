"""Worlds: states apart in one server, so that tests that run at once do not meet.

A world has its own integrations, registries, troubles and journal. It is made when it is first named and freed
when nobody has used it for a time. The default world is the one of requests that name none.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from mock_server.central.errors import Refusal
from mock_server.contract.tables import Contract
from mock_server.sandboxes.central import Central
from mock_server.settings import Settings
from mock_server.simulation.faults import Troubles
from mock_server.simulation.request_journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

NAME = re.compile(r"[A-Za-z0-9._~-]{1,100}")
DEFAULT = ""
PREFIX = "/__world/"
"""Of paths: what follows the name is the path in that world."""


class App(Protocol):
    """What answers for a world: a WSGI app around a Central."""

    central: Central
    settings: Settings

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""


MakeApp = Callable[[Settings, Contract], App]
"""Makes an app with its own Central, faults of the settings planted."""


class World:
    """One world. `central` is in `app`, unless the app serves several worlds."""

    __slots__ = ("_home", "_make_app", "app", "central", "faults", "journal", "name", "scenario", "troubles", "used")

    def __init__(self, name: str, home: App, central: Central, make_app: MakeApp) -> None:
        """`home` is the app that answers while no other faults are planted than those of its settings."""
        self.name = name
        self.app = self._home = home
        self.central = central
        central.store.belong_to(name)
        self.faults = home.settings.faults
        self.scenario = _first_scenario(home.settings)
        self.troubles = Troubles(home.settings.troubles)
        self.journal = _journal(central)
        self.used = time.monotonic()
        self._make_app = make_app

    def reset(self) -> None:
        """Make everything as it was at the start."""
        settings = self._home.settings
        self.plant(settings.faults)
        self.central.store.reset()
        self.central.probe.probe_rules = settings.probe_rules
        self.troubles.reset()
        self.scenario = _first_scenario(settings)
        if self.journal is not None:
            self.journal.clear()

    def switch(self, scenario: str) -> None:
        """Hold what a scenario holds, and nothing else.

        Raises:
            ValueError: there is no such scenario.
        """
        self.central.store.replace(self.central.scenario(scenario))
        self.scenario = scenario

    def plant(self, faults: tuple[str, ...]) -> None:
        """Answer with these planted faults, and no others, from now on; the state stays.

        Raises:
            ValueError: a fault is unknown.
        """
        if faults == self.faults:
            return
        if faults == self._home.settings.faults:
            self._move(self._home, self.home_central())
        else:
            app = self._make_app(replace(self._home.settings, faults=faults), self.central.contract)
            self._move(app, app.central)
        self.faults = faults

    def home_central(self) -> Central:
        """Give the Central of the home app, or one apart from it where worlds share the app."""
        shared = self.name != DEFAULT and not self._home.settings.faults
        return self._home.central.apart() if shared else self._home.central

    def _move(self, app: App, central: Central) -> None:
        """Go on in another app, with the state and the registries of this one."""
        central.store.go_on_from(self.central.store)
        central.probe.probe_rules = self.central.probe.probe_rules
        self.app, self.central = app, central

    def renew(self, home: App, *, keep_state: bool) -> None:
        """Go on in an app of other settings, or of another document."""
        old, self._home = self._home.settings, home
        probe_rules = self.central.probe.probe_rules
        self._move(home, self.home_central())
        if home.settings.probe_rules != old.probe_rules:
            probe_rules = home.settings.probe_rules
        self.central.probe.probe_rules = probe_rules
        if home.settings.troubles != old.troubles:
            self.troubles = Troubles(home.settings.troubles)
        self.faults = home.settings.faults
        if not keep_state:
            self.central.store.reset()
            self.scenario = _first_scenario(home.settings)


def _first_scenario(settings: Settings) -> str:
    return str(settings.load) if settings.load else "empty" if settings.empty else settings.scenario


def _journal(central: Central) -> Journal | None:
    settings = central.settings
    if not settings.journal:
        return None
    names = central.contract.credential_names
    return Journal(settings.journal, names, texts_show_credentials=settings.as_deployed)


class Worlds:
    """The worlds of one server."""

    def __init__(self, app: App, make_app: MakeApp) -> None:
        self._app = app
        self._make_app = make_app
        self._lock = threading.Lock()
        self._worlds: dict[str, World] = {}
        self.default = World(DEFAULT, app, app.central, make_app)

    def get(self, name: str) -> World:
        """Give the world of that name, made now if there is none.

        Raises:
            Refusal: the text is no name, or there are as many worlds as there may be.
        """
        world = self._worlds.get(name)
        if world is None:
            world = self._made(name)
        world.used = time.monotonic()
        return world

    def _made(self, name: str) -> World:
        if not NAME.fullmatch(name):
            raise Refusal(
                "world", 400, 3, f"{name!r} is not the name of a world: 1 to 100 letters, digits or any of . _ ~ -"
            )
        settings = self._app.settings
        with self._lock:
            if name in self._worlds:
                return self._worlds[name]
            if len(self._worlds) >= settings.max_worlds:
                self._free_unused()
            if len(self._worlds) >= settings.max_worlds:
                raise Refusal(
                    "world",
                    429,
                    8,
                    f"there are {settings.max_worlds} worlds, as many as --max-worlds allows; "
                    f"free one with DELETE /__admin/worlds/NAME, or choose a shorter --world-ttl",
                )
            world = self._worlds[name] = self._new(name)
            if len(self._worlds) == 1:
                threading.Thread(target=self._free_at_times, daemon=True).start()
            return world

    def _new(self, name: str) -> World:
        home = self._home_of_a_world()
        return World(name, home, home.central if home is not self._app else home.central.apart(), self._make_app)

    def _free_at_times(self) -> None:
        while True:
            time.sleep(max(self._app.settings.world_ttl / 10, 0.01))
            with self._lock:
                self._free_unused()
                if not self._worlds:
                    return

    def _free_unused(self) -> None:
        oldest = time.monotonic() - self._app.settings.world_ttl
        for name in [name for name, world in self._worlds.items() if world.used < oldest]:
            del self._worlds[name]

    def remove(self, name: str | None = None) -> int:
        """Free the world of that name, or all; give how many there were."""
        with self._lock:
            names = [name] if name in self._worlds else [] if name else list(self._worlds)
            for each in names:
                self._worlds.pop(each).central.store.free()
            return len(names)

    def listed(self) -> list[dict[str, Any]]:
        """Say of each world, the default one first, what it holds and since when nobody has used it."""
        with self._lock:
            worlds = [self.default, *self._worlds.values()]
        now = time.monotonic()
        return [
            {"name": each.name, "scenario": each.scenario, "integrations": len(each.central.store)}
            | ({} if each is self.default else {"idleSeconds": round(now - each.used, 1)})
            for each in worlds
        ]

    def renew(self, app: App, *, keep_state: bool) -> None:
        """Let every world go on in another app: other settings, or another document."""
        with self._lock:
            self._app = app
            self.default.renew(app, keep_state=keep_state)
            for world in self._worlds.values():
                world.renew(self._home_of_a_world(), keep_state=keep_state)

    def _home_of_a_world(self) -> App:
        if not self._app.settings.faults:
            return self._app
        # They are planted in the parts that worlds would share.
        return self._make_app(self._app.settings, self._app.central.contract)
