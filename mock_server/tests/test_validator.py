"""The two validators: openapi-core accepts what the compiled one accepts, and no violation shows a value."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.central import rendering
from mock_server.central.rendering import AnswerContractError
from mock_server.contract import tables as contracts
from mock_server.contract import validator as validators
from mock_server.contract.tables import Contract
from mock_server.contract.validator import Validator, Violation
from mock_server.tests.conftest import (
    Api,
    changed,
    docker,
    example,
    fields,
    integrations,
    more_examples,
    names,
    updates,
)

CONTRACT = contracts.load()
CREATE = CONTRACT.operations["PostImageIntegration"]
PATCH = CONTRACT.operations["UpdateImageIntegration"]
GET = CONTRACT.operations["GetImageIntegration"]
LIST = CONTRACT.operations["GetImageIntegrations"]


def explained(
    value: Any, operation: contracts.Operation = CREATE, validator: Validator | None = None
) -> list[Violation]:
    body = json.dumps(value).encode()
    return (validator or validators.shared()).request_violations(operation, body)


def test_a_name_of_protobuf_is_reported_with_that_of_the_contract():
    violations = [str(each) for each in explained(docker(skip_test_integration=True, made_up=1))]
    assert violations == [
        "$.made_up: is not a field of the contract",
        "$.skip_test_integration: is not a field of the contract; the contract calls it skipTestIntegration",
    ]


# -- one word ----------------------------------------------------------------------------------------

ODD_VALUES = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 1.0, 1.5, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 1e300),
        *("", "x", "REGISTRY", "registry", "******", "é", "\0", "2030-01-02T03:04:05Z", "2030-01-02"),
        *("2030-02-30T00:00:00Z", "2030-01-02T03:04:60Z", "2030-01-02t03:04:05z", "2030-01-02T03:04:05+00:00"),
        *("0000-01-01T00:00:00Z", "2030-01-02T24:00:00Z", "2030-01-02T03:04:05.1234567890Z"),
        *([], [None], ["REGISTRY"], ["BOGUS"], [0], {}, {"a": 1}, {"endpoint": ""}, {"endpoint": None}),
    ]
)
PLACES = [tuple(field.name for field in path) for path in fields(CONTRACT.integration)]


@st.composite
def nearly_right(draw: st.DrawFn) -> Any:
    """An integration with up to three changes: odd values, missing fields, invented fields."""
    value = draw(integrations)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from([*PLACES, ("made_up",), ("docker", "made_up")]))
        parent = value.get(place[0])
        if len(place) > 1 and not isinstance(parent, dict):
            continue
        if draw(st.booleans()):
            value = {key: item for key, item in value.items() if key != place[0]}
        elif len(place) < 3 or isinstance(parent.get(place[1]), dict):
            value = changed(value, place, draw(ODD_VALUES))
    return draw(st.sampled_from([value, value, value, [value], None]))


def test_an_error_that_is_not_of_a_schema_is_named_without_its_text():
    error = RuntimeError("holds the body")
    assert validators._reason(error) == "violates the contract (RuntimeError)"
    error.__cause__ = ValueError("holds the body, too")
    assert validators._reason(error) == "violates the contract (ValueError)"


@pytest.mark.heavy
@more_examples(5)
@given(nearly_right())
def test_openapi_core_accepts_what_the_compiled_validator_accepts(value):
    if validators.shared().accepts("StorageImageIntegration", value):
        assert explained(value) == []


@more_examples(2)
@given(updates)
def test_both_validators_accept_conforming_integrations(value):
    assert validators.shared().accepts("V1UpdateImageIntegrationRequest", value)
    assert explained(value, PATCH) == []


@more_examples(2)
@given(nearly_right())
def test_openapi_core_accepts_answers_that_the_compiled_validator_accepts(value):
    if validators.shared().accepts("StorageImageIntegration", value, answer=True):
        assert validators.shared().answer_violations(GET, 200, json.dumps(value).encode()) == []


def test_a_too_lax_validator_is_detected():
    """The property above can fail: here one validator has a laxer document."""
    lax = copy.deepcopy(dict(CONTRACT.source))
    lax["components"]["schemas"]["StorageDockerConfig"]["additionalProperties"] = True
    value = docker(docker={"made_up": 1})
    assert Validator(Contract(lax)).accepts("StorageImageIntegration", value)
    assert explained(value) != []


def test_only_answers_may_have_a_category_without_a_name():
    value = docker(categories=["REGISTRY", 7])
    assert validators.shared().accepts("StorageImageIntegration", value, answer=True)
    assert not validators.shared().accepts("StorageImageIntegration", value)
    assert validators.shared().answer_violations(GET, 200, json.dumps(value).encode()) == []


# -- the words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "violations"),
    [
        pytest.param(docker(), [], id="nothing"),
        pytest.param({"type": "docker", "categories": []}, ["$.name: is required"], id="missing"),
        pytest.param(
            {}, ["$.name: is required", "$.type: is required", "$.categories: is required"], id="several missing"
        ),
        pytest.param(docker(made_up=1), ["$.made_up: is not a field of the contract"], id="unknown"),
        pytest.param(docker(**{"a b": 1}), ['$["a b"]: is not a field of the contract'], id="unknown, odd name"),
        pytest.param(docker(**{"n" * 65: 1}), [f"$.{'n' * 64}: is not a field of the contract"], id="long name"),
        pytest.param(docker(**{"a " * 40: 1}), [f'$["{"a " * 32}"]: is not a field of the contract'], id="long, odd"),
        pytest.param(docker(docker={"x": 1}), ["$.docker.x: is not a field of the contract"], id="unknown, deep"),
        pytest.param(docker(name=5), ["$.name: is a number, not of type string"], id="number"),
        pytest.param(docker(name=None), ["$.name: is null, not of type string"], id="null"),
        pytest.param(docker(docker=[]), ["$.docker: is a list, not of type object"], id="list"),
        pytest.param(docker(docker="x"), ["$.docker: is a string, not of type object"], id="string"),
        pytest.param(docker(categories={}), ["$.categories: is an object, not of type array"], id="object"),
        pytest.param(docker(autogenerated=0), ["$.autogenerated: is a number, not of type boolean"], id="no boolean"),
        pytest.param(
            docker(categories=["REGISTRY", "BOGUS"]),
            ["$.categories[1]: is not one of REGISTRY, SCANNER, NODE_SCANNER"],
            id="enum",
        ),
        pytest.param(
            example("clairify", clairify={"numConcurrentScans": 2**31}),
            [
                '$.clairify.numConcurrentScans: does not meet format "int32"',
                "$.clairify.numConcurrentScans: does not meet maximum 2147483647",
            ],
            id="too large",
        ),
        pytest.param(
            docker(quay={}), ["$.quay: is a second config member; at most one may be set"], id="second member"
        ),
        pytest.param(
            docker(source={"namespace": 1}), ["$.source.namespace: is a number, not of type string"], id="nullable"
        ),
        pytest.param(docker(source=[]), ["$.source: is a list, not of type object"], id="nullable of another kind"),
        pytest.param(
            example("ecr", ecr={"authorizationData": {"expiresAt": "soon"}}),
            ['$.ecr.authorizationData.expiresAt: does not meet format "date-time"'],
            id="time",
        ),
        pytest.param([], ["$: is a list, not of type object"], id="no object"),
    ],
)
def test_a_violation_says_where_and_what(value, violations):
    assert [str(each) for each in explained(value)] == violations


def test_a_missing_body_is_a_violation():
    assert validators.shared().request_violations(CREATE, b"") == [Violation("$", "the body is missing")]


def test_an_answer_of_an_undescribed_shape_is_a_violation():
    validator = validators.shared()
    assert validator.answer_violations(LIST, 200, b'{"integrations":[{}]}') != []
    assert validator.answer_violations(LIST, 200, b'{"integrations":[]}') == []
    assert validator.answer_violations(GET, 404, b'{"code":5}') != []


# -- no values ---------------------------------------------------------------------------------------

CANARY = "canary-5f1c"
WRONG_VALUES: list[Any] = [CANARY, [CANARY], {"made_up": CANARY}, {"password": CANARY}, [{"x": CANARY}], 90210317]


@pytest.mark.parametrize("place", [pytest.param(path, id=names(path)) for path in fields(CONTRACT.integration)])
def test_no_violation_shows_a_value(place):
    path = tuple(field.name for field in place)
    start = {"name": CANARY, "type": CANARY, "categories": [CANARY], "made_up": CANARY}
    found = [violation for wrong in WRONG_VALUES for violation in explained(changed(start, path, wrong))]
    assert len(found) > len(WRONG_VALUES)
    assert CANARY not in str(found)
    assert "90210317" not in str(found)


def test_openapi_core_gets_only_requests_that_the_compiled_validator_does_not_accept(monkeypatch):
    api = Api()
    asked: list[Any] = []
    monkeypatch.setattr(api.central.validator, "request_violations", lambda *values: asked.append(values) or [])
    api.create(docker())
    assert asked == []
    api.create(docker(made_up=1))
    assert len(asked) == 1


@pytest.fixture
def broken_masking(monkeypatch):
    monkeypatch.setattr(rendering, "credentials_masked", lambda _message, _integration: {"id": 5})


def test_an_invalid_answer_is_raised_in_tests(broken_masking):
    with pytest.raises(AnswerContractError, match="breaks the contract"):
        Api(fatal_answers=True)


def test_an_invalid_answer_is_logged_outside_of_tests(broken_masking, caplog):
    assert Api(fatal_answers=False).create(docker()).status == 200
    assert "breaks the contract" in caplog.text
