"""Common validation of create, update and test, for every type."""

import re
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.contract import tables as contracts
from mock_server.golang import addr as goaddr
from mock_server.golang import url as gourl
from mock_server.tests.conftest import Api, docker, example

CONTRACT = contracts.load()
LOCAL = "invalid endpoint: endpoint cannot reference localhost"
METADATA = "invalid endpoint: endpoint cannot reference the cluster metadata service"
CATEGORY = CONTRACT.rules["category-required"].message
NAME = CONTRACT.rules["name-required"].message
TAKEN = 'integration with name "Public DockerHub" already exists'


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        pytest.param({"categories": []}, [CATEGORY], id="category-required"),
        pytest.param({"categories": ["BOGUS"]}, [CATEGORY], id="category that Central does not know"),
        pytest.param({"name": ""}, [NAME], id="name-required"),
        pytest.param({"name": "Public DockerHub"}, [TAKEN], id="name-unique"),
        pytest.param({"docker": {"endpoint": "localhost"}}, [LOCAL], id="endpoint-not-local"),
        pytest.param({"docker": {"endpoint": "169.254.169.254"}}, [METADATA], id="endpoint-not-metadata"),
        pytest.param(
            {"docker": {"endpoint": "a b"}},
            [r'invalid endpoint: parse "http://a b": invalid character " " in host name'],
            id="endpoint-parses",
        ),
        pytest.param(
            {"docker": {"endpoint": "localhost"}, "categories": [], "name": ""}, [LOCAL, CATEGORY, NAME], id="three"
        ),
        pytest.param({"categories": [], "name": "Public DockerHub"}, [CATEGORY, TAKEN], id="order"),
    ],
)
def test_the_problems_of_an_integration_are_listed_in_order(changes, problems):
    api = Api()
    text = f" error: {problems[0]}" if len(problems) == 1 else f"s: [{', '.join(problems)}]"
    text = f"Validation{text}" if len(problems) == 1 else f"Validation error{text}"
    id = api.created(docker(name="other"))
    sent = docker(**changes)
    for answer in (
        api.create(sent),
        api.put(id, sent),
        api.patch(id, sent),
        api.test(sent),
        api.test_updated(sent),
    ):
        assert (answer.status, answer.json["code"], answer.message) == (400, 3, f"{text}: invalid arguments")


@pytest.mark.parametrize("blank", [" ", "\t", "public dockerhub", "Public DockerHub "])
def test_a_name_is_compared_exactly_and_not_trimmed(api, blank):
    assert api.create(docker(name=blank)).status == 200


def test_an_integration_may_keep_its_own_name(api):
    id = api.created(docker())
    assert api.put(id, docker()).json == {}
    assert api.test(docker(id=id)).json == {}
    assert api.test(docker()).rule == "name-unique"


def test_a_test_with_an_empty_config_is_refused(api):
    for body in ({}, {"config": None}, {"updatePassword": True}):
        answer = api.ask("POST", "/test/updated", body)
        assert (answer.status, answer.message) == (400, "empty integration: invalid arguments")


def test_an_integration_without_a_type_is_refused_when_its_client_is_built(api):
    answer = api.create(docker(type=""))
    assert (answer.status, answer.rule) == (500, "type-defined")
    assert answer.message == "Validation error: Source type must be defined"


def test_validation_comes_before_existence_and_reconciliation(api):
    assert api.put("no-such-id", docker(name="")).rule == "name-required"
    assert api.patch("no-such-id", docker(name="")).rule == "name-required"
    assert api.put("no-such-id", docker()).rule == "update-missing"


@pytest.mark.parametrize(
    ("host", "wide", "kind"),
    [
        ("localhost", True, "loopback"),
        ("127.1.2.3", True, "loopback"),
        ("::ffff:127.0.0.1", True, "loopback"),
        ("metadata.google.internal", True, "metadata"),
        ("169.254.169.254", True, "metadata"),
        ("::ffff:169.254.169.254", True, "metadata"),
        ("169.254.169.253", True, None),
        ("::1%eth0", True, None),
        ("127.0.0.1", False, "loopback"),
        ("127.1.2.3", False, None),
        ("metadata.google.internal", False, "metadata"),
    ],
)
def test_forbidden_hosts_have_a_kind(host, wide, kind):
    assert gourl.forbidden_host(host, wide=wide) == kind


# -- the endpoint rule -------------------------------------------------------------------------------

REFUSED = {
    "localhost": LOCAL,
    "localhost:5000": LOCAL,
    "localhost/path": LOCAL,
    "localhost?query": LOCAL,
    "user:password@localhost": LOCAL,
    "http://localhost": LOCAL,
    "https://localhost": LOCAL,
    "http://https://localhost": LOCAL,
    "127.0.0.1": LOCAL,
    "127.255.255.254:80": LOCAL,
    "[::1]": LOCAL,
    "[::ffff:127.0.0.1]:443": LOCAL,
    "169.254.169.254": METADATA,
    "http://169.254.169.254/latest": METADATA,
    "[::ffff:169.254.169.254]": METADATA,
    "metadata.google.internal": METADATA,
}
ACCEPTED = [
    *("", "LOCALHOST", "localhost.", "127.1", "0.0.0.0", "[::]", "2130706433", "HTTP://localhost"),
    *("https://http://localhost", "ftp://localhost", "10.0.0.1", "192.168.1.1", "METADATA.google.internal"),
]
UNPARSABLE = ["a b", "a\tb", "a\x00", "host:port", "%zz", "a%2", "fe80::1", "[::1", "http://[fe80::1"]
CHECKED = [
    (field.name, inner.name)
    for field in CONTRACT.integration.members
    if field.message
    for inner in field.message.fields
    if inner.validate
]
UNCHECKED = [("scannerV4", "indexerEndpoint"), ("scannerV4", "matcherEndpoint")]


def with_endpoint(member: str, field: str, endpoint: str) -> dict[str, object]:
    return {"name": "n", "type": "any", "categories": ["REGISTRY"], member: {field: endpoint}}


def problem(api: Api, member: str, field: str, endpoint: str) -> str:
    found = api.test(with_endpoint(member, field, endpoint)).message
    start = "Validation error: "
    return found.removeprefix(start).removesuffix(": invalid arguments") if found.startswith(start) else ""


@pytest.mark.parametrize(("member", "field"), CHECKED, ids=map(".".join, CHECKED))
def test_every_checked_endpoint_refuses_loopback_hosts(api, member, field):
    assert {endpoint: problem(api, member, field, endpoint) for endpoint in REFUSED} == REFUSED
    for endpoint in UNPARSABLE:
        assert problem(api, member, field, endpoint).startswith("invalid endpoint: parse ")
    assert [endpoint for endpoint in ACCEPTED if problem(api, member, field, endpoint)] == []


@pytest.mark.parametrize(("member", "field"), UNCHECKED, ids=map(".".join, UNCHECKED))
def test_the_endpoints_of_scanner_v4_are_not_checked(api, member, field):
    assert [endpoint for endpoint in [*REFUSED, *UNPARSABLE] if problem(api, member, field, endpoint)] == []


def test_only_the_first_bad_endpoint_is_reported(api):
    clairify = {"endpoint": "localhost", "grpcEndpoint": "169.254.169.254"}
    assert api.test(example("clairify", clairify=clairify)).message == f"Validation error: {LOCAL}: invalid arguments"


def test_an_endpoint_is_stored_as_it_was_sent(api):
    endpoint = "HTTPS://Registry.example.com:443/%7Epath/"
    assert api.stored(api.created(docker(docker={"endpoint": endpoint})))["docker"]["endpoint"] == endpoint


@given(st.text(max_size=20))
def test_any_text_is_an_endpoint_or_a_refusal(text):
    answer = API.test(with_endpoint("clair", "endpoint", text))
    assert answer.status == 400
    assert answer.rule in ("endpoint-not-local", "endpoint-not-metadata", "endpoint-parses", "registry-type-known")


API = Api()


# -- the managed service -----------------------------------------------------------------------------

IAM = "using container IAM role for ECR scanning is not available in this environment"


def test_the_managed_service_refuses_the_iam_role():
    with_role = example("ecr", ecr={"registryId": "1", "region": "r", "useIam": True})
    assert Api(managed=True).create(with_role).message == f"Validation error: {IAM}: invalid arguments"
    assert Api(managed=True).create(example("ecr")).status == 200
    assert Api().create(with_role).status == 200


def test_the_iam_problem_stands_between_category_and_name():
    answer = Api(managed=True).create({"ecr": {"useIam": True}})
    assert answer.message == f"Validation errors: [{CATEGORY}, {IAM}, {NAME}]: invalid arguments"


def parsed(url):
    try:
        return gourl.host_name(url)
    except gourl.UrlError as error:
        return error.args


@given(st.from_regex(r"http://[A-Za-z0-9.:/_%@?#\[\]\n-]{0,16}", fullmatch=True))
def test_the_fast_path_for_plain_urls_agrees_with_the_parser(url):
    with patch.object(gourl, "_PLAIN_URL", re.compile("(?!)")):
        whole = parsed(url)
    assert parsed(url) == whole


def test_only_the_first_segment_of_a_path_may_have_no_colon():
    assert parsed("a/b:c") == ""
    assert parsed("1:b") == ('"1:b"', "first path segment in URL cannot contain colon")
    assert parsed("1:b/c") == ('"1:b/c"', "first path segment in URL cannot contain colon")


def test_characters_after_an_escape_in_a_host_are_checked():
    assert parsed("http://%C3%A9x") == "éx"
    assert parsed("http://%C3 x") == ('"http://%C3 x"', 'invalid character " " in host name')


# Go's error for each text (`netip.ParseAddr`).
ADDRESSES = {
    **dict.fromkeys(["0.0.0.0", "10.0.0.9", "100.20.3.0", "255.255.255.255", "::", "::1", "1::", "fe80::1%eth0"]),
    **dict.fromkeys(["1:2:3:4:5:6:7:8", "::2:3:4:5:6:7:8", "::1.2.3.4", "1:2:3:4:5:6:1.2.3.4"]),
    "": "unable to parse IP",
    "1": "unable to parse IP",
    "%eth0": "missing IPv6 address",
    "1.2.3": "IPv4 address too short",
    "1.2.3.4.5": "IPv4 address too long",
    "01.2.3.4": "IPv4 field has octet with leading zero",
    "1.2.3.256": "IPv4 field has value >255",
    "1..2.3": 'IPv4 field must have at least one digit (at ".2.3")',
    ".1.2.3": 'IPv4 field must have at least one digit (at ".1.2.3")',
    "1.2.3.": 'IPv4 field must have at least one digit (at ".")',
    "X.X.X.X": 'unexpected character (at "X.X.X.X")',
    "1.2.x.4": 'unexpected character (at "x.4")',
    "fe80::1%": "zone must be a non-empty string",
    "12345::": 'each group must have 4 or less digits (at "12345::")',
    "::g": 'each colon-separated field must have at least one digit (at "g")',
    "1:2x": 'unexpected character, want colon (at "x")',
    "1:2:": 'colon must be followed by more characters (at ":")',
    "1::2::3": 'multiple :: in address (at ":3")',
    "1:2:3:4:5:6:7": "address string too short",
    "1:2:3:4:5:6:7:8:9": 'trailing garbage after address (at "9")',
    "1:2:3:4:5:6:7::8": "the :: must expand to at least one field of zeros",
    "1:2:3:4:5:6:7:8::": "the :: must expand to at least one field of zeros",
    "::1:2:3:4:5:6:7:8": "the :: must expand to at least one field of zeros",
    "::1.2.3": "IPv4 address too short",
    "::2:3:4:5:6:7:1.2.3.4": "the :: must expand to at least one field of zeros",
    "1:2:3:4:5:1.2.3.4": 'embedded IPv4 address must replace the final 2 fields of the address (at "1.2.3.4")',
    "::1:2:3:4:5:6:7:1.2.3.4": ('too many hex fields to fit an embedded IPv4 at the end of the address (at "1.2.3.4")'),
}


def test_an_invalid_address_is_refused_with_go_s_text():
    assert {text: goaddr.error(text.encode()) for text in ADDRESSES} == ADDRESSES
