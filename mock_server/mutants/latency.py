"""Answers that take too long."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.instance import Instance
from mock_server.gateway.messages import Response
from mock_server.mutants import mutant, tools
from mock_server.mutants.tools import CREATE, DELETE, EVERY, LIST, PUT, TEST, Original

_latency = partial(mutant, kind="latency")


def _waits(mock: Instance, operations: tuple[str, ...], seconds: Callable[[Exchange], float]) -> None:
    def waiting(proceed: Proceed, exchange: Exchange) -> Response:
        tools.wait(seconds(exchange))
        return proceed(exchange)

    tools.handled(mock, operations, waiting)


for _name, _operation in (("list", LIST), ("put", PUT), ("delete", DELETE), ("test", TEST)):
    _latency(f"slow-{_name}", f"{_operation} takes six seconds", "response-time")(
        _waits, (_operation,), lambda _exchange: 6
    )


_latency("slow-type", "A create of type clairV4 takes two seconds", "response-time")(
    _waits, (CREATE,), lambda exchange: 2 if b'"clairV4"' in exchange.body else 0
)


@_latency("response-time", "Every tenth request takes two seconds")
def slow_tenth(mock: Instance) -> None:
    serial = itertools.count(1)
    _waits(mock, EVERY, lambda _exchange: 2 if next(serial) % 10 == 0 else 0)


@_latency("slow-refusals", "Refusing a taken name takes six seconds", "response-time")
@tools.instead_of("central.validation.name_unique")
def slow_refusals(mock: Instance, original: Original, sent: object) -> Any:
    found = original(sent)
    tools.wait(6 if found else 0)
    return found


_latency("cost-growth", "The list takes 10 ms per stored integration")(
    _waits, (LIST,), lambda exchange: 0.01 * len(exchange.sandbox.central.store)
)
_latency("create-grows", "A create takes 10 ms per stored integration", "cost-growth")(
    _waits, (CREATE,), lambda exchange: 0.01 * len(exchange.sandbox.central.store)
)
_latency("slow-input", "A name of 5,000 characters takes a second, one of 10,000 takes four")(
    _waits, (CREATE,), lambda exchange: min(6, (len(exchange.body) / 5000) ** 2)
)


@_latency("slow-first-byte", "An answer of more than 8 kB starts after six seconds", "response-time")
@tools.answering(*EVERY)
def slow_first_byte(proceed: Proceed, exchange: Exchange) -> Response:
    answer = proceed(exchange)
    tools.wait(6 if len(answer.bytes) > 8192 else 0)
    return answer
