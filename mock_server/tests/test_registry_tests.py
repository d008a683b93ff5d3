"""Registry tests: the host name decides, and nothing is ever contacted."""

import socket

import pytest

from mock_server.central.registry_tests import DEFAULT_RULES, RegistryTestRule
from mock_server.contract import tables as contracts
from mock_server.tests.conftest import Api, docker, example
from mock_server.tests.google_accounts import service_account

IA = ": invalid arguments"


MEMBERS = {each.type: each.member for each in contracts.load().types.values()}


def outcome(api: Api, type: str, endpoint: str) -> str:
    """Return the text of a failed test, without its suffixes, or nothing."""
    sent = example(type)
    sent[MEMBERS[type]]["endpoint"] = endpoint
    if "google" in sent:
        sent["google"]["serviceAccount"] = service_account()
    answer = api.test(sent)
    return "" if answer.status == 200 else answer.message.removesuffix(IA * 2)


@pytest.mark.parametrize("host", ["registry.example.com", "ok", "localhost.example.com", "invalid.example.com"])
def test_a_host_without_a_rule_passes(api, host):
    assert outcome(api, "docker", host) == ""


@pytest.mark.parametrize(
    "endpoint", ["r.invalid", "R.INVALID", "https://r.invalid:5000/path", "http://r.invalid", "unreachable.example.com"]
)
def test_some_names_are_unreachable_out_of_the_box(api, endpoint):
    assert "no such host" in outcome(api, "docker", endpoint)


def test_some_names_refuse_the_credentials_out_of_the_box(api):
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
def test_a_failed_test_names_what_was_asked(api, type, path):
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
def test_scanners_have_words_of_their_own(type, endpoint, text):
    api = Api(registry_tests=(RegistryTestRule("missing.corp", "missing"), *DEFAULT_RULES))
    assert outcome(api, type, endpoint) == f"image scanner integration: {text}"


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
def test_a_request_to_nobody_fails_whatever_the_rules_say(endpoint, asked, reason):
    api = Api(registry_tests=(RegistryTestRule("*", "pass"),))
    assert outcome(api, "docker", endpoint) == f'registry integration: Get "{asked}": {reason}'
    assert api.create(docker(docker={"endpoint": endpoint})).status == 200


def test_the_error_of_a_test_shows_no_password_of_the_endpoint(api):
    assert 'Get "https://robot:***@r.invalid/v2/"' in outcome(api, "docker", "https://robot:secret@r.invalid")


def test_quay_without_a_token_has_words_of_its_own(api):
    start = "registry integration: received "
    assert outcome(api, "quay", "r.invalid") == f"{start}error from Quay; check Central logs for the full error"
    assert outcome(api, "quay", "unauthorized.io") == (
        f"{start}http status code 401 from Quay; check Central logs for the full error"
    )


def test_quay_with_a_token_is_asked_like_docker(api):
    quay = example("quay", quay={"endpoint": "unauthorized.io", "oauthToken": "t"})
    assert UNAUTHORIZED.format("/v2/") in api.test(quay).message


def test_scanner_v4_always_passes():
    api = Api(registry_tests=(RegistryTestRule("*", "unreachable"),))
    assert api.test(example("scannerv4", id="a87471e6-9678-4e66-8348-91e302b6de07")).json == {}


def test_the_first_rule_that_matches_counts():
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


def test_a_skipped_test_asks_nobody(api):
    assert api.create(docker(docker={"endpoint": "r.invalid"})).status == 200


def test_an_integration_that_cannot_be_built_is_told_before_the_test(api):
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
def test_a_registry_fails_in_other_ways_by_a_rule(wanted, text):
    api = Api(registry_tests=(RegistryTestRule("*.corp", wanted),))
    assert outcome(api, "docker", "registry.corp").endswith(text)
    assert outcome(api, "docker", "registry.example.com") == ""
    if wanted in ("forbidden", "missing", "failing"):
        status = text.partition("=")[2][:3]
        assert f"received http status code {status} from Quay" in outcome(api, "quay", "registry.corp")
        assert f"Received status code {status}, but expected 200" in outcome(api, "clair", "registry.corp")
