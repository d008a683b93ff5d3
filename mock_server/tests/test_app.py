"""HTTP as Central's gateway speaks it, through the WSGI interface."""

import gzip
import json
import logging
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server import create_app
from mock_server.central import decoding
from mock_server.central.decoding import MAX_MESSAGE
from mock_server.contract import tables as contracts
from mock_server.tests.conftest import PATH, Answer, Api, ask, changed, docker, example, fields
from mock_server.web import wsgi
from mock_server.web.edge import request_of

CONTRACT = contracts.load()
ID = "10d3b4dc-8295-41bc-bb50-6da5484cdb1a"
FORM = "application/x-www-form-urlencoded"


def is_error(answer: Answer, status: int, code: int, message: str) -> bool:
    expected = {"code": code, "message": message, "details": [], "error": message}
    return (answer.status, answer.json) == (status, expected)


# -- routing -----------------------------------------------------------------------------------------

ROUTES = [
    ("GET", "/v1/nothing", 404),
    ("GET", "/v1", 307),
    ("GET", "/v2", 307),
    ("OPTIONS", "*", 200),
    ("GET", "*", 400),
    ("GET", "/", 404),
    ("GET", "/v1/ImageIntegrations", 404),
    ("GET", f"{PATH}/a/b", 404),
    ("GET", f"{PATH}/a%2Fb", 404),
    ("POST", f"{PATH}/test/", 404),
    ("POST", f"{PATH}/test/updated/", 404),
    *((method, PATH, 501) for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "BREW", "get", "Post")),
    *((method, f"{PATH}/{ID}", 501) for method in ("POST", "OPTIONS", "HEAD", "TRACE", "get", "delete")),
    ("POST", f"{PATH}/", 501),
    ("GET", f"{PATH}/test/updated", 501),
    ("GET", f"{PATH}/", 400),
    ("GET", f"{PATH}/test", 404),
    ("GET", f"{PATH}/{ID}:verb", 404),
    ("GET", f"{PATH}/{ID}", 200),
    ("GET", f"{PATH}/{ID.replace('-', '%2D')}", 200),
]


@pytest.mark.parametrize(("method", "target", "status"), ROUTES, ids=[" ".join(each[:2]) for each in ROUTES])
def test_a_request_is_routed_as_the_gateway_routes_it(api, method, target, status):
    answer = ask(api.app, method, target)
    assert answer.status == status
    if method == "HEAD":
        assert answer.body == b""
    elif answer.rule == "unknown-route":
        if target.startswith("/v1/"):
            assert is_error(answer, 404, 5, "Not Found")
        else:  # Go's mux, before the gateway
            assert answer.body == b"404 page not found\n"
            assert answer.headers["x-content-type-options"] == "nosniff"
    elif status == 501:
        assert is_error(answer, 501, 12, "Method Not Allowed")


CLEANED = [
    ("/v1//imageintegrations", PATH),
    ("//v1/imageintegrations", PATH),
    ("/v1/./imageintegrations", PATH),
    ("/v1/x/../imageintegrations", PATH),
    (f"{PATH}/../../v1/imageintegrations/", f"{PATH}/"),
    (f"{PATH}/.", PATH),
    (f"{PATH}//", f"{PATH}/"),
    (f"{PATH}/..", "/v1/"),
    ("/v1", "/v1/"),
    ("/v2", "/v2/"),
    ("//", "/"),
    ("/x//y", "/x/y"),
    ("/v1/../x", "/x"),
    (f"{PATH}//{ID}", f"{PATH}/{ID}"),
    (f"{PATH}//a%20b%3F?name=x&pretty", f"{PATH}/a%20b%3F?name=x&pretty"),
]


@pytest.mark.parametrize(("target", "clean"), CLEANED, ids=[each[0] for each in CLEANED])
def test_a_path_with_doubled_slashes_or_dots_leads_to_the_clean_one(api, target, clean):
    for method in ("GET", "POST", "PUT", "BREW"):
        answer = ask(api.app, method, target, {})
        shown = f'<a href="{clean.replace("&", "&amp;")}">Temporary Redirect</a>.\n\n' if method == "GET" else ""
        assert (answer.status, answer.headers["location"], answer.body.decode()) == (307, clean, shown)
        assert ("content-type" in answer.headers) == (method == "GET")


@pytest.mark.parametrize(
    "target", ["/v1/imageintegrations/...", f"{PATH}/a..b", "//__admin/state", "/v1/../__admin/state"]
)
def test_any_other_path_is_not_found(api, target):
    assert ask(api.app, "GET", target).status == 404


@pytest.mark.parametrize(
    "content_type", ["application/grpc", "application/grpc-web", "application/grpc+proto", "application/grpc-web+json"]
)
def test_grpc_requests_are_refused(api, content_type):
    for method, rest in (("GET", ""), ("POST", ""), ("DELETE", f"/{ID}"), ("BREW", "/a/b")):
        answer = api.ask(method, rest, docker() if method == "POST" else None, {"Content-Type": content_type})
        assert (answer.status, answer.body, answer.rule) == (500, b"Method cannot be downgraded\n", "no-grpc")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert len(api.list()) == 12
    assert api.ask("POST", "", docker(), {"Content-Type": "application/grpcs"}).status == 200


def test_the_error_for_an_unknown_id_shows_it_decoded(api):
    assert api.get("a%20%C3%A9:b").message == "image integration a é:b not found: not found"
    assert api.put("test", docker()).rule == "update-missing"
    assert api.delete("test").rule == "delete-missing"


def test_a_routing_error_lists_no_methods_and_allows_no_origin(api):
    answer = api.ask("OPTIONS", "", headers={"Origin": "http://page.example"})
    assert not {"allow", "access-control-allow-origin"} & answer.headers.keys()


@pytest.mark.parametrize("rule", ["method-override"])
def test_a_form_post_runs_the_method_that_a_header_names(api, rule):
    headers = {"X-HTTP-Method-Override": "DELETE", "Content-Type": FORM}
    assert api.ask("POST", f"/{ID}", headers=headers).json == {}
    assert api.get(ID).status == 404
    headers["X-HTTP-Method-Override"] = "get"
    found = api.ask("POST", "", b"name=Public+GCR", headers).json["integrations"]
    assert [each["name"] for each in found] == ["Public GCR"]


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD"])
@pytest.mark.parametrize(
    ("query", "form", "text"),
    [
        ("", b"a=%zz", 'invalid URL escape "%zz"'),
        ("", b"a;b", "invalid semicolon separator in query"),
        ("?b=%", b"a=%zz", 'invalid URL escape "%zz"'),
        ("?b=%", b"", 'invalid URL escape "%"'),
        ("", b"a=" + b"x" * (10 << 20), "http: POST too large"),
    ],
    ids=["escape", "semicolon", "form first", "query", "size"],
)
def test_a_form_is_read_before_its_header_names_another_method(api, method, query, form, text):
    headers = {"X-HTTP-Method-Override": method, "Content-Type": FORM}
    assert is_error(api.ask("POST", f"/{ID}{query}", form, headers), 400, 3, text)
    assert is_error(ask(api.app, "POST", f"/v1/nothing{query}", form, headers), 400, 3, text)
    assert api.get(ID).status == 200


@pytest.mark.parametrize("content_type", ["application/json", f"{FORM}; charset=utf-8", "multipart/form-data", ""])
def test_only_a_form_post_can_name_another_method(api, content_type):
    headers = {"X-HTTP-Method-Override": "DELETE", "Content-Type": content_type}
    assert api.ask("POST", f"/{ID}", headers=headers).status == 501


def test_a_query_that_cannot_be_read_is_refused(api):
    assert is_error(api.ask("GET", "?name=a&name=b"), 400, 3, 'too many values for field "name": a, b')
    assert is_error(api.ask("GET", "?name=%zz"), 400, 3, 'invalid URL escape "%zz"')
    assert is_error(api.ask("GET", "?a;b"), 400, 3, "invalid semicolon separator in query")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("name.x=1", 'invalid path: "name" is not a message'),
        ("cluster.name=x", 'invalid path: "cluster" is not a message'),
        ("name.=", 'invalid path: "name" is not a message'),
        ("name.x[y]=1", 'invalid path: "name" is not a message'),
        ("name[]=x", 'too many values for field "name": , x'),
        ("name[a]=b", 'too many values for field "name": a, b'),
        ("cluster[a]", 'too many values for field "cluster": a, '),
    ],
)
def test_a_filter_with_subfields_is_refused(api, query, text):
    assert is_error(api.ask("GET", f"?{query}"), 400, 3, text)


@pytest.mark.parametrize(
    "query", [".name=x", "x.name=y", "name[a].b=c", "name[a][b]=c", "[name]=x", "x[y]=z", "Name.x=1"]
)
def test_query_keys_that_are_not_filters_are_ignored(api, query):
    assert len(api.ask("GET", f"?{query}").json["integrations"]) == 12


def test_a_query_is_ignored_if_the_operation_has_a_body(api):
    assert api.ask("POST", "?name=%zz&name=a&name=b", docker()).status == 200
    assert api.ask("DELETE", f"/{ID}?name=a&name=b").json == {}


# -- the shape of answers ----------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["answer-headers"])
def test_every_answer_has_the_headers_of_the_gateway(api, rule):
    for answer in (api.ask("GET"), api.create(docker()), api.get("x"), api.ask("PUT"), ask(api.app, "GET", "/v1/x")):
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store, no-cache"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["content-length"] == str(len(answer.body))
        assert ("grpc-metadata-content-type" in answer.headers) == (answer.status == 200)


@pytest.mark.parametrize("rule", ["error-shape"])
def test_an_error_has_four_keys_and_repeats_its_message(api, rule):
    answer = api.get("x")
    assert list(answer.json) == ["code", "message", "details", "error"]
    assert answer.json["error"] == answer.json["message"]
    assert answer.rule == "get-missing"


@pytest.mark.parametrize("rule", ["pretty-answer"])
@pytest.mark.parametrize(
    ("query", "headers"),
    [("?pretty", {}), ("?a=b&pretty=false", {}), ("", {"Accept": "application/json+pretty"})],
    ids=["key", "any value", "accept"],
)
def test_an_answer_is_indented_on_request(api, rule, query, headers):
    plain, pretty = api.ask("GET", f"/{ID}"), api.ask("GET", f"/{ID}{query}", headers=headers)
    assert pretty.body.decode() == json.dumps(plain.json, indent=2, ensure_ascii=False)
    assert pretty.headers["content-type"] == "application/json"
    error = api.ask("GET", f"/x{query}", headers=headers)
    assert error.body.startswith(b'{\n  "code": 5,')


@pytest.mark.parametrize(
    ("query", "headers"),
    [("", {}), ("?prettyplease", {}), ("?a=pretty", {}), ("", {"Accept": "text/html"}), ("", {"Accept": "*/*"})],
    ids=["nothing", "another key", "a value", "HTML", "anything"],
)
def test_an_answer_is_compact_by_default(api, query, headers):
    answer = api.ask("GET", f"/{ID}{query}", headers=headers)
    assert answer.body == json.dumps(answer.json, separators=(",", ":")).encode()


def test_a_large_answer_is_compressed_on_request(api):
    plain, zipped = api.ask("GET"), api.ask("GET", headers={"Accept-Encoding": "gzip, deflate"})
    assert zipped.headers["content-encoding"] == "gzip"
    assert gzip.decompress(zipped.body) == plain.body
    assert int(zipped.headers["content-length"]) == len(zipped.body) < len(plain.body)
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in api.ask("GET", f"/{ID}", headers={"Accept-Encoding": "gzip"}).headers


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [
        *(
            (text, True)
            for text in ("gzip", "GZIP", "br, gzip;q=0.5", "gzip;q=0.001", "gzip, identity;q=0", "gzip;q=0,gzip")
        ),
        *(
            (text, False)
            for text in ("", "*", "x-gzip", "gzip;q=0", "gzip ; q=0", "gzip;q=x", "deflate", "gzip,gzip;q=0")
        ),
    ],
)
def test_an_answer_is_compressed_if_gzip_has_a_positive_weight(api, accepted, zipped):
    headers = api.ask("GET", headers={"Accept-Encoding": accepted}).headers
    assert ("content-encoding" in headers) is zipped


def test_answers_do_not_escape_texts(api):
    name = "<a> & \u2028 \x7f ü \U0001f600"
    assert f'"name":"{name}"'.encode() in api.create(docker(name=name)).body


# -- reading bodies ----------------------------------------------------------------------------------

CLAIRIFY = example("clairify")
DATA = {"username": "u", "password": "p", "expiresAt": "2030-01-02T03:04:05Z"}
ECR = example("ecr", ecr={"registryId": "1", "region": "r"})


@pytest.mark.parametrize(
    ("sent", "place", "stored"),
    [
        pytest.param(docker(made_up=1), ("name",), docker()["name"], id="unknown-field-dropped"),
        pytest.param(changed(docker(), ("docker", "made_up"), []), ("docker", "insecure"), False, id="at any depth"),
        pytest.param(docker(cluster_id="c"), ("clusterId",), "c", id="both-spellings"),
        pytest.param(docker(ClusterId="c"), ("clusterId",), "", id="wrong case"),
        pytest.param(
            example("quay", quay={"endpoint": "q", "oauth_token": "t"}),
            ("quay", "oauthToken"),
            "",
            id="camel case only",
        ),
        pytest.param(docker(clusterId=None, quay=None), ("clusterId",), "", id="null-is-absent"),
        pytest.param(docker(categories=["REGISTRY", "X", "registry", "1"]), ("categories",), ["REGISTRY"],
                     id="unknown-category-dropped"),
        pytest.param(docker(categories=[0]), ("categories",), ["REGISTRY"], id="category-by-number"),
        *(pytest.param(changed(CLAIRIFY, ("clairify", "numConcurrentScans"), number),
                       ("clairify", "numConcurrentScans"), 100, id=f"number-forms {number!r}")
          for number in ("100", 100.0, "1e2", "100.0")),
        pytest.param(
            changed(ECR, ("ecr", "authorizationData"), DATA | {"expiresAt": "2030-01-02T05:04:05.120+02:00"}),
            ("ecr", "authorizationData", "expiresAt"), "2030-01-02T03:04:05.120Z", id="timestamp-normalised",
        ),
    ],
)  # fmt: skip
def test_a_body_is_read_as_the_gateway_reads_it(api, sent, place, stored):
    value: Any = api.stored(api.created(sent))
    for name in place:
        value = value[name]
    assert (type(value), value) == (type(stored), stored)


def test_answers_show_unset_fields(api):
    """The rule `zero-values-emitted`; `unknown-category-dropped` and `number-forms` are shown above."""
    quay = {"name": "n", "type": "quay", "categories": ["REGISTRY"], "quay": {"endpoint": "q"}}
    answer = api.create(quay).json
    assert answer["quay"] == {
        "endpoint": "q",
        "oauthToken": "******",
        "insecure": False,
        "registryRobotCredentials": None,
    }
    assert [answer[name] for name in ("autogenerated", "clusterId", "source")] == [False, "", None]
    assert not {"docker", "ecr"} & answer.keys()


def test_an_empty_body_is_an_empty_message(api):
    """The rule `empty-body`."""
    for body in (b"", b" \n"):
        assert api.ask("POST", "", body).message == api.create({}).message


def test_data_after_the_first_value_is_ignored(api):
    """The rule `trailing-data-ignored`."""
    assert api.ask("POST", "", json.dumps(docker()).encode() + b'{"name":""} and more').status == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", FORM, "multipart/form-data", "", "nonsense"])
def test_a_body_is_read_as_json_with_any_content_type(api, content_type):
    """The rule `content-type-ignored`."""
    assert api.ask("POST", "", docker(), {"Content-Type": content_type}).status == 200


def test_the_id_in_the_path_counts_towards_the_message_size(api):
    name = "a" * (MAX_MESSAGE - 5)  # and five bytes of tag and length
    for method, sent, around in (("PUT", {"name": name}, 6), ("PATCH", {"config": {"name": name}}, 11)):
        answer = api.ask(method, "/nope", sent)
        size = MAX_MESSAGE + around
        assert (answer.status, answer.rule) == (429, "message-size")
        assert answer.message == f"grpc: received message larger than max ({size} vs. {MAX_MESSAGE})"


def test_violations_of_a_long_body_are_not_detailed(api):
    answer = api.create(docker(categories=[0] * 20_000))
    assert answer.status == 200
    assert re.fullmatch(
        r"\$: violates the contract; a body of \d+ bytes is too long to say where",
        answer.headers["mock-central-warning"],
    )
    assert "mock-central-warning" not in api.create(docker(name="n" * 20_000)).headers


def test_violations_of_a_body_of_16_kib_are_detailed(api):
    short = json.dumps(docker(made_up="")).encode()
    padded = short.replace(b'"made_up": ""', b'"made_up": "%b"' % (b"x" * (16 * 1024 - len(short))))
    assert len(padded) == 16 * 1024
    assert "made_up" in api.create(padded).headers["mock-central-warning"]


def test_a_message_of_more_than_24_mebibytes_is_too_large(api):
    """The size is that of the message in binary form, so blanks do not count."""
    text = "x" * MAX_MESSAGE
    size = MAX_MESSAGE + 5 + 8 + 2
    answer = api.ask("POST", "", {"name": text, "type": "docker", "categories": ["REGISTRY"]})
    assert answer.message.startswith("grpc: received message larger than max (")
    assert answer.message.endswith(" vs. 25165824)")
    assert size - 10 < int(answer.message.partition("(")[2].partition(" ")[0]) < size + 10
    assert (answer.status, answer.json["code"], answer.rule) == (429, 8, "message-size")
    assert api.ask("POST", "", b" " * MAX_MESSAGE + json.dumps(docker()).encode()).status == 200


def test_a_short_body_can_be_a_large_message(monkeypatch, api):
    """A negative number of a category has two digits in JSON, and ten bytes in binary form."""
    monkeypatch.setattr(decoding, "MAX_MESSAGE", 1000)
    sent = docker(categories=[-1] * 100)
    assert len(json.dumps(sent)) < 1000
    assert api.ask("POST", "", sent).rule == "message-size"


def test_an_oversized_body_is_refused_unread(api):
    answer = api.ask("POST", "", b"{}", {"Content-Length": str(11 * MAX_MESSAGE)})
    assert (answer.status, answer.rule) == (429, "message-size")


def test_at_most_ten_thousand_levels_are_read(api):
    def nested(depth: int) -> bytes:
        return b'{"x":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"

    assert api.ask("POST", "", nested(10_000)).rule == "category-required"
    answer = api.ask("POST", "", nested(10_001))
    assert (answer.rule, answer.message) == ("nesting-depth", "invalid character '[' exceeded max depth")


# -- the contract's word -----------------------------------------------------------------------------


def test_a_conforming_request_causes_no_warning(api, caplog):
    with caplog.at_level(logging.INFO, "mock_central.access"):
        answer = api.create(docker())
    assert "mock-central-warning" not in answer.headers
    (record,) = caplog.records
    assert record.levelname == "INFO"
    assert re.fullmatch(rf"POST {PATH} 200 \d+\.\dms", record.message)


def test_a_violating_request_is_answered_with_a_warning(api, caplog):
    with caplog.at_level(logging.INFO, "mock_central.access"):
        answer = api.create(docker(made_up=1, clusterId=None))
    text = "$.clusterId: is null, not of type string; $.made_up: is not a field of the contract"
    assert sorted(answer.headers["mock-central-warning"].split("; ")) == text.split("; ")
    record = caplog.records[-1]
    assert record.levelname == "WARNING"
    assert "contract: " in record.message
    assert "$.made_up: is not a field of the contract" in record.message


@pytest.mark.parametrize(
    ("body", "content_type", "warning"),
    [
        (json.dumps(docker()).encode() + b"x", "application/json", "$: data follows the JSON value"),
        (json.dumps(docker()).encode(), "text/plain", "$: the content type is not application/json"),
        (b"", "application/json", "$: the body is missing"),
    ],
    ids=["trailing data", "content type", "empty"],
)
def test_violations_outside_of_the_body_cause_a_warning(api, body, content_type, warning):
    assert warning in api.ask("POST", "", body, {"Content-Type": content_type}).headers["mock-central-warning"]


def test_an_unknown_query_key_causes_a_warning(api):
    assert api.ask("GET", "?nmae=x").headers["mock-central-warning"] == "?nmae: is not a parameter of the contract"
    assert "mock-central-warning" not in api.ask("GET", "?name=x&pretty").headers


def test_a_refusal_names_its_rule_in_header_and_log(api, caplog):
    with caplog.at_level(logging.INFO, "mock_central.access"):
        assert api.create(docker(name="Public GCR")).rule == "name-unique"
        ask(api.app, "GET", "/v1/nothing")
    assert [each.message.rpartition(" ")[2] for each in caplog.records] == ["rule=name-unique", "rule=unknown-route"]


def test_a_strict_mock_refuses_and_lists_every_violation():
    api = Api(strict=True)
    answer = api.create(docker(made_up=1, name=None, categories=["X"]))
    assert (answer.status, answer.json["code"], answer.rule) == (400, 3, "strict")
    assert answer.message.startswith("the request violates the contract: $.")
    for violation in (
        "$.made_up: is not a field of the contract",
        "$.name: is null, not of type string",
        "$.categories[0]: is not one of REGISTRY, SCANNER, NODE_SCANNER",
    ):
        assert violation in answer.message
    assert api.ask("GET", "?nmae=x").rule == "strict"
    assert api.create(docker()).status == 200
    assert len(api.list()) == 13


def test_full_validation_checks_what_fast_validation_accepts():
    """Both find the same."""
    fast, full = Api(), Api(validation="full")
    sent = [docker(), docker(), docker(name=""), {}, {"config": {}}]
    for body in sent:
        one, two = fast.create(body), full.create(body)
        assert (one.status, one.rule, dict(one.headers).get("mock-central-warning")) == (
            two.status,
            two.rule,
            dict(two.headers).get("mock-central-warning"),
        )
    for method, rest in (("GET", ""), ("GET", f"/{ID}"), ("GET", "/x"), ("GET", "?name=x"), ("DELETE", f"/{ID}")):
        assert fast.ask(method, rest).headers.keys() == full.ask(method, rest).headers.keys()


def test_full_validation_checks_each_answer_of_an_operation(monkeypatch):
    api, seen = Api(validation="full"), []
    monkeypatch.setattr(api.central.validator, "answer_violations", lambda *values: seen.append(values[1]) or [])
    assert [api.get(ID).status, api.get("unknown").status, api.ask("GET", "/../x").status] == [200, 404, 307]
    assert seen == [200, 404]


def test_without_validation_answers_are_the_same_but_without_warnings():
    fast, without = Api(), Api(validation="none")
    for body in (docker(unknown=1), {"name": 5}, docker(name="")):
        one, two = fast.create(body), without.create(body)
        assert (one.status, one.rule, one.json.keys()) == (two.status, two.rule, two.json.keys())
        assert "mock-central-warning" not in dict(two.headers)


# -- pages in a browser ------------------------------------------------------------------------------

ORIGIN = "http://localhost:5173"


def test_a_page_of_the_allowed_origin_may_call():
    api = Api(cors=ORIGIN)
    for answer in (api.ask("GET"), api.get("x"), ask(api.app, "GET", "/v1/nothing")):
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "Mock-Central-Warning" in answer.headers["access-control-expose-headers"]
        assert "Origin" in answer.headers["vary"]


def test_a_preflight_lists_what_a_browser_may_send():
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH"}
    asked["Access-Control-Request-Headers"] = "authorization,content-type"
    answer = Api(cors=ORIGIN).ask("OPTIONS", f"/{ID}", headers=asked)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type"
    assert {"GET", "POST", "PUT", "PATCH", "DELETE"} <= {*answer.headers["access-control-allow-methods"].split(", ")}


PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH"}


def test_a_preflight_without_headers_allows_none():
    assert Api(cors=ORIGIN).ask("OPTIONS", f"/{ID}", headers=PREFLIGHT).headers["access-control-allow-headers"] == ""


REPORTED = {
    "preflight": ("OPTIONS", PATH, PREFLIGHT, 204),
    "preflight of an unknown path": ("OPTIONS", "/v1/nothing", PREFLIGHT, 204),
    "preflight of a companion": ("OPTIONS", "/v1/metadata", PREFLIGHT, 204),
    "preflight in a sandbox": ("OPTIONS", f"/__sandbox/a{PATH}", PREFLIGHT, 204),
    "no preflight": ("OPTIONS", PATH, {}, 501),
    "an operation": ("GET", PATH, {}, 200),
    "a refusal": ("GET", f"{PATH}/x", {}, 404),
    "HEAD": ("HEAD", PATH, {}, 501),
    "HEAD of a companion": ("HEAD", "/v1/metadata", {}, 501),
    "a companion": ("GET", "/v1/metadata", {}, 200),
    "an unknown path": ("GET", "/v1/nothing", {}, 404),
    "a wrong method": ("PATCH", PATH, {}, 501),
    "too large": ("POST", PATH, {"Content-Length": str(11 * MAX_MESSAGE)}, 429),
    "a fault": ("GET", PATH, {"Prefer": "code=503"}, 503),
    "a preference that is none": ("GET", PATH, {"Prefer": "code=99"}, 400),
    "another method": ("POST", f"{PATH}/x", {"Content-Type": FORM, "X-HTTP-Method-Override": "DELETE"}, 404),
}


@pytest.mark.usefixtures("pages")
@pytest.mark.parametrize(("method", "target", "headers", "status"), REPORTED.values(), ids=REPORTED.keys())
def test_the_log_and_the_journal_show_the_sent_status(caplog, method, target, headers, status):
    api = Api(cors=ORIGIN)
    with caplog.at_level(logging.INFO, "mock_central.access"):
        assert ask(api.app, method, target, headers=headers).status == status
    assert [each.args[0].status for each in caplog.records] == [status]
    sandboxes = api.app.gateway.sandboxes
    journal = (sandboxes.get("a") if "/__sandbox/a" in target else sandboxes.default).journal
    assert [(each.status, bool(each.rule)) for each in journal.found()] == [(status, status >= 400)]


def test_a_preflight_is_not_forwarded_to_the_upstream():
    """Nothing listens at the upstream's address."""
    api = Api(cors=ORIGIN, upstream="http://127.0.0.1:9")
    assert ask(api.app, "OPTIONS", "/v1/other", headers=PREFLIGHT).status == 204


def test_a_refused_page_is_logged_with_a_fix(api, caplog):
    answer = api.ask("OPTIONS", headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"})
    assert answer.status == 501
    assert f"refused a cross-origin call from a page of {ORIGIN}; --cors {ORIGIN} allows it" in caplog.text


def test_options_is_not_an_operation_without_a_preflight():
    assert Api(cors=ORIGIN).ask("OPTIONS").status == 501


def test_every_origin_can_be_allowed():
    answer = Api(cors="*").ask("GET")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["vary"] == "Accept-Encoding"


# -- control -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("pages")
def test_a_reset_restores_the_initial_state(api):
    api.created(docker())
    answer = ask(api.app, "POST", "/__admin/reset")
    assert (answer.status, answer.json["integrations"]) == (200, 12)
    assert len(api.list()) == 12


def test_health_reports_the_simulated_release():
    api = Api(central_version="4.9", as_deployed=True, empty=True)
    assert ask(api.app, "GET", "/__admin/health").json == {
        "status": "ok",
        "centralVersion": "4.9",
        "asDeployed": True,
        "integrations": 0,
    }


def test_control_calls_need_no_credentials():
    assert ask(Api(auth=True).app, "GET", "/__admin/health").status == 200


def test_without_companions_only_the_contract_is_routed_under_v1():
    api = Api(companions=False)
    assert [rule.rule for rule in api.app.url_map.iter_rules() if not rule.rule.startswith("/__admin")] == []
    assert set(api.app.gateway.home.known_endpoints) == CONTRACT.operations.keys()


# -- when the mock fails -----------------------------------------------------------------------------


def test_an_unexpected_exception_is_a_json_500_and_its_traceback_stays_in_the_log(caplog):
    api = Api(fatal_answers=False)

    def fail(_id: str) -> None:
        raise RuntimeError("something private")

    api.central.service.get = fail
    answer = api.get("x")
    assert is_error(answer, 500, 13, "the mock failed; its log says why")
    assert answer.rule == "panic"
    assert "something private" in caplog.text
    assert caplog.messages[0] == f"the mock failed on GET {PATH}/x"


# -- credentials stay where they are -----------------------------------------------------------------

CANARY = "canary-7b21"
SECRETS = [tuple(each.name for each in path) for path in fields(CONTRACT.integration) if path[-1].scrub == "always"]


def malformed(place: tuple[str, ...]) -> list[Any]:
    """Return bodies with a canary in a credential, most of them invalid."""
    member, wrongs = place[0], (CANARY, [CANARY], {"x": CANARY}, [[CANARY]], {"password": [CANARY]})
    type = next(each.type for each in CONTRACT.types.values() if each.member == member)
    start = {"name": "n", "type": type, "categories": ["REGISTRY"]}
    whole = [changed(start, place, wrong) for wrong in wrongs]
    good = whole[0]
    text = json.dumps(good)
    return [
        *whole,
        *({**good, "skipTestIntegration": True, **more} for more in ({}, {"name": "Public GCR"}, {"categories": []})),
        {**good, "id": "x"},
        {**good, "clairify": {}},
        {**good, "type": "no-such-registry"},
        {**good, "made_up": CANARY},
        text[: text.index(CANARY) + len(CANARY)].encode(),
        text.replace(CANARY, f"{CANARY}\\ud800").encode(),
        text.replace(f'"{CANARY}"', f'"a", "{place[-1]}": "{CANARY}"').encode(),
        text.replace(CANARY, f"{CANARY}\t").encode(),
        (text + CANARY).encode(),
        [CANARY],
    ]


@pytest.mark.parametrize("place", SECRETS, ids=map(".".join, SECRETS))
@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
def test_answers_headers_and_logs_show_no_credential(place, strict, caplog):
    api = Api(strict=strict, validation="full", auth=False)
    caplog.set_level(logging.DEBUG)
    id = api.created(docker(name="n"))
    answers = []
    for body in malformed(place):
        for config in (body, body if isinstance(body, bytes) else {"config": body}):
            for method, rest in (("POST", ""), ("POST", "/test"), ("POST", "/test/updated"), ("PUT", f"/{id}")):
                answers.append(api.ask(method, rest, config))
            answers.append(api.ask("PATCH", f"/{id}", config))
    answers.append(api.ask("GET"))
    shown = "\n".join(f"{answer.headers} {answer.body!r}" for answer in answers)
    assert {answer.status for answer in answers} >= {200, 400}
    assert CANARY not in shown
    assert CANARY not in caplog.text


@given(st.text(max_size=30))
def test_a_header_holds_any_violation(name):
    answer = API.create(docker(**{f"x{name}": 1}))
    assert answer.headers["mock-central-warning"].isascii()
    assert answer.headers["mock-central-warning"].isprintable()


API = Api()


# -- embedding ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_several_processes_with_a_state_in_memory_are_refused(method, caplog):
    """As `gunicorn -w 2` would run them."""
    environ = wsgi.environ(method, PATH)
    answer = wsgi.ask(create_app(), {**environ, "wsgi.multiprocess": True})
    assert answer.status == 500
    assert answer.headers["mock-central-rule"] == "several-processes"
    assert "gunicorn --workers 1 --threads 32" in json.loads(answer.body)["message"]
    assert len([each for each in caplog.records if "wsgi.multiprocess" in each.getMessage()]) <= 1


def test_an_added_layer_sees_every_request(api):
    seen = []

    def layer(proceed):
        def answer(exchange):
            seen.append(exchange.request.path)
            return proceed(exchange).with_header("X-Stamp", "1")

        return answer

    api.app.add_layer(layer)
    targets = [PATH, f"{PATH}/x", "/v1/ping", "/v1/nothing", "/__admin/health", "/v1//x"]
    assert [ask(api.app, "GET", each).headers["x-stamp"] for each in targets] == ["1"] * len(targets)
    assert seen == targets


def test_flask_answers_added_routes(api):
    api.app.add_url_rule("/hello", view_func=lambda: "hello")
    assert ask(api.app, "GET", "/hello").body == b"hello"
    assert api.app.test_client().get(PATH).status_code == 200


def test_an_environment_variable_is_not_a_header():
    """granian puts the environment of its process in front of each request's."""
    environ = {"HTTP_PROXY": "http://user:secret@proxy"} | wsgi.environ("GET", PATH, headers={"Host": "x", "X-A": "1"})
    assert request_of(environ).headers == {"x-a": "1", "host": "x"}


def test_headers_are_found_in_the_environ_of_any_server():
    whole = wsgi.environ("GET", PATH, headers={"Host": "x", "Content-Type": "a/b", "X-A": "1"})
    turned = dict(reversed(whole.items()))
    assert request_of(turned).headers == request_of(whole).headers == {"host": "x", "content-type": "a/b", "x-a": "1"}
