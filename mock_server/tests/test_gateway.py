"""The gateway layer by layer, without a socket, WSGI or Flask."""

import gzip
import json
import subprocess
import sys
import time
import weakref
from copy import deepcopy
from types import SimpleNamespace
from urllib.parse import unquote

import pytest

from mock_server.central.errors import Refusal, Rules
from mock_server.central.rendering import AnswerContractError
from mock_server.contract import tables as contracts
from mock_server.contract.routes import Routes
from mock_server.contract.tables import Contract
from mock_server.gateway.cors import allow_origin
from mock_server.gateway.encoding import GATEWAY_HEADERS, GZIP_FROM, JSON_HEADERS, encode
from mock_server.gateway.errors import AnswerErrors
from mock_server.gateway.exchange import Exchange, stacked
from mock_server.gateway.faults import Connections, Cut, InjectFaults
from mock_server.gateway.gateway import Gateway
from mock_server.gateway.http_rules import SHORT_BODY, read_short_body, refuse_malformed
from mock_server.gateway.instance import Instance
from mock_server.gateway.journal import answer_in_sandbox
from mock_server.gateway.messages import LONGEST_BODY, NO_BODY, Body, BodyTooLongError, Request, Response
from mock_server.gateway.operations import decode, serve
from mock_server.gateway.paths import FORM, clean_path, override_method
from mock_server.gateway.routing import route
from mock_server.gateway.sandbox import choose_sandbox
from mock_server.gateway.validation import validate_answer, validate_request
from mock_server.sandboxes.central import Central
from mock_server.sandboxes.sandboxes import Sandboxes
from mock_server.settings import Settings
from mock_server.simulation.fault_forms import parse
from mock_server.simulation.faults import FaultError
from mock_server.tests.conftest import PATH, Api, docker

CONTRACT = contracts.load()
ID = "10d3b4dc-8295-41bc-bb50-6da5484cdb1a"
JSON = {"content-type": "application/json"}
ELSEWHERE = Response(418, (), b"elsewhere", is_final=True)


def instance(contract=None, **settings):
    return Instance(Central(Settings(**settings), contract), lambda _: ELSEWHERE, {("GET", "/v1/ping"): "GET /v1/ping"})


def made(settings, contract):
    return Instance(Central(settings, contract), lambda _: ELSEWHERE, {})


def sent(body):
    """Return the body of a request; a value that is not bytes is sent as JSON."""
    return Body.of(body if isinstance(body, bytes) else json.dumps(body).encode())


def exchange(method="GET", path=PATH, body=b"", headers=None, query="", **settings):
    mock = instance(**settings)
    request = Request(method, path, query, {**JSON, **(headers or {})}, sent(body) if body else NO_BODY)
    return Exchange(request, Sandboxes(mock, made).default)


def always(response):
    return lambda _: response


def raising(error):
    def answer(_exchange):
        raise error

    return answer


FINE = always(Response(200, GATEWAY_HEADERS, b'{"a":1}'))


# -- values ------------------------------------------------------------------------------------------


def reader(whole):
    """Return a reader of bytes that can be read once, like a connection."""
    left = [whole]
    return lambda size: (left[0][:size], left.__setitem__(0, left[0][size:]))[0]


def test_a_body_is_read_once_and_kept():
    body = Body(reader(b"abcdef"), 4)
    assert not body.is_read
    assert body.read() == body.read() == b"abcd"
    assert body.is_read


def test_a_body_of_known_bytes_is_read():
    assert Body.of(b"ab").is_read
    assert (Body.of(b"ab").size, Body.of(b"ab").read()) == (2, b"ab")


def test_a_body_of_unknown_length_is_read_to_its_end():
    assert Body(reader(b"abcdef"), None).read() == b"abcdef"


@pytest.mark.parametrize("size", [LONGEST_BODY + 1, None])
def test_a_body_that_is_too_long_is_refused_each_time_it_is_asked_for(size):
    asked = []

    def read(most):
        asked.append(most)
        return bytes(LONGEST_BODY + 1)

    body = Body(read, size)
    for _ in range(2):
        with pytest.raises(BodyTooLongError) as caught:
            body.read()
        assert (caught.value.size, str(caught.value)) == (LONGEST_BODY + 1, f"a body of {LONGEST_BODY + 1} bytes")
    assert asked == ([] if size else [LONGEST_BODY + 1])


def test_a_body_that_ends_early_is_refused():
    body = Body(reader(b"ab"), 4)
    for _ in range(2):
        with pytest.raises(Refusal) as raised:
            body.read()
        assert raised.value.args == ("http", 400, 3, "the body ended after 2 of 4 bytes")
    assert body.is_read


def test_a_request_and_a_response_do_not_change():
    for value, name in ((Request("GET", "/"), "path"), (Response(200), "status")):
        with pytest.raises(AttributeError):
            setattr(value, name, "other")


def test_a_path_is_read_as_utf_8():
    assert Request("GET", "/\xc3\xa9\xff").text == "/é\ufffd"


def test_headers_are_found_in_any_case_and_the_length_follows_the_body():
    response = Response(200, (("Content-Length", "9"), ("X-A", "1")), iter([b"a", b"b"])).sized()
    assert response == Response(200, (("X-A", "1"), ("Content-Length", "2")), b"ab")
    assert response.header("x-a") == "1"
    assert response.header("x-b") is None
    assert response.with_header("X-B", "2").without_header("x-A").headers == (("Content-Length", "2"), ("X-B", "2"))


# -- layers ------------------------------------------------------------------------------------------


def test_layers_are_passed_from_the_outside_in_and_back():
    seen = []

    def layer(name):
        def made(proceed):
            def answer(exchange):
                seen.append(name)
                response = proceed(exchange)
                seen.append(name.upper())
                return response

            return answer

        return made

    stacked([layer("a"), layer("b")], FINE)(exchange())
    assert seen == ["a", "b", "B", "A"]


@pytest.mark.parametrize(("target", "status"), [("/v1/%zz", 400), ("/v1/%", 400), ("/v1/%2f?%zz", 200)])
def test_a_target_with_a_bad_escape_is_refused_in_the_words_of_go(target, status):
    asked = exchange()
    asked.request = asked.request._replace(target=target)
    response = refuse_malformed(FINE)(asked)
    assert response.status == status
    assert status == 200 or (response.body, response.header("Connection")) == (b"400 Bad Request", "close")


def test_a_short_body_is_read_even_if_unused():
    request = Request("GET", PATH, body=Body(reader(b"x" * SHORT_BODY), SHORT_BODY))
    asked = exchange()
    asked.request = request
    read_short_body(FINE)(asked)
    assert request.body.is_read


@pytest.mark.parametrize("size", [SHORT_BODY + 1, None])
def test_a_long_body_is_read_only_on_demand(size):
    asked = exchange()
    asked.request = asked.request._replace(body=Body(raising(AssertionError), size))
    assert read_short_body(FINE)(asked).status == 200


def test_the_error_of_a_missing_short_body_is_raised_on_demand():
    asked = exchange("POST")
    asked.request = asked.request._replace(body=Body(raising(Refusal("http", 408, 4, "late")), 5))
    assert read_short_body(FINE)(asked).status == 200
    answer = read_short_body(asked.sandbox.instance.answer)(asked)
    assert answer.status == 408


# -- sandboxes ---------------------------------------------------------------------------------------


@pytest.fixture
def sandboxes():
    return Sandboxes(instance(empty=True), made)


def chosen(sandboxes, path, headers=None):
    """Return the exchange after the choice of a sandbox, or None if it was answered before, and the answer."""
    passed = []
    layer = choose_sandbox(sandboxes, lambda exchange: passed.append(exchange) or Response(200))
    asked = Exchange(Request("GET", path, headers=headers or {}), sandboxes.default)
    response = layer(asked)
    return (passed[0] if passed else None), response


def test_a_request_names_its_sandbox_by_header_or_path(sandboxes):
    assert chosen(sandboxes, PATH)[0].sandbox is sandboxes.default
    assert chosen(sandboxes, PATH, {"mock-central-sandbox": "a"})[0].sandbox.name == "a"
    by_path, _ = chosen(sandboxes, f"/__sandbox/b{PATH}", {"mock-central-sandbox": "a"})
    assert by_path.sandbox.name == "b"
    assert (by_path.request.prefix, by_path.request.path) == ("/__sandbox/b", PATH)


def test_an_invalid_sandbox_name_is_refused_without_faults_and_journal(sandboxes):
    passed, response = chosen(sandboxes, PATH, {"mock-central-sandbox": "a b"})
    assert passed is None
    assert response.header("Mock-Central-Rule") == "sandbox"


@pytest.mark.parametrize("path", ["/__admin", "/__admin/health", "/__sandbox/a/__admin/health"])
def test_control_calls_skip_faults_and_journal(sandboxes, path):
    assert chosen(sandboxes, path) == (None, ELSEWHERE)


# -- faults ------------------------------------------------------------------------------------------


class NotedEnds(Connections):
    """Records the connections to end, and ends none."""

    def __init__(self):
        self.ends = []

    def reset(self, origin):
        self.ends.append(("reset", origin))
        return super().reset(origin)._replace(body=b"")

    def truncated(self, origin, whole):
        self.ends.append(("truncated", origin))
        return iter([whole[:5]])


def met(fault, **request):
    """Return the exchange and the answer of a request with an injected fault."""
    asked = exchange(faults=(parse(fault),), **request)
    connections = NotedEnds()
    layer = InjectFaults(connections)
    return asked, layer(always(Response(200, JSON_HEADERS, b"0123456789")))(asked), connections.ends


def test_an_operation_like_no_other_is_refused_with_the_commands_that_list_them():
    gateway = Api().app.gateway
    with pytest.raises(FaultError, match="is not an operation; `mock-central routes` and `companions` list them"):
        gateway.require_operation("zzz")


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [(PATH, ("GetImageIntegrations", "")), ("/v1/ping", ("GET /v1/ping", "")), ("/v1/other", ("", ""))],
)
def test_a_request_belongs_to_an_operation_or_a_companion_or_neither(path, endpoint):
    assert instance().endpoint(Request("GET", path)) == endpoint


def test_without_faults_a_request_passes():
    asked = exchange()
    assert InjectFaults()(FINE)(asked) == FINE(asked)
    assert asked.fault is None


def test_a_code_becomes_an_early_refusal():
    asked, _, _ = met("code=503")
    assert asked.refusal.status == 503
    assert str(asked.fault) == "code=503"


@pytest.mark.parametrize(
    ("fault", "body", "cut"),
    [
        ("fault=empty", b"", []),
        ("fault=reset", b"", [("reset", None)]),
        ("fault=truncated", b"01234", [("truncated", None)]),
    ],
)
def test_a_broken_answer_has_its_own_length(fault, body, cut):
    _, response, cuts = met(fault)
    assert (response.bytes, cuts) == (body, cut)
    assert response.header("Content-Length") == {"fault=empty": "0", "fault=reset": "1"}.get(fault, "10")


def test_an_impossible_reset_is_refused_and_changes_nothing():
    class Unable(Connections):
        def refusal_of_reset(self, _origin):
            return Refusal("fault", 501, 12, "no way")

    asked = exchange(faults=(parse("fault=reset"),))
    assert InjectFaults(Unable())(FINE)(asked) == FINE(asked)
    assert asked.refusal.status == 501


def test_garbage_does_not_say_that_it_is_compressed():
    asked = exchange(faults=(parse("fault=garbage"),))
    response = InjectFaults()(always(Response(200, (("Content-Encoding", "gzip"),), b"0123")))(asked)
    assert response.header("Content-Encoding") is None


def test_garbage_is_not_json():
    response = met("fault=garbage")[1]
    assert len(response.bytes) == int(response.header("Content-Length")) == 16
    with pytest.raises(ValueError, match="utf-8"):
        json.loads(response.bytes)


def test_without_a_server_a_cut_connection_fails_in_the_body():
    asked = exchange(faults=(parse("fault=truncated"),))
    body = InjectFaults()(always(Response(200, (), b"0123")))(asked).body
    assert next(body) == b"01"
    with pytest.raises(Cut):
        next(body)


@pytest.mark.parametrize(("name", "is_met"), [("a*", True), ("b*", False)])
def test_a_fault_is_limited_by_the_name_that_is_sent(name, is_met):
    asked, _, _ = met(f"code=503 name={name}", method="POST", body={"name": "a docker"})
    assert (asked.refusal is not None) is is_met


def test_a_fault_by_operation_also_matches_companions():
    assert met('operation="GET /v1/ping" code=503', path="/v1/ping")[0].refusal is not None
    assert met("GetImageIntegration code=503", path=f"{PATH}/x")[0].refusal is not None
    assert met("GetImageIntegration code=503")[0].refusal is None


def test_a_missing_body_is_refused_if_a_fault_needs_it():
    asked = exchange("POST", faults=(parse("code=503 name=a"),))
    asked.request = asked.request._replace(body=Body(raising(Refusal("http", 408, 4, "late")), 5))
    InjectFaults()(FINE)(asked)
    assert asked.refusal.status == 408


def test_an_applied_preference_is_reported_and_an_invalid_one_refused():
    asked = exchange(headers={"prefer": "delay=0"})
    assert InjectFaults()(FINE)(asked).header("Preference-Applied") == "delay=0"
    asked = exchange(headers={"prefer": "code=99"})
    assert InjectFaults()(FINE)(asked).header("Preference-Applied") is None
    assert asked.refusal.rule == "prefer"


def test_a_preflight_meets_no_fault():
    preflight = {"access-control-request-method": "POST"}
    assert met("code=503", method="OPTIONS", headers=preflight)[0].refusal is None


# -- the request journal -----------------------------------------------------------------------------


def test_the_journal_keeps_requests_and_answers():
    asked = exchange("POST", body=docker(), empty=True)
    answer_in_sandbox(asked)
    (entry,) = asked.sandbox.journal.found()
    assert (entry.method, entry.path, entry.operation, entry.status) == ("POST", PATH, "PostImageIntegration", 200)
    assert json.loads(entry.body) == docker()
    assert json.loads(entry.answer)["name"] == docker()["name"]


def test_the_journal_passes_streams_through_and_keeps_only_bodies_of_operations():
    asked = exchange(body=b"unread")
    asked.sandbox.instance.answer = always(Response(200, (), iter([b"a"])))
    response = answer_in_sandbox(asked)
    (entry,) = asked.sandbox.journal.found()
    assert (entry.body, entry.answer) == (b"", b"")
    assert response.bytes == b"a"


def test_a_journal_can_be_turned_off():
    asked = exchange(journal=0)
    assert answer_in_sandbox(asked).status == 200
    assert asked.sandbox.journal is None


# -- paths -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/v1//x", "/s/v1/x?q"),
        ("//v1/x/", "/s/v1/x/?q"),
        ("/v1/./a b", "/s/v1/a%20b?q"),
        ("/v1//$&+,:;=@!'()*~", "/s/v1/$&+,:;=@!'()*~?q"),
        ("/v1/\xc3\xa9//x", "/s/v1/%C3%A9/x?q"),
        ("/v1/x", None),
        ("/v1/x..y/.z", None),
        ("/x//y", "/s/x/y?q"),
        ("/__admin//y", None),
    ],
)
def test_the_path_is_cleaned(path, location):
    asked = exchange(path=path, query="q")
    asked.request = asked.request._replace(prefix="/s")
    response = clean_path(FINE)(asked)
    assert (response.status, response.header("Location")) == ((307, location) if location else (200, None))


@pytest.mark.parametrize(
    ("target", "status"), [("/v1/x%2F%2Fy?q", 200), ("/v1/%2E%2e/y", 200), ("/v1/x%2F/%2Fy", 200), ("/v1//x%2F/y", 307)]
)
def test_escaped_dots_and_slashes_stay(target, status):
    asked = exchange(path=unquote(target.partition("?")[0]))
    asked.request = asked.request._replace(target=target)
    assert clean_path(FINE)(asked).status == status


@pytest.mark.parametrize(
    ("version", "status", "phrase"), [("5.0", 307, "Temporary Redirect"), ("4.8", 301, "Moved Permanently")]
)
def test_a_redirect_has_a_body_only_for_get(version, status, phrase):
    found = {
        method: clean_path(FINE)(exchange(method, "/v1//&", central_version=version))
        for method in ("GET", "HEAD", "POST")
    }
    assert {each.status for each in found.values()} == {status}
    assert [each.header("Content-Type") for each in found.values()] == [*["text/html; charset=utf-8"] * 2, None]
    assert [each.body for each in found.values()] == [f'<a href="/v1/&amp;">{phrase}</a>.\n\n'.encode(), b"", b""]


# -- pages in a browser ------------------------------------------------------------------------------

PREFLIGHT = {"origin": "http://page", "access-control-request-method": "PUT", "access-control-request-headers": "a, b"}


def test_a_preflight_is_answered_first():
    response = allow_origin("http://page", raising(AssertionError))(exchange("OPTIONS", headers=PREFLIGHT))
    assert (response.status, response.body) == (204, b"")
    assert response.header("Access-Control-Allow-Headers") == "a, b"
    assert response.header("Access-Control-Allow-Origin") == "http://page"


@pytest.mark.parametrize(("origin", "vary"), [("*", 1), ("http://page", 2)])
def test_a_page_may_read_every_answer(origin, vary):
    response = allow_origin(origin, FINE)(exchange())
    assert response.header("Access-Control-Allow-Origin") == origin
    assert [name for name, _ in response.headers].count("Vary") == vary


def test_an_asterisk_does_not_allow_control_calls():
    asked = exchange("OPTIONS", "/__admin/state", headers=PREFLIGHT)
    assert allow_origin("*", FINE)(asked) == FINE(asked)
    assert allow_origin("http://page", FINE)(asked).status == 204


@pytest.mark.parametrize(
    ("allowed", "headers", "named"),
    [
        ("http://other", PREFLIGHT, "http://page"),
        ("http://other", {"access-control-request-method": "PUT"}, "another origin"),
        ("http://other", {"origin": "http://page"}, ""),
        ("http://page", PREFLIGHT, ""),
        ("*", PREFLIGHT, ""),
    ],
)
def test_a_preflight_of_another_origin_is_logged_with_a_fix(caplog, allowed, headers, named):
    allow_origin(allowed, FINE)(exchange("OPTIONS", headers=headers))
    fix = f"refused a cross-origin call from a page of {named}; --cors {named} allows it"
    assert caplog.messages == ([fix] if named else [])


# -- encoding ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [GZIP_FROM - 1, GZIP_FROM])
def test_an_answer_is_compressed_from_1400_bytes_on(size):
    body = b'"' + b"x" * (size - 2) + b'"'
    response = encode(always(Response(200, JSON_HEADERS, body)))(exchange(headers={"accept-encoding": "gzip"}))
    is_zipped = response.header("Content-Encoding") == "gzip"
    assert is_zipped is (size == 1400)
    assert (gzip.decompress(response.body) if is_zipped else response.body) == body
    assert response.header("Content-Length") == str(len(response.body))


def test_equal_answers_are_compressed_to_equal_bytes(monkeypatch):
    asked, answer = exchange(headers={"accept-encoding": "gzip"}), always(Response(200, (), b"x" * 2000))
    first = encode(answer)(asked)
    monkeypatch.setattr(time, "time", lambda: 4_000_000_000.0)
    assert encode(answer)(asked) == first


def test_a_final_body_is_not_encoded():
    final = Response(200, (), iter([b"{}"]), is_final=True)
    asked = exchange(query="pretty")
    asked.violations = ("one",)
    assert encode(always(final))(asked) is final


def test_an_answer_is_indented_on_request_and_warns_of_violations():
    asked = exchange(query="pretty")
    asked.violations = ("one\n", "two")
    response = encode(FINE)(asked)
    assert response.body == b'{\n  "a": 1\n}'
    assert response.header("Mock-Central-Warning") == "one%0A; two"


def test_an_answer_to_head_has_only_the_length():
    response = encode(FINE)(exchange("HEAD"))
    assert (response.body, response.header("Content-Length")) == (b"", "7")


# -- errors ------------------------------------------------------------------------------------------


def errors(explain_preflights=True):
    mock = instance()
    return AnswerErrors(mock.central.rendering, Rules(CONTRACT), explain_preflights=explain_preflights)


@pytest.mark.parametrize(
    ("error", "status", "rule"),
    [
        (Rules(CONTRACT).refusal("get-missing", id="x"), 404, "get-missing"),
        (BodyTooLongError(5), 429, "message-size"),
        (KeyError("private"), 500, "panic"),
    ],
    ids=lambda each: str(each)[:20],
)
def test_exceptions_are_answered_in_central_s_shape(error, status, rule):
    asked = exchange()
    response = errors()(raising(error))(asked)
    assert (response.status, response.header("Mock-Central-Rule"), asked.rule) == (status, rule, rule)
    assert list(json.loads(response.body)) == ["code", "message", "details", "error"]
    assert b"private" not in response.body


def test_the_memory_of_a_refused_request_is_freed_at_once():
    needed = []

    def refuse(_exchange):
        variable = {1}
        needed.append(weakref.ref(variable))
        Rules(CONTRACT).refuse("get-missing", id="x")

    errors()(refuse)(exchange())
    assert needed[0]() is None


def test_a_rule_refuses_with_its_values_if_the_release_has_it():
    with pytest.raises(Refusal) as raised:
        Rules(CONTRACT).refuse("get-missing", id="x")
    assert raised.value.args == Rules(CONTRACT).refusal("get-missing", id="x").args
    Rules(CONTRACT).refuse("no-such-rule")


def test_a_preflight_without_an_origin_is_explained_too(caplog):
    headers = {"access-control-request-method": "PUT"}
    errors()(raising(Refusal("x", 501, 12, "no")))(exchange("OPTIONS", headers=headers))
    assert "refused a cross-origin call from a page of another origin; " in caplog.text


def test_a_fatal_answer_contract_error_is_raised():
    with pytest.raises(AnswerContractError):
        errors()(raising(AnswerContractError("broken")))(exchange())


def test_a_refusal_that_is_not_a_status_breaks_the_contract(monkeypatch):
    rendering = instance(fatal_answers=True).central.rendering
    monkeypatch.setattr(rendering, "validator", SimpleNamespace(accepts=lambda *_, **__: False))
    with pytest.raises(AnswerContractError, match=r"\$: does not match GooglerpcStatus$"):
        rendering.error_answer(Refusal("token-invalid", 401, 16, "no"))


def test_an_integration_that_breaks_the_contract_is_reported_by_its_name(monkeypatch):
    rendering = instance(fatal_answers=True).central.rendering
    monkeypatch.setattr(rendering, "validator", SimpleNamespace(accepts=lambda *_, **__: False))
    monkeypatch.setattr(rendering, "in_clear", True)
    with pytest.raises(
        AnswerContractError, match=r"^the mock's answer .*: \$: does not match StorageImageIntegration$"
    ):
        rendering.read_answer(docker())
    with pytest.raises(
        AnswerContractError, match=r"^the mock's answer .*: \$: does not match StorageImageIntegration$"
    ):
        rendering.create_answer(docker(), b"", docker())


def test_an_answer_that_breaks_the_contract_is_logged_and_sent(monkeypatch, caplog):
    rendering = instance(fatal_answers=False).central.rendering
    monkeypatch.setattr(rendering, "validator", SimpleNamespace(accepts=lambda *_, **__: False))
    assert b'"no"' in rendering.error_answer(Refusal("token-invalid", 401, 16, "no"))
    assert caplog.messages == ["the mock's answer breaks the contract: $: does not match GooglerpcStatus"]


def test_a_401_has_www_authenticate():
    response = errors()(raising(Refusal("token-invalid", 401, 16, "a\nb")))(exchange())
    assert response.header("WWW-Authenticate") == "a%0Ab"


@pytest.mark.parametrize("explain", [True, False])
def test_a_refused_preflight_is_explained(caplog, explain):
    errors(explain)(raising(Refusal("x", 501, 12, "no")))(exchange("OPTIONS", headers=PREFLIGHT))
    assert ("--cors http://page allows it" in caplog.text) is explain


# -- routing -----------------------------------------------------------------------------------------


def routed(method="GET", path=PATH, **more):
    """Return the operation and id that the router found, or the rule that refused."""
    asked = exchange(method, path, **more)
    answer = route(Routes(CONTRACT), Rules(CONTRACT), lambda _: ELSEWHERE, FINE)
    try:
        response = answer(asked)
    except Refusal as refusal:
        return refusal.rule
    return "elsewhere" if response is ELSEWHERE else (asked.operation.id, asked.id)


ROUTED = {
    ("GET", PATH): ("GetImageIntegrations", ""),
    ("GET", f"{PATH}/"): ("GetImageIntegration", ""),
    ("GET", f"{PATH}/a b"): ("GetImageIntegration", "a b"),
    ("GET", f"{PATH}/\xc3\xa9"): ("GetImageIntegration", "é"),
    ("GET", f"{PATH}/test"): ("GetImageIntegration", "test"),
    ("POST", f"{PATH}/test"): ("TestImageIntegration", ""),
    ("POST", f"{PATH}/test/updated"): ("TestUpdatedImageIntegration", ""),
    ("GET", f"{PATH}/test/updated"): "method-not-allowed",
    ("HEAD", PATH): "method-not-allowed",
    ("OPTIONS", f"{PATH}/x"): "method-not-allowed",
    ("get", PATH): "method-not-allowed",
    ("BREW", f"{PATH}/"): "method-not-allowed",
    ("GET", f"{PATH}/a/b"): "unknown-route",
    ("POST", f"{PATH}/test/"): "unknown-route",
    ("GET", f"{PATH}x"): "elsewhere",
    ("GET", "/v1/ping"): "elsewhere",
}


@pytest.mark.parametrize(("request_", "found"), ROUTED.items(), ids=str)
def test_every_path_and_method_below_the_collection_is_routed(request_, found):
    assert routed(*request_) == found


def test_a_form_names_another_method():
    headers = {"x-http-method-override": "get", "content-type": FORM}
    assert routed("POST", PATH, headers=headers, body=b"name=x") == ("GetImageIntegrations", "")
    assert routed("POST", PATH, headers=headers | JSON) == ("PostImageIntegration", "")


def test_a_form_that_names_another_method_becomes_its_query():
    form = {"x-http-method-override": "get", "content-type": FORM}
    asked = exchange("POST", headers=form, query="cluster=y", body=b"name=x")
    override_method(asked)
    assert (asked.request.method, asked.request.query) == ("GET", "name=x&cluster=y")
    assert (asked.request.body.read(), asked.body) == (b"", b"")


def test_an_early_refusal_is_raised_once_the_operation_is_known():
    asked = exchange("POST", body=b"{}")
    asked.refusal = Refusal("fault", 503, 14, "no")
    answer = route(Routes(CONTRACT), Rules(CONTRACT), raising(AssertionError), raising(AssertionError))
    with pytest.raises(Refusal, match="no"):
        answer(asked)
    assert (asked.operation.id, asked.body) == ("PostImageIntegration", b"{}")


def with_health():
    """Return a copy of the contract with an operation below an item."""
    document = deepcopy(dict(CONTRACT.source))
    get = document["paths"][f"{PATH}/{{id}}"]["get"]
    document["paths"][f"{PATH}/{{id}}/health"] = {"get": {**get, "operationId": "GetHealth"}}
    return Contract(document)


def test_the_matcher_finds_an_id_anywhere_in_a_path():
    routes = Routes(with_health())
    assert routes.match("GET", f"{PATH}/x/health")[0].id == "GetHealth"
    assert routes.match("GET", f"{PATH}/x/health").id == "x"
    assert routes.match("GET", f"{PATH}//health").id == ""
    assert routes.match("GET", f"{PATH}/health").operation.id == "GetImageIntegration"
    assert routes.match("GET", f"{PATH}/a/b/health") is None
    assert routes.match("PUT", f"{PATH}/x/health") is None
    assert routes.has_path(f"{PATH}/x/health")
    assert not routes.has_path(f"{PATH}/x/sickness")


def test_a_mock_does_not_start_with_an_operation_without_a_handler():
    with pytest.raises(ValueError, match="operations without a handler \\['GetHealth'\\]"):
        instance(with_health())


# -- operations --------------------------------------------------------------------------------------


def operation(id, **more):
    asked = exchange(**more)
    asked.operation = CONTRACT.operations[id]
    return asked


def test_a_body_is_decoded_with_its_violations():
    asked = operation("PostImageIntegration", method="POST", body=docker(made_up=1))
    decode(FINE)(asked)
    assert asked.message["docker"]["insecure"] is False
    assert [str(each) for each in asked.violations] == ["$.made_up: is not a field of the contract"]


def test_the_query_of_a_list_is_decoded():
    asked = operation("GetImageIntegrations", query="name=a+b&x=y")
    decode(FINE)(asked)
    assert asked.filters[:2] == ("a b", "")
    assert [str(each) for each in asked.violations] == ["?x: is not a parameter of the contract"]


def test_grpc_is_refused_before_the_body_is_read():
    asked = operation("PostImageIntegration", method="POST", headers={"content-type": "application/grpc+proto"})
    asked.request = asked.request._replace(body=Body(raising(AssertionError), 5))
    with pytest.raises(Refusal, match="downgraded"):
        asked.sandbox.instance.route(decode(FINE))(asked)


def test_credentials_are_checked_after_the_body():
    asked = operation("PostImageIntegration", method="POST", body=b"{", auth=True)
    answer = decode(serve)
    with pytest.raises(Refusal) as caught:
        answer(asked)
    assert caught.value.rule == "body-truncated"
    asked = operation("PostImageIntegration", method="POST", body=docker(), auth=True)
    with pytest.raises(Refusal) as caught:
        answer(asked)
    assert caught.value.rule == "credentials-missing"


def test_full_validation_checks_accepted_requests_with_openapi_core(monkeypatch):
    asked = operation("PostImageIntegration", method="POST", body=docker(), validation="full")
    central, seen = asked.sandbox.central, []
    monkeypatch.setattr(central.decoding, "violations", lambda *values: seen.append(values) or ("found",))
    decode(validate_request(central, FINE))(asked)
    assert len(seen) == 1
    assert asked.violations == ("found",)


@pytest.mark.parametrize(
    ("id", "body", "is_broken"),
    [
        ("GetImageIntegrations", b'{"integrations":[]}', False),
        ("GetImageIntegrations", b'{"integrations":5}', True),
        (None, b"nothing of ours", False),
    ],
)
def test_full_validation_checks_the_answers_of_operations(monkeypatch, id, body, is_broken):
    asked = exchange(validation="full")
    asked.operation = CONTRACT.operations[id] if id else None
    central, found = asked.sandbox.central, []
    monkeypatch.setattr(central.rendering, "answer_broken", found.append)
    validate_answer(central, always(Response(200, JSON_HEADERS, body)))(asked)
    assert bool(found) is is_broken


# -- the whole ---------------------------------------------------------------------------------------


@pytest.fixture
def gateway():
    return Gateway(instance(empty=True), made)


def test_an_operation_is_answered_without_a_socket_wsgi_or_flask(gateway):
    created = gateway(Request("POST", PATH, "", JSON, sent(docker())))
    assert created.status == 200
    id = json.loads(created.body)["id"]
    assert gateway(Request("GET", f"{PATH}/{id}")).body == created.body
    assert gateway(Request("DELETE", f"{PATH}/{id}")).body == b"{}"
    assert gateway(Request("GET", f"{PATH}/{id}")).status == 404
    assert gateway(Request("GET", "/other")) is ELSEWHERE
    assert [each.status for each in gateway.sandboxes.default.journal.found()] == [200, 200, 200, 404, 418]


def test_an_added_layer_sees_requests_first_and_answers_last(gateway):
    seen = []

    def stamped(proceed):
        def answer(exchange):
            seen.append(exchange.request.path)
            return proceed(exchange).with_header("X-Stamp", "1")

        return answer

    gateway.add_layer(stamped)
    for path in (PATH, "/v1//x", "/__admin/health", "/other"):
        assert gateway(Request("GET", path)).header("X-Stamp") == "1"
    assert seen == [PATH, "/v1//x", "/__admin/health", "/other"]


def test_a_layer_is_inserted_at_its_place(gateway):
    home, seen = gateway.home, []

    def layer(proceed):
        return lambda exchange: seen.append(exchange.operation) or proceed(exchange)

    home.insert(layer)
    home.insert(layer, behind=home.route)
    gateway(Request("GET", PATH))
    assert seen == [None, CONTRACT.operations["GetImageIntegrations"]]


def test_a_gateway_is_renewed_with_or_without_its_state(gateway):
    gateway(Request("POST", PATH, "", JSON, sent(docker())))
    other = Gateway(instance(empty=True, central_version="4.8"), made)
    gateway.renew(other, keep_state=True)
    assert (gateway.home, len(gateway.sandboxes.default.central.store)) == (other.home, 1)
    gateway.renew(Gateway(instance(empty=True), made), keep_state=False)
    assert len(gateway.sandboxes.default.central.store) == 0


def test_a_fault_suggests_similar_operations(gateway):
    gateway.require_operation("GetImageIntegration")
    gateway.require_operation("GET /v1/ping")
    with pytest.raises(ValueError, match="did you mean GetImageIntegration"):
        gateway.require_operation("GetImageIntegratio")


@pytest.mark.served
def test_no_module_behind_the_edge_imports_a_framework_or_a_server():
    code = (
        "import sys, mock_server.gateway.gateway, mock_server.gateway.instance; "
        "print([name for name in ('flask', 'werkzeug', 'granian', 'wsgiref') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
