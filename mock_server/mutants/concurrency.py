"""Bugs that show only with concurrent requests."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.instance import Instance
from mock_server.gateway.messages import Response
from mock_server.mutants import memory, mutant, tools
from mock_server.mutants.tools import CREATE, DELETE, EVERY, GET, LIST, PATCH, PUT, Original

_MEETING = 0.004
"""Seconds to wait for a concurrent request."""


_concurrency = partial(mutant, kind="concurrency")


def _unlocked(mock: Instance) -> None:
    memory(mock).lock = nullcontext()  # type: ignore[assignment]


class _Present:
    """Counts the requests inside a block."""

    def __init__(self) -> None:
        self.count = 0
        self.lock = threading.Lock()

    def __enter__(self) -> int:
        """Enter, and return the number of requests inside."""
        with self.lock:
            self.count += 1
            return self.count

    def __exit__(self, *_: object) -> None:
        """Go."""
        with self.lock:
            self.count -= 1


@_concurrency("same-name-at-once", "Two concurrent creates with one name both succeed")
def name_race(mock: Instance) -> None:
    _unlocked(mock)

    def check(original: Original, sent: Mapping[str, Any]) -> Any:
        found = original(sent)
        time.sleep(_MEETING)
        return found

    tools.around(mock, "central.validation.name_unique", check)


@_concurrency("creates-at-once", "One of two concurrent creates is lost")
def creates_lost(mock: Instance) -> None:
    _unlocked(mock)
    store = memory(mock)

    def put(original: Original, integration: Mapping[str, Any]) -> Any:
        before = dict(store._by_id)
        time.sleep(_MEETING)
        stored = original(integration)
        store._by_id = before | {integration["id"]: stored}
        return stored

    tools.around(store, "put", put)


@_concurrency("updates-at-once", "Two concurrent updates are mixed")
def updates_mixed(mock: Instance) -> None:
    _unlocked(mock)
    store = mock.central.store

    def update(original: Original, sent: Mapping[str, Any], *, update_password: bool) -> None:
        original(sent, update_password=update_password)
        mine = store.get(sent["id"])
        time.sleep(_MEETING)
        now = store.get(sent["id"])
        if not mine or not now or "docker" not in mine.integration or "docker" not in now.integration:
            return
        if {**now.integration, "docker": None} != {**mine.integration, "docker": None}:  # another update is stored
            endpoint = mine.integration["docker"]["endpoint"]
            store.put({**now.integration, "docker": {**now.integration["docker"], "endpoint": endpoint}})

    tools.around(mock, "central.service.update", update)


def _collide(mock: Instance, operations: tuple[str, ...], status: int, text: str, code: int, *, most: int = 1) -> None:
    inside = _Present()

    def one(proceed: Proceed, exchange: Exchange) -> Response:
        with inside as now:
            if now > most:
                raise tools.refused(status, text, code)
            time.sleep(_MEETING)
            return proceed(exchange)

    tools.handled(mock, operations, one)


_concurrency("updates-500", "One of two concurrent updates answers 500", "updates-at-once", also=("no-server-error",))(
    _collide, (PUT, PATCH), 500, "could not serialize access due to concurrent update", 13
)
_concurrency("creates-500", "One of two concurrent creates answers 500", "creates-at-once", also=("no-server-error",))(
    _collide, (CREATE,), 500, "database is locked", 13
)


@_concurrency("lists-during-writes", "A list that runs during a create answers 500", also=("no-server-error",))
def list_during_write(mock: Instance) -> None:
    writers = _Present()

    def write(proceed: Proceed, exchange: Exchange) -> Response:
        with writers:
            time.sleep(_MEETING)
            return proceed(exchange)

    def listed(proceed: Proceed, exchange: Exchange) -> Response:
        if writers.count:
            raise tools.refused(500, "dictionary changed size during iteration", 13)
        return proceed(exchange)

    tools.handled(mock, (CREATE, PUT, DELETE), write)
    tools.handled(mock, (LIST,), listed)


@_concurrency("ids-doubled", "Concurrent creates get the same id", "creates-at-once")
def ids_doubled(mock: Instance) -> None:
    _unlocked(mock)
    serial = [0]

    def new_id() -> str:
        now = serial[0]
        time.sleep(_MEETING)
        serial[0] = now + 1
        return str(uuid.UUID(int=random.Random(now).getrandbits(128), version=4))

    tools.replace_method(mock, "central.store.new_id", new_id)


_concurrency("deletes-at-once", "One of two concurrent deletes answers 500", also=("no-server-error",))(
    _collide, (DELETE,), 500, "could not obtain lock on row", 13
)


@_concurrency("reads-at-once", "Two concurrent GETs get each other's answer")
def answers_swapped(mock: Instance) -> None:
    last = [""]

    def get(proceed: Proceed, exchange: Exchange) -> Response:
        last[0] = exchange.id
        time.sleep(_MEETING)
        exchange.id = last[0]
        return proceed(exchange)

    tools.handled(mock, (GET,), get)


@_concurrency(
    "writes-wait",
    "A concurrent write waits six seconds",
    "response-time",
    also=("creates-at-once", "deletes-at-once"),
)
def writes_wait(mock: Instance) -> None:
    inside = _Present()

    def one(proceed: Proceed, exchange: Exchange) -> Response:
        with inside as now:
            tools.wait(6 if now > 1 else _MEETING)
            return proceed(exchange)

    tools.handled(mock, (CREATE, PUT, PATCH, DELETE), one)


_concurrency(
    "busy-503", "More than three concurrent requests answer 503", "creates-at-once", also=("no-server-error",)
)(_collide, EVERY, 503, "no worker is free", 14, most=3)
