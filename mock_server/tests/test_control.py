"""The control calls, which inspect and change the running mock."""

import json
import threading
import time
import urllib.error
import urllib.request
from itertools import pairwise

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from mock_server.contract import tables as contracts
from mock_server.serving.server import serving
from mock_server.simulation.request_journal import Journal
from mock_server.tests.conftest import Answer, Api, ask, docker
from mock_server.tests.test_cli import serve_command, url_in
from mock_server.web.control import MOST_WAITING, PREFIX, document

pytestmark = pytest.mark.usefixtures("pages")


def control(api, method, rest, body=None, **headers) -> Answer:
    return ask(api.app, method, PREFIX + rest, body, headers)


def names(api):
    return [each["name"] for each in api.list()]


def test_the_document_is_valid_and_every_call_answers(api):
    assert not list(OpenAPIV31SpecValidator(document()).iter_errors())
    assert control(api, "GET", "/openapi.json").json == document()
    for path, item in document()["paths"].items():
        for method in item:
            if not path.endswith(("/stream", "/wait")):
                answer = control(api, method.upper(), path.replace("{number}", "1").replace("{sandbox}", "x"), {})
                known = (200, 501) if path == "/metrics" else (200, 400, 404)
                assert answer.status in known, (method, path, answer)


def test_a_reset_restores_everything():
    api = Api(scenario="one-of-each")
    before = api.ask("GET").body
    api.create(docker(name="mine"))
    control(api, "PUT", "/scenario", {"scenario": "many:3"})
    control(api, "POST", "/faults", {"code": 503, "operation": "GetImageIntegration"})
    control(api, "PUT", "/registry-tests", {"rules": [{"host": "*", "outcome": "unauthorized"}]})
    control(api, "PUT", "/mutants", {"mutants": ["name-unique"]})
    assert control(api, "POST", "/reset").json["integrations"] == len(contracts.load().types)
    assert api.ask("GET").body == before
    assert control(api, "GET", "/scenario").json["scenario"] == "one-of-each"
    assert control(api, "GET", "/faults").json == {"faults": []}
    assert control(api, "GET", "/mutants").json["mutants"] == []
    assert control(api, "GET", "/requests/count").json == {"count": 1}
    assert api.test(docker(name="other")).status == 200
    assert api.create(docker(name="Example Docker registry")).rule == "name-unique"


def test_scenarios_are_switched_while_running(api):
    listed = [each["name"] for each in control(api, "GET", "/scenarios").json["scenarios"]]
    assert "one-of-each" in listed
    assert control(api, "PUT", "/scenario", {"scenario": "many:7"}).json == {"scenario": "many:7", "integrations": 7}
    assert len(api.list()) == 7
    answer = control(api, "PUT", "/scenario", {"scenario": "fresch"})
    assert (answer.status, answer.rule) == (400, "control")
    assert "fresh" in answer.message
    assert len(api.list()) == 7


def test_a_state_is_exported_and_replaced(api):
    id = api.created(docker(name="mine"))
    state = control(api, "GET", "/state").json
    assert state["integrations"][-1]["docker"]["password"] == "not-a-real-password"
    api.delete(id)
    assert control(api, "PUT", "/state", state).json["integrations"] == 13
    assert api.get(id).json["name"] == "mine"
    api.patch(id, docker(name="renamed", docker={**docker()["docker"], "password": ""}))
    assert api.stored(id)["docker"]["password"] == "not-a-real-password"


def test_an_invalid_state_is_refused_with_its_place_and_no_credential(api):
    state = control(api, "GET", "/state").json
    state["integrations"][2]["docker"]["password"] = {"x": "s3cr3t"}
    answer = control(api, "PUT", "/state", state)
    assert answer.status == 400
    assert answer.message.startswith("$.integrations[2].docker.password: is an object")
    assert "s3cr3t" not in answer.message
    assert len(api.list()) == 12


def test_an_integration_is_created_changed_and_tested_by_central_s_rules():
    api = Api(auth=True, faults=["code=503"])
    config = {"endpoint": "registry.example.com", "username": "u", "password": "secret"}
    made = ask(api.app, "POST", "/__admin/integrations", docker(name="mine", docker=config)).json
    assert (made["name"], made["docker"]["password"]) == ("mine", "******")
    path = f"/__admin/integrations/{made['id']}"
    renamed = ask(api.app, "PUT", path, {"config": {**made, "name": "other"}}).json
    assert renamed == {**made, "name": "other"}
    store = api.app.central.store
    assert store.get(made["id"]).integration["docker"]["password"] == "secret"
    replaced = {"config": {**made, "docker": {**config, "password": "new"}}, "updatePassword": True}
    assert ask(api.app, "PUT", path, replaced).status == 200
    assert store.get(made["id"]).integration["docker"]["password"] == "new"
    assert ask(api.app, "POST", "/__admin/integrations/test", {"config": made}).json == {}
    assert api.app.gateway.sandboxes.default.journal.found() == []


def test_an_integration_that_central_refuses_is_refused_with_its_text(api):
    made = ask(api.app, "POST", "/__admin/integrations", docker(name="mine")).json
    twice = ask(api.app, "POST", "/__admin/integrations", docker(name="mine"))
    assert (twice.status, twice.rule) == (400, "name-unique")
    missing = ask(api.app, "PUT", "/__admin/integrations/nope", {"config": {**made, "name": "other"}})
    assert (missing.status, missing.rule) == (404, "update-missing")
    moved = {"config": {**made, "docker": {**made["docker"], "endpoint": "elsewhere.example.com"}}}
    for method, path in (("PUT", f"/__admin/integrations/{made['id']}"), ("POST", "/__admin/integrations/test")):
        assert ask(api.app, method, path, moved).status == 400
    unread = ask(api.app, "POST", "/__admin/integrations", {"name": 5})
    assert (unread.status, unread.message) == (400, "proto: (line 1:9): invalid value for string field name: 5")


def test_faults_are_added_counted_and_removed(api):
    added = control(api, "POST", "/faults", {"operation": "PostImageIntegration", "code": 503, "times": 1}).json
    assert api.create(docker()).status == 503
    assert api.create(docker()).status == 200
    assert control(api, "GET", "/faults").json["faults"] == [{**added, "matched": 1, "met": 1}]
    control(api, "POST", "/faults", {"delay": 0.01})
    assert control(api, "DELETE", f"/faults/{added['id']}").json == {"removed": 1}
    assert control(api, "DELETE", f"/faults/{added['id']}").status == 404
    assert control(api, "DELETE", "/faults").json == {"removed": 1}


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/faults", {"code": 199}, "$.code"),
        ("/faults", {"cod": 503}, "did you mean 'code'"),
        ("/faults", {"code": 503, "match_json": {}}, "did you mean 'match-json'"),
        ("/faults", {"code": 503, "headers": {"a b": "x"}}, "name of a header"),
        ("/faults", {}, "a code, delay, fault"),
        ("/faults", {"delay": "soon"}, "LOW..HIGH"),
        ("/faults", {"code": 503, "operation": "PostImageIntegratoin"}, "did you mean PostImageIntegration"),
        ("/faults", b"{", "not JSON"),
        ("/faults", [], "$"),
    ],
)
def test_an_invalid_fault_is_refused(api, path, body, named):
    answer = control(api, "POST", path, body)
    assert (answer.status, answer.json["code"]) == (400, 3)
    assert named in answer.message


@pytest.mark.parametrize(
    ("method", "path", "body", "place"),
    [
        ("POST", "/faults", b'{"\\ud800":1}', "$, a key"),
        ("POST", "/faults", b'{"code":503,"name":"\\udc00"}', "$.name"),
        ("PUT", "/state", b'{"format":"\\udc00"}', "$.format"),
        ("PUT", "/registry-tests", b'{"rules":[{"host":"\\ud83d","outcome":"pass"}]}', "$.rules[0].host"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_half_of_a_surrogate_pair_is_refused_with_its_place(method, path, body, place):
    api = Api(fatal_answers=False)
    answer = control(api, method, path, body)
    assert (answer.status, answer.rule) == (400, "control")
    assert answer.message.startswith(f"{place}: has half of a surrogate pair")
    assert control(api, "GET", "/faults").json == {"faults": []}
    whole = control(api, "POST", "/faults", b'{"code":503,"name":"\\ud83d\\ude00"}')
    assert whole.json["name"] == "\U0001f600"


@pytest.mark.parametrize("levels", [300, 930, 200_000])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/state"),
        ("PUT", "/scenario"),
        ("PUT", "/mutants"),
        ("PUT", "/registry-tests"),
        ("PUT", "/integrations/x"),
    ],
)
def test_a_body_that_nests_too_deep_is_refused(method, path, levels):
    answer = control(Api(fatal_answers=False), method, path, b'{"a":' * levels + b"1" + b"}" * levels)
    assert (answer.status, answer.rule) == (400, "control")
    assert "is nested too deeply" in answer.message


@pytest.mark.parametrize(
    ("method", "path", "body", "named"),
    [
        ("POST", "/faults", b'{"code":503,"json":NaN}', "$.json: is nan"),
        ("POST", "/faults", b'{"json":{"a":[1e999]}}', "$.json.a[0]: is inf"),
        ("POST", "/faults", b'{"code":' + b"9" * 5000 + b"}", "has a number with too many digits"),
        ("PUT", "/scenario", {"scenario": "many:" + "9" * 5000}, "the number is not between 0 and"),
        ("PUT", "/scenario", {"scenario": "many:\u0663"}, "the number is not between 0 and"),
        ("PUT", "/mutants", {"mutants": ["name-uniqe"]}, "did you mean"),
        ("PUT", "/state", {"integrations": []}, "property; export a state with GET /__admin/state"),
        ("PUT", "/state", {"format": "x", "version": 1}, "property; export a state with GET /__admin/state"),
    ],
)
def test_an_invalid_number_is_refused(api, method, path, body, named):
    answer = control(api, method, path, body)
    assert (answer.status, answer.rule) == (400, "control")
    assert named in answer.message


def test_an_invalid_number_of_a_fault_is_not_found(api):
    assert control(api, "DELETE", "/faults/" + "9" * 5000).status == 404


def test_mutants_are_applied_and_removed_and_the_state_stays(api):
    api.create(docker(name="mine"))
    assert control(api, "PUT", "/mutants", {"mutants": ["name-unique"]}).json == {"mutants": ["name-unique"]}
    assert api.create(docker(name="mine")).status == 200
    assert names(api).count("mine") == 2
    assert control(api, "PUT", "/mutants", {"mutants": []}).json == {"mutants": []}
    assert names(api).count("mine") == 2
    assert api.create(docker(name="mine")).rule == "name-unique"
    assert "did you mean name-unique" in control(api, "PUT", "/mutants", {"mutants": ["name-uniqe"]}).message


def test_mutants_from_the_start_are_listed_and_removed():
    api = Api(mutants=("name-unique",))
    assert control(api, "GET", "/mutants").json["mutants"] == ["name-unique"]
    control(api, "PUT", "/mutants", {"mutants": []})
    assert [api.create(docker()).status for _ in range(2)] == [200, 400]
    control(api, "POST", "/reset")
    assert [api.create(docker()).status for _ in range(2)] == [200, 200]


def test_registry_test_rules_are_replaced_while_running(api):
    rules = control(api, "GET", "/registry-tests").json
    assert {"host": "*.invalid", "outcome": "unreachable"} in rules["rules"]
    control(api, "PUT", "/registry-tests", {"rules": [{"host": "*.example.com", "outcome": "unauthorized"}]})
    assert "status=401" in api.test(docker()).message
    answer = control(api, "PUT", "/registry-tests", {"rules": [{"host": "*", "outcome": "down"}]})
    assert answer.status == 400
    assert "down: the outcome is not one of pass, unreachable" in answer.message


def test_an_invalid_choice_is_refused_with_all_valid_ones(api):
    answer = control(api, "POST", "/faults", {"fault": "hang"})
    assert (answer.status, answer.message) == (
        400,
        "$.fault: the value is not one of reset, empty, truncated, garbage, slow",
    )


def test_requests_are_listed_counted_and_forgotten(api):
    api.create(docker(name="mine"))
    api.get("nope")
    found = control(api, "GET", "/requests?operation=PostImageIntegration").json["requests"]
    assert [each["body"]["docker"]["password"] for each in found] == ["******"]
    assert control(api, "GET", "/requests/count?status=4xx").json == {"count": 1}
    assert [each["status"] for each in control(api, "GET", "/requests?limit=1").json["requests"]] == [404]
    assert control(api, "GET", "/requests?limit=0").json == {"requests": []}
    assert control(api, "DELETE", "/requests").json == {}
    assert control(api, "GET", "/requests/count").json == {"count": 0}


@pytest.mark.parametrize(
    "query", ["operatoin=x", "since=x", "limit=-1", "status=teapot", "count=1"], ids=lambda query: query
)
def test_an_invalid_query_is_refused(api, query):
    answer = control(api, "GET", f"/requests?{query}")
    assert answer.status == 400
    assert query.partition("=")[0] in answer.message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("requests?limit=1.5", "?limit=1.5: is not a whole number"),
        ("requests?limit=-1", "?limit=-1: is below 0"),
        ("requests?limit=-0", "?limit=-0: is not a whole number"),
        ("requests/wait?count=-02", "?count=-02: is below 0"),
        ("requests?limit=1000000000", "?limit=1000000000: is above 999999999"),
        ("requests/wait?count=0.5", "?count=0.5: is not a whole number"),
        ("requests/stream?since=1.5", "?since=1.5: is not a whole number"),
    ],
)
def test_a_count_is_a_whole_number(api, call, message):
    answer = control(api, "GET", f"/{call}")
    assert (answer.status, answer.message) == (400, message)


def test_a_whole_number_may_be_the_greatest(api):
    assert control(api, "POST", "/faults", {"code": 503, "times": 999_999_999}).json["times"] == 999_999_999


def test_a_whole_number_of_json_may_have_a_fraction_of_zero(api):
    assert control(api, "POST", "/faults", {"code": 503.0, "times": 2.0}).json["code"] == 503
    rule = {"host": "*", "outcome": "pass", "times": 1.0}
    assert control(api, "PUT", "/registry-tests", {"rules": [rule]}).json["rules"] == [{**rule, "times": 1}]


@pytest.mark.parametrize("query", ["since=-1", "status=teapot", "timeout=61", "count=x"])
def test_an_invalid_wait_is_refused_and_frees_its_place(query):
    api = Api(fatal_answers=False)
    for _ in range(MOST_WAITING + 1):
        assert control(api, "GET", f"/requests/wait?{query}").status == 400


def test_waiting_ends_with_the_requests_or_the_timeout(api):
    threading.Timer(0.2, lambda: api.create(docker(name="mine"))).start()
    answer = control(api, "GET", "/requests/wait?operation=PostImageIntegration&timeout=5")
    assert answer.json["requests"][0]["body"]["name"] == "mine"
    answer = control(api, "GET", "/requests/wait?count=2&operation=PostImageIntegration&timeout=0.1")
    assert (answer.status, answer.json["code"]) == (408, 4)
    assert answer.message == "1 of 2 requests arrived within 0.1 seconds"


@pytest.mark.served
def test_requests_are_streamed_immediately():
    with serving() as mock:
        stream = urllib.request.urlopen(f"{mock.url}{PREFIX}/requests/stream", timeout=10)
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        urllib.request.urlopen(f"{mock.url}/v1/imageintegrations?name=x", timeout=10).read()
        lines = []
        while not lines or not lines[-1].startswith(b"data: "):
            lines.append(stream.readline())
        assert json.loads(lines[-1][6:])["query"] == "name=x"
        assert b"id: 1\n" in lines
        stream.close()


@pytest.mark.served
@pytest.mark.parametrize("again", [("?since=500", {}), ("", {"Last-Event-ID": "500"})], ids=["since", "Last-Event-ID"])
def test_a_stream_resumed_after_a_restart_misses_nothing(again):
    query, headers = again
    with serving() as mock:
        urllib.request.urlopen(f"{mock.url}/v1/imageintegrations", timeout=10).close()
        request = urllib.request.Request(f"{mock.url}{PREFIX}/requests/stream{query}", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as stream:
            assert [stream.readline() for _ in range(3)][2] == b"id: 1\n"


@pytest.mark.served
def test_a_stream_sends_many_requests_in_batches(monkeypatch):
    woken: list[tuple[Journal, float]] = []  # streams of other tests may still wait
    wait = Journal.wait
    monkeypatch.setattr(Journal, "wait", lambda *asked: woken.append((asked[0], time.monotonic())) or wait(*asked))
    with serving() as mock, urllib.request.urlopen(f"{mock.url}{PREFIX}/requests/stream", timeout=10) as stream:
        for _ in range(500):
            ask(mock.app, "GET", "/v1/imageintegrations/nope")
        for line in stream:
            if line == b"id: 500\n":
                break
        journal = mock.app.gateway.sandboxes.default.journal
    times = [at for which, at in woken if which is journal]
    assert times
    assert all(later - sooner >= 0.05 for sooner, later in pairwise(times))


def test_the_number_of_waiting_calls_is_limited(api):
    def wait() -> None:
        while control(api, "GET", "/requests/wait?timeout=60").status == 429:
            pass  # the call below may have taken the last place

    waiting = [threading.Thread(target=wait) for _ in range(MOST_WAITING)]
    for each in waiting:
        each.start()
    while control(api, "GET", "/requests/wait?timeout=0").status != 429:
        pass
    api.ask("GET")
    for each in waiting:
        each.join()
    assert control(api, "GET", "/requests/wait?timeout=0").status == 200


def test_an_unread_stream_occupies_no_place(api):
    client = api.app.test_client()
    for _ in range(MOST_WAITING + 1):
        answer = client.head(f"{PREFIX}/requests/stream")
        assert answer.status_code == 200
        answer.close()


@pytest.mark.heavy
@pytest.mark.served
def test_a_disconnected_client_frees_its_place():
    with serve_command() as (_, banner):
        url = url_in(banner)
        for _ in range(MOST_WAITING * 2):
            until = time.monotonic() + 30
            while True:  # the server notices the disconnect when it sends
                try:
                    stream = urllib.request.urlopen(f"{url}{PREFIX}/requests/stream", timeout=10)
                    break
                except urllib.error.HTTPError as error:
                    error.close()  # 429: the limit is reached
                    assert time.monotonic() < until, "every stream is still held"
                    urllib.request.urlopen(f"{url}/v1/imageintegrations", timeout=10).close()
            assert stream.readline() == b"retry: 1000\n"
            stream.close()


def test_any_origin_may_call_central_but_not_control():
    """Control calls show stored credentials in clear text."""
    api = Api(cors="*")
    assert "access-control-allow-origin" in api.ask("GET", headers={"Origin": "http://page"}).headers
    assert "access-control-allow-origin" not in control(api, "GET", "/state", Origin="http://page").headers
    one = Api(cors="http://page")
    assert control(one, "GET", "/state", Origin="http://page").headers["access-control-allow-origin"] == "http://page"


def test_sandboxes_are_listed_and_freed(api):
    for name in "ab":
        ask(api.app, "GET", "/v1/imageintegrations", None, {"Mock-Central-Sandbox": name})
    assert [each["name"] for each in control(api, "GET", "/sandboxes").json["sandboxes"]] == ["", "a", "b"]
    assert control(api, "DELETE", "/sandboxes/a").json == {"removed": 1}
    assert control(api, "DELETE", "/sandboxes/a").status == 404
    assert control(api, "DELETE", "/sandboxes").json == {"removed": 1}


def test_control_calls_concern_only_their_sandbox(api):
    control(api, "PUT", "/scenario", {"scenario": "empty"}, **{"Mock-Central-Sandbox": "a"})
    control(api, "POST", "/faults", {"code": 503}, **{"Mock-Central-Sandbox": "b"})
    assert ask(api.app, "GET", "/__sandbox/a/v1/imageintegrations").json == {"integrations": []}
    assert ask(api.app, "GET", "/__sandbox/b/v1/imageintegrations").status == 503
    assert len(api.list()) == 12
    assert ask(api.app, "GET", "/__sandbox/a/__admin/requests/count").json == {"count": 1}


def test_settings_are_shown_without_tokens():
    api = Api(control_token="s3cr3t")
    answer = control(api, "GET", "/settings", Authorization="Bearer s3cr3t")
    assert answer.json["control_token"] is True
    assert "s3cr3t" not in answer.body.decode()
    assert "mock-admin-token" not in answer.body.decode()


def test_all_calls_but_health_require_the_token():
    api = Api(control_token="right")
    assert control(api, "GET", "/health").status == 200
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "right"}, {"Authorization": "Bearer"}):
        answer = control(api, "POST", "/reset", **headers)
        assert (answer.status, answer.json["code"]) == (401, 16)
    assert control(api, "POST", "/reset", Authorization="bearer right").status == 200


def test_control_calls_can_be_turned_off():
    api = Api(control=False)
    assert control(api, "GET", "/health").status == 200
    assert control(api, "POST", "/reset").rule == "unknown-route"
    assert control(api, "GET", "/requests").status == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/scenrios", 404, "/__admin/scenrios is not a control call; GET /__admin/openapi.json lists them"),
        ("POST", "/nope", 404, "/__admin/nope is not a control call"),
        ("POST", "/scenario", 501, "/__admin/scenario accepts GET, HEAD, PUT"),
    ],
)
def test_an_unknown_control_call_is_refused_with_a_hint(api, method, path, status, text):
    answer = control(api, method, path)
    assert (answer.status, text in answer.message) == (status, True), answer


@pytest.mark.parametrize("origin", ["http://page.example", "null", "http://localhost:1"])
@pytest.mark.parametrize("cors", [None, "*", "http://other.example"])
def test_a_page_of_another_origin_changes_nothing(origin, cors):
    """Browsers send a simple POST without asking."""
    api = Api(cors=cors)
    api.create(docker())
    answer = control(api, "POST", "/reset", Origin=origin, **{"Content-Type": "text/plain"})
    assert answer.status == 403
    assert f"--cors {origin}" in answer.message
    assert len(api.central.store) == 13


def test_pages_of_the_mock_and_of_the_allowed_origin_may_call(api):
    assert control(api, "POST", "/reset", Origin="http://localhost").status == 200
    assert control(Api(cors="http://page"), "POST", "/reset", Origin="http://page").status == 200


def test_settings_with_files_are_shown(tmp_path):
    (tmp_path / "index.html").touch()
    api = Api(ui=tmp_path)
    assert ask(api.app, "GET", "/__admin/settings").json["ui"] == str(tmp_path)


def test_the_certificate_authority_needs_no_token():
    api = Api(tls_ca="-----BEGIN CERTIFICATE-----", control_token="secret")
    answer = ask(api.app, "GET", "/__admin/ca.pem")
    assert (answer.status, answer.body) == (200, b"-----BEGIN CERTIFICATE-----")
    assert ask(api.app, "GET", "/__admin/settings").status == 401
