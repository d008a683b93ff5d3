"""What goes wrong only when requests meet."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from mock_server.mutants import Mutate, memory, mutant
from mock_server.mutants.tools import (
    CREATE,
    DELETE,
    EVERY,
    GET,
    LIST,
    PATCH,
    PUT,
    around,
    handled,
    refused,
    replace_method,
    wait,
)

if TYPE_CHECKING:
    from mock_server.gateway.operations import Call, Handler
    from mock_server.sandboxes.central import Central
    from mock_server.web.app import MockCentral

_MEETING = 0.004
"""Seconds that a window stays open for another request."""


def _concurrency(name: str, summary: str, check: str, also: tuple[str, ...] = ()) -> Callable[[Mutate], Mutate]:
    return mutant(name, kind="concurrency", check=check, summary=summary, also=also)


def _unlocked(app: MockCentral) -> None:
    memory(app).lock = nullcontext()  # type: ignore[assignment]


class _Present:
    """Counts who is inside."""

    def __init__(self) -> None:
        self.count = 0
        self.lock = threading.Lock()

    def __enter__(self) -> int:
        """Come in, and learn how many are there."""
        with self.lock:
            self.count += 1
            return self.count

    def __exit__(self, *_: object) -> None:
        """Go."""
        with self.lock:
            self.count -= 1


@_concurrency("name-race", "Two creates of one name at once both succeed", "same-name-at-once")
def name_race(app: MockCentral) -> None:
    """Check, then act."""
    _unlocked(app)

    def check(original: Callable[..., Any], sent: Mapping[str, Any]) -> Any:
        found = original(sent)
        time.sleep(_MEETING)
        return found

    around(app.central.validation, "name_unique", check)


@_concurrency("creates-lost", "Of two creates at once one is lost", "creates-at-once")
def creates_lost(app: MockCentral) -> None:
    """Write back a copy of all."""
    _unlocked(app)
    store = memory(app)

    def put(original: Callable[..., Any], integration: Mapping[str, Any]) -> Any:
        before = dict(store._by_id)
        time.sleep(_MEETING)
        stored = original(integration)
        store._by_id = before | {integration["id"]: stored}
        return stored

    around(store, "put", put)


@_concurrency("updates-mixed", "Two updates at once leave a mix of both", "updates-at-once")
def updates_mixed(app: MockCentral) -> None:
    """Write field by field."""
    _unlocked(app)
    store = app.central.store

    def update(original: Callable[..., None], sent: Mapping[str, Any], *, update_password: bool) -> None:
        original(sent, update_password=update_password)
        mine = store.get(sent["id"])
        time.sleep(_MEETING)
        now = store.get(sent["id"])
        if mine and now and mine is not now and "docker" in mine.integration and "docker" in now.integration:
            endpoint = mine.integration["docker"]["endpoint"]
            store.put({**now.integration, "docker": {**now.integration["docker"], "endpoint": endpoint}})

    around(app.central.service, "update", update)


@_concurrency("updates-500", "Two updates at once: one answers 500", "updates-at-once", also=("no-server-error",))
def updates_500(app: MockCentral) -> None:
    """Fail to serialise."""
    _collide(app, (PUT, PATCH), 500, "could not serialize access due to concurrent update", 13)


@_concurrency("creates-500", "Two creates at once: one answers 500", "creates-at-once", also=("no-server-error",))
def creates_500(app: MockCentral) -> None:
    """Fail to get a lock."""
    _collide(app, (CREATE,), 500, "database is locked", 13)


@_concurrency(
    "list-during-write", "A list during a create answers 500", "lists-during-writes", also=("no-server-error",)
)
def list_during_write(app: MockCentral) -> None:
    """Walk a map that changes."""
    writers = _Present()

    def write(handler: Handler, central: Central, call: Call) -> bytes:
        with writers:
            time.sleep(_MEETING)
            return handler(central, call)

    def listed(handler: Handler, central: Central, call: Call) -> bytes:
        if writers.count:
            raise refused(500, "dictionary changed size during iteration", 13)
        return handler(central, call)

    handled(app, (CREATE, PUT, DELETE), write)
    handled(app, (LIST,), listed)


def _collide(app: MockCentral, operations: tuple[str, ...], status: int, text: str, code: int) -> None:
    inside = _Present()

    def one(handler: Handler, central: Central, call: Call) -> bytes:
        with inside as now:
            if now > 1:
                raise refused(status, text, code)
            time.sleep(_MEETING)
            return handler(central, call)

    handled(app, operations, one)


@_concurrency("ids-doubled", "Creates at once get one id", "creates-at-once")
def ids_doubled(app: MockCentral) -> None:
    """Count without a lock."""
    _unlocked(app)
    serial = [0]

    def new_id() -> str:
        now = serial[0]
        time.sleep(_MEETING)
        serial[0] = now + 1
        return str(uuid.UUID(int=random.Random(now).getrandbits(128), version=4))

    replace_method(app.central.store, "new_id", new_id)


@_concurrency("deletes-500", "Two deletes at once: one answers 500", "deletes-at-once", also=("no-server-error",))
def deletes_500(app: MockCentral) -> None:
    """Fail to lock a row."""
    _collide(app, (DELETE,), 500, "could not obtain lock on row", 13)


@_concurrency("answers-swapped", "Two GETs at once get each other's answer", "reads-at-once")
def answers_swapped(app: MockCentral) -> None:
    """Keep a request in a variable of all."""
    last = [""]

    def get(handler: Handler, central: Central, call: Call) -> bytes:
        last[0] = call.id
        time.sleep(_MEETING)
        call.id = last[0]
        return handler(central, call)

    handled(app, (GET,), get)


@_concurrency("writes-wait", "A write that meets another waits six seconds", "response-time", also=("deletes-at-once",))
def writes_wait(app: MockCentral) -> None:
    """Retry after a deadlock."""
    inside = _Present()

    def one(handler: Handler, central: Central, call: Call) -> bytes:
        with inside as now:
            wait(6 if now > 1 else _MEETING)
            return handler(central, call)

    handled(app, (CREATE, PUT, PATCH, DELETE), one)


@_concurrency("busy-503", "More than three requests at once answer 503", "creates-at-once", also=("no-server-error",))
def busy_503(app: MockCentral) -> None:
    """Have too few workers."""
    inside = _Present()

    def one(handler: Handler, central: Central, call: Call) -> bytes:
        with inside as now:
            if now > 3:
                raise refused(503, "no worker is free", 14)
            time.sleep(_MEETING)
            return handler(central, call)

    handled(app, EVERY, one)
