"""The request journal, without credentials."""

import json
import sys
import threading
import time
from urllib.parse import quote

import pytest
from hypothesis import given

from mock_server.contract import tables as contracts
from mock_server.simulation import request_journal
from mock_server.simulation.request_journal import LONGEST_BODY, Filter, Journal
from mock_server.tests.conftest import PATH, Api, ask, docker, example, integrations

CONTRACT = contracts.load()


def journal(api):
    return api.app.gateway.sandboxes.default.journal


def shown(api, **wanted):
    return [journal(api).shown(each) for each in journal(api).found(Filter(**wanted))]


def test_a_request_is_kept_with_its_answer(api):
    api.ask("POST", "?x=y", docker(name="mine", made_up=1), {"User-Agent": "tester/1"})
    found = shown(api)[-1]
    assert found["number"] == 1
    assert (found["method"], found["path"], found["query"]) == ("POST", PATH, "x=y")
    assert (found["operation"], found["status"], found["rule"]) == ("PostImageIntegration", 200, "")
    assert found["headers"]["user-agent"] == "tester/1"
    assert found["body"]["name"] == "mine"
    assert found["answer"]["name"] == "mine"
    assert found["warnings"] == ["$.made_up: is not a field of the contract"]
    assert found["ms"] > 0


def test_a_refusal_is_kept_with_its_rule(api):
    api.get("nope")
    ask(api.app, "GET", "/v1/nothing")
    assert [(each["operation"], each["status"], each["rule"]) for each in shown(api)] == [
        ("GetImageIntegration", 404, "get-missing"),
        ("", 404, "unknown-route"),
    ]


def test_a_fault_is_kept_with_the_body_that_was_refused(api):
    api.ask("POST", "", docker(name="mine"), {"Prefer": "code=503"})
    found = shown(api)[0]
    assert (found["fault"], found["status"], found["body"]["name"]) == ("code=503", 503, "mine")
    assert found["operation"] == "PostImageIntegration"


def test_only_the_last_requests_are_kept():
    api = Api(journal=3)
    for number in range(5):
        api.get(str(number))
    assert [each["path"][-1] for each in shown(api)] == ["2", "3", "4"]
    assert [each["number"] for each in shown(api)] == [3, 4, 5]


def test_long_paths_and_headers_are_replaced_by_their_size(api):
    api.ask("GET", "/" + "a" * 100_000, headers={"X-Long": "b" * 200_000, **{f"X-{n}": "c" for n in range(50)}})
    (found,) = shown(api)
    assert found["path"] == "(100022 characters, not shown)"
    assert found["headers"]["x-long"] == "(not shown)"
    assert len(json.dumps(found)) < 20_000


def test_the_size_of_the_journal_is_limited(api, monkeypatch):
    monkeypatch.setattr(request_journal, "MOST_BYTES", 100_000)
    for number in range(100):
        api.ask("GET", f"/{number}", headers={"X-Long": "b" * 10_000})
    assert [each["path"].rpartition("/")[2] for each in shown(api)] == [str(number) for number in range(92, 100)]
    journal(api).clear()
    api.ask("GET", "/again")
    assert len(shown(api)) == 1


@pytest.mark.usefixtures("pages")
def test_a_journal_of_size_zero_keeps_nothing():
    api = Api(journal=0)
    api.ask("GET")
    assert journal(api) is None
    answer = ask(api.app, "GET", "/__admin/requests")
    assert answer.status == 409
    assert "--journal 0" in answer.message


FILTERS = [
    ({"operation": "PostImageIntegration"}, 2),
    ({"method": "post"}, 2),
    ({"path": "*/nope"}, 1),
    ({"status": "404"}, 1),
    ({"status": "4xx"}, 2),
    ({"status": "2xx"}, 2),
    ({"rule": "name-unique"}, 1),
    ({"name": "min*"}, 3),
    ({"name": "other"}, 0),
    ({"since": 3}, 1),
    ({"operation": "PostImageIntegration", "status": "200"}, 1),
    ({}, 4),
]


@pytest.mark.parametrize(("wanted", "count"), FILTERS, ids=[str(each[0]) for each in FILTERS])
def test_requests_are_found_by_their_properties(api, wanted, count):
    api.create(docker(name="mine"))
    api.create(docker(name="mine"))
    api.get("nope")
    api.ask("GET", "?name=mine")
    assert len(journal(api).found(Filter(**wanted))) == count


def test_an_invalid_status_is_reported():
    with pytest.raises(ValueError, match="404 or 4xx"):
        Filter(status="teapot")


def test_waiting_ends_with_a_matching_request(api):
    started = time.monotonic()
    threading.Timer(0.2, lambda: api.create(docker())).start()
    assert len(journal(api).wait(Filter(operation="PostImageIntegration"), 1, 60)) == 1
    assert 0.2 <= time.monotonic() - started < 60


def test_waiting_ends_with_its_timeout(api):
    api.create(docker())
    started = time.monotonic()
    assert len(journal(api).wait(Filter(operation="PostImageIntegration"), 2, 0.2)) == 1
    assert time.monotonic() - started >= 0.2


# -- secrets -----------------------------------------------------------------------------------------

SECRET = "s3cr3t-canary"


def with_secrets(type):
    text = json.dumps(example(type))
    value = json.loads(text)

    def fill(each):
        if isinstance(each, dict):
            for key, inner in each.items():
                each[key] = SECRET if key.lower() in CONTRACT.credential_names else fill(inner)
        return each

    return fill(value)


@pytest.mark.parametrize("as_deployed", [False, True])
@pytest.mark.parametrize("type", CONTRACT.types)
def test_no_credential_of_any_type_is_shown(type, as_deployed):
    api = Api(as_deployed=as_deployed)
    body = with_secrets(type)
    assert SECRET in json.dumps(body) or type in ("clair", "clairV4", "clairify", "scannerv4")
    api.create(body)
    api.test_updated(body)
    api.ask("POST", "", {"config": body, "password": SECRET, "nested": [{"oauth_token": {"API_KEY": SECRET}}]})
    assert SECRET not in json.dumps(shown(api))


def test_a_body_that_an_operation_does_not_have_is_not_kept(api):
    api.ask("GET", "", docker())
    api.ask("POST", "", docker())
    assert ["body" in each and bool(each["body"]) for each in shown(api)] == [False, True]


def test_an_empty_credential_reads_as_empty(api):
    api.create(docker(docker={"endpoint": "x", "password": ""}))
    assert shown(api)[0]["body"]["docker"]["password"] == ""


@pytest.mark.parametrize(
    "body",
    [
        b'{"docker":{"password":"' + SECRET.encode(),
        b'{"docker":{"password":"' + SECRET.encode() + b'"}} trailing',
        b"password=" + SECRET.encode(),
        SECRET.encode(),
        b"[" * 10_000 + SECRET.encode(),
        b'{"docker":{"password":["' + SECRET.encode() + b'"],"password":"x"}}',
        b'{"x":"' + b"x" * LONGEST_BODY + SECRET.encode() + b'"}',
    ],
    ids=["cut off", "trailing data", "a form", "a word", "deep", "twice", "long"],
)
@pytest.mark.parametrize("as_deployed", [False, True])
def test_an_unreadable_body_is_replaced_by_its_size(body, as_deployed):
    api = Api(as_deployed=as_deployed)
    api.ask("POST", "", body)
    assert shown(api)[0]["body"] == f"({len(body)} bytes, not shown)"
    assert SECRET not in json.dumps(shown(api))


@pytest.mark.parametrize("password", [5, 12345.5, {"x": SECRET}, [SECRET]], ids=str)
def test_a_credential_in_the_text_of_a_refusal_is_masked(password):
    """Deployed Central shows one of a wrong type."""
    api = Api(as_deployed=True)
    answer = api.create(docker(docker={"password": password}))
    assert answer.status == 400
    text = json.dumps(shown(api)[0]["answer"])
    assert json.dumps(password) not in text
    assert SECRET not in text


def test_credential_headers_are_masked(api):
    api.ask("GET", headers={"Authorization": f"Bearer {SECRET}", "Cookie": SECRET, "Proxy-Authorization": SECRET})
    found = shown(api)[0]["headers"]
    assert found["authorization"] == "Bearer ******"
    assert SECRET not in json.dumps(found)


def test_a_credential_in_the_query_is_masked(api):
    api.ask("GET", f"?apiKey={SECRET}&name=x")
    assert shown(api)[0]["query"] == "apiKey=******&name=x"


def test_a_compressed_answer_is_shown(api):
    api.ask("GET", headers={"Accept-Encoding": "gzip"})
    assert len(shown(api)[0]["answer"]["integrations"]) == 12


@pytest.mark.heavy
@given(integrations)
def test_every_body_is_shown_as_json(body):
    api = Api(fatal_answers=False, empty=True)
    api.create(body)
    json.dumps(shown(api))


@pytest.fixture
def restless():
    """Make Python switch threads as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_no_request_is_missed_or_repeated_in_the_stream(restless):
    kept = Journal(100_000, ())
    texts = dict.fromkeys(("method", "path", "query", "operation", "fault", "rule"), "")
    nothing = {"body": b"", "answer": b"", "headers": {}, "violations": ()}

    def keep():
        for _ in range(2000):
            kept.keep(**texts, **nothing, status=200, seconds=0.0)

    threads = [threading.Thread(target=keep) for _ in range(4)]
    for each in threads:
        each.start()
    numbers: list[int] = []
    while any(each.is_alive() for each in threads) or kept.found(Filter(since=numbers[-1])):
        numbers += [each.number for each in kept.wait(Filter(since=numbers[-1] if numbers else 0), timeout=1)]
    assert numbers == [*range(1, 8001)]


@pytest.mark.usefixtures("pages")
def test_a_path_is_shown_and_found_unescaped(api):
    ask(api.app, "GET", f"{PATH}/Z%C3%BCrich")
    ask(api.app, "GET", f"{PATH}/%ff")
    listed = ask(api.app, "GET", f"/__admin/requests?path={quote('*/Zürich')}").json["requests"]
    assert [each["path"] for each in listed] == [f"{PATH}/Zürich"]
    (entry,) = ask(api.app, "GET", f"/__admin/requests.har?path={quote('*/Zürich')}").json["log"]["entries"]
    assert entry["request"]["url"].endswith(f"{PATH}/Z%C3%BCrich")


@pytest.mark.usefixtures("pages")
def test_a_fault_matches_an_unescaped_path(api):
    ask(api.app, "POST", "/__admin/faults", {"code": 503, "path": "*/Zürich"})
    assert ask(api.app, "GET", f"{PATH}/Z%C3%BCrich").status == 503
