"""Races: concurrent creates and renames with the same name. Random variation does not count as a difference."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from contract_tests.differential.classes import Classes, shape
from contract_tests.differential.targets import Reply, Target
from contract_tests.engine.exchange import COLLECTION

_AT_ONCE = 6
_OFTEN = 0.2
"""The share of losers that must get an answer before its absence at the other target counts as a difference."""


def together(calls: Sequence[Callable[[], Reply]]) -> list[Reply]:
    """Make all calls at once, each over a separate connection."""
    gate = threading.Barrier(len(calls))

    def call(each: Callable[[], Reply]) -> Reply:
        gate.wait()
        return each()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def _integration(name: str) -> dict[str, object]:
    return {
        "name": name,
        "type": "docker",
        "categories": ["REGISTRY"],
        "docker": {"endpoint": "r.invalid"},
        "skipTestIntegration": True,
    }


def creates(target: Target, prefix: str, rounds: int) -> Counter[str]:
    """Create the same name concurrently, and count the answers; `winners: N` counts rounds with N successes."""
    counts: Counter[str] = Counter()
    for number in range(rounds):
        body = _integration(f"{prefix}race-{number}")
        replies = together([partial(target.ask_once, "POST", COLLECTION, body)] * _AT_ONCE)
        _count(counts, replies)
        target.delete(_own(target, replies, prefix))
    return counts


def renames(target: Target, prefix: str, rounds: int) -> Counter[str]:
    """Rename integrations to the same name concurrently, and count the answers as `creates` does."""
    counts: Counter[str] = Counter()
    made = [target.ask("POST", COLLECTION, _integration(f"{prefix}rename-{index}")) for index in range(_AT_ONCE)]
    ids = _own(target, made, prefix)
    for number in range(rounds if ids else 0):
        body = _integration(f"{prefix}renamed-{number}")
        _count(counts, together([partial(target.ask_once, "PUT", f"{COLLECTION}/{id}", body) for id in ids]))
    target.delete(ids)
    return counts


def _count(counts: Counter[str], replies: Sequence[Reply]) -> None:
    counts[f"winners: {sum(reply.status == 200 for reply in replies)}"] += 1
    counts.update(f"{reply.status} {shape(reply)}" for reply in replies if reply.status != 200)


def _own(target: Target, replies: Sequence[Reply], prefix: str) -> list[str]:
    """Return the ids of the integrations that creates were answered with, unless they are somebody else's."""
    ids = [str(reply.json.get("id")) for reply in replies if reply.status == 200 and isinstance(reply.json, dict)]
    return [id for id in ids if target.has(id, prefix)]


def compare(first: Target, second: Target, classes: Classes, prefix: str, rounds: int) -> None:
    """Race at both targets; an answer that is frequent at one and never occurs at the other is a difference."""
    for what, race in (("creates at once", creates), ("renames at once", renames)):
        one, other = race(first, prefix, rounds), race(second, prefix, rounds)
        for text in {*one, *other}:
            enough = 0 if text.startswith("winners") else _OFTEN * rounds
            if min(one[text], other[text]) == 0 and max(one[text], other[text]) > enough:
                example = [f"{_AT_ONCE} {what}, {rounds} rounds"]
                classes.add((what, text), example, (f"{one[text]} times", f"{other[text]} times"))
