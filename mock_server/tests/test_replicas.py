"""Two concurrent replicas answer as one Central could."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from mock_server.state import redis_store
from mock_server.tests.conftest import PATH, docker
from mock_server.tests.histories import IMPOSSIBLE, Operation, linearizable
from mock_server.tests.test_cli import serve_command, url_in

pytestmark = pytest.mark.served


class Client:
    """One connection to a server."""

    def __init__(self, url):
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
        self.close = self._connection.close

    def ask(self, method, rest="", body=None):
        headers = {"Content-Type": "application/json"}
        self._connection.request(method, PATH + rest, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        return answer.status, answer.headers.get("Mock-Central-Rule"), json.loads(answer.read())


@contextmanager
def clients_of_two_replicas(url, *words):
    """Start two servers of one deployment; yield eight clients that use them alternately."""
    words = ("--store", url, "--store-prefix", f"test-{uuid.uuid4()}", "--log-level", "error", *words)
    with ExitStack() as stack:
        urls = [url_in(stack.enter_context(serve_command(*words))[1]) for _ in range(2)]
        yield [stack.enter_context(closing(Client(url))) for url in urls * 4]


@pytest.mark.slow
def test_of_concurrent_creates_of_one_name_on_two_replicas_one_wins(redis_server):
    rounds = 200
    ready = threading.Barrier(8)

    def creates(client):
        seen = []
        for number in range(rounds):
            ready.wait(30)
            seen.append(client.ask("POST", "", docker(name=f"n{number}"))[:2])
        return seen

    with clients_of_two_replicas(redis_server.url, "--empty") as clients, ThreadPoolExecutor(8) as pool:
        outcomes = zip(*pool.map(creates, clients), strict=True)
        assert all(Counter(each) == {(200, None): 1, (400, "name-unique"): 7} for each in outcomes)
        assert len(clients[0].ask("GET")[2]["integrations"]) == rounds


def after(state, request, answer):
    """Return the state after a request with this answer, a (id, name, endpoint) for each integration."""
    verb, *values = request
    rule, found = answer
    by_id = {each[0]: each for each in state}
    owners = {each[1]: each[0] for each in state}
    if verb == "create":
        name, endpoint = values
        expected = "name-unique" if name in owners else None
        made = state | {(found, name, endpoint)}
        return IMPOSSIBLE if rule != expected else made if rule is None else state
    if verb == "put":
        id, name, endpoint = values
        taken = owners.get(name, id) != id
        expected = "name-unique" if taken else None if id in by_id else "update-missing"
        made = frozenset(each for each in state if each[0] != id) | {(id, name, endpoint)}
        return IMPOSSIBLE if rule != expected else made if rule is None else state
    if verb == "delete":
        expected = None if values[0] in by_id else "delete-missing"
        left = frozenset(each for each in state if each[0] != values[0])
        return left if rule == expected else IMPOSSIBLE
    if verb == "get":
        expected = (None, by_id[values[0]]) if values[0] in by_id else ("get-missing", None)
        return state if answer == expected else IMPOSSIBLE
    listed = frozenset(each for each in state if not values or each[1] == values[0])
    return state if answer == (None, listed) else IMPOSSIBLE


def asked(client, request):
    """Send a request of a history; return its answer as `after` reads it."""
    verb, *values = request

    def seen(each):
        return each["id"], each["name"], each["docker"]["endpoint"]

    def body(name, endpoint):
        return docker(name=name, docker={"endpoint": endpoint})

    if verb == "create":
        _, rule, answer = client.ask("POST", "", body(*values))
        return rule, answer.get("id")
    if verb == "put":
        return client.ask("PUT", f"/{values[0]}", body(*values[1:]))[1], None
    if verb == "delete":
        return client.ask("DELETE", f"/{values[0]}")[1], None
    if verb == "get":
        _, rule, answer = client.ask("GET", f"/{values[0]}")
        return rule, None if rule else seen(answer)
    _, rule, answer = client.ask("GET", f"?name={values[0]}" if values else "")
    return rule, frozenset(map(seen, answer["integrations"]))


def history(clients, seed, steps=12):
    """Let concurrent clients send random requests, and return their history."""
    ids, ready = [str(uuid.uuid4())], threading.Barrier(len(clients))

    def lives(number):
        chance, seen = random.Random(f"{seed}:{number}"), []
        ready.wait(30)
        for step in range(steps):
            verb = chance.choice(("create", "create", "put", "put", "delete", "get", "list", "named"))
            name, endpoint = chance.choice("abc"), f"r{number}-{step}.example.com"
            values = {"create": (name, endpoint), "list": (), "named": (name,)}.get(verb, (chance.choice(ids),))
            request = (verb, *values, *((name, endpoint) if verb == "put" else ()))
            began = time.monotonic()
            answer = asked(clients[number], request)
            seen.append(Operation(began, time.monotonic(), request, answer))
            if verb == "create" and answer[0] is None:
                ids.append(answer[1])
        return seen

    with ThreadPoolExecutor(len(clients)) as pool:
        return [each for seen in pool.map(lives, range(len(clients))) for each in seen]


@pytest.mark.slow
def test_two_replicas_are_linearizable(redis_server):
    with clients_of_two_replicas(redis_server.url, "--empty") as clients:
        for seed in range(25):
            seen = history(clients, seed)
            assert linearizable(seen, frozenset(), after), seen
            for each in clients[0].ask("GET")[2]["integrations"]:
                clients[0].ask("DELETE", f"/{each['id']}")


class Within:
    """A client of an app in this process."""

    def __init__(self, api):
        self._api = api

    def ask(self, *request):
        answer = self._api.ask(*request)
        return answer.status, answer.rule, answer.json


class Everybody:
    """A lock that excludes nobody."""

    token = "everybody"

    def __init__(self, lock):
        self._lock = lock

    def __enter__(self):
        self._lock._connection.client.set(self._lock._key, self.token)

    def __exit__(self, *_):
        pass


def test_replicas_without_the_lock_are_not_linearizable(replica):
    """The test above can fail."""
    apis = [replica(empty=True) for _ in range(2)]
    for api in apis:
        api.central.store.lock = Everybody(api.central.store.lock)
    found = [linearizable(history([Within(each) for each in apis * 4], seed), frozenset(), after) for seed in range(5)]
    assert not all(found)


@pytest.mark.parametrize(
    ("operations", "fits"),
    [
        ([(0, 2, ("create", "a", "e"), (None, "1")), (1, 3, ("list",), (None, frozenset()))], True),
        ([(0, 1, ("create", "a", "e"), (None, "1")), (2, 3, ("list",), (None, frozenset()))], False),
        ([(0, 3, ("create", "a", "e"), (None, "1")), (1, 2, ("create", "a", "f"), (None, "2"))], False),
        ([(0, 3, ("create", "a", "e"), ("name-unique", None)), (1, 2, ("create", "a", "f"), (None, "2"))], True),
        (
            [
                (0, 9, ("create", "a", "e"), (None, "1")),
                (1, 2, ("get", "1"), (None, ("1", "a", "e"))),
                (3, 4, ("get", "1"), ("get-missing", None)),
            ],
            False,
        ),
    ],
    ids=["before", "stale read", "twice", "either wins", "there and gone again"],
)
def test_the_checker_distinguishes_histories(operations, fits):
    assert linearizable([Operation(*each) for each in operations], frozenset(), after) is fits


# -- who holds the lock --------------------------------------------------------------------------------

HOLDER = """
import sys, time
from mock_server.state import redis_store
from mock_server.tests.conftest import Api
redis_store.LOCK_SECONDS = 2.0
api = Api(store=sys.argv[1], store_prefix=sys.argv[2])
with api.central.store.lock:
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.timing
def test_a_killed_lock_holder_blocks_until_its_lock_expires(replica):
    api = replica()
    settings = api.app.settings
    words = [sys.executable, "-c", HOLDER, settings.store, settings.store_prefix]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        started = time.monotonic()
        os.kill(holder.pid, signal.SIGKILL)
        assert len(api.list()) == 12  # reads do not wait
        assert time.monotonic() - started < 1
        assert api.create(docker()).status == 200
        assert 0.5 < time.monotonic() - started < 3.5


@pytest.mark.timing
def test_a_replica_whose_lock_expired_stores_nothing(replica, monkeypatch):
    slow, quick = replica(), replica()
    quick.list()
    erased = slow.central.clients.ecr_authorization_erased
    sent = docker(name="wanted", skipTestIntegration=False)

    def held_up(integration):
        time.sleep(0.3)
        assert quick.create(docker(name="wanted")).status == 200
        return erased(integration)

    monkeypatch.setattr(slow.central.clients, "ecr_authorization_erased", held_up)
    monkeypatch.setattr(redis_store, "LOCK_SECONDS", 0.2)
    answer = slow.create(sent)
    assert (answer.status, answer.rule) == (503, "store")
    assert "nothing was stored" in answer.message
    assert len(slow.list("?name=wanted")) == 1


def test_a_write_that_cannot_get_the_lock_is_refused(replica, monkeypatch):
    one, two = replica(), replica()
    monkeypatch.setattr(redis_store, "WAIT_SECONDS", 0.1)
    with one.central.store.lock:
        answer = two.create(docker())
    assert (answer.status, answer.rule) == (503, "store")
    assert "was locked for 0.1 seconds" in answer.message
    assert two.create(docker()).status == 200
