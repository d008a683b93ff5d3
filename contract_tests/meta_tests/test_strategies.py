"""What the hypothesis strategies draw, and what they say to arguments that are wrong."""

import json
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, find, given
from hypothesis import strategies as st

from contract_tests import strategies
from contract_tests.engine.integrations import Body
from contract_tests.fixtures.cases import Case
from contract_tests.fixtures.record import Mock, record
from contract_tests.fixtures.scene import Step
from mock_server.contract import tables as contracts
from mock_server.contract.tables import MASK

PATH = "/v1/imageintegrations"
CONTRACT = contracts.load()
OWN = {type: each.member for type, each in CONTRACT.types.items()}
MEMBERS = {*OWN.values()}
QUICK = hypothesis.settings(
    max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
SEARCH = hypothesis.settings(
    max_examples=3000, deadline=None, derandomize=True, database=None, phases=[hypothesis.Phase.generate]
)

MOCK = Mock()


def asked(method: str, path: str, body: Any) -> Any:
    MOCK.fresh()
    return MOCK.ask(method, path, json.dumps(body).encode(), {})


@QUICK
@given(strategies.integrations(tested=None))
def test_integrations_are_accepted_tested_or_not(body: Body) -> None:
    assert asked("POST", PATH, body).status == 200


@pytest.mark.heavy
@pytest.mark.parametrize(
    "shown",
    [
        lambda body: body.get("ecr", {}).get("useIam"),
        lambda body: body.get("ecr", {}).get("useIam") and body["ecr"].get("useAssumeRole"),
        lambda body: body.get("google", {}).get("wifEnabled"),
        lambda body: body.get("azure", {}).get("wifEnabled"),
        lambda body: body["skipTestIntegration"] is False,
        lambda body: body.get("source"),
    ],
    ids=["iam", "iam and role", "google wif", "azure wif", "tested", "source"],
)
def test_integrations_draws_every_feature_of_the_contract(shown: Callable[[Body], Any]) -> None:
    find(strategies.integrations(tested=None), shown, settings=SEARCH)


@pytest.mark.parametrize(
    "shown",
    [
        lambda body: len(body["categories"]) > 1,
        lambda body: body.get("ecr", {}).get("useAssumeRole"),
        lambda body: body.get("azure", {}).get("wifEnabled"),
        lambda body: body.get("quay", {}).get("registryRobotCredentials"),
        lambda body: "source" in body,
    ],
    ids=["categories", "role", "wif", "robot", "source"],
)
def test_realistic_draws_usual_features(shown: Callable[[Body], Any]) -> None:
    find(strategies.realistic(), shown, settings=SEARCH)


@pytest.mark.parametrize("rule", strategies.BREAKABLE)
def test_broken_breaks_one_rule(rule: str) -> None:
    @hypothesis.settings(QUICK, max_examples=2)
    @given(strategies.broken(rule))
    def breaks(drawn: tuple[Body, Any]) -> None:
        body, found = drawn
        answer = asked("POST", PATH, body)
        assert answer.status >= 400
        assert found.message.partition("{")[0] in answer.json["message"]

    breaks()


REFUSING = [rule.id for rule in CONTRACT.rules.values() if rule.kind != "behaviour"]


@pytest.mark.parametrize("rule", REFUSING)
def test_every_rule_can_be_broken(rule: str) -> None:
    @hypothesis.settings(QUICK, max_examples=1)
    @given(strategies.breaking(rule))
    def breaks(drawn: Any) -> None:
        case, steps = drawn
        assert case.rule == rule
        assert steps

    breaks()


def has_local_host(body: Body) -> bool:
    return any(host in json.dumps(body) for host in ("localhost", "127.0.0.1", "169.254.169.254"))


def without(name: str) -> Callable[[Any], bool]:
    return lambda drawn: isinstance(drawn[2], dict) and drawn[0] == "POST" and name not in drawn[2]


@pytest.mark.heavy
@pytest.mark.parametrize(
    "shown",
    [
        without("name"),
        without("categories"),
        lambda drawn: not isinstance(drawn[2].get("name", ""), str),
        lambda drawn: "BOGUS" in json.dumps(drawn[2]),
        lambda drawn: "\\u0000" in json.dumps(drawn[2]),
        lambda drawn: "skip_test_integration" in json.dumps(drawn[2]),
        lambda drawn: drawn[0] == "PATCH" and "config" not in drawn[2],
        lambda drawn: "\\ud800" in json.dumps(drawn[2]),
        lambda drawn: drawn[2].get("categories") == [1],
        lambda drawn: len(MEMBERS & drawn[2].keys()) > 1,
        lambda drawn: (
            str(drawn[2].get("type")) in OWN and OWN[drawn[2]["type"]] not in drawn[2] and has_local_host(drawn[2])
        ),
    ],
    ids=[
        *("no name", "no categories", "wrong type", "unknown enum", "nul", "both spellings", "no config"),
        *("half a pair", "category by number", "two configs", "local endpoint in another member"),
    ],
)
def test_requests_draws_what_generic_fuzzers_find(shown: Callable[[Any], bool]) -> None:
    find(strategies.requests(), shown, settings=SEARCH)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "shown",
    [
        lambda steps: any(step.method == "PATCH" and MASK in str(step.body) for step in steps),
        lambda steps: any(step.method == "PUT" and "{ID}" in str(step.body) for step in steps),
        lambda steps: any(step.headers.get("Authorization", "") is None for step in steps),
        lambda steps: any("a/b" in step.path for step in steps),
        lambda steps: [step.saves for step in steps if step.saves] == ["ID", "ID2", "ID3"],
        lambda steps: any(step.body == b"x" and "Authorization" in step.headers for step in steps),
        lambda steps: any((step.method, step.path) == ("DELETE", PATH) for step in steps),
        lambda steps: [step.method for step in steps[1:3]] == ["PUT", "PATCH"] and "docker" not in str(steps[1].body),
    ],
    ids=[
        *("mask", "id in the body", "no credentials", "unknown path", "several creates"),
        *("no JSON of a wrong caller", "wrong method", "repaired update"),
    ],
)
def test_sessions_draw_the_lives_of_integrations(shown: Callable[[Any], bool]) -> None:
    find(strategies.sessions(), shown, settings=SEARCH)


@hypothesis.settings(QUICK, max_examples=30)
@given(strategies.sessions())
def test_a_session_deletes_what_it_created(steps: list[Step]) -> None:
    case = Case("session", lambda _: None, "", group="conversations")
    exchanges = record(case, steps, MOCK, version=str(CONTRACT.release)).exchanges
    last = exchanges[-1].answer.json["integrations"]
    assert {each["id"] for each in last} <= {each["id"] for each in CONTRACT.defaults}
    assert [each.answer.status for each in exchanges if each.answer.json is None] == []


@QUICK
@given(strategies.requests())
def test_no_request_makes_central_fail(drawn: tuple[str, str, Any]) -> None:
    answer = asked(*drawn)
    assert answer.status in (200, 400, 404, 500)
    assert answer.json is not None
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("draws", "said"),
    [
        (lambda: strategies.integrations(types=["nosuch"]), "types: there is no 'nosuch'; known are docker"),
        (lambda: strategies.integrations(types=["quey"]), "did you mean 'quay'?"),
        (lambda: strategies.integrations(types="quay"), r"types='quay' is a string; pass a list, such as \['quay'\]"),
        (lambda: strategies.integrations(types=[]), "types is empty"),
        (lambda: strategies.realistic(types=["nosuch"]), "there is no 'nosuch'"),
        (lambda: strategies.realistic(form="big"), "form='big' is neither 'minimal' nor 'full'"),
        (lambda: strategies.configs("nosuch"), "type: there is no 'nosuch'"),
        (lambda: strategies.broken("name-unique"), "`breaking` draws requests that do"),
        (lambda: strategies.broken("name-requird"), "did you mean 'name-required'?"),
        (lambda: strategies.integrations(names="x"), r"names='x' is not a strategy; pass one, such as st.just\('x'\)"),  # type: ignore[arg-type]
        (lambda: strategies.integrations(secrets=["x"]), "is not a strategy"),  # type: ignore[arg-type]
        (lambda: strategies.integrations(tested="yes"), "tested='yes' must be True, False or None"),  # type: ignore[arg-type]
        (lambda: strategies.configs("quay", categories="REGISTRY"), "pass a list, such as"),
        (lambda: strategies.configs("quay", categories=["REGISTERY"]), "did you mean 'REGISTRY'?"),
        (lambda: strategies.breaking("name-uniqe"), "did you mean 'name-unique'?"),
        (lambda: strategies.breaking("null-is-absent"), "refuses nothing"),
        (lambda: strategies.conversations(rules=["nosuch"]), "there is no 'nosuch'"),
        (lambda: strategies.conversations(group="nosuch"), "group: there is no 'nosuch'"),
        (lambda: strategies.requests(types=["nosuch"]), "there is no 'nosuch'"),
        (lambda: strategies.sessions(types=["nosuch"]), "there is no 'nosuch'"),
    ],
    ids=map(str, range(20)),
)
def test_a_wrong_argument_is_a_clear_error(draws: Callable[[], st.SearchStrategy[Any]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        find(draws(), lambda _: True, settings=QUICK)
