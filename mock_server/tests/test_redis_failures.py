"""Failures of the store's server: each request is answered in time, and the mock recovers without a restart."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import redis

from mock_server.central.errors import Refusal
from mock_server.state import redis_connection, redis_store
from mock_server.tests.conftest import IMPATIENT_SECONDS, PATH, Api, ask, docker
from mock_server.tests.redis_server import free_port
from mock_server.tests.test_redis_store import names

pytestmark = [pytest.mark.served, pytest.mark.usefixtures("pages")]

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def quiet(caplog):
    """Return the log lines about the store."""
    caplog.set_level(logging.INFO, "mock_central")
    return lambda: [each.getMessage() for each in caplog.records if each.getMessage().startswith("the store ")]


def client_of(api):
    return api.central.store._connection.client


def is_unavailable(answer):
    return (answer.status, answer.json["code"], answer.rule) == (503, 14, "store") and answer.json.keys() == {
        "code",
        "message",
        "details",
        "error",
    }


def works_again(request, seconds=5.0):
    """Repeat a request until it succeeds."""
    until = time.monotonic() + seconds
    while (answer := request()).status == 503:
        assert time.monotonic() < until, answer
        time.sleep(0.02)
    assert answer.status == 200, answer
    return answer


def requests(api, id):
    """One request of each kind, by name."""
    return {
        "list": lambda: api.ask("GET"),
        "named": lambda: api.ask("GET", "?name=mine"),
        "get": lambda: api.get(id),
        "create": lambda: api.create(docker(name=f"n{time.monotonic_ns()}")),
        "update": lambda: api.put(id, docker(name="mine")),
        "delete": lambda: api.delete(id),
        "health": lambda: ask(api.app, "GET", "/__admin/health"),
        "reset": lambda: ask(api.app, "POST", "/__admin/reset"),
    }


# -- gone, and back --------------------------------------------------------------------------------


def test_a_failure_is_logged_once_a_minute_and_its_end_once(monkeypatch, caplog):
    clock = SimpleNamespace(monotonic=lambda: 100.0)
    monkeypatch.setattr(redis_connection, "time", clock)
    caplog.set_level("INFO", "mock_central")
    url = "redis://127.0.0.1:1"
    connection = redis_connection.Connection(url)

    def fail(text):
        with pytest.raises(Refusal) as raised:
            connection.__exit__(None, redis.ConnectionError(text), None)
        assert raised.value.args == ("store", 503, 14, f"the store {url} fails: {text}")

    failing = f"the store {url} fails, requests are refused until it works again: "
    for now, text in (
        (100.0, "gone"),
        (100.0, "gone"),
        (159.0, "gone"),
        (219.0, "gone"),
        (280.0, "gone"),
        (280.0, "x"),
    ):
        clock.monotonic = lambda now=now: now
        fail(text)
    assert caplog.messages == [f"{failing}gone", f"{failing}gone", f"{failing}x"]
    for _ in range(2):
        connection.__exit__(None, None, None)
    assert caplog.messages[3:] == [f"the store {url} works again"]


def test_an_error_shows_neither_user_nor_password():
    connection = redis_connection.Connection("redis://robot:s3cr3t@127.0.0.1:1")
    assert connection.words(redis.ResponseError("robot may not, s3cr3t")) == "****** may not, ******"


def test_a_server_that_times_out_is_not_contacted_for_a_second(monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: 100.0)
    monkeypatch.setattr(redis_connection, "time", clock)
    connection = redis_connection.Connection("redis://127.0.0.1:1")
    with pytest.raises(Refusal):
        connection.__exit__(None, redis.TimeoutError("late"), None)
    assert connection.silent
    clock.monotonic = lambda: 100.9
    with pytest.raises(Refusal, match=r"the store redis://127\.0\.0\.1:1 fails: late"):
        connection.__enter__()
    clock.monotonic = lambda: 101.0
    assert connection.__enter__() is connection.client
    with pytest.raises(Refusal):  # while one request tries again
        connection.__enter__()
    clock.monotonic = lambda: 106.0
    assert connection.__enter__() is connection.client
    connection.__exit__(None, None, None)
    assert not connection.silent


def test_a_lost_server_is_reported_once_and_used_again(own_server, quiet):
    with own_server() as server:
        api = Api(store=server.url)
        id = api.created(docker(name="mine"))
        server.kill()
        for answer in (each() for each in requests(api, id).values()):
            assert is_unavailable(answer)
            assert f"{server.url} fails: " in answer.message
        assert len(quiet()) == 1
        server.start()
        assert len(api.list()) == 12  # the server stored nothing on disk, so the sandbox is new
        assert api.create(docker(name="mine")).status == 200
        assert [each.endswith("works again") for each in quiet()] == [False, True]


def test_state_on_disk_survives_a_restart_of_the_server(own_server):
    with own_server(*DURABLE) as server:
        one, two = (Api(store=server.url, store_prefix="durable") for _ in range(2))
        id = one.created(docker(name="mine"))
        server.kill()
        assert two.get(id).status == 503
        server.start()
        assert two.get(id).body == one.get(id).body
        assert names(two)[-1] == "mine"


def test_closed_connections_are_reopened_silently(own_server, quiet):
    with own_server() as server:
        api = Api(store=server.url)
        api.list()
        redis.Redis.from_url(server.url).execute_command("CLIENT KILL TYPE normal SKIPME yes")
        assert api.create(docker(name="mine")).status == 200
        assert [each for each in quiet() if server.url in each] == []


def test_a_cached_list_is_not_used_after_the_server_lost_its_data(replica, redis_server):
    api = replica()
    api.created(docker(name="mine"))
    assert "mine" in names(api)
    client = client_of(api)
    client.delete(*client.keys(f"{{{api.app.settings.store_prefix}:*"))
    api.created(docker(name="other"))
    assert names(api)[12:] == ["other"]


def test_a_request_with_a_fault_by_name_is_refused_without_the_server(own_server):
    with own_server() as server:
        api = Api(store=server.url)
        ask(api.app, "POST", "/__admin/faults", {"name": "x*", "code": 503})
        server.kill()
        assert is_unavailable(api.get("x"))


def test_saving_continues_when_the_server_is_back(tmp_path, monkeypatch, own_server):
    from mock_server.state import files as states

    monkeypatch.setattr(states, "INTERVAL", 0.02)
    with own_server(*DURABLE) as server:
        api = Api(store=server.url)
        states.Saver(tmp_path / "state.json", lambda: api.central.store)
        server.kill()
        time.sleep(0.2)
        server.start()
        api.created(docker(name="mine"))
        until = time.monotonic() + 5
        while "mine" not in (tmp_path / "state.json").read_text():
            assert time.monotonic() < until
            time.sleep(0.02)


BROKEN = {
    "changes": lambda client, key: client.hset(key, "changes", "x"),
    "count": lambda client, key: client.hset(key, "count", "x"),
    "an integration": lambda client, key: client.hset(key, f"i:{PUBLIC}", "1 {"),
    "an order": lambda client, key: client.hset(key, f"i:{PUBLIC}", "x {}"),
    "another kind of integration": lambda client, key: client.hset(key, f"i:{PUBLIC}", "1 [5]"),
    "another kind of value": lambda client, key: client.delete(key) and client.set(key, "x"),
    "no count": lambda client, key: client.hdel(key, "count"),
}
PUBLIC = "10d3b4dc-8295-41bc-bb50-6da5484cdb1a"


@pytest.mark.parametrize("spoil", BROKEN.values(), ids=BROKEN.keys())
def test_a_state_that_no_mock_wrote_is_a_503_until_a_reset(replica, redis_server, spoil):
    api = replica(fatal_answers=False)
    assert len(api.list()) == 12
    (key,) = api.central.store._keys[:1]
    client = redis.Redis.from_url(redis_server.url)
    spoil(client, key)
    client.close()
    again = replica(fatal_answers=False)
    answers = [ask(again.app, "GET", "/__admin/health"), again.ask("GET"), again.get(PUBLIC)]
    assert {each.status for each in answers} <= {200, 503}
    assert 503 in {each.status for each in answers}
    assert all(each.rule == "store" for each in answers if each.status == 503)
    assert ask(again.app, "POST", "/__admin/reset").json["integrations"] == 12
    assert [len(each.list()) for each in (again, api)] == [12, 12]
    again.created(docker(name="afterwards"))


# -- silent ----------------------------------------------------------------------------------------


@pytest.mark.timing
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("which", ["list", "named", "create", "update", "health"])
def test_a_hanging_server_is_waited_for_once(own_server, which):
    with own_server() as server:
        api = Api(store=server.url)
        id = api.created(docker(name="mine"))
        server.stop_answering()
        started = time.monotonic()
        assert is_unavailable(requests(api, id)[which]())
        assert time.monotonic() - started < 2 * IMPATIENT_SECONDS
        server.go_on()
        assert works_again(lambda: api.get(id)).json["name"] == "mine"
        works_again(lambda: api.delete(id))


@pytest.mark.timing
@pytest.mark.usefixtures("impatient")
def test_many_clients_of_a_hanging_server_do_not_wait_one_after_another(own_server, quiet):
    with own_server() as server:
        api = Api(store=server.url)
        id = api.created(docker(name="mine"))
        kinds = requests(api, id)
        server.stop_answering()
        started = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            each_kind = [kinds[each] for each in ("list", "create", "get", "update")] * 50
            assert all(pool.map(lambda send: is_unavailable(send()), each_kind))
        # 200 requests of 8 clients, each waiting for an answer, would take 25 times as long as one.
        assert time.monotonic() - started < 8 * IMPATIENT_SECONDS
        server.go_on()
        assert works_again(kinds["get"]).json["name"] == "mine"
        works_again(kinds["create"])
        assert [each.endswith("works again") for each in quiet()] == [False, True]


@pytest.mark.timing
@pytest.mark.usefixtures("impatient")
def test_a_server_that_stops_during_a_write_does_not_block_others(own_server, monkeypatch):
    with own_server() as server:
        api = Api(store=server.url)
        api.list()
        holding, go_on = threading.Event(), threading.Event()
        new_id = api.central.store.new_id

        def held_up():
            holding.set()
            go_on.wait(5)
            return new_id()

        monkeypatch.setattr(api.central.service.store, "new_id", held_up)
        with ThreadPoolExecutor(5) as pool:
            writes = [pool.submit(api.create, docker(name="first"))]
            assert holding.wait(5)
            writes += [pool.submit(api.create, docker(name=f"n{number}")) for number in range(4)]
            server.stop_answering()
            started = time.monotonic()
            go_on.set()
            assert all(is_unavailable(each.result()) for each in writes)
            assert time.monotonic() - started < 2 * IMPATIENT_SECONDS
        server.go_on()


@pytest.mark.timing
@pytest.mark.usefixtures("impatient")
def test_writes_of_the_same_replica_wait_no_longer_than_others(replica, monkeypatch):
    monkeypatch.setattr(redis_store, "WAIT_SECONDS", 0.2)
    api = replica()
    holding, go_on = threading.Event(), threading.Event()

    def hold():
        with api.central.store.lock:
            holding.set()
            go_on.wait(5)

    holder = threading.Thread(target=hold)
    holder.start()
    assert holding.wait(5)
    started = time.monotonic()
    answer = api.create(docker())
    assert is_unavailable(answer)
    assert "was locked for 0.2 seconds" in answer.message
    assert time.monotonic() - started < 1
    go_on.set()
    holder.join()
    assert api.create(docker()).status == 200


# -- refusing --------------------------------------------------------------------------------------


def test_a_server_that_is_full_refuses_writes_and_answers_reads(own_server, quiet):
    with own_server("--save", "", "--maxmemory-policy", "noeviction") as server:
        api = Api(store=server.url)
        id = api.created(docker(name="mine"))
        client_of(api).config_set("maxmemory", 1)
        for _ in range(3):
            answer = api.create(docker(name="other"))
            assert is_unavailable(answer)
            assert "maxmemory" in answer.message
            assert api.get(id).json["name"] == "mine"
            assert names(api)[-1] == "mine"
        assert len(quiet()) == 1
        client_of(api).config_set("maxmemory", 0)
        assert api.create(docker(name="other")).status == 200
        assert names(api)[-2:] == ["mine", "other"]


def test_a_read_only_replica_answers_reads_until_another_server_takes_over(own_server):
    with own_server() as server:
        api = Api(store=server.url)
        id = api.created(docker(name="mine"))
        client = redis.Redis.from_url(server.url)
        client.replicaof("127.0.0.1", free_port())
        asked_by = client_of(api).client_id()
        answer = api.create(docker(name="other"))
        assert is_unavailable(answer)
        assert "read only replica" in answer.message
        assert api.get(id).json["name"] == "mine"
        assert client_of(api).client_id() > asked_by  # whatever address the name has now
        client.replicaof("NO", "ONE")
        assert api.create(docker(name="other")).status == 200


def test_a_read_only_replica_without_the_sandbox_refuses_reads(own_server):
    with own_server() as server:
        redis.Redis.from_url(server.url).replicaof("127.0.0.1", free_port())
        assert is_unavailable(Api(store=server.url).ask("GET"))


# -- losing keys -----------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["allkeys-random", "allkeys-lru", "volatile-random"])
def test_eviction_removes_whole_sandboxes(own_server, policy):
    with own_server("--save", "", "--maxmemory-policy", policy) as server:
        api = Api(store=server.url)
        client = client_of(api)
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 2_000_000)

        def in_sandbox(number, method="GET", rest="", body=None):
            return ask(api.app, method, f"/__sandbox/w{number}{PATH}{rest}", body)

        for number in range(40):
            ask(api.app, "PUT", f"/__sandbox/w{number}/__admin/scenario", {"scenario": "many:200"})
            in_sandbox(number, "POST", "", docker(name="mine"))
        assert client.info("stats")["evicted_keys"] > 0
        client.config_set("maxmemory", 0)
        sizes = set()
        for number in range(40):
            listed = in_sandbox(number).json["integrations"]
            sizes.add(len(listed))
            for each in (listed[0], listed[-1]):
                assert in_sandbox(number, "GET", f"?name={each['name']}").json["integrations"] == [each]
                again = in_sandbox(number, "POST", "", docker(name=each["name"]))
                assert again.rule == "name-unique"
        assert sizes <= {12, 13, 200, 201}  # the initial state or the scenario, with or without the create


def test_a_sandbox_that_is_always_evicted_is_not_recreated_endlessly(replica, monkeypatch):
    api = replica()
    begin, client = api.central.store._begin, client_of(api)
    monkeypatch.setattr(api.central.store, "_begin", lambda: (begin(), client.delete(api.central.store._key)))
    answer = api.ask("GET")
    assert is_unavailable(answer)
    assert "as soon as it is written" in answer.message
    monkeypatch.undo()
    assert len(api.list()) == 12


def test_a_sandbox_is_one_key(replica, redis_server):
    api = replica()
    api.delete(api.created(docker(name="mine")))
    client = client_of(api)
    assert client.keys(f"{{{api.app.settings.store_prefix}:*") == [
        f"{{{api.app.settings.store_prefix}:}}:state".encode()
    ]
