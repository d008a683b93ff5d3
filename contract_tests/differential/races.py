"""Races: concurrent creates and renames with the same name. Random variation does not count as a difference."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from contract_tests.differential.classes import Classes, shape
from contract_tests.differential.targets import Reply, Target

_AT_ONCE = 6
_OFTEN = 0.2
"""The share of losers that must get an answer before its absence at the other target counts as a difference."""


def together(calls: Sequence[Callable[[], Reply]]) -> list[Reply]:
    """Make all calls at once, each over a separate connection."""
    gate = threading.Barrier(len(calls))
    found: list[Reply] = []

    def call(each: Callable[[], Reply]) -> None:
        gate.wait()
        found.append(each())

    threads = [threading.Thread(target=call, args=(each,)) for each in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _integration(name: str) -> dict[str, object]:
    return {
        "name": name,
        "type": "docker",
        "categories": ["REGISTRY"],
        "docker": {"endpoint": "r.invalid"},
        "skipTestIntegration": True,
    }


def creates(target: Target, path: str, prefix: str, rounds: int) -> Counter[str]:
    """Create the same name concurrently, and count the answers; `winners: N` counts rounds with N successes."""
    told: Counter[str] = Counter()
    for number in range(rounds):
        body = _integration(f"{prefix}race-{number}")
        replies = together([partial(target.ask_once, "POST", path, body)] * _AT_ONCE)
        won = [reply for reply in replies if reply.status == 200]
        told[f"winners: {len(won)}"] += 1
        told.update(f"{reply.status} {shape(reply)}" for reply in replies if reply.status != 200)
        for reply in won:
            target.ask("DELETE", f"{path}/{reply.json['id']}")
    return told


def renames(target: Target, path: str, prefix: str, rounds: int) -> Counter[str]:
    """Rename integrations to the same name concurrently, and count the answers as `creates` does."""
    told: Counter[str] = Counter()
    made = [target.ask("POST", path, _integration(f"{prefix}rename-{index}")) for index in range(_AT_ONCE)]
    ids = [reply.json["id"] for reply in made if reply.status == 200]
    for number in range(rounds):
        body = _integration(f"{prefix}renamed-{number}")
        replies = together([partial(target.ask_once, "PUT", f"{path}/{id}", body) for id in ids])
        told[f"winners: {sum(reply.status == 200 for reply in replies)}"] += 1
        told.update(f"{reply.status} {shape(reply)}" for reply in replies if reply.status != 200)
    for id in ids:
        target.ask("DELETE", f"{path}/{id}")
    return told


def compare(first: Target, second: Target, classes: Classes, path: str, prefix: str, rounds: int) -> None:
    """Race at both targets; an answer that is frequent at one and never occurs at the other is a difference."""
    for what, race in (("creates at once", creates), ("renames at once", renames)):
        one, other = race(first, path, prefix, rounds), race(second, path, prefix, rounds)
        for text in {*one, *other}:
            enough = 0 if text.startswith("winners") else _OFTEN * rounds
            if min(one[text], other[text]) == 0 and max(one[text], other[text]) > enough:
                example = [f"{_AT_ONCE} {what}, {rounds} rounds"]
                classes.add((what, text), example, (f"{one[text]} times", f"{other[text]} times"))
