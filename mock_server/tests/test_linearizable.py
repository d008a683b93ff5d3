"""Concurrent clients see one Central that runs their calls one at a time."""

import random
import threading

import pytest

from .conftest import Api, docker
from .linearizable import Call, explained, hasty_threads, recorded

ONE, TWO = ("1", "a", "x"), ("2", "b", "y")


def call(operation, answer, start, end, *, id="", name="", mark=""):
    return Call(operation, id, name, mark, answer, start, end)


EXPLAINED = {
    "nothing happened": [],
    "a get before a delete that began earlier": [
        call("delete", "", 0, 9, id="1"),
        call("get", ("a", "x"), 1, 2, id="1"),
    ],
    "of two creates of a name either wins": [
        call("create", "name-unique", 0, 9, name="c"),
        call("create", "3", 1, 8, name="c", mark="z"),
    ],
    "a list in the middle of two creates": [
        call("create", "3", 0, 9, name="c", mark="z"),
        call("list", frozenset({ONE, TWO}), 1, 2),
        call("list", frozenset({ONE, TWO, ("3", "c", "z")}), 3, 4),
    ],
}
UNEXPLAINED = {
    "a get after a delete that had ended": [
        call("delete", "", 0, 1, id="1"),
        call("get", ("a", "x"), 2, 3, id="1"),
    ],
    "both creates of a name": [
        call("create", "3", 0, 9, name="c", mark="y"),
        call("create", "4", 1, 8, name="c", mark="z"),
    ],
    "a create refused for a name that nobody has": [call("create", "name-unique", 0, 1, name="c")],
    "an id given twice": [call("create", "1", 0, 1, name="c", mark="z")],
    "a lost create": [
        call("create", "3", 0, 1, name="c", mark="z"),
        call("list", frozenset({ONE, TWO}), 2, 3),
    ],
    "lists that go back in time": [
        call("create", "3", 0, 9, name="c", mark="z"),
        call("list", frozenset({ONE, TWO, ("3", "c", "z")}), 1, 2),
        call("list", frozenset({ONE, TWO}), 3, 4),
    ],
    "a name found with another integration": [
        call("put", "", 0, 9, id="1", name="c", mark="z"),
        call("find", frozenset({("1", "c", "z")}), 1, 2, name="a"),
    ],
    "both deletes": [call("delete", "", 0, 9, id="1"), call("delete", "", 1, 8, id="1")],
}
BEFORE = frozenset({ONE, TWO})


@pytest.mark.parametrize("history", EXPLAINED.values(), ids=EXPLAINED.keys())
def test_the_search_finds_an_existing_order(history):
    assert explained(history, BEFORE)


@pytest.mark.parametrize("history", UNEXPLAINED.values(), ids=UNEXPLAINED.keys())
def test_the_search_finds_no_order_for_an_impossible_history(history):
    assert not explained(history, BEFORE)


def unexplained(api, rounds, seed):
    """Record histories; return the first one that no order explains."""
    rng = random.Random(seed)
    with hasty_threads():
        for _ in range(rounds):
            history, before = recorded(api, rng)
            if not explained(history, before):
                return sorted(history, key=lambda each: each.start)
    return None


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(4))
def test_parallel_calls_are_linearizable(seed):
    assert unexplained(Api(empty=True), 300, seed) is None


@pytest.mark.parametrize("mutant", ["same-name-at-once", "creates-at-once", "ids-doubled", "reads-at-once"])
def test_a_mutant_with_a_race_is_not_linearizable(mutant):
    assert unexplained(Api(empty=True, mutants=(mutant,)), 200, seed=1) is not None


def test_an_integration_is_found_by_its_name_during_an_update():
    """During a write, the index lacks the name for a moment."""
    api = Api(empty=True)
    store = api.central.store
    id = api.created(docker(name="a"))
    found = []

    class Watched(dict):
        def __delitem__(self, name):
            super().__delitem__(name)
            asking = threading.Thread(target=lambda: found.append(api.list("?name=a")))
            asking.start()
            asking.join(0.1)  # it waits for the write, or answers immediately
            pending.append(asking)

    pending = []
    store._ids_by_name = Watched(store._ids_by_name)
    assert api.put(id, docker(name="a", clusterId="changed")).status == 200
    for each in pending:
        each.join()
    assert [[each["name"] for each in answer] for answer in found] == [["a"]]
