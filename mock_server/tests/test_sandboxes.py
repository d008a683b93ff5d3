"""Sandboxes: separate states in one server."""

import random
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from urllib.parse import urljoin, urlsplit

import pytest

from mock_server.tests.conftest import PATH, Api, ask, docker

HEADER = "Mock-Central-Sandbox"


def in_sandbox(api, name, method="GET", rest="", body=None, **headers):
    return ask(api.app, method, PATH + rest, body, {HEADER: name, **headers})


def names(answer):
    return [each["name"] for each in answer.json["integrations"]]


def test_a_sandbox_starts_with_the_initial_state_and_keeps_its_own():
    api = Api(scenario="one-of-each")
    before = api.list()
    assert in_sandbox(api, "a", "POST", "", docker(name="mine")).status == 200
    assert names(in_sandbox(api, "a")) == [*(each["name"] for each in before), "mine"]
    assert api.list() == before
    assert names(in_sandbox(api, "b")) == [each["name"] for each in before]


@pytest.mark.usefixtures("pages")
def test_a_path_prefix_is_the_base_url_of_a_sandbox(api):
    base = "/__sandbox/team-1"
    assert ask(api.app, "POST", f"{base}{PATH}", docker(name="mine")).status == 200
    assert "mine" in names(ask(api.app, "GET", f"{base}{PATH}"))
    assert "mine" in names(in_sandbox(api, "team-1"))
    assert "mine" not in names(api.ask("GET"))
    assert ask(api.app, "POST", f"{base}/__admin/reset").json["integrations"] == 12
    assert "mine" not in names(in_sandbox(api, "team-1"))


def test_a_wrong_name_is_shown_as_it_was_sent(api):
    answer = ask(api.app, "GET", f"/__sandbox/%C3%A9%F0%9F%98%80{PATH}")
    assert (answer.status, answer.message.partition(" ")[0]) == (400, "'é😀'")


@pytest.mark.heavy
def test_a_thousand_sandboxes_at_once_do_not_mix():
    """The steps of all sandboxes run in random order, from many threads."""
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


def test_an_idle_sandbox_is_deleted():
    api = Api(sandbox_ttl=0.2)
    in_sandbox(api, "a", "POST", "", docker())
    until = time.monotonic() + 60
    while len(api.app.gateway.sandboxes.listed()) > 1:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert len(in_sandbox(api, "a").json["integrations"]) == 12


def test_a_used_sandbox_is_not_deleted(monkeypatch):
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
def test_an_invalid_name_is_refused(api, name):
    answer = in_sandbox(api, name)
    assert (answer.status, answer.json["code"], answer.rule) == (400, 3, "sandbox")
    assert "is not the name of a sandbox" in answer.message


@pytest.mark.usefixtures("pages")
def test_too_many_sandboxes_are_refused_with_advice():
    api = Api(max_sandboxes=2)
    assert [in_sandbox(api, name).status for name in "aabb"] == [200] * 4
    answer = in_sandbox(api, "c")
    assert (answer.status, answer.json["code"]) == (429, 8)
    assert "--max-sandboxes" in answer.message
    assert ask(api.app, "DELETE", "/__admin/sandboxes/a").json == {"removed": 1}
    assert in_sandbox(api, "c").status == 200


def test_sandboxes_of_a_mutated_mock_are_mutated_and_separate():
    api = Api(mutants=("name-unique",))
    for sandbox in "ab":
        assert [in_sandbox(api, sandbox, "POST", "", docker()).status for _ in range(2)] == [200, 200]
        assert len(in_sandbox(api, sandbox).json["integrations"]) == 14


def test_the_log_names_the_sandbox(api, caplog):
    with caplog.at_level("INFO", "mock_central.access"):
        in_sandbox(api, "team-1")
    assert " sandbox=team-1" in caplog.records[-1].message


# -- in a browser, which can send no header --------------------------------------------------------------


@pytest.fixture
def site(tmp_path):
    (tmp_path / "index.html").write_text("<title>The UI</title>")
    return Api(ui=tmp_path)


def page(api, target, cookie="", method="GET"):
    headers = {"Accept": "text/html,*/*;q=0.8", "Host": "127.0.0.1:8080", **({"Cookie": cookie} if cookie else {})}
    return ask(api.app, method, target, headers=headers)


@pytest.mark.usefixtures("pages")
@pytest.mark.parametrize(
    ("host", "name"),
    [("[::1]:8080", "mock-central-sandbox-8080"), ("localhost", "mock-central-sandbox")],
)
def test_the_cookie_of_a_sandbox_is_that_of_a_port(site, host, name):
    answer = ask(site.app, "GET", "/__sandbox/a/main/", headers={"Accept": "text/html", "Host": host})
    assert answer.headers["set-cookie"].startswith(f"{name}=a; ")


@pytest.mark.usefixtures("pages")
def test_a_page_below_the_path_of_a_sandbox_sets_a_cookie_that_chooses_it(site):
    answer = page(site, "/__sandbox/team-1/main/integrations?a=%2F&b")
    assert (answer.status, answer.headers["location"]) == (302, "/main/integrations?a=%2F&b")
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Lax"}
    assert page(site, "/main/integrations", f"other=1; {cookie}").body == b"<title>The UI</title>"
    headers = {"Cookie": cookie, "Host": "127.0.0.1:8080"}
    assert ask(site.app, "POST", PATH, docker(name="mine"), headers).status == 200
    assert "mine" in names(in_sandbox(site, "team-1"))
    assert "mine" not in names(site.ask("GET"))
    assert ask(site.app, "GET", "/v1/integrationhealth/imageintegrations", headers=headers).body.count(b'"mine"') == 1


def test_a_link_on_another_site_opens_a_page_and_creates_no_sandbox(site):
    headers = {"Accept": "text/html", "Host": "127.0.0.1:8080", "Sec-Fetch-Site": "cross-site"}
    assert ask(site.app, "GET", "/__sandbox/team-1/main", headers=headers).status == 302
    assert ask(site.app, "GET", f"/__sandbox/team-1{PATH}", headers=headers).status == 403
    assert [each["name"] for each in site.app.gateway.sandboxes.listed()] == [""]


def test_a_page_without_a_name_leaves_the_sandbox(site):
    answer = page(site, "/__sandbox//main/integrations", "mock-central-sandbox-8080=team-1")
    assert (answer.status, answer.headers["location"]) == (302, "/main/integrations")
    assert answer.headers["set-cookie"].startswith("mock-central-sandbox-8080=; ")
    assert "Max-Age=0" in answer.headers["set-cookie"]


def test_path_and_header_win_over_the_cookie(site):
    cookie = {"Cookie": "mock-central-sandbox-8080=a", "Host": "127.0.0.1:8080"}
    assert ask(site.app, "POST", PATH, docker(name="mine"), {**cookie, HEADER: "b"}).status == 200
    assert ask(site.app, "POST", f"/__sandbox/c{PATH}", docker(name="mine"), cookie).status == 200
    assert ["mine" in names(in_sandbox(site, name)) for name in "abc"] == [False, True, True]


@pytest.mark.usefixtures("pages")
def test_control_calls_do_not_follow_the_cookie(site):
    cookie = {"Cookie": "mock-central-sandbox-8080=a", "Host": "127.0.0.1:8080"}
    assert ask(site.app, "PUT", "/__admin/scenario", {"scenario": "empty"}, cookie).status == 200
    assert site.list() == []
    assert len(ask(site.app, "GET", PATH, headers=cookie).json["integrations"]) == 12


def test_the_cookies_of_another_port_and_without_a_valid_name_are_ignored(site):
    for cookie in ("mock-central-sandbox-9090=a", "mock-central-sandbox-8080=a b", "mock-central-sandbox-8080", ";;"):
        assert page(site, PATH, cookie).status == 200
    assert [each["name"] for each in site.app.gateway.sandboxes.listed()] == [""]


@pytest.mark.parametrize("rest", ["//evil.example/x", "/\\evil.example/x", "///evil.example", "/..//evil.example"])
def test_no_page_redirects_to_another_host(site, rest):
    target = urljoin("http://127.0.0.1:8080/", page(site, f"/__sandbox/a{rest}").headers["location"])
    assert urlsplit(target).netloc == "127.0.0.1:8080"


@pytest.mark.parametrize(
    ("path", "method"),
    [
        (f"/a{PATH}", "GET"),
        ("/a/__admin/", "GET"),
        ("/a/api/docs/swagger", "GET"),
        ("/a/main", "POST"),
        ("/a%20b/main", "GET"),
    ],
)
def test_a_path_that_is_not_a_page_is_not_redirected(site, path, method):
    assert "set-cookie" not in page(site, f"/__sandbox{path}", method=method).headers


def test_a_script_is_not_redirected(site):
    assert ask(site.app, "GET", "/__sandbox/a/main").status == 200


def test_without_a_ui_there_are_no_pages(api):
    assert page(api, "/__sandbox/a/main").status == 404


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
