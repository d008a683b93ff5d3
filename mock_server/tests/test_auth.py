"""Authentication and authorization: which callers are accepted, and the errors for the others."""

import base64
from dataclasses import fields

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mock_server.central.auth import Credentials
from mock_server.contract import tables as contracts
from mock_server.tests.conftest import PATH, Answer, Api, ask, docker

CONTRACT = contracts.load()
ID = "10d3b4dc-8295-41bc-bb50-6da5484cdb1a"
READS = [each for each in CONTRACT.operations.values() if each.permission == "read"]
WRITES = [each for each in CONTRACT.operations.values() if each.permission == "write"]
MISSING = "credentials not found"
TOKEN = "credentials not found: token-based: cannot extract identity: token validation failed"
USER = 'credentials not found: basic: cannot extract identity: failed to identify user with username "{}"'
MALFORMED = "credentials not found: basic: cannot extract identity: failed to parse basic auth token"
ROLE = "access for this user is not authorized: no valid role, please contact your system administrator"


def basic(text: str | bytes) -> str:
    return "Basic " + base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


ADMINS = ["Bearer mock-admin-token", "bearer mock-admin-token", "BEARER mock-admin-token", basic("admin:mock-password")]
UNKNOWN = [
    pytest.param(None, MISSING, id="none"),
    pytest.param("", MISSING, id="empty"),
    pytest.param("Digest x", MISSING, id="unknown scheme"),
    pytest.param("basic " + basic("admin:mock-password")[6:], MISSING, id="basic in lower case"),
    pytest.param("Bearer", MISSING, id="bearer without a token"),
    pytest.param("Bearer ", MISSING, id="bearer with an empty token"),
    pytest.param("Bearer not-a-token", TOKEN, id="token-invalid"),
    pytest.param("Bearer {{NO_ROLE}}", ROLE, id="role-missing"),
    pytest.param(basic("admin:wrong"), USER.format("admin"), id="wrong password"),
    pytest.param(basic("who:mock-password"), USER.format("who"), id="wrong user"),
    pytest.param(basic('a"b:c'), USER.format(r"a\"b"), id="a user to quote"),
    pytest.param(basic(b"\xff:x"), USER.format(r"\xff"), id="a user that is no text"),
    pytest.param(basic("no colon"), MALFORMED, id="no colon"),
    pytest.param("Basic !", MALFORMED, id="basic-malformed"),
    pytest.param("Basic YTpi=", MALFORMED, id="too much padding"),
]


def answer(api: Api, operation: contracts.Operation, authorization: str | None) -> Answer:
    body = docker() if operation.request else None
    if operation.request and operation.request != "StorageImageIntegration":
        body = {"config": body, "updatePassword": True}
    headers = {} if authorization is None else {"Authorization": authorization}
    return ask(api.app, operation.method, operation.path.replace("{id}", ID), body, headers)


@pytest.fixture
def guarded() -> Api:
    return Api(auth=True)


@pytest.mark.parametrize(
    "authorization", ["Bearer\tmock-admin-token", "Bearer \xe9", basic("admin:mock-password") + "\x7f"]
)
@pytest.mark.parametrize("asked_for", [True, False])
def test_credentials_that_grpc_cannot_send_fail(authorization, asked_for):
    for operation in CONTRACT.operations.values():
        found = answer(Api(auth=asked_for), operation, authorization)
        assert (found.status, found.json["code"]) == (500, 13)
        assert found.message == 'header key "authorization" contains value with non-printable ASCII characters'
        assert found.rule == "header-text"


@pytest.mark.parametrize(("authorization", "text"), UNKNOWN)
def test_an_unknown_caller_gets_401_for_writes_and_403_for_reads(guarded, authorization, text):
    for operation in WRITES:
        found = answer(guarded, operation, authorization)
        assert (found.status, found.json["code"], found.message) == (401, 16, text)
        assert found.headers["www-authenticate"] == text
    twice = f"not authorized: no authorizer could authorize this request: errors: [{text}, {text}]"
    for operation in READS:
        found = answer(guarded, operation, authorization)
        assert (found.status, found.json["code"], found.message) == (403, 7, twice)
        assert "www-authenticate" not in found.headers


@pytest.mark.parametrize("authorization", ADMINS)
def test_an_administrator_may_do_everything(guarded, authorization):
    for operation in CONTRACT.operations.values():
        assert answer(guarded, operation, authorization).status == 200
        guarded.central.store.reset()


def test_a_reader_may_read_and_not_write(guarded):
    token = "Bearer mock-read-only-token"
    assert {answer(guarded, operation, token).status for operation in READS} == {200}
    for operation in WRITES:
        found = answer(guarded, operation, token)
        assert (found.status, found.json["code"]) == (403, 7)
        assert found.message == 'not authorized: "READ_WRITE_ACCESS" for "Integration"'


def test_a_caller_without_permission_may_neither_read_nor_write(guarded):
    token = "Bearer mock-no-access-token"
    for operation in WRITES:
        assert answer(guarded, operation, token).message == 'not authorized: "READ_WRITE_ACCESS" for "Integration"'
    for operation in READS:
        assert answer(guarded, operation, token).message == (
            "not authorized: no authorizer could authorize this request: errors: "
            '[credentials not found, not authorized: "READ_ACCESS" for "Integration"]'
        )


def test_the_body_is_decoded_before_the_caller_is_checked(guarded):
    for method, rest in (("POST", ""), ("POST", "/test"), ("POST", "/test/updated"), ("PUT", "/x"), ("PATCH", "/x")):
        assert guarded.ask(method, rest, b"{").rule == "body-truncated"
    assert guarded.ask("GET", "?name=a&name=b").rule == "query-value-once"
    assert ask(guarded.app, "GET", "/v1/nothing").rule == "unknown-route"
    assert guarded.ask("PUT").rule == "method-not-allowed"


def test_the_caller_is_checked_before_the_look_up(guarded):
    assert guarded.create({}).rule == "credentials-missing"
    assert guarded.get("no-such-id").rule == "read-permission"
    assert guarded.delete("").rule == "credentials-missing"


def test_no_credentials_are_required_by_default(api):
    for operation in CONTRACT.operations.values():
        assert answer(api, operation, "Bearer not-a-token").status == 200
        api.central.store.reset()


def test_the_credentials_are_configurable():
    chosen = Credentials(admin_token="a", read_only_token="r", username="u", password="p:q")
    api = Api(auth=True, credentials=chosen)
    for authorization in ("Bearer a", "Bearer r", basic("u:p:q")):
        assert api.ask("GET", headers={"Authorization": authorization}).status == 200
    for authorization in ("Bearer mock-admin-token", basic("admin:mock-password")):
        assert api.ask("GET", headers={"Authorization": authorization}).status == 403


@given(st.binary(max_size=24))
def test_any_header_is_answered(raw):
    """Bytes outside of ASCII and half-encoded ones do not break the comparison."""
    assume(raw.decode("latin-1") not in KNOWN)  # hypothesis draws texts that it finds in the code, too
    for authorization in (raw.decode("latin-1"), "Bearer " + raw.decode("latin-1"), basic(raw)):
        expected = 401 if all(" " <= character <= "~" for character in authorization) else 500
        assert ask(GUARDED.app, "DELETE", f"{PATH}/{ID}", headers={"Authorization": authorization}).status == expected


GUARDED = Api(auth=True)
_GIVEN = Credentials()
KNOWN = {
    f"{_GIVEN.username}:{_GIVEN.password}",
    *(getattr(_GIVEN, field.name) for field in fields(_GIVEN) if field.name.endswith("_token")),
}
