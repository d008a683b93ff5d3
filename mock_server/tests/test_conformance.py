"""Golden vectors, cases and payloads (data/*.jsonl), sent to the app."""

import base64
import gzip
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mock_server.central.registry_test_rules import RegistryTestRule
from mock_server.contract import tables as contracts
from mock_server.contract.tables import MASK
from mock_server.tests.conftest import Answer, Api, ask, fields
from mock_server.tests.google_accounts import private_key

DATA = Path(__file__).parent / "data"
GOLDEN = "5.0"
"""The release that the golden data were taken from."""
TOKENS = {
    "{{ADMIN}}": "mock-admin-token",
    "{{ADMIN_BASIC}}": base64.b64encode(b"admin:mock-password").decode(),
    "{{READ_ONLY}}": "mock-read-only-token",
    "{{NO_INTEGRATION}}": "mock-no-access-token",
    "{{INVALID}}": "not-a-token",
}
CREDENTIALS = {path[-1].name for path in fields(contracts.load().integration) if path[-1].scrub == "always"}


def lines(name: str) -> list[Any]:
    found = [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text("utf-8").splitlines()]
    return [pytest.param(line, id=line["id"]) for line in found]


@cache
def deployed(validation: str, switches: frozenset[str], **more: Any) -> Api:
    return Api(
        as_deployed=True,
        central_version=GOLDEN,
        validation=validation,
        auth="auth" in switches,
        managed="managed_central" in switches,
        **more,
    )


def central_for(line: dict[str, Any], validation: str) -> Api:
    """Return a Central in its initial state, with the switches that the line needs."""
    switches = {name for name, value in line.get("env", {}).items() if value is True}
    api = deployed(validation, frozenset(switches & {"auth", "managed_central"}))
    api.central.store.reset()
    return api


def play(api: Api, request: dict[str, Any]) -> Answer:
    """Send a recorded request, by default with admin credentials and a JSON body."""
    headers = {"Authorization": "Bearer {{ADMIN}}"} | request.get("headers", {})
    for placeholder, token in TOKENS.items():
        headers = {name: value and value.replace(placeholder, token) for name, value in headers.items()}
    body = request.get("body")
    if repeat := request.get("body_repeat"):
        body = (repeat["prefix"] + repeat["repeat"] * repeat["times"] + repeat["suffix"]).encode()
    elif "raw_base64" in request:
        body = base64.b64decode(request["raw_base64"])
    elif (raw := request.get("raw", request.get("raw_body"))) is not None:
        body = raw.encode("utf-8", "surrogatepass")
    sent = {name: value for name, value in headers.items() if value is not None}
    answer = ask(api.app, request["method"], request["path"], body, sent)
    return answer._replace(body=gzip.decompress(answer.body)) if "content-encoding" in answer.headers else answer


def subset(expected: Any, actual: Any, path: str = "$") -> str | None:
    """Return the first place where `actual` lacks a part of `expected`; lists, scalars and types must be equal."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        missing = [f"{path}.{key} is missing" for key in expected if key not in actual]
        found = (subset(value, actual.get(key), f"{path}.{key}") for key, value in expected.items())
        return next(filter(None, (*missing, *found)), None)
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        found = (subset(*pair, f"{path}[{index}]") for index, pair in enumerate(zip(expected, actual, strict=True)))
        return next(filter(None, found), None)
    same = type(expected) is type(actual) and expected == actual
    return None if same else f"{path} is {actual!r:.200}, not {expected!r:.200}"


def has(value: Any, dotted: str) -> bool:
    for key in dotted.split("."):
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True


CHECKS: dict[str, Any] = {
    "status": lambda wanted, answer, _: answer.status == wanted,
    "json_subset": lambda wanted, _, value: not (found := subset(wanted, value)) or found,
    "json": lambda wanted, _, value: not (found := subset(wanted, value)) or found,
    "error_contains": lambda wanted, _, value: wanted in value["message"] and wanted in value["error"],
    "message_has": lambda wanted, _, value: wanted in value["message"],
    "error_equals_message": lambda wanted, _, value: wanted == (value["error"] == value["message"]),
    "absent": lambda wanted, _, value: not any(has(value, dotted) for dotted in wanted),
    "headers": lambda wanted, answer, _: all(answer.headers.get(name.lower()) == wanted[name] for name in wanted),
    "headers_present": lambda wanted, answer, _: all(name.lower() in answer.headers for name in wanted),
    "headers_has": lambda wanted, answer, _: all(wanted[name] in answer.headers[name.lower()] for name in wanted),
    "list_length": lambda wanted, _, value: all(len(value[key]) == length for key, length in wanted.items()),
    "list_item": lambda wanted, _, value: any(subset(wanted, item) is None for item in value["integrations"]),
    "has_names": lambda wanted, _, value: {*wanted} <= {item["name"] for item in value["integrations"]},
    "keys": lambda wanted, _, value: sorted(value) == sorted(wanted),
    "text_regex": lambda wanted, answer, _: re.search(wanted, answer.body.decode()) is not None,
}


def disagreements(expect: dict[str, Any], answer: Answer) -> list[str]:
    """List the differences of an answer from the expectations; an unknown expectation raises KeyError."""
    value = json.loads(answer.body) if answer.body else None
    verdicts = {key: CHECKS[key](wanted, answer, value) for key, wanted in expect.items()}
    return [f"{key}: {verdict}" for key, verdict in verdicts.items() if verdict is not True]


@pytest.mark.parametrize("validation", ["fast", "full"])
@pytest.mark.parametrize("vector", lines("vectors"))
def test_every_vector_agrees_as_deployed(vector, validation):
    api = central_for(vector, validation)
    for step in vector["setup"]:
        play(api, step)
    answer = play(api, vector["request"])
    assert disagreements(vector["expect"], answer) == [], answer.body[:500]


@pytest.mark.parametrize("validation", ["fast", "full"])
@pytest.mark.parametrize("case", lines("cases"))
def test_every_case_agrees_as_deployed(case, validation):
    api = central_for(case, validation)
    saved: dict[str, str] = {}
    for step, expect in zip(case["steps"], case["expect"], strict=True):
        text = json.dumps([step, expect])
        for name, id in saved.items():
            text = text.replace(f"{{{name}}}", id)
        request, wanted = json.loads(text)
        method, path = request["request"].split(" ", 1)
        answer = play(api, {**request, "method": method, "path": path})
        if "save_id_as" in step:
            saved[step["save_id_as"]] = answer.json["id"]
        assert disagreements(wanted, answer) == [], (request, answer.body[:500])


def masked(value: Any) -> Any:
    """Replace each credential in an expectation by the mask."""
    if isinstance(value, dict):
        return {key: MASK if key in CREDENTIALS else masked(item) for key, item in value.items()}
    return value


@pytest.mark.parametrize("vector", [each for each in lines("vectors") if "env" not in each.values[0]])
def test_the_default_differs_from_deployed_only_as_documented(vector, default_api):
    default_api.central.store.reset()
    for step in vector["setup"]:
        play(default_api, step)
    answer = play(default_api, vector["request"])
    expect = vector["expect"]
    if disagreements(expect, answer):
        assert (vector["request"]["method"], answer.status) == ("POST", 200)
        assert disagreements({**expect, "json_subset": masked(expect["json_subset"])}, answer) == []


@pytest.fixture(scope="module")
def default_api() -> Api:
    return Api(central_version=GOLDEN)


# -- payloads ----------------------------------------------------------------------------------------


def send(payload: dict[str, Any], api: Api) -> Answer:
    expected, id = payload["expected_by_real_server"], ""
    if "setup" in expected:
        id = api.created(expected["setup"]["create_first"])
    method, path = expected["request"].replace("{id}", id).split(" ")
    return ask(api.app, method, path, with_whole_key(payload["body"]))


def with_whole_key(body: Any) -> Any:
    """Add the private key that was removed from a published service account."""
    account = body.get("google", {}).get("serviceAccount", "") if isinstance(body, dict) else ""
    if '"service_account"' not in account or 'private_key"' in account:
        return body
    text = json.dumps(json.loads(account) | {"private_key": private_key()})
    return {**body, "google": {**body["google"], "serviceAccount": text}}


@pytest.mark.parametrize("payload", lines("payloads"))
def test_every_payload_gets_the_answer_it_names(payload):
    expected = payload["expected_by_real_server"]
    api = Api(as_deployed=True, central_version=GOLDEN)
    answer = send(payload, api)
    assert answer.status == expected["status"], answer.body
    if expected["status"] == 200:
        response = expected.get("response", {})
        wanted = with_whole_key({key: value for key, value in response.items() if key != "id"})
        assert subset(wanted, answer.json) is None
        assert response.get("id") in (None, "<uuid v4>")
    else:
        message = expected["message"].replace("\N{NO-BREAK SPACE}", " ")
        assert answer.json == {"code": expected["code"], "message": message, "details": [], "error": message}
        assert len(api.list()) == 12


def payloads_with(key: str) -> list[Any]:
    return [each for each in lines("payloads") if key in each.values[0]["expected_by_real_server"]]


@pytest.mark.parametrize("payload", payloads_with("condition"))
def test_a_payload_that_needs_its_registry_is_refused_if_it_is_unreachable(payload):
    answer = send(
        payload, Api(as_deployed=True, central_version=GOLDEN, registry_tests=(RegistryTestRule("*", "unreachable"),))
    )
    assert answer.status == 400
    start = re.search(r'starts "(.*)"', payload["expected_by_real_server"]["condition"])
    assert answer.message.startswith(start[1] if start else "registry integration: ")


@pytest.mark.parametrize("payload", payloads_with("versions"))
def test_a_payload_that_a_release_refuses_is_accepted_by_the_previous_one(payload):
    assert send(payload, Api(as_deployed=True, central_version="4.11")).status == 200


@pytest.mark.parametrize("payload", payloads_with("managed_service"))
def test_the_managed_service_refuses_its_payloads(payload):
    assert send(payload, Api(as_deployed=True, managed=True)).rule == "ecr-iam-managed"
