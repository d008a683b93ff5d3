"""Races: several clients at the same moment.

A round is repeated so often that a race which shows with a chance of one in five a round is
missed in the default profile with less than 1 % (0.8 ** 21), in the quick one with 64 % (0.8 ** 2).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from contract_tests.central import Central
from contract_tests.checks.lifecycle import own
from contract_tests.failures import CheckFailed
from contract_tests.integrations import Body, hidden, read_answer
from contract_tests.registry import check
from contract_tests.transport import Reply

CLIENTS = 4


def creates(central: Central, bodies: Sequence[Body]) -> list[Callable[[], Reply]]:
    """Give a request for each integration that creates it."""
    return [partial(central.create, body) for body in bodies]


def at_once(sends: Sequence[Callable[[], Reply]]) -> list[Reply]:
    """Send several requests at the same moment."""
    barrier = threading.Barrier(len(sends))

    def one(send: Callable[[], Reply]) -> Reply:
        barrier.wait()
        return send()

    with ThreadPoolExecutor(len(sends)) as pool:
        return list(pool.map(one, sends))


def rounds(central: Central) -> Iterator[int]:
    """Give the rounds of this profile."""
    yield from range({"quick": 2, "default": 21, "deep": 60}[central.options.profile])


@check(
    "same-name-at-once",
    "concurrency",
    needs=("name-unique",),
    alone=True,
    title="Of creates of one name at the same moment one wins",
)
def same_name_at_once(central: Central) -> None:
    for _ in rounds(central):
        with central.case():
            bodies = [central.integration() for _ in range(CLIENTS)]
            for body in bodies:
                body["name"] = bodies[0]["name"]
            replies = at_once(creates(central, bodies))
            won = [reply for reply in replies if reply.status == 200]
            central.same(len(won), 1, "creates of one name that were taken")
            for reply in replies:
                if reply.status != 200:
                    central.refused_by(reply, "name-unique", "a create that lost", name=f'"{bodies[0]["name"]}"')
            listed = [item for item in own(central).values() if item.get("name") == bodies[0]["name"]]
            central.same(len(listed), 1, "integrations of that name in the list")


@check(
    "creates-at-once",
    "concurrency",
    needs=("create",),
    alone=True,
    title="Creates at the same moment are all kept, under different ids",
)
def creates_at_once(central: Central) -> None:
    for _ in rounds(central):
        with central.case():
            bodies = [central.integration() for _ in range(CLIENTS)]
            replies = at_once(creates(central, bodies))
            central.same([reply.status for reply in replies], [200] * CLIENTS, "the creates")
            ids = {str(reply.object.get("id")): body for reply, body in zip(replies, bodies, strict=True)}
            central.same(len(ids), CLIENTS, "different ids")
            listed = own(central)
            expected = {id: read_answer(central.contract, body, id) for id, body in ids.items()}
            central.same({id: listed.get(id) for id in ids}, expected, "what was created at the same moment")


@check(
    "updates-at-once",
    "concurrency",
    needs=("update-read-back",),
    alone=True,
    title="Updates at the same moment are whole, and none is lost",
)
def updates_at_once(central: Central) -> None:
    with central.case():
        id, sent = central.created()
        others = [central.created() for _ in range(CLIENTS)]
        for number in rounds(central):
            bodies = [
                sent | {"docker": sent["docker"] | {"endpoint": f"e{n}.example.com", "username": f"u{n}-{number}"}}
                for n in range(CLIENTS)
            ]
            replies = at_once([partial(central.put, id, body) for body in bodies])
            central.same([reply.status for reply in replies], [200] * CLIENTS, "updates of one integration")
            states = [read_answer(central.contract, body, id) for body in bodies]
            got = central.get(id).json
            central.true(got in states, "the last state is none of those sent", expected=states[0], got=got)
            new = [
                (other, body | {"docker": body["docker"] | {"username": f"robot-{number}"}}) for other, body in others
            ]
            replies = at_once([partial(central.put, one, body) for one, body in new])
            central.same([reply.status for reply in replies], [200] * CLIENTS, "updates of different integrations")
            listed = own(central)
            for other, body in new:
                central.same(listed.get(other), read_answer(central.contract, body, other), "a concurrent update")


@check(
    "deletes-at-once",
    "concurrency",
    needs=("delete-answer",),
    alone=True,
    title="Of deletes at the same moment one succeeds; reads see the whole or nothing",
)
def deletes_at_once(central: Central) -> None:
    for _ in rounds(central):
        with central.case():
            id, sent = central.created()
            whole = read_answer(central.contract, sent, id)
            replies = at_once([partial(central.delete, id)] * 3 + [partial(central.get, id)] * 2)
            statuses = sorted(reply.status for reply in replies[:3])
            central.same(statuses, [200, 404, 404], "deletes of one integration")
            for reply in replies[3:]:
                if reply.status != 404 and hidden(central.contract, reply.json) != whole:
                    raise CheckFailed("a read during a delete", expected="404 or the whole", got=reply.text[:300])


@check(
    "lists-during-writes",
    "concurrency",
    needs=("list-holds-what-was-created",),
    alone=True,
    title="Lists during writes are whole and hold what nobody touches",
)
def lists_during_writes(central: Central) -> None:
    with central.case():
        kept = {}
        for _ in range(3):
            id, sent = central.created()
            kept[id] = read_answer(central.contract, sent, id)
        for _ in rounds(central):
            bodies = [central.integration() for _ in range(2)]
            replies = at_once([*creates(central, bodies), central.list, central.list])
            for reply in replies[2:]:
                items = reply.object.get("integrations")
                listed = {item.get("id"): item for item in items} if isinstance(items, list) else {}
                central.same({id: listed.get(id) for id in kept}, kept, "what nobody touched, in a list during writes")
            for reply in replies[:2]:
                if isinstance(reply.object.get("id"), str):
                    central.remove(reply.object["id"])


@check(
    "reads-at-once",
    "concurrency",
    needs=("read-after-create",),
    alone=True,
    title="Reads at the same moment each get their own answer",
)
def reads_at_once(central: Central) -> None:
    with central.case():
        made = [central.created() for _ in range(CLIENTS)]
        for _ in rounds(central):
            replies = at_once([partial(central.get, id) for id, _ in made])
            for reply, (id, sent) in zip(replies, made, strict=True):
                central.same(reply.json, read_answer(central.contract, sent, id), "a read beside others")
