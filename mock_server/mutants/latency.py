"""Answers that take too long."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from mock_server.mutants import Mutate, mutant
from mock_server.mutants.tools import CREATE, DELETE, EVERY, LIST, PUT, TEST, around, handled, wait

if TYPE_CHECKING:
    from mock_server.gateway.operations import Call, Handler
    from mock_server.sandboxes.central import Central
    from mock_server.web.app import MockCentral


def _latency(name: str, summary: str, check: str) -> Callable[[Mutate], Mutate]:
    return mutant(name, kind="latency", check=check, summary=summary)


def _waits(app: MockCentral, operations: tuple[str, ...], seconds: Callable[[Central, Call], float]) -> None:
    def waiting(handler: Handler, central: Central, call: Call) -> bytes:
        wait(seconds(central, call))
        return handler(central, call)

    handled(app, operations, waiting)


def _slow(operation: str, app: MockCentral) -> None:
    _waits(app, (operation,), lambda _central, _call: 6)


for _name, _operation in (("list", LIST), ("put", PUT), ("delete", DELETE), ("test", TEST)):
    _latency(f"slow-{_name}", f"{_operation} takes six seconds", "response-time")(partial(_slow, _operation))


@_latency("slow-type", "A create of type clairV4 takes two seconds", "response-time")
def slow_type(app: MockCentral) -> None:
    """Wait for one type."""
    _waits(app, (CREATE,), lambda _central, call: 2 if b'"clairV4"' in call.body else 0)


@_latency("slow-tenth", "Every tenth request takes two seconds", "response-time")
def slow_tenth(app: MockCentral) -> None:
    """Wait now and then."""
    serial = itertools.count(1)
    _waits(app, EVERY, lambda _central, _call: 2 if next(serial) % 10 == 0 else 0)


@_latency("slow-refusals", "A name that is taken takes six seconds", "response-time")
def slow_refusals(app: MockCentral) -> None:
    """Try again and again."""

    def check(original: Callable[..., object], sent: object) -> object:
        found = original(sent)
        wait(6 if found else 0)
        return found

    around(app.central.validation, "name_unique", check)


@_latency("list-grows", "The list takes 10 ms for each integration", "cost-growth")
def list_grows(app: MockCentral) -> None:
    """Ask for each one."""
    _waits(app, (LIST,), lambda central, _call: 0.01 * len(central.store))


@_latency("create-grows", "A create takes 10 ms for each integration", "cost-growth")
def create_grows(app: MockCentral) -> None:
    """Compare with each one."""
    _waits(app, (CREATE,), lambda central, _call: 0.01 * len(central.store))


@_latency("long-name-slow", "A name of 5,000 characters takes a second, one of 10,000 takes four", "slow-input")
def long_name_slow(app: MockCentral) -> None:
    """Match a pattern that tracks back."""
    _waits(app, (CREATE,), lambda _central, call: min(6, (len(call.body) / 5000) ** 2))


@_latency("slow-first-byte", "An answer of more than 8 kB begins after six seconds", "response-time")
def slow_first_byte(app: MockCentral) -> None:
    """Buffer what is long."""

    def waiting(handler: Handler, central: Central, call: Call) -> bytes:
        answer = handler(central, call)
        wait(6 if len(answer) > 8192 else 0)
        return answer

    handled(app, EVERY, waiting)
