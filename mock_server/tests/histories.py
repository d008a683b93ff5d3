"""Linearizability: whether one server that runs operations one at a time explains what concurrent clients saw.

The search of Wing and Gong (Testing and Verifying Concurrent Objects, 1993): an operation may be the next one if no
other had ended before it began; what was tried is remembered by the operations done and the state after them.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple


class Operation(NamedTuple):
    """A request and its answer, with the times of both on one clock."""

    began: float
    ended: float
    request: Any
    answer: Any


Step = Callable[[Any, Any, Any], Any]
"""Gives the state after a request in a state, if it could be answered so; else `IMPOSSIBLE`."""

IMPOSSIBLE = object()


def linearizable(history: Sequence[Operation], state: Hashable, step: Step) -> bool:
    """Return whether an order that the times and `step` allow explains the operations, starting from a state."""
    operations = sorted(history, key=lambda each: each.began)
    everything = (1 << len(operations)) - 1
    tried: set[tuple[int, Hashable]] = set()
    ahead: list[tuple[int, Any]] = [(0, state)]
    while ahead:
        done, state = ahead.pop()
        if done == everything:
            return True
        if (done, state) in tried:
            continue
        tried.add((done, state))
        first_end = float("inf")
        for at, each in enumerate(operations):
            if each.began > first_end:
                break
            if done >> at & 1:
                continue
            first_end = min(first_end, each.ended)
            after = step(state, each.request, each.answer)
            if after is not IMPOSSIBLE:
                ahead.append((done | 1 << at, after))
    return False
