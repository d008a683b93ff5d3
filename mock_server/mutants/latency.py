"""Answers that take too long."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from mock_server.mutants import Mutate, mutant
from mock_server.mutants.tools import CREATE, DELETE, EVERY, LIST, PUT, TEST, around, handled, wait

if TYPE_CHECKING:
    from mock_server.gateway.exchange import Exchange, Proceed
    from mock_server.gateway.instance import Instance
    from mock_server.gateway.messages import Response


def _latency(name: str, summary: str, check: str) -> Callable[[Mutate], Mutate]:
    return mutant(name, kind="latency", check=check, summary=summary)


def _waits(mock: Instance, operations: tuple[str, ...], seconds: Callable[[Exchange], float]) -> None:
    def waiting(proceed: Proceed, exchange: Exchange) -> Response:
        wait(seconds(exchange))
        return proceed(exchange)

    handled(mock, operations, waiting)


def _slow(operation: str, mock: Instance) -> None:
    _waits(mock, (operation,), lambda _exchange: 6)


for _name, _operation in (("list", LIST), ("put", PUT), ("delete", DELETE), ("test", TEST)):
    _latency(f"slow-{_name}", f"{_operation} takes six seconds", "response-time")(partial(_slow, _operation))


@_latency("slow-type", "A create of type clairV4 takes two seconds", "response-time")
def slow_type(mock: Instance) -> None:
    """Wait for one type."""
    _waits(mock, (CREATE,), lambda exchange: 2 if b'"clairV4"' in exchange.body else 0)


@_latency("response-time", "Every tenth request takes two seconds", "response-time")
def slow_tenth(mock: Instance) -> None:
    """Wait now and then."""
    serial = itertools.count(1)
    _waits(mock, EVERY, lambda _exchange: 2 if next(serial) % 10 == 0 else 0)


@_latency("slow-refusals", "Refusing a taken name takes six seconds", "response-time")
def slow_refusals(mock: Instance) -> None:
    """Try again and again."""

    def check(original: Callable[..., object], sent: object) -> object:
        found = original(sent)
        wait(6 if found else 0)
        return found

    around(mock.central.validation, "name_unique", check)


@_latency("cost-growth", "The list takes 10 ms for each integration", "cost-growth")
def list_grows(mock: Instance) -> None:
    """Ask for each one."""
    _waits(mock, (LIST,), lambda exchange: 0.01 * len(exchange.sandbox.central.store))


@_latency("create-grows", "A create takes 10 ms for each integration", "cost-growth")
def create_grows(mock: Instance) -> None:
    """Compare with each one."""
    _waits(mock, (CREATE,), lambda exchange: 0.01 * len(exchange.sandbox.central.store))


@_latency("slow-input", "A name of 5,000 characters takes a second, one of 10,000 takes four", "slow-input")
def long_name_slow(mock: Instance) -> None:
    """Match a pattern that tracks back."""
    _waits(mock, (CREATE,), lambda exchange: min(6, (len(exchange.body) / 5000) ** 2))


@_latency("slow-first-byte", "An answer of more than 8 kB begins after six seconds", "response-time")
def slow_first_byte(mock: Instance) -> None:
    """Buffer what is long."""

    def waiting(proceed: Proceed, exchange: Exchange) -> Response:
        answer = proceed(exchange)
        wait(6 if len(answer.bytes) > 8192 else 0)
        return answer

    handled(mock, EVERY, waiting)
