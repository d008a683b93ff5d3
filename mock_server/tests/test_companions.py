"""Companions: the paths outside of the API that the web UI and scripts request."""

import base64
import json
import logging
import re

import pytest

from mock_server.central.auth import NOTHING, READ, WRITE, Credentials
from mock_server.contract import export
from mock_server.contract import tables as contracts
from mock_server.tests.conftest import PATH, Answer, Api, ask, docker
from mock_server.web.companions import (
    ACCESS_READER,
    ANYONE,
    COMPANIONS,
    KNOWN_OR_SENSOR,
    LONGEST_REPORT,
    PROVIDER,
    READER,
    ROLES,
    WRITER,
)

pytestmark = pytest.mark.usefixtures("pages")

ADMIN, READS_ONLY, NO_ACCESS = "Bearer mock-admin-token", "Bearer mock-read-only-token", "Bearer mock-no-access-token"
MISSING = "credentials not found"
each_companion = pytest.mark.parametrize("companion", COMPANIONS, ids=lambda each: each.id)
BODIES = {
    "POST /v1/authProviders/exchangeToken": {
        "external_token": "username=admin&password=mock-password",
        "type": "basic",
        "state": PROVIDER,
    },
    "POST /v1/apitokens/generate": {"name": "mine", "roles": ["Admin"]},
}
QUERIES = {"/api/graphql": "?opname=healths", "/v1/credentialexpiry": "?component=CENTRAL"}
REFUSES = {"POST /sso/session/tokenrefresh", "POST /sso/session/logout"}


@pytest.fixture
def guarded():
    return Api(auth=True)


def visit(api: Api, companion, authorization: str | None = ADMIN) -> Answer:
    path = companion.path + QUERIES.get(companion.path, "")
    headers = {} if authorization is None else {"Authorization": authorization}
    return ask(api.app, companion.method, path, BODIES.get(companion.id), headers)


def get(api: Api, path: str, authorization: str | None = ADMIN) -> Answer:
    return ask(api.app, "GET", path, headers={} if authorization is None else {"Authorization": authorization})


# -- all of them -------------------------------------------------------------------------------------


@each_companion
def test_a_companion_answers_as_the_gateway_does(guarded, companion):
    answer = visit(guarded, companion)
    assert answer.status == (400 if companion.id in REFUSES else companion.status)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store, no-cache"
    assert ("grpc-metadata-content-type" in answer.headers) == companion.path.startswith("/v1/")
    assert answer.body == b"" if companion.status == 202 else isinstance(answer.json, dict)


@each_companion
def test_a_companion_accepts_the_callers_that_central_accepts(guarded, companion):
    nobody, unable = visit(guarded, companion, None), visit(guarded, companion, NO_ACCESS)
    if companion.access == ANYONE:
        assert nobody.status not in (401, 403)
    elif companion.access == KNOWN_OR_SENSOR:
        text = f"not authorized: no authorizer could authorize this request: errors: [{MISSING}, {MISSING}]"
        assert (nobody.status, nobody.message) == (403, text)
    else:
        text = nobody.message if companion.gateway else nobody.body.decode().rstrip("\n")
        assert (nobody.status, text) == (401, MISSING)
        form = "application/json" if companion.gateway else "text/plain; charset=utf-8"
        assert nobody.headers["content-type"] == form
        assert nobody.headers["www-authenticate"] == MISSING
    refused = {
        READER: 'not authorized: "READ_ACCESS" for "Integration"',
        ACCESS_READER: 'not authorized: "READ_ACCESS" for "Access"',
        WRITER: 'not authorized: "READ_ACCESS" for "Access"',
    }
    if text := refused.get(companion.access):
        assert (unable.status, unable.json["code"], unable.message) == (403, 7, text)
    else:
        assert unable.status not in (401, 403)
    assert (visit(guarded, companion, READS_ONLY).status == 403) == (companion.access in (WRITER, ACCESS_READER))


@each_companion
def test_no_credentials_are_required_by_default(api, companion):
    assert visit(api, companion, None).status == (400 if companion.id in REFUSES else companion.status)


@each_companion
def test_a_companion_has_no_other_method(api, companion):
    known = {each.method for each in COMPANIONS if each.path == companion.path}
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - known:
        answer = ask(api.app, method, companion.path)
        assert (answer.status, answer.rule) == (501, "method-not-allowed")


@each_companion
def test_companions_can_be_turned_off(companion):
    answer = visit(Api(companions=False), companion)
    text = answer.message if companion.gateway else answer.body.decode()
    assert (answer.status, text) == (404, "Not Found" if companion.gateway else "404 page not found\n")


def test_companions_have_distinct_ids_and_descriptions():
    assert len({each.id for each in COMPANIONS}) == len(COMPANIONS)
    assert all(each.gives for each in COMPANIONS)


# -- pitfalls of the UI --------------------------------------------------------------------------------


@pytest.mark.parametrize("authorization", [None, "Bearer nonsense", ADMIN, NO_ACCESS, "Basic !"])
def test_nothing_under_sso_answers_401(guarded, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}
    for path in ("/sso/session/tokenrefresh", "/sso/session/logout", "/sso/login/x", "/sso/nothing"):
        for method in ("GET", "POST"):
            assert ask(guarded.app, method, path, headers=headers).status != 401


def test_the_clusters_are_unknown_rather_than_none(api):
    answer = get(api, "/v1/sac/clusters")
    assert (answer.status, answer.message) == (404, "Not Found")


@pytest.mark.parametrize("path", ["/v1/nothing", "/v2/x", "/v1/mypermissions/"])
def test_an_unknown_path_is_a_json_404(api, path):
    assert get(api, path).json == {"code": 5, "message": "Not Found", "details": [], "error": "Not Found"}


@pytest.mark.parametrize("version", ["4.11.0", *contracts.load().releases.lines])
def test_metadata_shows_the_simulated_release(version):
    shown = get(Api(central_version=version), "/v1/metadata").json["version"]
    assert shown == str(contracts.load().releases.find(version))


@pytest.mark.parametrize("path", ["/api/x", "/sso/x", "/docs/x"])
def test_an_unknown_path_outside_of_the_gateway_is_gos_404(api, path):
    assert (get(api, path).status, get(api, path).body) == (404, b"404 page not found\n")


def test_telemetry_has_no_key(api):
    assert not any(get(api, "/v1/telemetry/config").json.values())
    assert get(api, "/v1/config/public").json["telemetry"] is None


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "invalid component: UNKNOWN: invalid arguments"),
        ("?component=UNKNOWN", "invalid component: UNKNOWN: invalid arguments"),
        ("?component=x", 'parsing field "component": "x" is not a valid value'),
        ("?component=CENTRAL&component=SCANNER", 'too many values for field "component": CENTRAL, SCANNER'),
        ("?component=%zz", 'invalid URL escape "%zz"'),
    ],
)
def test_the_expiry_is_that_of_a_component(api, query, text):
    answer = get(api, f"/v1/credentialexpiry{query}")
    assert (answer.status, answer.message) == (400, text)


@pytest.mark.parametrize(
    ("method", "path", "body", "text"),
    [
        ("POST", "/v1/apitokens/generate", b'{"name":', "unexpected EOF"),
        ("POST", "/v1/apitokens/generate", b'{"name":5}', "proto: (line 1:9): invalid value for string field name: 5"),
        ("GET", "/v1/credentialexpiry?component=%zz", None, 'invalid URL escape "%zz"'),
        ("GET", "/v1/credentialexpiry?component=x", None, 'parsing field "component": "x" is not a valid value'),
    ],
)
def test_a_request_is_decoded_before_its_credentials_are_looked_at(guarded, method, path, body, text):
    answer = ask(guarded.app, method, path, body)
    assert (answer.status, answer.message) == (400, text)


def test_only_the_gateway_lets_a_header_name_another_method(api):
    headers = {"X-HTTP-Method-Override": "GET", "Content-Type": "application/x-www-form-urlencoded"}
    assert ask(api.app, "POST", "/api/graphql?opname=healths", b"", headers).status == 200
    assert ask(api.app, "POST", "/v1/ping", b"", headers).json == {"status": "ok"}


def test_an_invalid_session_is_reported_with_two_keys(api):
    answer = ask(api.app, "POST", "/sso/session/tokenrefresh")
    text = "could not obtain refresh token cookie: http: named cookie not present"
    assert (answer.status, answer.json) == (400, {"code": 13, "message": text})


def test_an_admin_of_a_deployed_central_may_do_everything():
    found = get(Api(as_deployed=True), "/v1/mypermissions").json["resourceToAccess"]
    assert (len(found), set(found.values())) == (24, {"READ_WRITE_ACCESS"})


def test_a_login_without_a_state_is_an_error_of_the_server(api):
    answer = ask(api.app, "POST", "/v1/authProviders/exchangeToken", {"type": "basic", "state": ""})
    assert (answer.status, answer.json["code"], answer.message) == (500, 13, "empty state")


def test_the_session_of_the_ui_never_ends(api):
    assert get(api, "/v1/auth/status").json["expires"] is None


def test_the_flags_show_the_scanners_of_a_fresh_central(api):
    flags = {each["envVar"]: each["enabled"] for each in get(api, "/v1/featureflags").json["featureFlags"]}
    assert flags == {"ROX_SCANNER_V4": True, "ROX_LEGACY_SCANNER": True}
    assert {"scannerv4", "clairify"} <= {each["type"] for each in api.list()}


@pytest.mark.parametrize(("managed", "state"), [(False, "CapabilityAvailable"), (True, "CapabilityDisabled")])
def test_the_managed_service_offers_no_iam_role(managed, state):
    found = get(Api(managed=managed), "/v1/central-capabilities").json
    assert found["centralScanningCanUseContainerIamRoleForEcr"] == state


def test_an_unknown_graphql_query_is_refused_in_central_s_shape(api):
    for query in ("", "?opname=clusters", "?opname=healths&opname=x"):
        answer = ask(api.app, "POST", f"/api/graphql{query}", {})
        assert (answer.status, answer.message) == (501, 'the mock answers only the GraphQL query "healths"')


# -- who the caller is -----------------------------------------------------------------------------------

CALLERS = [
    (ADMIN, {"Integration": "READ_WRITE_ACCESS"}, "Admin"),
    ("Basic " + base64.b64encode(b"admin:mock-password").decode(), {"Integration": "READ_WRITE_ACCESS"}, "Admin"),
    (READS_ONLY, {"Integration": "READ_ACCESS"}, "Analyst"),
    (NO_ACCESS, {}, "Continuous Integration"),
]


@pytest.mark.parametrize(("authorization", "access", "role"), CALLERS, ids=["admin", "basic", "reader", "no access"])
def test_a_caller_learns_what_it_may_do(guarded, authorization, access, role):
    assert get(guarded, "/v1/mypermissions", authorization).json == {"resourceToAccess": access}
    status = get(guarded, "/v1/auth/status", authorization).json
    assert status["userInfo"]["permissions"] == {"resourceToAccess": access}
    assert status["userInfo"]["roles"] == [{"name": role, "resourceToAccess": access}]


@pytest.mark.parametrize("path", ["/v1/mypermissions", "/v1/auth/status"])
@pytest.mark.parametrize("authorization", ["Bearer nonsense", "Bearer {{NO_ROLE}}", "Basic !"])
def test_an_unknown_caller_learns_why(guarded, path, authorization):
    why = ask(guarded.app, "POST", PATH, docker(), {"Authorization": authorization})
    answer = get(guarded, path, authorization)
    assert (answer.status, answer.message) == (401, why.message)


def test_permissions_are_configurable():
    api = Api(auth=True, permissions=["Cluster=READ_ACCESS", "Integration=READ_ACCESS"])
    granted = {"Integration": "READ_ACCESS", "Cluster": "READ_ACCESS"}
    assert get(api, "/v1/mypermissions").json == {"resourceToAccess": granted}
    assert get(api, "/v1/auth/status").json["userInfo"]["permissions"] == {"resourceToAccess": granted}
    assert get(api, "/v1/mypermissions", READS_ONLY).json == {"resourceToAccess": {"Integration": "READ_ACCESS"}}


def test_all_permissions_but_one_are_granted():
    api = Api(permissions=["all=READ_WRITE_ACCESS", "Cluster=NO_ACCESS"])
    found = get(api, "/v1/mypermissions").json["resourceToAccess"]
    assert len(found) == 24
    assert [name for name, access in found.items() if access != "READ_WRITE_ACCESS"] == ["Cluster"]


@pytest.mark.parametrize(
    ("permission", "text"),
    [
        (
            "Clusters=READ_ACCESS",
            "permissions: 'Clusters=READ_ACCESS': 'Clusters' is not a resource; did you mean 'Cluster'",
        ),
        (
            "Cluster=READ",
            "'READ' is not an access level of Cluster; use one of NO_ACCESS, READ_ACCESS, READ_WRITE_ACCESS",
        ),
        ("Cluster", "'' is not an access level of Cluster"),
    ],
)
def test_an_invalid_permission_is_reported_at_startup(permission, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        Api(permissions=[permission])


# -- what follows from what is stored ----------------------------------------------------------------------


def health(api: Api) -> dict[str, dict[str, str]]:
    found = get(api, "/v1/integrationhealth/imageintegrations").json["integrationHealth"]
    return {each["id"]: each for each in found}


def test_the_health_of_integrations_follows_the_state_and_the_registry_tests(api):
    id = api.created(docker(name="mine", docker={"endpoint": "registry.example.com"}))
    assert set(health(api)) == {each["id"] for each in api.list()}
    found = health(api)[id]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found.pop("lastTimestamp"))
    assert found == {"id": id, "name": "mine", "type": "IMAGE_INTEGRATION", "status": "HEALTHY", "errorMessage": ""}
    ask(
        api.app, "PUT", "/__admin/registry-tests", {"rules": [{"host": "registry.example.com", "outcome": "forbidden"}]}
    )
    found = health(api)[id]
    assert found["status"] == "UNHEALTHY"
    assert "registry.example.com" in found["errorMessage"]
    assert "status=403" in found["errorMessage"]
    ask(api.app, "DELETE", f"{PATH}/{id}")
    assert id not in health(api)


def test_reading_the_health_uses_up_no_registry_test_rule():
    rule = "host=registry.example.com outcome=failing times=1"
    api = Api(registry_tests=[rule])
    id = api.created(docker(docker={"endpoint": "registry.example.com"}))
    assert [health(api)[id]["status"] for _ in range(2)] == ["UNHEALTHY"] * 2
    tested = docker(name="other", docker={"endpoint": "registry.example.com"})
    assert [ask(api.app, "POST", f"{PATH}/test", tested).status for _ in range(2)] == [400, 200]
    assert health(api)[id]["status"] == "HEALTHY"


@pytest.mark.parametrize("scenario", ["one-of-each", "odd-names", "expired-ecr", "broken-update", "legacy-azure"])
def test_every_stored_integration_has_a_health(scenario):
    api = Api(scenario=scenario)
    assert set(health(api)) == {each["id"] for each in api.list()}


def test_a_stored_integration_whose_client_cannot_be_built_is_unhealthy(api):
    id = api.created(docker(name="mine"))
    broken = {**docker(name="mine"), "type": "nonsense", "skipTestIntegration": True}
    assert ask(api.app, "PUT", f"{PATH}/{id}", broken).status == 500
    assert health(api)[id]["status"] == "UNHEALTHY"


def test_a_token_can_be_made_for_each_role_that_is_offered(guarded):
    roles = get(guarded, "/v1/apitokens/generate/allowed-roles").json["roleNames"]
    assert roles == list(ROLES)
    for role in roles:
        assert generate(guarded, name="n", roles=[role]).status == 200
    listed = get(guarded, "/v1/roles").json["roles"]
    assert [each["name"] for each in listed] == [*roles, "None"]
    assert len({each["permissionSetId"] for each in listed}) == len(listed)


def test_the_published_document_is_the_contract_as_swagger():
    api = Api(central_version="4.9")
    document = get(api, "/api/docs/swagger").json
    assert document == export.swagger_2(contracts.load().at("4.9"))
    assert get(api, "/api/docs/v2/swagger").json["paths"] == {}


# -- logging in --------------------------------------------------------------------------------------------


def log_in(api: Api, form: str, **changes) -> Answer:
    body = {"external_token": form, "type": "basic", "state": PROVIDER, **changes}
    return ask(api.app, "POST", "/v1/authProviders/exchangeToken", body)


def test_the_offered_login_gives_a_token_that_may_write(guarded):
    (provider,) = get(guarded, "/v1/login/authproviders", None).json["authProviders"]
    answer = log_in(guarded, "username=admin&password=mock-password", type=provider["type"], state=provider["id"])
    headers = {"Authorization": f"Bearer {answer.json['token']}"}
    assert ask(guarded.app, "POST", PATH, docker(), headers).status == 200


@pytest.mark.parametrize(
    "form", ["username=admin&password=wrong", "username=who&password=mock-password", "username=admin", "", "&&=;%"]
)
def test_a_wrong_login_is_reported_in_the_key_that_the_ui_shows(guarded, form):
    answer = log_in(guarded, form)
    assert (answer.status, answer.json["code"]) == (403, 7)
    assert answer.json["error"] == "failed to authenticate: not authorized: invalid username and/or password"


def test_a_login_can_be_a_form():
    api = Api(auth=True, credentials=Credentials(username="a b", password="p&q=ü+%"))
    assert log_in(api, "username=a+b&password=p%26q%3D%C3%BC%2B%25").status == 200


def test_any_login_is_accepted_if_none_is_required(api):
    assert log_in(api, "username=x&password=y").json["token"] == "mock-admin-token"


def test_a_login_names_its_provider(guarded):
    wrong = log_in(guarded, "", type="oidc")
    assert (wrong.status, wrong.message) == (400, 'invalid auth provider type "oidc": invalid arguments')
    wrong = log_in(guarded, "", state="x:y")
    assert (wrong.status, wrong.message) == (404, 'could not locate auth provider "x": not found')
    assert log_in(guarded, "username=admin&password=mock-password", state=f"{PROVIDER}:y").json["clientState"] == "y"


def test_a_login_of_the_wrong_type_does_not_show_the_password(guarded):
    answer = log_in(guarded, ["username=admin&password=canary"])
    assert answer.status == 400
    assert b"canary" not in answer.body


# -- tokens of scripts ---------------------------------------------------------------------------------------


def generate(api: Api, authorization: str = ADMIN, **body) -> Answer:
    return ask(api.app, "POST", "/v1/apitokens/generate", body, {"Authorization": authorization})


def may(api: Api, token: str) -> str | None:
    headers = {"Authorization": f"Bearer {token}"}
    if ask(api.app, "POST", f"{PATH}/test", docker(), headers).status == 200:
        return WRITE
    if get(api, PATH, headers["Authorization"]).status == 200:
        return READ
    return NOTHING if get(api, "/v1/mypermissions", headers["Authorization"]).status == 200 else None


@pytest.mark.parametrize(
    ("roles", "permission"),
    [
        *(([role], permission) for role, permission in ROLES.items()),
        (["None"], None),
        ([], None),
        (["Analyst", "Admin"], WRITE),
        (["None", "Analyst"], READ),
    ],
    ids=str,
)
def test_a_token_may_do_what_its_roles_may(guarded, roles, permission):
    answer = generate(guarded, name="ci", roles=roles)
    assert may(guarded, answer.json["token"]) == permission
    assert answer.json["metadata"]["roles"] == roles


def test_a_token_is_described_as_central_does(guarded):
    metadata = generate(guarded, name="ci", role="Analyst", expiration="2030-01-02T03:04:05Z").json["metadata"]
    assert list(metadata) == ["id", "name", "roles", "issuedAt", "expiration", "revoked", "role"]
    assert (metadata["name"], metadata["roles"], metadata["role"]) == ("ci", ["Analyst"], "Analyst")
    assert (metadata["expiration"], metadata["revoked"]) == ("2030-01-02T03:04:05Z", False)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"roles": ["Admin"]}, "token name cannot be empty: invalid arguments"),
        (
            {"name": "n", "role": "Admin", "roles": ["Admin"]},
            "must use either role or roles, but not both: invalid arguments",
        ),
        ({"name": "n", "roles": ["Boss", "Admin", "X"]}, "role(s) Boss,X don't exist: invalid arguments"),
        ({"name": 5}, "proto: (line 1:10): invalid value for string field name: 5"),
    ],
    ids=["no name", "role and roles", "unknown roles", "wrong type"],
)
def test_an_invalid_token_is_refused(guarded, body, text):
    answer = generate(guarded, **body)
    assert (answer.status, answer.json["code"], answer.message) == (400, 3, text)


def test_only_a_writer_may_create_a_token(guarded):
    assert generate(guarded, READS_ONLY, name="n").message == 'not authorized: "READ_WRITE_ACCESS" for "Integration"'
    assert generate(guarded, NO_ACCESS, name="n").message == 'not authorized: "READ_ACCESS" for "Access"'


# -- crash reports -------------------------------------------------------------------------------------------


def reported(api, caplog, report):
    answer = ask(api.app, "POST", "/api/logimbue", report)
    assert (answer.status, answer.body) == (202, b"")
    (record,) = (each for each in caplog.records if "the UI reports" in each.getMessage())
    assert record.levelno == logging.WARNING
    assert record.getMessage().isprintable()
    return record.getMessage()


@pytest.mark.parametrize("after", [b"", b"\nforged\x1b[31m\xff"], ids=["JSON", "more than JSON"])
def test_a_crash_report_goes_to_the_log_in_one_line(api, caplog, after):
    report = json.dumps({"message": "it broke\n2026 ERROR forged", "stack": "at render (static/index.js:1)"})
    assert ("static/index.js:1" in reported(api, caplog, report.encode() + after)) == (not after)


def test_a_long_crash_report_is_shortened(api, caplog):
    assert len(reported(api, caplog, b"x" * 100_000)) < LONGEST_REPORT + 100


def test_a_crash_report_shows_no_credential(api, caplog):
    request = {"headers": {"Authorization": "Bearer canary1", "X-Auth-Token": "canary1"}, "url": "https://u:canary1@x/"}
    report = {"request": json.dumps({"data": json.dumps({"password": {"a": "canary1"}}), **request}), "kept": "yes"}
    shown = reported(api, caplog, json.dumps(report).encode())
    assert "canary1" not in shown
    assert "yes" in shown
