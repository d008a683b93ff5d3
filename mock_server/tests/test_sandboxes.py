"""Sandboxes: states apart in one server."""

import random
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from mock_server.tests.conftest import PATH, Api, ask, docker

HEADER = "Mock-Central-Sandbox"


def in_sandbox(api, name, method="GET", rest="", body=None, **headers):
    return ask(api.app, method, PATH + rest, body, {HEADER: name, **headers})


def names(answer):
    return [each["name"] for each in answer.json["integrations"]]


def test_a_sandbox_begins_with_the_first_state_and_keeps_its_own():
    api = Api(scenario="one-of-each")
    before = api.list()
    assert in_sandbox(api, "a", "POST", "", docker(name="mine")).status == 200
    assert names(in_sandbox(api, "a")) == [*(each["name"] for each in before), "mine"]
    assert api.list() == before
    assert names(in_sandbox(api, "b")) == [each["name"] for each in before]


def test_a_path_prefix_is_a_base_url_of_a_sandbox(api):
    base = "/__sandbox/team-1"
    assert ask(api.app, "POST", f"{base}{PATH}", docker(name="mine")).status == 200
    assert "mine" in names(ask(api.app, "GET", f"{base}{PATH}"))
    assert "mine" in names(in_sandbox(api, "team-1"))
    assert "mine" not in names(api.ask("GET"))
    assert ask(api.app, "POST", f"{base}/__admin/reset").json["integrations"] == 12
    assert "mine" not in names(in_sandbox(api, "team-1"))


def test_a_thousand_sandboxes_at_once_do_not_mix():
    """Each in several steps, the steps of all in a random order, from many threads."""
    api = Api(empty=True)
    sandboxes = [f"w{number}" for number in range(1000)]

    def step(asked):
        sandbox, number = asked
        answer = in_sandbox(api, sandbox, "POST", "", docker(name=f"{sandbox} {number}", docker={"endpoint": sandbox}))
        assert answer.status == 200
        seen = in_sandbox(api, sandbox).json["integrations"]
        assert {each["docker"]["endpoint"] for each in seen} == {sandbox}

    steps = [(sandbox, number) for sandbox in sandboxes for number in range(3)]
    random.Random(1).shuffle(steps)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(step, steps))
    for sandbox in sandboxes:
        assert sorted(names(in_sandbox(api, sandbox))) == [f"{sandbox} {number}" for number in range(3)]
    assert api.list() == []


def test_a_sandbox_is_freed_after_its_time():
    api = Api(sandbox_ttl=0.2)
    in_sandbox(api, "a", "POST", "", docker())
    until = time.monotonic() + 60
    while len(api.app.gateway.sandboxes.listed()) > 1:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert len(in_sandbox(api, "a").json["integrations"]) == 12


def test_a_sandbox_that_is_used_is_not_freed(monkeypatch):
    now = 0
    clock = SimpleNamespace(monotonic=lambda: now, sleep=lambda _seconds: time.sleep(0.01))
    monkeypatch.setattr("mock_server.sandboxes.sandboxes.time", clock)
    api = Api(sandbox_ttl=100)
    for sandbox in ("used", "left"):
        in_sandbox(api, sandbox, "POST", "", docker(name="mine"))
    now = 90
    in_sandbox(api, "used")
    now = 150
    until = time.monotonic() + 60
    while "left" in [each["name"] for each in api.app.gateway.sandboxes.listed()]:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert "mine" in names(in_sandbox(api, "used"))


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ü", "x" * 101])
def test_what_is_no_name_is_refused(api, name):
    answer = in_sandbox(api, name)
    assert (answer.status, answer.json["code"], answer.rule) == (400, 3, "sandbox")
    assert "is not the name of a sandbox" in answer.message


def test_too_many_sandboxes_are_refused_with_the_way_out():
    api = Api(max_sandboxes=2)
    assert [in_sandbox(api, name).status for name in "aabb"] == [200] * 4
    answer = in_sandbox(api, "c")
    assert (answer.status, answer.json["code"]) == (429, 8)
    assert "--max-sandboxes" in answer.message
    assert ask(api.app, "DELETE", "/__admin/sandboxes/a").json == {"removed": 1}
    assert in_sandbox(api, "c").status == 200


def test_sandboxes_of_a_faulty_mock_are_faulty_too_and_apart():
    api = Api(mutants=("name-unique",))
    for sandbox in "ab":
        assert [in_sandbox(api, sandbox, "POST", "", docker()).status for _ in range(2)] == [200, 200]
        assert len(in_sandbox(api, sandbox).json["integrations"]) == 14


def test_a_sandbox_says_its_name_in_the_log(api, caplog):
    with caplog.at_level("INFO", "mock_central.access"):
        in_sandbox(api, "team-1")
    assert " sandbox=team-1" in caplog.records[-1].message


def test_a_sandbox_costs_little(api):
    sandboxes = api.app.gateway.sandboxes
    sandboxes.get("warm")
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(500):
        sandboxes.get(f"w{number}")
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert used / 500 < 50_000
