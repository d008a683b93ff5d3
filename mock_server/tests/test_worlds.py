"""Worlds: states apart in one server."""

import random
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest

from mock_server.tests.conftest import PATH, Api, ask, docker

HEADER = "Mock-Central-World"


def in_world(api, name, method="GET", rest="", body=None, **headers):
    return ask(api.app, method, PATH + rest, body, {HEADER: name, **headers})


def names(answer):
    return [each["name"] for each in answer.json["integrations"]]


def test_a_world_begins_with_the_first_state_and_keeps_its_own():
    api = Api(scenario="one-of-each")
    before = api.list()
    assert in_world(api, "a", "POST", "", docker(name="mine")).status == 200
    assert names(in_world(api, "a")) == [*(each["name"] for each in before), "mine"]
    assert api.list() == before
    assert names(in_world(api, "b")) == [each["name"] for each in before]


def test_a_path_prefix_is_a_base_url_of_a_world(api):
    base = "/__world/team-1"
    assert ask(api.app, "POST", f"{base}{PATH}", docker(name="mine")).status == 200
    assert "mine" in names(ask(api.app, "GET", f"{base}{PATH}"))
    assert "mine" in names(in_world(api, "team-1"))
    assert "mine" not in names(api.ask("GET"))
    assert ask(api.app, "POST", f"{base}/__admin/reset").json["integrations"] == 12
    assert "mine" not in names(in_world(api, "team-1"))


def test_a_thousand_worlds_at_once_do_not_mix():
    """Each in several steps, the steps of all in a random order, from many threads."""
    api = Api(empty=True)
    worlds = [f"w{number}" for number in range(1000)]

    def step(asked):
        world, number = asked
        answer = in_world(api, world, "POST", "", docker(name=f"{world} {number}", docker={"endpoint": world}))
        assert answer.status == 200
        seen = in_world(api, world).json["integrations"]
        assert {each["docker"]["endpoint"] for each in seen} == {world}

    steps = [(world, number) for world in worlds for number in range(3)]
    random.Random(1).shuffle(steps)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(step, steps))
    for world in worlds:
        assert sorted(names(in_world(api, world))) == [f"{world} {number}" for number in range(3)]
    assert api.list() == []


def test_a_world_is_freed_after_its_time():
    api = Api(world_ttl=0.2)
    in_world(api, "a", "POST", "", docker())
    until = time.monotonic() + 5
    while len(api.app.entrance.worlds.listed()) > 1:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert len(in_world(api, "a").json["integrations"]) == 12


def test_a_world_that_is_used_is_not_freed():
    api = Api(world_ttl=0.5)
    in_world(api, "a", "POST", "", docker(name="mine"))
    for _ in range(10):
        time.sleep(0.1)
        assert "mine" in names(in_world(api, "a"))


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ü", "x" * 101])
def test_what_is_no_name_is_refused(api, name):
    answer = in_world(api, name)
    assert (answer.status, answer.json["code"], answer.rule) == (400, 3, "world")
    assert "is not the name of a world" in answer.message


def test_too_many_worlds_are_refused_with_the_way_out():
    api = Api(max_worlds=2)
    assert [in_world(api, name).status for name in "aabb"] == [200] * 4
    answer = in_world(api, "c")
    assert (answer.status, answer.json["code"]) == (429, 8)
    assert "--max-worlds" in answer.message
    assert ask(api.app, "DELETE", "/__admin/worlds/a").json == {"removed": 1}
    assert in_world(api, "c").status == 200


def test_worlds_of_a_faulty_mock_are_faulty_too_and_apart():
    api = Api(faults=("name-unique",))
    for world in "ab":
        assert [in_world(api, world, "POST", "", docker()).status for _ in range(2)] == [200, 200]
        assert len(in_world(api, world).json["integrations"]) == 14


def test_a_world_says_its_name_in_the_log(api, caplog):
    with caplog.at_level("INFO", "mock_central.access"):
        in_world(api, "team-1")
    assert " world=team-1" in caplog.records[-1].message


def test_a_world_costs_little(api):
    worlds = api.app.entrance.worlds
    worlds.get("warm")
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(500):
        worlds.get(f"w{number}")
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert used / 500 < 50_000
