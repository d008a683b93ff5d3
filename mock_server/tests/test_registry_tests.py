"""Registry tests: the host name decides, and no host is contacted."""

import base64
import json
import socket
import time

import pytest

from mock_server.central.registry_test_rules import DEFAULT_RULES, RegistryTestRule, parse
from mock_server.contract import tables as contracts
from mock_server.golang import google_credentials, grpc, private_key
from mock_server.golang.http import Reply
from mock_server.golang.url import NEWEST, UrlError
from mock_server.golang.url import parse as parse_url
from mock_server.tests import google_accounts
from mock_server.tests.conftest import Answer, Api, ask, docker, example
from mock_server.tests.google_accounts import service_account

IA = ": invalid arguments"


MEMBERS = {each.type: each.member for each in contracts.load().types.values()}


def outcome(api: Api, type: str, endpoint: str) -> str:
    """Return the error of a failed test without its suffixes, or "" if it passes."""
    sent = example(type)
    sent[MEMBERS[type]]["endpoint"] = endpoint
    if "google" in sent:
        sent["google"]["serviceAccount"] = service_account()
    answer = api.test(sent)
    return "" if answer.status == 200 else answer.message.removesuffix(IA * 2)


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("r.corp:65535", ""),
        ("r.corp:65536", 'Get "https://r.corp:65536/v2/": dial tcp: address 65536: invalid port'),
        ("[%25a%20b]", 'parse "http://[%25a%20b]": invalid host: ParseAddr("%a b"): missing IPv6 address'),
    ],
)
def test_what_go_cannot_dial_fails_with_the_error_of_go(api, endpoint, reason):
    found = outcome(api, "docker", endpoint)
    assert reason in found if reason else found == ""


@pytest.mark.parametrize("host", ["registry.example.com", "ok", "localhost.example.com", "invalid.example.com"])
def test_a_host_without_a_rule_passes(api, host):
    assert outcome(api, "docker", host) == ""


@pytest.mark.parametrize(
    "endpoint", ["r.invalid", "R.INVALID", "https://r.invalid:5000/path", "http://r.invalid", "unreachable.example.com"]
)
def test_some_names_are_unreachable_by_default(api, endpoint):
    assert "no such host" in outcome(api, "docker", endpoint)


def test_some_names_refuse_credentials_by_default(api):
    assert "status=401" in outcome(api, "docker", "unauthorized.example.com")


UNREACHABLE = 'Get "https://r.invalid{}": dial tcp: lookup r.invalid: no such host'
UNAUTHORIZED = 'Get "https://unauthorized.io{}": http: non-successful response (status=401 body="")'


@pytest.mark.parametrize(
    ("type", "path"),
    [
        *((type, "/v2/") for type in ("docker", "nexus", "rhel", "ghcr", "azure", "artifactregistry", "google", "ibm")),
        ("artifactory", "/v2/_catalog"),
    ],
)
def test_a_failed_test_names_the_request(api, type, path):
    label = "registry integration: "
    assert outcome(api, type, "r.invalid") == label + UNREACHABLE.format(path)
    assert outcome(api, type, "unauthorized.io") == label + UNAUTHORIZED.format(path)


@pytest.mark.parametrize(
    ("type", "endpoint", "text"),
    [
        ("clair", "r.invalid", 'Get "https://r.invalid/v1/namespaces": dial tcp: lookup r.invalid: no such host'),
        ("clairV4", "r.invalid",
         ('test request could not be completed: Get "https://r.invalid/indexer/api/v1/index_state": '
          "dial tcp: lookup r.invalid: no such host")),
        ("clairify", "r.invalid", 'Get "http://r.invalid/scanner/ping": dial tcp: lookup r.invalid: no such host'),
        ("clair", "unauthorized.io", "Received status code 401, but expected 200"),
        ("clairV4", "unauthorized.io", "received status code 401"),
        ("clairify", "unauthorized.io", "Expected status code 2XX. Received 401 Unauthorized. Body: "),
        ("clairify", "missing.corp", "error scan not found"),
    ],
)  # fmt: skip
def test_scanners_have_their_own_errors(type, endpoint, text):
    api = Api(registry_tests=(RegistryTestRule("missing.corp", "missing"), *DEFAULT_RULES))
    assert outcome(api, type, endpoint) == f"image scanner integration: {text}"


def test_clair_reads_its_endpoint_as_the_go_of_its_release_does():
    """Go refuses a second colon since the release that builds the newest 4.11."""
    assert not outcome(Api(central_version="4.11.0"), "clair", "registry.corp:1:443")
    assert 'invalid port ":1:443" after host' in outcome(Api(central_version="4.11"), "clair", "registry.corp:1:443")


UNTRUSTED = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
NODE_SCANNER = "rpc error: code = Unavailable desc = connection error: desc ="


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        ("unreachable", "Error while dialing: dial tcp: lookup scanner.example.com: no such host"),
        ("timeout", "Error while dialing: dial tcp: i/o timeout"),
        (
            "certificate",
            f"authentication handshake failed: {UNTRUSTED}",
        ),
    ],
)
def test_the_node_scanner_fails_with_the_error_of_grpc(ends, reason):
    api = Api(registry_tests=[parse(f"scanner.example.com={ends}")])
    sent = example("clairify", categories=["NODE_SCANNER"])
    assert api.test(sent).message.removesuffix(IA * 2) == (
        f'node scanner integration: {NODE_SCANNER} "transport: {reason}"'
    )


MISADDRESSED = [
    ("", "https:/v2/", "http: no Host in request URL"),
    ("/", "https:/v2/", "http: no Host in request URL"),
    ("http://", "http:/v2/", "http: no Host in request URL"),
    ("https://", "https:/v2/", "http: no Host in request URL"),
    ("//quay.example.com", "https:////quay.example.com/v2/", "http: no Host in request URL"),
    ("httpbin.example.com", "httpbin.example.com/v2/", 'unsupported protocol scheme ""'),
    ("http.example.com:5000", "http.example.com:5000/v2/", 'unsupported protocol scheme "http.example.com"'),
]


@pytest.mark.parametrize(("endpoint", "asked", "reason"), MISADDRESSED, ids=[repr(each[0]) for each in MISADDRESSED])
def test_a_request_without_a_host_fails_whatever_the_rules_say(endpoint, asked, reason):
    api = Api(registry_tests=(RegistryTestRule("*", "pass"),))
    assert outcome(api, "docker", endpoint) == f'registry integration: Get "{asked}": {reason}'
    assert api.create(docker(docker={"endpoint": endpoint})).status == 200


def test_the_error_of_a_test_shows_the_query_of_the_endpoint(api):
    text = 'registry integration: Get "https://r.invalid?x=1/v2/": dial tcp: lookup r.invalid: no such host'
    assert outcome(api, "docker", "r.invalid?x=1") == text


def test_the_error_of_a_test_shows_no_password_of_the_endpoint(api):
    assert 'Get "https://robot:***@r.invalid/v2/"' in outcome(api, "docker", "https://robot:secret@r.invalid")


def test_quay_without_a_token_has_its_own_error(api):
    start = "registry integration: received "
    assert outcome(api, "quay", "r.invalid") == f"{start}error from Quay; check Central logs for the full error"
    assert outcome(api, "quay", "unauthorized.io") == (
        f"{start}http status code 401 from Quay; check Central logs for the full error"
    )


def test_quay_with_a_token_is_tested_like_docker(api):
    quay = example("quay", quay={"endpoint": "unauthorized.io", "oauthToken": "t"})
    assert UNAUTHORIZED.format("/v2/") in api.test(quay).message


def test_scanner_v4_always_passes():
    api = Api(registry_tests=(RegistryTestRule("*", "unreachable"),))
    assert api.test(example("scannerv4", id="a87471e6-9678-4e66-8348-91e302b6de07")).json == {}


def test_the_first_matching_rule_applies():
    rules = (RegistryTestRule("ok.invalid", "pass"), RegistryTestRule("*.corp", "unauthorized"), *DEFAULT_RULES)
    api = Api(registry_tests=rules)
    assert outcome(api, "docker", "ok.invalid") == ""
    assert "no such host" in outcome(api, "docker", "other.invalid")
    assert "status=401" in outcome(api, "docker", "registry.corp")


def test_a_failed_test_is_a_400_and_stores_nothing(api):
    sent = docker(docker={"endpoint": "r.invalid"}, skipTestIntegration=False)
    answer = api.create(sent)
    assert (answer.status, answer.json["code"], answer.rule) == (400, 3, "registry-reachable")
    assert answer.message.endswith(f"no such host{IA * 3}")
    assert len(api.list()) == 12


def test_a_skipped_test_sends_no_request(api):
    assert api.create(docker(docker={"endpoint": "r.invalid"})).status == 200


def test_an_integration_that_cannot_be_built_is_reported_before_the_test(api):
    sent = example("ibm", ibm={"endpoint": "r.invalid"})
    assert api.test(sent).rule == "ibm-api-key-required"


def test_no_test_opens_a_connection(api, monkeypatch):
    def refuse(*_values: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert outcome(api, "docker", "registry.example.com") == ""
    assert outcome(api, "docker", "r.invalid") != ""


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("forbidden", 'non-successful response (status=403 body="")'),
        ("missing", 'non-successful response (status=404 body="")'),
        ("failing", 'non-successful response (status=500 body="")'),
        ("timeout", "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"),
        ("certificate", "x509: certificate signed by unknown authority"),
    ],
)
def test_a_rule_chooses_how_a_registry_fails(wanted, text):
    api = Api(registry_tests=(RegistryTestRule("*.corp", wanted),))
    assert outcome(api, "docker", "registry.corp").endswith(text)
    assert outcome(api, "docker", "registry.example.com") == ""
    if wanted in ("forbidden", "missing", "failing"):
        status = text.partition("=")[2][:3]
        assert f"received http status code {status} from Quay" in outcome(api, "quay", "registry.corp")
        assert f"Received status code {status}, but expected 200" in outcome(api, "clair", "registry.corp")


# -- rules with a reason, a count and a delay ----------------------------------------------------------


def test_a_rule_can_have_a_custom_reason():
    api = Api(registry_tests=[parse("host=*.corp outcome=failing reason='under maintenance, \"back\" at 5'")])
    for type in ("docker", "quay", "clair"):
        assert outcome(api, type, "r.corp").endswith('integration: under maintenance, "back" at 5')
    assert outcome(api, "docker", "r.example.com") == ""


@pytest.mark.usefixtures("pages")
def test_a_rule_can_be_limited_to_a_number_of_tests():
    api = Api(registry_tests=[parse("host=r.corp outcome=timeout times=2"), parse("r.corp=unauthorized")])
    found = [outcome(api, "docker", "r.corp") for _ in range(3)]
    assert ["deadline" in each for each in found] == [True, True, False]
    assert "status=401" in found[2]
    ask(api.app, "POST", "/__admin/reset")
    assert "deadline" in outcome(api, "docker", "r.corp")


def test_applying_a_mutant_does_not_reset_the_count_of_a_rule():
    api = Api(registry_tests=[parse("host=r.corp outcome=timeout times=1")])
    assert "deadline" in outcome(api, "docker", "r.corp")
    ask(api.app, "PUT", "/__admin/mutants", {"mutants": ["name-unique"]})
    assert outcome(api, "docker", "r.corp") == ""


def test_a_rule_can_delay_the_test():
    api = Api(registry_tests=[parse("host=r.corp outcome=pass delay=0.2")])
    started = time.monotonic()
    assert outcome(api, "docker", "r.corp") == ""
    assert time.monotonic() - started >= 0.2
    with api.app.central.network.only_looking():
        started = time.monotonic()
        assert outcome(api, "docker", "r.corp") == ""
        assert time.monotonic() - started < 0.2


def test_health_uses_up_no_rule():
    api = Api(registry_tests=[parse("host=r.corp outcome=timeout times=1")])
    with api.app.central.network.only_looking():
        assert all("deadline" in outcome(api, "docker", "r.corp") for _ in range(3))
    assert ["deadline" in outcome(api, "docker", "r.corp") for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("x=y", "is not HOST=OUTCOME; the outcome is one of pass"),
        ("host=x outcome=y", "^x=y: the outcome is not one of pass, "),
        ("host=x reason=y", r"^outcome: is missing; a rule is such as host=\*\.example\.com outcome=timeout times=2$"),
        ("host=x outcome=pass reason=y", "^x=pass: a passing test has no reason; choose another outcome$"),
        ("host=x outcome=timeout times=0", "^times=0: is not a number above 0$"),
        ("host=x outcome=timeout times=y", "^times=y: is not a whole number$"),
        ("host=x outcome=timeout times=1000000000", "^times=1000000000: is above 999999999$"),
        ("host=x outcome=timeout delay=y", r"LOW\.\.HIGH"),
        ("host=x outcome=timeout time=1", "^time: is not one of host, outcome, reason, times, delay"),
        ("host=x 'outcome=y", "quotation"),
    ],
)
def test_an_invalid_rule_is_reported(text, named):
    with pytest.raises(ValueError, match=named):
        parse(text)


def test_a_rule_can_have_fields_after_its_outcome():
    assert parse("*.corp=timeout times=2") == RegistryTestRule("*.corp", "timeout", times=2)
    with pytest.raises(ValueError, match="x=timeuot: the outcome is not one of pass"):
        parse("x=timeuot times=2")


def test_a_host_may_be_named_host():
    assert parse("host=timeout") == RegistryTestRule("host", "timeout")


@pytest.mark.usefixtures("pages")
def test_rules_are_shown_as_given():
    rule = {"host": "*.corp", "outcome": "failing", "reason": "no", "times": 2, "delay": "0.1"}
    api = Api()
    shown = ask(api.app, "PUT", "/__admin/registry-tests", {"rules": [rule, {"host": "b", "outcome": "pass"}]}).json
    assert shown["rules"] == [rule, {"host": "b", "outcome": "pass"}]
    assert ask(api.app, "PUT", "/__admin/registry-tests", {"rules": [rule | {"delay": 1}]}).status == 200
    refused = ask(api.app, "PUT", "/__admin/registry-tests", {"rules": [rule | {"reasn": "x"}]})
    assert "did you mean 'reason'?" in refused.message


# -- the words of AWS, Google, Quay and Azure ------------------------------------------------------------

KEYS = {"accessKeyId": "AKIAEXAMPLE", "secretAccessKey": "invented"}
TOKEN = {"authorizationData": {"username": "AWS", "password": "p", "expiresAt": "2030-01-01T00:00:00Z"}}
ECR_HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"


def ecr(rule: str, **fields: object) -> str:
    sent = {
        "name": "e",
        "type": "ecr",
        "categories": ["REGISTRY"],
        "ecr": {"registryId": "123456789012", "region": "us-east-1", **fields},
    }
    return Api(registry_tests=[parse(rule)]).test(sent).message.removesuffix(IA * 2)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("aws-key-unknown",
         ("400, RequestID: , api error UnrecognizedClientException: The security token included in the request is "
          "invalid.")),
        ("aws-session-expired",
         "400, RequestID: , api error ExpiredTokenException: The security token included in the request is expired"),
        ("aws-access-denied",
         ("400, RequestID: , api error AccessDeniedException: User: arn:aws:iam::123456789012:user/example is not "
          "authorized to perform: ecr:GetAuthorizationToken on resource: * because no identity-based policy allows the "
          "ecr:GetAuthorizationToken action")),
    ],
)  # fmt: skip
def test_ecr_fails_with_the_error_of_aws(wanted, text):
    start = f'registry integration: Get "https://{ECR_HOST}/v2/_catalog": failed to get authorization token: '
    call = "operation error ECR: GetAuthorizationToken, https response error StatusCode: "
    assert ecr(f"api.ecr.*={wanted}", **KEYS) == start + call + text


def test_a_throttled_call_of_aws_is_retried():
    assert ecr("api.ecr.*=aws-throttled", **KEYS).endswith(
        "GetAuthorizationToken, exceeded maximum number of attempts, 3, https response error StatusCode: 400, "
        "RequestID: , api error ThrottlingException: Rate exceeded"
    )


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ("unauthorized", "http response error StatusCode: 401, request to EC2 IMDS failed"),
        (
            "unreachable",
            (
                'request send failed, Get "http://169.254.169.254/latest/meta-data/iam/security-credentials/": '
                "dial tcp 169.254.169.254:80: connect: connection refused"
            ),
        ),
    ],
)
def test_the_role_of_the_container_comes_from_the_metadata_service(ends, text):
    assert ecr(f"169.254.169.254={ends}", useIam=True).endswith(
        "get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found, "
        f"operation error ec2imds: GetMetadata, {text}"
    )


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("aws-key-unknown", "403, RequestID: , api error InvalidClientTokenId: The security token"),
        ("aws-session-expired", "403, RequestID: , api error ExpiredToken: The security token"),
        ("aws-access-denied", "is not authorized to perform: sts:AssumeRole on resource"),
        ("aws-signature-wrong", "api error SignatureDoesNotMatch: The request signature we calculated"),
    ],
)
def test_a_role_that_cannot_be_assumed_fails_with_the_error_of_sts(wanted, text):
    found = ecr(f"sts.*={wanted}", **KEYS, useAssumeRole=True, assumeRoleId="r")
    assert "operation error STS: AssumeRole, https response error StatusCode: 403" in found
    assert text in found


def test_an_expired_token_of_ecr_fails_with_the_error_of_the_registry():
    assert ecr(f"{ECR_HOST}=ecr-token-expired", **TOKEN) == (
        f'registry integration: Get "https://{ECR_HOST}/v2/_catalog": http: non-successful response (status=403 body='
        r'"{\"errors\":[{\"code\":\"DENIED\",\"message\":\"Your authorization token has expired. Reauthenticate and '
        r'try again.\"}]}\n")'
    )


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("google-key-revoked", "Invalid JWT Signature."),
        ("google-account-missing", "Invalid grant: account not found"),
    ],
)
def test_google_fails_with_the_error_of_its_token_server(wanted, text):
    api = Api(registry_tests=[parse(f"oauth2.googleapis.com={wanted}")])
    assert outcome(api, "artifactregistry", "us-docker.pkg.dev").endswith(
        "failed to get access token: oauth2: cannot fetch token: 400 Bad Request\n"
        f'Response: {{"error":"invalid_grant","error_description":"{text}"}}'
    )


EXTERNAL = {
    "type": "external_account",
    "audience": "//iam.googleapis.com/p",
    "subject_token_type": "t",
    "credential_source": {"url": "https://id.example.com/token"},
}
IMPERSONATED = EXTERNAL | {"service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/x"}
EXTERNAL_FAILURES = {
    "id.example.com": "oauth2/google/externalaccount: invalid response when retrieving subject token: "
    'Get "https://id.example.com/token"',
    "sts.googleapis.com": "oauth2/google: invalid response from Secure Token Server: "
    'Post "https://sts.googleapis.com/v1/token"',
}
START = "oauth2/google: unable to generate access token: "
LAST = 'Post "https://iamcredentials.googleapis.com/v1/x"'


@pytest.mark.parametrize(
    ("account", "host", "text"),
    [
        *((EXTERNAL, *each) for each in EXTERNAL_FAILURES.items()),
        *((IMPERSONATED, host, f"{START}{LAST}: {text}") for host, text in EXTERNAL_FAILURES.items()),
        (IMPERSONATED, "iamcredentials.googleapis.com", f"{START}{LAST}"),
    ],
)
def test_an_external_account_of_google_fails_if_one_of_its_servers_fails(account, host, text):
    sent = example("artifactregistry")
    sent["google"] |= {"serviceAccount": json.dumps(account), "wifEnabled": False}
    assert Api().test(sent).status == 200
    found = Api(registry_tests=[parse(f"{host}=timeout")]).test(sent).message
    assert f"failed to get access token: {text}: context deadline exceeded" in found


@pytest.mark.parametrize(("milliseconds", "works"), [(4999, False), (5000, True), (120000, True), (120001, False)])
def test_the_program_for_google_s_token_has_five_to_120_seconds(milliseconds, works):
    source = {"executable": {"command": "c", "timeout_millis": milliseconds}}
    account = json.dumps(EXTERNAL | {"credential_source": source}).encode()
    wrong = "invalid `timeout_millis` field — executable timeout must be between 5 and 120 seconds"
    asked = google_credentials.token_error(account, lambda *_: Reply()) or ""
    assert (wrong in asked, "need to be explicitly allowed" in asked) == (not works, works)
    with_url = json.dumps(EXTERNAL | {"credential_source": source, "token_url": "https://sts.example.com"}).encode()
    assert google_credentials.scanner_error(with_url) == (None if works else f"credentials: {wrong}")


def test_a_key_is_found_behind_the_end_of_another():
    key = google_accounts.private_key().encode()
    assert private_key.rsa_error(key) is None
    assert private_key.rsa_error(b"\n-----END X-----\n" + key) is None


def test_a_key_with_an_empty_number_fails_with_the_error_of_go():
    assert private_key.rsa_error(b"0\x02\x02\0") == (
        "private key should be a PEM or plain PKCS1 or PKCS8; parse error: asn1: structure error: empty integer"
    )


def test_a_key_with_half_of_a_surrogate_is_not_a_key():
    """Go reads half a surrogate pair in a field of an account as U+FFFD."""
    account = b'{"type":"service_account","private_key":"\\ud800"}'
    refused = "private key should be a PEM or plain PKCS1 or PKCS8; parse error: "
    assert (google_credentials.token_error(account, lambda *_: Reply()) or "").startswith(refused)
    found = google_credentials.scanner_error(account) or ""
    assert found.startswith("credentials: could not parse key: failed to parse private key.")


FAILS = Reply(status=403, body="b")
EXTERNALLY = "oauth2/google/externalaccount: "


@pytest.mark.parametrize(
    ("changes", "failing", "text"),
    [
        ({}, "https://id.example.com/token", f"{EXTERNALLY}status code 403: b"),
        ({}, "https://sts.googleapis.com/v1/token", "oauth2/google: status code 403: b"),
        ({"token_url": "https://sts.example.com"}, "https://sts.example.com", "oauth2/google: status code 403: b"),
        (
            {"credential_source": {"environment_id": "aws1", "url": "https://id.example.com"}},
            "https://sts.googleapis.com/v1/token",
            "oauth2/google: status code 403: b",
        ),
        (
            {"service_account_impersonation_url": "https://iam.example.com"},
            "https://iam.example.com",
            "oauth2/google: status code 403: b",
        ),
        (
            {"credential_source": {"url": "https://id.example.com", "format": {"type": "xml"}}},
            "",
            f"{EXTERNALLY}invalid credential_source file format type",
        ),
        ({"credential_source": {"file": "/f"}}, "", f'{EXTERNALLY}failed to open credential file "/f"'),
        ({"credential_source": {}}, "", f"{EXTERNALLY}unable to parse credential source"),
        (
            {"credential_source": {"executable": {}}},
            "",
            f"{EXTERNALLY}missing `command` field — executable command must be provided",
        ),
    ],
)
def test_a_token_that_google_refuses_fails_with_the_error_of_its_library(changes, failing, text):
    account = json.dumps(EXTERNAL | changes).encode()
    asked = google_credentials.token_error(account, lambda _, url: FAILS if url == failing else Reply())
    assert asked == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"executable": {}}, "credentials: missing `command` field — executable command must be provided"),
        ({}, "credentials: unable to parse credential source"),
        ({"certificate": {"use_default_certificate_config": True}}, "certificate source is unavailable"),
        (
            {"certificate": {}},
            (
                'credentials: "certificate" object must either specify a certificate_config_location or '
                "use_default_certificate_config should be true"
            ),
        ),
        (
            {"certificate": {"use_default_certificate_config": True, "certificate_config_location": "/f"}},
            (
                'credentials: "certificate" object cannot specify both a certificate_config_location and '
                "use_default_certificate_config=true"
            ),
        ),
    ],
)
def test_an_incomplete_token_source_fails_with_the_error_of_the_scanner(source, text):
    assert google_credentials.scanner_error(json.dumps(EXTERNAL | {"credential_source": source}).encode()) == text


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (401, "code = Unauthenticated desc = unexpected HTTP status code received from server: 401 (Unauthorized)"),
        (403, "code = PermissionDenied desc = unexpected HTTP status code received from server: 403 (Forbidden)"),
        (404, "code = Unimplemented desc = unexpected HTTP status code received from server: 404 (Not Found)"),
        (
            500,
            "code = Unknown desc = unexpected HTTP status code received from server: 500 (Internal Server Error)",
        ),
    ],
)
def test_an_http_server_instead_of_grpc_fails_with_the_error_of_grpc(status, text):
    assert grpc.answered(status) == f"rpc error: {text}; malformed header: missing HTTP content-type"


def test_a_url_without_a_scheme_before_its_colon_is_reported():
    with pytest.raises(UrlError) as raised:
        parse_url(":x", NEWEST)
    assert raised.value.args[-1] == "missing protocol scheme"


def test_objects_with_a_repeated_key_are_merged():
    """Like encoding/json with a struct."""
    parts = ({"executable": {"command": "c"}}, {"executable": {"timeout_millis": 1}}, {"format": {"type": "json"}})
    sources = b"".join(b',"credential_source":' + json.dumps(each).encode() for each in parts)
    account = json.dumps(EXTERNAL | {"credential_source": None}).encode()[:-1] + sources + b"}"
    found = google_credentials.token_error(account, lambda *_: Reply()) or ""
    assert "invalid `timeout_millis` field" in found


def test_a_key_of_a_curve_whose_last_part_is_empty_fails_with_the_error_of_go():
    der = bytes((0x30, 8, 2, 1, 1, 4, 1, 1, 0xA0, 0))
    pem = b"-----BEGIN EC PRIVATE KEY-----\n" + base64.b64encode(der) + b"\n-----END EC PRIVATE KEY-----\n"
    assert private_key.signer_error(pem).endswith(
        "[EC: x509: failed to parse EC private key: asn1: structure error: explicit tag has no child]"
    )


@pytest.mark.parametrize(("endpoint", "place"), [("dns://a:1:2/host", "a:1:2:53"), ("dns:///a:b:c", "a:b:c:443")])
def test_a_target_of_dns_has_no_two_ports(endpoint, place):
    with pytest.raises(grpc.TargetError, match=f"address {place}: too many colons in address"):
        grpc.target(endpoint, NEWEST)


@pytest.mark.parametrize("endpoint", ["dns:///10.0.0.1", "dns:///::1", "dns:///[::1]:8443", "dns:///host"])
def test_a_target_of_dns_may_be_an_address(endpoint):
    assert grpc.target(endpoint, NEWEST).scheme == "dns"


def test_quay_and_azure_fail_with_their_own_errors():
    api = Api(registry_tests=[parse("quay.io=quay-token-invalid"), parse("*.azurecr.io=azure-unauthorized")])
    sent = example("quay", quay={"endpoint": "quay.io", "oauthToken": "t"})
    assert r'(status=401 body="{\"error\": \"Invalid bearer token format\"}")' in api.test(sent).message
    assert outcome(api, "azure", "example.azurecr.io").endswith(
        r'(status=401 body="{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"authentication required\",'
        r'\"detail\":null}]}\n")'
    )


# -- scenarios -----------------------------------------------------------------------------------------


def stored_test(api: Api, name: str) -> Answer:
    """Test the stored integration, as the UI does."""
    (found,) = [each for each in api.list() if each["name"] == name]
    return api.test_updated(found, update_password=False)


EXPIRED = "ECR with an expired token"


@pytest.mark.usefixtures("pages")
def test_a_scenario_adds_its_rules():
    for api in (Api(scenario="expired-ecr"), Api()):
        ask(api.app, "PUT", "/__admin/scenario", {"scenario": "expired-ecr"})
        assert "authorization token has expired" in stored_test(api, EXPIRED).message
        rules = ask(api.app, "GET", "/__admin/registry-tests").json["rules"]
        assert rules[-1] == {"host": ECR_HOST, "outcome": "ecr-token-expired"}
        assert len(rules) == len(DEFAULT_RULES) + 1


@pytest.mark.usefixtures("pages")
def test_changing_the_scenario_replaces_only_its_rules():
    api = Api(scenario="expired-ecr")
    mine = {"host": "mine", "outcome": "timeout"}
    scenario = {"host": ECR_HOST, "outcome": "ecr-token-expired"}
    ask(api.app, "PUT", "/__admin/registry-tests", {"rules": [mine, scenario]})
    ask(api.app, "PUT", "/__admin/scenario", {"scenario": "empty"})
    assert ask(api.app, "GET", "/__admin/registry-tests").json["rules"] == [mine]
    ask(api.app, "POST", "/__admin/reset")
    assert "authorization token has expired" in stored_test(api, EXPIRED).message


@pytest.mark.usefixtures("pages")
def test_a_sandbox_starts_with_the_rules_of_the_scenario():
    api = Api(scenario="expired-ecr")
    listed = ask(api.app, "GET", "/__sandbox/one/__admin/registry-tests").json["rules"]
    assert listed[-1]["outcome"] == "ecr-token-expired"


def test_a_rule_of_the_settings_comes_before_those_of_the_scenario():
    api = Api(scenario="expired-ecr", registry_tests=(RegistryTestRule("*.amazonaws.com", "pass"),))
    assert stored_test(api, EXPIRED).status == 200


def test_a_rule_ignores_the_case_of_a_host():
    api = Api(registry_tests=["*.Example.COM=failing"])
    assert "status=500" in outcome(api, "docker", "Registry.example.com")


@pytest.mark.parametrize(
    ("host", "right"),
    [
        ("https://r.example.com", "r.example.com"),
        ("http://r.example.com:5000/v2/", "r.example.com"),
        ("r.example.com:5000", "r.example.com"),
        ("*.example.com/v2/", r"\*.example.com"),
        ("[2001:db8::1]:5000", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),  # as a pattern, the brackets would match one of these characters
        ("https://[2001:db8::*]/v2/", r"2001:db8::\*"),
    ],
)
def test_a_rule_that_could_match_no_host_is_refused(host, right):
    with pytest.raises(ValueError, match=f"^[^ ]*=failing: is not just a host name; write {right}$"):
        RegistryTestRule(host, "failing")


def test_a_rule_accepts_an_address():
    api = Api(registry_tests=["2001:db8::1=failing", "192.0.2.1=missing"])
    assert "status=500" in outcome(api, "docker", "[2001:db8::1]:5000")
    assert "status=404" in outcome(api, "docker", "192.0.2.1:5000")
