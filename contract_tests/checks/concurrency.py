"""Races: several clients send requests at the same moment.

Each check repeats its round. The default profile misses a race that shows in one of five rounds with a probability of
0.9 % (0.8 ** 21), and one that shows in every other round with 0.00005 %. The quick profile has one round and misses
them with 80 % and 50 %.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import Self

from contract_tests.checks.registry import LONGER, check
from contract_tests.engine.central import Central, brief
from contract_tests.engine.exchange import Reply
from contract_tests.engine.failures import CheckFailed, Skip
from contract_tests.engine.integrations import Body, read_answer, with_masks
from contract_tests.oracle.model import check_listed, check_same, constant_pieces, expected, listed
from contract_tests.oracle.steps import HEALTH_IS_WRITTEN, deleted

CLIENTS = 4
MOST_WATCHED = 8
"""Number of reads per round while other clients write."""
ROUNDS = {"quick": 1, "default": 21, "deep": 60}
_FEWEST_A_SECOND = 100
"""At a lower `--rate`, requests do not overlap."""

Send = Callable[[], Reply]


class Clients:
    """Pool of threads with open connections, so that requests can start at the same moment."""

    def __init__(self, central: Central) -> None:
        if central.options.rate is not None and central.options.rate < _FEWEST_A_SECOND:
            raise Skip(f"requests do not overlap at a rate of {central.options.rate:g}/s")
        self.central = central
        self.pool = ThreadPoolExecutor(CLIENTS + 1)
        self.watched: list[Reply] = []
        self._round = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self.pool.shutdown()
        if self._round and isinstance(error, CheckFailed):
            error.intermittent = True

    def rounds(self) -> Iterator[int]:
        """Yield the number of each round; a failure after a successful round is intermittent."""
        for number in range(ROUNDS[self.central.options.profile]):
            self._round = number
            yield number
        self._round = 0

    def at_once(self, sends: Sequence[Send], watch: Send | None = None) -> list[Reply]:
        """Send several requests at the same moment, and return their replies.

        Meanwhile it repeats `watch`; those answers are in `watched`.
        """
        self.central.transport.guard.prove_all()  # otherwise the first writes would wait for the proofs
        barrier = threading.Barrier(len(sends) + (watch is not None))
        done = threading.Event()

        def one(send: Send) -> Reply:
            barrier.wait()
            return send()

        def watching(send: Send) -> list[Reply]:
            barrier.wait()
            replies = [send()]
            while not done.is_set() and len(replies) < MOST_WATCHED:
                replies.append(send())
            return replies

        watcher = self.pool.submit(watching, watch) if watch else None
        futures = [self.pool.submit(one, send) for send in sends]
        wait(futures)
        done.set()
        self.watched = watcher.result() if watcher else []
        return [future.result() for future in futures]


def creates(central: Central, bodies: Sequence[Body]) -> list[Send]:
    """Return a create for each integration."""
    return [partial(central.create, body) for body in bodies]


@check(
    "same-name-at-once",
    "concurrency",
    "None, or more than one, of several concurrent creates with the same name succeeds",
    needs=("name-unique", "creates-at-once"),
    alone=True,
)
def same_name_at_once(central: Central) -> None:
    types = central.creatable_types
    with Clients(central) as clients:
        for number in central.cases(clients.rounds()):
            name = central.name()
            bodies = [
                central.integration(types[(number + client) % len(types)], name=name) for client in range(CLIENTS)
            ]
            replies = clients.at_once(creates(central, bodies))
            won = {
                str(reply.object.get("id")): body
                for reply, body in zip(replies, bodies, strict=True)
                if reply.status == 200
            }
            _check_one_wins(central, replies, name)
            check_listed(central, won, "the list after concurrent creates with one name", f"?name={name}")
        for _ in central.cases(clients.rounds() if not central.quick else ()):
            made = [central.created() for _ in range(2)]
            bodies = [body | {"name": made[0][1]["name"] + "-same"} for _, body in made]
            sends: list[Send] = [partial(central.put, id, body) for (id, _), body in zip(made, bodies, strict=True)]
            replies = clients.at_once(sends)
            _check_one_wins(central, replies, bodies[0]["name"])


def _check_one_wins(central: Central, replies: Sequence[Reply], name: str) -> None:
    statuses = sorted(reply.status for reply in replies)
    central.same(statuses.count(200), 1, f"the number of accepted requests for one name; the statuses are {statuses}")
    text = constant_pieces(central.rules["name-unique"].message)
    for reply in replies:
        if reply.status == 200:
            continue
        if (reply.status, reply.object.get("code")) in _LOSERS_ERRORS and _UNIQUE in reply.message:
            central.note(_DATABASE_ERROR_SHOWN)
        else:
            central.refused(reply, "a request that lost the race for a name", text=[*text, name])


_LOSERS_ERRORS = ((400, 3), (409, 6))
"""Status and code when the database refuses a create, and when it refuses a rename."""
_UNIQUE = "duplicate key value violates unique constraint"
_DATABASE_ERROR_SHOWN = "The loser of a race for a name gets the database's error text, as on deployed Central."


@check(
    "creates-at-once", "concurrency", "One of several concurrent creates is lost, or two get the same id", alone=True
)
def creates_at_once(central: Central) -> None:
    types = central.creatable_types
    with Clients(central) as clients:
        for number in central.cases(clients.rounds()):
            bodies = [central.integration(types[(number * CLIENTS + client) % len(types)]) for client in range(CLIENTS)]
            sends = creates(central, bodies)
            *replies, reading = clients.at_once([*sends, central.list])
            for reply in replies:
                central.ok(reply, "a create at the same time as others")
            if reading.status != 200:
                what = "a list during creates"
                raise CheckFailed(what, expected=200, got=brief(reading), check="lists-during-writes")
            names = [reply.object.get("name") for reply in replies]
            central.same(names, [body["name"] for body in bodies], "the names in the answers")
            made = {str(reply.object.get("id")): body for reply, body in zip(replies, bodies, strict=True)}
            central.same(len(made), CLIENTS, "the number of different ids")
            check_listed(central, made, "the list after concurrent creates")


@check(
    "updates-at-once",
    "concurrency",
    "Concurrent updates are mixed, lost or refused",
    needs=("update-read-back",),
    alone=True,
)
def updates_at_once(central: Central) -> None:
    """Send three updates of one integration, one of another, and reads; a quick run omits the latter two."""
    with Clients(central) as clients:
        id, sent = central.spare()
        others = {} if central.quick else dict([central.created("clairify")])
        states = [read_answer(central.contract, sent, id)]
        for number in clients.rounds():
            versions = [_marked_version(central, sent, f"{number}-{client}") for client in range(3)]
            others = {other: _marked_version(central, body, f"{number}-x") for other, body in others.items()}
            sends: list[Send] = [
                partial(central.put, id, versions[0]),
                partial(central.patch, id, versions[1], update_password=True),
                partial(central.put, id, versions[2]),
                *(partial(central.put, other, body) for other, body in others.items()),
            ]
            replies = clients.at_once(sends, watch=None if central.quick else partial(central.get, id))
            for reply in replies:
                central.ok(reply, "an update at the same time as others")
            new = [read_answer(central.contract, body, id) for body in versions]
            for reply in clients.watched:
                _check_is_one_of(central, reply, states + new, "a read during updates")
            found = listed(central)
            got = found.pop(id, None)
            central.true(got in new, "concurrent updates are mixed or lost", expected=new, got=got)
            states = [got] if got else states
            check_same(found, expected(central, others), "another integration, updated at the same time,")


def _marked_version(central: Central, body: Body, mark: str) -> Body:
    """Return an integration in which every text contains the mark of its version."""
    member = central.contract.types[body["type"]].member
    config = body[member] | {"endpoint": f"v{mark}.example.com"}
    for name in ("username", "grpcEndpoint"):
        if name in config:
            config[name] = f"{name}-{mark}.example.com"
    return body | {member: config, "clusterId": f"cluster-{mark}", "source": {"namespace": f"space-{mark}"}}


def _check_is_one_of(central: Central, reply: Reply, states: Sequence[Body], what: str) -> None:
    central.ok(reply, what)
    got = with_masks(central.contract, reply.json)
    central.true(got in states, f"{what} shows none of the valid states", expected=list(states), got=got)


@check(
    "deletes-at-once",
    "concurrency",
    "No concurrent delete succeeds, one fails, or a read shows a partial integration",
    alone=True,
)
def deletes_at_once(central: Central) -> None:
    """Check that each delete answers 200 or 404, and at least one 200: Central looks up and deletes without a lock."""
    pause = 0.0
    with Clients(central) as clients:
        for _ in central.cases(clients.rounds()):
            id, sent = central.claim(next(iter(central.shared.standing), "")) or central.created()
            time.sleep(pause)
            whole = read_answer(central.contract, sent, id)
            watch = None if central.quick else partial(central.get, id)
            replies = clients.at_once([partial(central.delete, id)] * 2, watch=watch)
            for reply in clients.watched:
                if reply.status != 404 and with_masks(central.contract, reply.json) != whole:
                    raise CheckFailed("a read during a delete is wrong", expected=[404, whole], got=brief(reply))
            statuses = sorted(reply.status for reply in replies)
            if statuses == [404, 404] and not pause and central.get(id).status == 404:
                pause = HEALTH_IS_WRITTEN  # a DELETE before that may be answered 404; see `deleted`
                continue
            allowed = ([200, 404], [200, 200])
            central.true(statuses in allowed, "statuses of concurrent deletes", expected=list(allowed), got=statuses)
            central.same(central.get(id).status, 404, "the status of a GET after two concurrent deletes")
            if statuses == [200, 200]:
                central.note("Two concurrent DELETEs of one integration both succeed, as on deployed Central.")


@check(
    "lists-during-writes",
    "concurrency",
    "A list during writes is incomplete, or lacks an integration that is not being changed",
    needs=("list-holds-what-was-created",),
    alone=True,
    profiles=LONGER,
)
def lists_during_writes(central: Central) -> None:
    """Read lists while each round creates an integration and deletes the one created two rounds before."""
    with Clients(central) as clients:
        kept = dict(central.created(type) for type in ("docker", "quay", "ibm"))
        going, going_body = central.created()
        for _ in clients.rounds():
            body = central.integration()
            sends: list[Send] = [*creates(central, [body]), partial(central.delete, going)]
            made, gone = clients.at_once(sends, watch=central.list)
            central.ok(made, "a create during lists")
            # A DELETE shortly after the create may be answered 404 although it deletes; see `deleted`.
            if gone.status != 404 or central.get(going).status != 404:
                central.ok(gone, "a delete during lists")
            coming = str(made.object.get("id"))
            some_time = expected(central, {coming: body, going: going_body})
            always = expected(central, kept)
            for reply in clients.watched:
                found = _own_items(central, reply)
                check_same(
                    {key: found[key] for key in always if key in found},
                    always,
                    "the unchanged integrations, in a list",
                )
                touched = {key: item for key, item in found.items() if key not in always}
                allowed = {key: some_time[key] for key in touched if key in some_time}
                check_same(touched, allowed, "a list during writes")
            kept[coming] = body
            going = list(kept)[-2]
            going_body = kept.pop(going)
        deleted(central, going)
        check_listed(central, kept, "the list after the writes")


def _own_items(central: Central, reply: Reply) -> dict[str, Body]:
    central.ok(reply, "a list during writes")
    items = reply.integrations
    if items is None:
        raise CheckFailed("a list during writes has no `integrations`", expected="a list", got=brief(reply))
    own = f"{central.transport.name_prefix}{central.check}-"
    found = [item for item in items if str(item.get("name", "")).startswith(own)]
    by_id = {str(item.get("id")): with_masks(central.contract, item) for item in found}
    central.same(len(by_id), len(found), "the number of different integrations in a list during writes")
    return by_id


@check("reads-at-once", "concurrency", "One of several concurrent reads gets the answer to another", alone=True)
def reads_at_once(central: Central) -> None:
    with Clients(central) as clients:
        kept = list(central.shared.standing)[:1]
        made = [central.standing(type) for type in kept or ("docker", "quay", "clair")[: 1 if central.quick else 3]]
        unknown = central.unknown_id()
        for _ in clients.rounds():
            ids = (*(id for id, _ in made), unknown)
            *replies, missing = clients.at_once([partial(central.get, id) for id in ids])
            for reply, (id, sent) in zip(replies, made, strict=True):
                central.same(reply.json, read_answer(central.contract, sent, id), "a concurrent read")
            central.refused(missing, "a concurrent read of an unknown id", status=404, code=5)
