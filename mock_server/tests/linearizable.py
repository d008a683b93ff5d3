"""Histories of concurrent clients of one mock, and whether some order of their calls explains them.

A history is linearizable if each call can be given a moment between its start and its end such that one Central,
asked in the order of those moments, would have answered the same.
"""

import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from .conftest import Api, docker
from .histories import IMPOSSIBLE, Operation, linearizable

State = frozenset[tuple[str, str, str]]
"""What is stored: ids with their names and marks."""

NAMES = ("a", "b", "c")


class Call(NamedTuple):
    """A call and its answer; `start` and `end` are nanoseconds of one clock."""

    operation: str
    id: str
    name: str
    mark: str
    answer: Any
    start: int
    end: int


# -- the sequential model ----------------------------------------------------------------------------


def step(state: State, call: Call) -> State | None:
    """Return the state after a call, or None if a single Central would have answered differently."""
    by_id = {id: (name, mark) for id, name, mark in state}
    if call.operation == "list":
        return state if call.answer == state else None
    if call.operation == "find":
        return state if call.answer == frozenset(each for each in state if each[1] == call.name) else None
    if call.operation == "get":
        return state if call.answer == by_id.get(call.id, "get-missing") else None
    if call.operation == "delete":
        expected, after = ("", without(state, call.id)) if call.id in by_id else ("delete-missing", state)
    elif any(name == call.name and id != call.id for id, (name, _) in by_id.items()):
        expected, after = "name-unique", state
    elif call.operation == "create":
        if call.answer in by_id or call.answer in RULES:  # an id that is taken, or a refusal without a reason
            return None
        return state | {(call.answer, call.name, call.mark)}
    elif call.id not in by_id:
        expected, after = "update-missing", state
    else:
        expected, after = "", without(state, call.id) | {(call.id, call.name, call.mark)}
    return after if call.answer == expected else None


RULES = ("name-unique", "update-missing", "delete-missing", "get-missing")


def without(state: State, id: str) -> State:
    return frozenset(each for each in state if each[0] != id)


def explained(history: Iterable[Call], state: State) -> bool:
    """Return whether some order explains the history."""

    def after(state: State, call: Call, _answer: Any) -> Any:
        following = step(state, call)
        return IMPOSSIBLE if following is None else following

    return linearizable([Operation(call.start, call.end, call, call.answer) for call in history], state, after)


# -- recording ---------------------------------------------------------------------------------------


@contextmanager
def hasty_threads() -> Iterator[None]:
    """Make Python switch threads as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def recorded(api: Api, rng: random.Random, clients: int = 4, calls: int = 4) -> tuple[list[Call], State]:
    """Run concurrent clients; return their calls, and the state before."""
    api.app.gateway.sandboxes.default.reset()
    ids = [api.created(body(name, "first")) for name in NAMES[:2]]
    before = frozenset((id, name, "first") for id, name in zip(ids, NAMES, strict=False))
    plans = [[_plan(rng, ids, f"{client}.{number}") for number in range(calls)] for client in range(clients)]
    history: list[Call] = []
    together = threading.Barrier(clients)

    def client(plan: list[tuple[str, str, str, str]]) -> None:
        together.wait()
        for operation, id, name, mark in plan:
            start = time.perf_counter_ns()
            answer = ASK[operation](api, id, name, mark)
            history.append(Call(operation, id, name, mark, answer, start, time.perf_counter_ns()))

    threads = [threading.Thread(target=client, args=(plan,)) for plan in plans]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(history) == clients * calls
    return history, before


def _plan(rng: random.Random, ids: list[str], mark: str) -> tuple[str, str, str, str]:
    operation = rng.choice(list(ASK))
    id = "" if operation == "create" else rng.choice(ids)
    return operation, id, rng.choice(NAMES), mark


def body(name: str, mark: str) -> dict[str, Any]:
    return docker(name=name, clusterId=mark)


def _rows(answer: Any) -> Any:
    return answer.rule or frozenset(
        (each["id"], each["name"], each["clusterId"]) for each in answer.json["integrations"]
    )


def _get(api: Api, id: str, _name: str, _mark: str) -> Any:
    answer = api.get(id)
    return answer.rule or (answer.json["name"], answer.json["clusterId"])


def _create(api: Api, _id: str, name: str, mark: str) -> Any:
    answer = api.create(body(name, mark))
    return answer.rule or answer.json["id"]


ASK: dict[str, Callable[[Api, str, str, str], Any]] = {
    "create": _create,
    "get": _get,
    "list": lambda api, _id, _name, _mark: _rows(api.ask("GET")),
    "find": lambda api, _id, name, _mark: _rows(api.ask("GET", f"?name={name}")),
    "put": lambda api, id, name, mark: api.put(id, body(name, mark)).rule or "",
    "patch": lambda api, id, name, mark: api.patch(id, body(name, mark), update_password=True).rule or "",
    "delete": lambda api, id, _name, _mark: api.delete(id).rule or "",
}
