"""Intermittent faults: send the same request many times and check every answer.

The default profile finds a fault that shows in every 40th create, delete or update or more often, or in every 60th
read: `n` repetitions show a fault of every k-th request `n // k` times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise

from contract_tests.checks.registry import LONGER, check
from contract_tests.engine.central import Central
from contract_tests.engine.failures import CheckFailed
from contract_tests.engine.integrations import read_answer, with_masks


def repeated(central: Central, what: str, times: int, once: Callable[[int], str | None]) -> None:
    """Call `once` repeatedly; it returns a description of what was wrong, or None.

    The failure counts as intermittent if some repetitions pass. The report shows the requests of the first repetition
    that failed.
    """
    wrong: dict[int, str] = {}
    history = central.history
    for turn in range(1, times + 1):
        mark = len(central.history)
        if found := once(turn):
            history = history if wrong else central.history[mark:]
            wrong[turn] = found
    if wrong:
        central.history = history
        raise CheckFailed(
            f"{what}: {len(wrong)} of {times} repetitions failed{_interval_note(list(wrong))}",
            expected="every repetition succeeds",
            got=next(iter(wrong.values())),
            intermittent=len(wrong) < times,
        )


def _interval_note(turns: Sequence[int]) -> str:
    gaps = {after - before for before, after in pairwise(turns)}
    return f", one in every {gaps.pop()}" if len(turns) > 2 and len(gaps) == 1 and gaps != {1} else ""


def rounds(central: Central, default: int) -> int:
    """Return the number of repetitions."""
    return default * 5 if central.options.profile == "deep" else default


@check("creates-repeat", "lifecycle", "A create or a delete sometimes has no effect", profiles=LONGER)
def creates_repeat(central: Central) -> None:
    """Create and delete repeatedly; in a quick run `many-kept` covers this."""

    def once(turn: int) -> str | None:
        body = central.integration(types[turn % len(types)])
        reply = central.create(body)
        id = str(reply.object.get("id"))
        read = central.get(id)
        if reply.status != 200 or with_masks(central.contract, read.json) != read_answer(central.contract, body, id):
            with suppress(CheckFailed):  # an integration that was not stored cannot be deleted
                central.clean()
            return f"create {reply.status}, then GET {read.status}: {read.text[:300]}"
        gone = central.delete(id)
        after = central.get(id) if gone.status != 200 or turn % 4 == 0 else None
        if after is not None and after.status != 404:
            return f"delete {gone.status}, then GET {after.status}: {after.text[:300]}"
        return None

    types = central.creatable_types
    repeated(central, "create, read, delete", rounds(central, 40), once)


@check("updates-repeat", "lifecycle", "An update sometimes has no effect", profiles=LONGER)
def updates_repeat(central: Central) -> None:
    """Update by PUT, by PATCH, and by PATCH without credentials."""
    id, sent = central.created()

    def once(turn: int) -> str | None:
        body = sent | {"name": central.name(), "clusterId": f"cluster-{turn}"}
        if turn % 3 == 0:
            kept = body | {"docker": body["docker"] | {"password": ""}}
            reply = central.patch(id, kept, update_password=False)
        else:
            reply = central.put(id, body) if turn % 3 == 1 else central.patch(id, body, update_password=True)
        got = with_masks(central.contract, central.get(id).json)
        if reply.status == 200 and got == read_answer(central.contract, body, id):
            return None
        return f"update {reply.status} {reply.text[:200]}, then {str(got)[:300]}"

    repeated(central, "update, read", rounds(central, 42), once)


@check("reads-steady", "lifecycle", "A read sometimes fails", writes=False, profiles=LONGER)
def reads_steady(central: Central) -> None:
    """Read the list and an existing integration."""
    there = central.list().integrations or ()
    ids = [str(item.get("id")) for item in there if not str(item.get("name")).startswith(central.transport.name_prefix)]

    def once(turn: int) -> str | None:
        if ids and turn % 2:
            reply = central.get(ids[0])
            good = reply.status == 200 and reply.object.get("id") == ids[0]
        else:
            reply = central.list()
            good = reply.status == 200 and reply.integrations is not None
        return None if good else f"{reply.status}: {reply.text[:200]}"

    repeated(central, "reading", rounds(central, 60), once)
