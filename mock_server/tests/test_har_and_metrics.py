"""Exports for other tools: the request journal as HAR, and counts for Prometheus."""

import json
import sys

import jsonschema
import pytest

from mock_server.simulation.har import har as written
from mock_server.tests.conftest import PATH, Api, ask, docker

pytestmark = pytest.mark.usefixtures("pages")

TEXTS = {"type": "array", "items": {"type": "object", "required": ["name", "value"]}}
HAR = {
    "type": "object",
    "required": ["log"],
    "properties": {
        "log": {
            "required": ["version", "creator", "entries"],
            "properties": {
                "version": {"const": "1.2"},
                "creator": {"required": ["name", "version"]},
                "entries": {
                    "items": {
                        "required": ["startedDateTime", "time", "request", "response", "cache", "timings"],
                        "properties": {
                            "time": {"type": "number", "minimum": 0},
                            "startedDateTime": {"pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
                            "request": {
                                "required": [
                                    *("method", "url", "httpVersion", "cookies", "headers", "queryString"),
                                    *("headersSize", "bodySize"),
                                ],
                                "properties": {
                                    "url": {"pattern": "^http://"},
                                    "headers": TEXTS,
                                    "queryString": TEXTS,
                                    "postData": {"required": ["mimeType", "text"]},
                                },
                            },
                            "response": {
                                "required": [
                                    *("status", "statusText", "httpVersion", "cookies", "headers", "content"),
                                    *("redirectURL", "headersSize", "bodySize"),
                                ],
                                "properties": {"content": {"required": ["size", "mimeType"]}},
                            },
                        },
                    }
                },
            },
        }
    },
}
"""What the specification of HAR 1.2 requires of the parts that are written."""


def har(api, prefix="", query=""):
    answer = ask(api.app, "GET", f"{prefix}/__admin/requests.har{query}", headers={"Host": "mock.example:8080"})
    assert answer.status == 200, answer.message
    jsonschema.validate(answer.json, HAR)
    return answer.json["log"]["entries"]


def test_an_entry_starts_when_the_request_arrived(api):
    ask(api.app, "GET", PATH)
    shown = ask(api.app, "GET", "/__admin/requests").json["requests"][0]
    shown |= {"time": "2026-08-22T10:00:01.000Z", "ms": 250.0}
    entry = written([shown], "http://mock.example")["log"]["entries"][0]
    assert (entry["startedDateTime"], entry["time"]) == ("2026-08-22T10:00:00.750Z", 250.0)


def test_requests_are_exported_as_har(api):
    ask(api.app, "POST", PATH, docker(name="mine", docker={"endpoint": "x", "password": "canary"}))
    ask(api.app, "GET", f"{PATH}/a%20b?x=%2F&y")
    created, missing = har(api)
    request, response = created["request"], created["response"]
    assert (request["method"], request["url"]) == ("POST", f"http://mock.example:8080{PATH}")
    assert request["postData"]["mimeType"] == "application/json"
    assert json.loads(request["postData"]["text"])["docker"]["password"] == "******"
    assert {"name": "content-type", "value": "application/json"} in request["headers"]
    assert (response["status"], response["statusText"]) == (200, "OK")
    assert response["content"]["size"] == len(response["content"]["text"])
    assert json.loads(response["content"]["text"])["name"] == "mine"
    assert missing["request"]["url"] == f"http://mock.example:8080{PATH}/a%20b?x=%2F&y"
    assert missing["request"]["queryString"] == [{"name": "x", "value": "/"}, {"name": "y", "value": ""}]
    assert (missing["response"]["status"], missing["_rule"]) == (404, "get-missing")
    assert "postData" not in missing["request"]
    assert "canary" not in json.dumps([created, missing])


def test_har_can_be_filtered_and_is_of_one_sandbox(api):
    for target in (f"/__sandbox/a{PATH}", f"/__sandbox/a{PATH}/nope", PATH):
        ask(api.app, "GET", target)
    (entry,) = har(api, "/__sandbox/a", "?status=404")
    assert entry["request"]["url"] == f"http://mock.example:8080/__sandbox/a{PATH}/nope"
    assert len(har(api, "/__sandbox/a", "?limit=1")) == 1


def test_a_body_that_is_not_json_is_in_the_har_too(api):
    ask(api.app, "POST", PATH, b"\xff no JSON")
    (entry,) = har(api)
    assert entry["response"]["status"] == 400
    assert "(9 bytes, not shown)" in entry["request"]["postData"]["text"]


@pytest.fixture
def metrics():
    """Return the metrics of a mock by name and labels."""
    parser = pytest.importorskip("prometheus_client.parser")

    def found(api):
        answer = ask(api.app, "GET", "/__admin/metrics")
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/plain")
        families = parser.text_string_to_metric_families(answer.body.decode())
        return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}

    return found


def test_requests_are_counted_by_operation_and_status(api, metrics):
    for target in (PATH, PATH, f"{PATH}/nope", "/v1/ping", "/v1/nothing", f"/__sandbox/a{PATH}"):
        ask(api.app, "GET", target)
    ask(api.app, "POST", PATH, docker(surprise=1))
    ask(api.app, "POST", "/__admin/faults", {"code": 503})
    ask(api.app, "GET", PATH)
    found = metrics(api)
    count, seconds = "mock_central_request_seconds_count", "mock_central_request_seconds_sum"
    assert found[count, "GetImageIntegrations", "200"] == 3
    assert found[count, "GetImageIntegrations", "503"] == 1
    assert found[count, "GET /v1/ping", "200"] == 1
    assert found[count, "", "404"] == 1
    assert found["mock_central_refusals_total", "get-missing"] == 1
    assert found["mock_central_faults_total",] == 1
    assert found["mock_central_contract_warnings_total",] == 1
    assert found["mock_central_integrations",] == 13
    assert found["mock_central_sandboxes",] == 1
    assert 0 < found[seconds, "GetImageIntegrations", "200"] < 60
    assert found == metrics(api), "control calls count"


def test_counts_survive_a_reset(api, metrics):
    ask(api.app, "GET", PATH)
    ask(api.app, "POST", "/__admin/reset")
    assert metrics(api)["mock_central_request_seconds_count", "GetImageIntegrations", "200"] == 1


def test_without_its_library_metrics_say_what_to_install(api, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    answer = ask(api.app, "GET", "/__admin/metrics")
    assert (answer.status, answer.json["code"]) == (501, 12)
    assert "pip install '.[metrics]'" in answer.message


def test_without_control_nothing_is_counted():
    api = Api(control=False)
    assert ask(api.app, "GET", PATH).status == 200
    assert ask(api.app, "GET", "/__admin/metrics").status == 404


def test_an_answer_that_is_not_json_is_exported_as_text(api):
    api.ask("GET", "", headers={"Prefer": 'code=503, html="<b>down</b>"'})
    response = har(api)[0]["response"]
    assert response["content"]["mimeType"] == "text/plain"
    assert response["headers"] == [{"name": "content-type", "value": "text/plain"}]
