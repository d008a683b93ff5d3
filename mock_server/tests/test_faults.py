"""Injected faults: refusals, delays and broken answers, by header, option or control call."""

import http.client
import json
import socket
import ssl
import statistics
import struct
import threading
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import fields
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.serving import make_server

from mock_server.central.delays import drawn
from mock_server.gateway import faults
from mock_server.gateway.exchange import Exchange
from mock_server.gateway.faults import Cut
from mock_server.gateway.messages import Request, Response
from mock_server.serving.server import serving
from mock_server.simulation import fault_forms
from mock_server.simulation.fault_forms import SUPPORTED, from_values, parse, preferences
from mock_server.simulation.faults import ANSWER_FAULTS, Fault, FaultError, RequestFacts
from mock_server.tests.conftest import PATH, Api, ask, docker
from mock_server.tests.test_cli import serve_command, url_in
from mock_server.web import wsgi
from mock_server.web.control import document

pytestmark = pytest.mark.usefixtures("pages")


def preferring(api, preference, method="GET", rest="", body=None):
    return api.ask(method, rest, body, {"Prefer": preference})


# -- asking by header --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "grpc"),
    [(400, 3), (401, 16), (403, 7), (404, 5), (409, 6), (418, 2), (429, 8), (500, 13), (503, 14), (504, 4), (599, 2)],
)
def test_a_code_is_answered_in_the_error_shape_of_central(api, code, grpc):
    answer = preferring(api, f"code={code}")
    assert (answer.status, answer.json["code"], answer.rule) == (code, grpc, "fault")
    assert answer.json["error"] == answer.json["message"]
    assert answer.headers["preference-applied"] == f"code={code}"
    assert ("www-authenticate" in answer.headers) == (code == 401)


def test_a_code_replaces_the_reason_of_an_upstream():
    exchange = Exchange(Request("GET", PATH), SimpleNamespace())
    found = faults.shaped(Response(200, reason="Fine"), parse("code=503 execute=true text=x"), exchange)
    assert (found.status, found.reason) == (503, "")


def test_a_refused_request_changes_nothing(api):
    assert preferring(api, "code=503", "POST", "", docker()).status == 503
    assert len(api.list()) == 12


def test_every_request_can_be_refused(api):
    for method, rest in (("PUT", "/x"), ("PATCH", "/x"), ("DELETE", "/x"), ("POST", "/test"), ("GET", "/no/route")):
        assert preferring(api, "code=503", method, rest, {}).status == 503


@pytest.mark.parametrize("code", ["abc", "199", "600", "", "40 4", "-1"])
def test_an_invalid_code_is_reported(api, code):
    answer = preferring(api, f"code={code}")
    assert (answer.status, answer.json["code"], answer.rule) == (400, 3, "prefer")
    assert answer.message.startswith("Prefer: code=")
    assert "preference-applied" not in answer.headers


@pytest.mark.parametrize(
    "header", ["code: 503", "code 503", 'json={"a":1}', 'html=<a href="x">', 'wait=5, code="503', "delay: 1, code=503"]
)
def test_an_invalid_preference_is_reported(api, header):
    answer = preferring(api, header)
    assert (answer.status, answer.rule) == (400, "prefer")
    assert "in double quotes, such as" in answer.message


def test_a_preference_that_the_server_emptied_is_logged(api, caplog):
    """granian empties a header that is not ASCII."""
    assert preferring(api, "").status == 200
    message = "ignored Prefer: it is empty or not ASCII; POST /__admin/faults accepts other characters"
    assert caplog.messages[0] == message


def test_an_invalid_preference_does_not_hide_the_next_one(api, caplog):
    with caplog.at_level("INFO", "mock_central"):
        assert preferring(api, "handling lenient, code=503").status == 503
    assert caplog.messages[0] == "ignored unknown preferences of Prefer: handling lenient"


def test_prefer_sets_several_headers(api):
    answer = preferring(api, 'code=429, header="Retry-After: 5", header="X-Reason: busy"')
    assert (answer.headers["retry-after"], answer.headers["x-reason"]) == ("5", "busy")


def test_a_body_at_the_nesting_limit_matches_no_fault():
    api = Api(fatal_answers=False)
    ask(api.app, "POST", "/__admin/faults", {"code": 503, "match-json": {"$": "x"}})
    statuses = {api.ask("POST", "", b'{"a":' * levels + b"1" + b"}" * levels).status for levels in range(940, 1000)}
    assert statuses == {400}


def test_another_servers_preference_is_ignored_and_logged(api, caplog):
    with caplog.at_level("INFO", "mock_central"):
        answer = preferring(api, "respond-async, wait=10")
    assert answer.status == 200
    assert "preference-applied" not in answer.headers
    assert "respond-async, wait" in caplog.text


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("code=503", Fault(code=503)),
        ('Code="503"', Fault(code=503)),
        ("delay=2 , code = 503", Fault(code=503, delay="2")),
        ("wait=1; x=y, code=503;foo=bar", Fault(code=503)),
        ("code=503, code=404", Fault(code=503)),
        ('delay="exponential(0.5)"', Fault(delay="exponential(0.5)")),
        ('delay="normal(1,2)", foo', Fault(delay="normal(1,2)")),
        ("fault=reset", Fault(fault="reset")),
        ("respond-async", None),
        ("", None),
    ],
)
def test_the_header_is_read_as_the_rfc_says(header, fault):
    assert preferences(header).fault == fault


@given(st.text(max_size=40))
def test_any_header_is_read_or_refused(header):
    try:
        assert isinstance(preferences(header).unknown, tuple)
    except FaultError:
        assert any(each in header.lower() for each in SUPPORTED)


# -- delays ------------------------------------------------------------------------------------------


def test_a_delay_delays(api):
    started = time.monotonic()
    assert preferring(api, "delay=0.2").headers["preference-applied"] == "delay=0.2"
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize(
    ("delay", "median"),
    [("2", 2), ("1..3", 2), ("exponential(2)", 1.386), ("normal(2,0.1)", 2), ("lognormal(2, 0.5)", 2)],
)
def test_a_delay_is_drawn_from_its_distribution(delay, median):
    found = [drawn(delay) for _ in range(4000)]
    assert statistics.median(found) == pytest.approx(median, rel=0.1)
    assert min(found) >= 0
    assert (len(set(found)) > 1) == (delay != "2")


@pytest.mark.parametrize("delay", ["-1", "x", "1..", "exponential()", "2s", "1e9", "lognormal(1)"])
def test_an_invalid_delay_is_reported_with_valid_forms(delay):
    with pytest.raises(ValueError, match=r"LOW\.\.HIGH"):
        drawn(delay)


@pytest.mark.parametrize(
    "delay", ["lognormal(1,99999)", f"0..{'9' * 400}", "9" * 400, f"normal(1,0.{'1' * 400})"], ids=range(4)
)
def test_a_number_that_is_too_large_is_refused_by_name(api, delay):
    answer = preferring(api, f'delay="{delay}"')
    assert (answer.status, answer.rule) == (400, "prefer")
    assert delay in answer.message


@pytest.mark.parametrize("delay", ["lognormal(999999999,20)", "exponential(999999999)", "0..999999999"])
def test_the_largest_numbers_draw_a_delay(delay):
    assert all(0 <= drawn(delay) <= 300 for _ in range(1000))


def test_no_delay_is_negative():
    assert min(drawn("normal(0.1,10)") for _ in range(200)) == 0.0


def test_no_delay_lasts_for_ever():
    assert drawn("999999") == 300


# -- limits ------------------------------------------------------------------------------------------


def test_a_fault_applies_twice():
    api = Api(faults=(parse("PostImageIntegration code=503 times=2"),))
    assert [api.create(docker()).status for _ in range(3)] == [503, 503, 200]
    assert api.ask("GET").status == 200


def test_every_third_request_fails():
    api = Api(faults=(parse("code=500 every=3"),))
    assert [api.ask("GET").status for _ in range(7)] == [200, 200, 500, 200, 200, 500, 200]


def test_a_fault_is_limited_by_path():
    api = Api(faults=(parse("path=*/imageintegrations/10d3* code=404"),))
    assert api.get("10d3b4dc-8295-41bc-bb50-6da5484cdb1a").status == 404
    assert api.get("f6ce8982-1a75-4430-96f3-9b22b4b66604").status == 200


def test_a_fault_is_limited_by_the_name_of_the_integration():
    api = Api(faults=(parse("name='bad *' code=500"),))
    assert api.create(docker(name="bad luck")).status == 500
    id = api.created(docker(name="good"))
    assert api.get(id).status == 200
    assert (
        api.patch(id, docker(name="bad luck"), update_password=True).status == 200
    )  # the fault matches the stored name
    assert [api.get(id).status, api.put(id, docker()).status, api.delete(id).status] == [500] * 3
    assert api.ask("GET", "?name=bad+one").status == 500
    assert api.test_updated(docker(name="bad one"), update_password=True).status == 500
    assert api.ask("POST", "", b"no JSON").status == 400


def test_the_first_matching_fault_applies():
    api = Api(faults=(parse("code=503 times=1"), parse("code=429")))
    assert [api.ask("GET").status for _ in range(3)] == [503, 429, 429]


def test_a_preference_comes_before_the_faults():
    api = Api(faults=(parse("code=503"),))
    assert preferring(api, "code=404").status == 404


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "KEY=VALUE|a code, delay, fault"),
        ("times=2", "a code, delay, fault"),
        ("fault=rset", "reset, empty"),
        ("code=503 time=2", "times"),
        ("PostImageIntegration code", "KEY=VALUE"),
        ("code=503 times=0", "above 0"),
        ("code=503 every=x", "every=x: is not a whole number"),
        ("code=503 every=-1", "every=-1: is below 0"),
        ("code=503 times=1000000000", "times=1000000000: is above 999999999"),
        ("name='x code=503", "quot"),
        ("code=100", "between 200 and 599"),
        ("code=503 code=500", "code is given twice"),
        ("code=503 match-path=x", "did you mean match-"),
        ("code=503 retries=2", "did you mean times"),
        ("code=503 json={x}", r"""is not JSON; put it in quotes: json='{"a":1}' in --fault, json=.* in Prefer"""),
        ("code=503 html=x text=y", "html and text: an answer has only one body"),
        ("code=204 html=x", "no body"),
        ("code=204 fault=garbage", "fault=garbage: an answer with code=204 has no body; leave out one of them"),
        ("message=x delay=1", "it needs a code of 400 or more"),
        ("code=503 message=x html=y", "no body"),
        ("code=503 file=/no/such/file", "file=/no/such/file: No such file"),
        ("code=503 execute=yes", "true or false"),
        ("delay=1 execute=true", "needs a code"),
        ("code=503 header=Retry-After", "NAME:VALUE, such as 'Retry-After: 5'"),
        ("code=503 header='Retry After: 5'", "not the name of a header"),
        ("code=503 header='Content-Length: 5'", "the server sets Content-Length itself"),
        ('code=503 header="X: a\nb"', "one line"),
        ("code=503 header=Retry-After: 5", "'5': is not KEY=VALUE; put a value with spaces in quotes"),
        ('{"code":503', "is not JSON: Expecting"),
        ('{"cod":503}', "did you mean code"),
        ("code=503 match-json=type=docker", r"a path such as \$"),
        ("code=503 match-query=name", "NAME=VALUE"),
        ("code=503 path=v1/imageintegrations", "matches no path: they begin with /"),
        ("code=503 method='GET /x'", "'GET /x' is not an HTTP method"),
        ("code=503 method=PSOT", "'PSOT' is not an HTTP method; known: .*POST"),
        ("code=503 name=", "name: is empty; leave it out to match every request"),
        ('{"code":503,"operation":""}', "operation: is empty"),
        ('{"code":503,"method":""}', "method: is empty"),
        ("code=503 path=''", "path: is empty"),
        ("delay=5..1", r"^delay=5\.\.1: LOW is above HIGH; give 1\.\.5$"),
        ("delay='lognormal(1, 99)'", r"^delay=lognormal\(1, 99\): the SIGMA 99 is above 20$"),
        ("code=503 match-header='User Agent: x'", "'User Agent' is not the name of a header"),
        ("code=503 json=NaN", "is not JSON"),
        ("code=503 json=1e999", "is not JSON"),
        ("code=503 message=\udcff", "invalid UTF-8"),
        (r"""{"code":503,"json":"\ud800"}""", "is not JSON"),
        ("code=503 file='a\0b'", "give a file that can be read"),
        ('{"headers":5}', "headers=5: is not an object"),
        ('{"headers":[5]}', "headers=5: is not a name and a value"),
        ("code=503 probability=0", "at most 1"),
        ("code=503 probability=2", "at most 1"),
        ("code=503 probability=x", "number such as 0.2"),
        ("code=503 seed=x", "whole number"),
        ("sequence=503,oops", "'oops' is neither a status, ok nor one of reset"),
        ("sequence=503,999", "between 200 and 599"),
        ("sequence=503 times=2", "combined with code or times"),
        ("sequence=503 code=503", "combined with code or times"),
    ],
)
def test_an_invalid_fault_is_reported(text, named):
    with pytest.raises(FaultError, match=named):
        parse(text)


def test_an_unknown_operation_is_reported_with_similar_ones():
    with pytest.raises(FaultError, match="did you mean PostImageIntegration"):
        Api(faults=(parse("PostImageIntegratoin code=503"),))


TEXTS = st.text(st.characters(codec="latin-1", exclude_categories=["C"]), max_size=20).map(str.strip)
ANY_FAULT = (
    st.builds(
        Fault,
        code=st.none() | st.integers(400, 599),
        delay=st.sampled_from(["0", "1..2", "exponential(1)"]),
        fault=st.sampled_from(["", *ANSWER_FAULTS]),
        headers=st.dictionaries(st.sampled_from(["Retry-After", "X-Y"]), TEXTS).map(lambda found: tuple(found.items())),
        operation=st.sampled_from(["", "PostImageIntegration"]),
        method=st.sampled_from(["", "POST"]),
        path=st.sampled_from(["", "/v1/*"]),
        name=TEXTS,
        match_headers=st.dictionaries(st.just("Accept"), TEXTS).map(lambda found: tuple(found.items())),
        match_query=st.dictionaries(st.just("name"), TEXTS).map(lambda found: tuple(found.items())),
        match_json=st.dictionaries(st.just("$.a['b c'][0]"), TEXTS).map(lambda found: tuple(found.items())),
        times=st.none() | st.integers(1, 99),
        every=st.integers(1, 9),
        probability=st.sampled_from([1.0, 0.25]),
        seed=st.none() | st.integers(0, 9),
    )
    | st.builds(
        Fault,
        code=st.just(503),
        execute=st.booleans(),
        json=st.sampled_from(["", '{"a":"b c"}', '"1"', "null", "[1,2]"]),
        sequence=st.just(()),
    )
    | st.builds(Fault, sequence=st.lists(st.sampled_from(["503", "ok", "reset"]), min_size=1).map(tuple), message=TEXTS)
)


@given(ANY_FAULT)
def test_the_text_of_a_fault_can_be_parsed_again(fault):
    assert parse(str(fault)) == fault
    shown = json.loads(json.dumps(fault.shown()))
    assert (
        from_values(shown | ({"json": json.dumps(shown["json"], separators=(",", ":"))} if "json" in shown else {}))
        == fault
    )


# -- answers of one's own ------------------------------------------------------------------------------


def answered(text, *asked, **headers):
    """Send a request to a mock with one fault."""
    return Api(faults=(parse(text),)).ask(*(asked or ("GET",)), headers=headers)


def test_an_error_can_have_a_custom_message():
    answer = answered("code=503 message='Central restarts'")
    assert (answer.status, answer.json["code"], answer.message) == (503, 14, "Central restarts")
    assert answer.json["error"] == answer.message


@pytest.mark.parametrize(
    ("text", "media_type", "body"),
    [
        ("code=503 html='<h1>No</h1>'", "text/html; charset=utf-8", b"<h1>No</h1>"),
        ("code=502 text='bad gateway'", "text/plain; charset=utf-8", b"bad gateway"),
        ("code=503 json='{\"a\": [1]}'", "application/json", b'{"a": [1]}'),
        ("code=200 json=null", "application/json", b"null"),
        ("code=200", "application/json", b"{}"),
        ("html=x", "text/html; charset=utf-8", b"x"),
        ("code=503 html=x execute=true", "text/html; charset=utf-8", b"x"),
        ("code=503 html=x header='Content-Type: text/html'", "text/html", b"x"),
    ],
)
def test_an_answer_can_have_a_custom_body(text, media_type, body):
    answer = answered(text, **{"Accept-Encoding": "gzip"})
    assert (answer.status, answer.headers["content-type"]) == (parse(text).code or 200, media_type)
    assert (answer.body, answer.headers["content-length"]) == (body, str(len(body)))
    assert "content-encoding" not in answer.headers


def test_a_body_comes_from_a_file(tmp_path):
    page = tmp_path / "login.html"
    page.write_bytes(b"<form>\xc3\xa9</form>")
    answer = answered(f"code=200 file={page}")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, page.read_bytes(), "text/html")


def test_no_caller_reads_a_file(api, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    assert ask(api.app, "POST", "/__admin/faults", {"code": 200, "file": str(secret)}).status == 400
    answer = preferring(api, f'code=200, file="{secret}"')
    assert (answer.status, answer.body) == (200, b"{}")


def test_headers_are_set_in_the_answer():
    answer = answered("code=429 header='Retry-After: 5' header='WWW-Authenticate: Basic realm=\"x y\"'")
    assert (answer.status, answer.headers["retry-after"]) == (429, "5")
    assert answer.headers["www-authenticate"] == 'Basic realm="x y"'
    assert answered("header='Cache-Control: max-age=5'").headers["cache-control"] == "max-age=5"
    assert len(answered("header='X-Y: z'").json["integrations"]) == 12


def test_a_header_can_be_repeated():
    fault = parse("code=200 html=x header='Set-Cookie: a=1' header='Set-Cookie: b=2'")
    assert fault.shown()["headers"] == {"Set-Cookie": ["a=1", "b=2"]}
    assert from_values(fault.shown()) == fault
    api = Api(faults=(fault,))
    found = api.app.gateway(Request("GET", PATH, origin={})).headers
    assert [value for name, value in found if name == "Set-Cookie"] == ["a=1", "b=2"]
    added = ask(Api().app, "POST", "/__admin/faults", {"headers": {"Set-Cookie": ["a=1", "b=2"]}})
    assert added.json["headers"] == {"Set-Cookie": ["a=1", "b=2"]}


def test_no_log_shows_credentials_that_a_fault_matches(caplog):
    api = Api(faults=(parse("code=503 match-header='Authorization: Bearer s3cret' header='Set-Cookie: sid=s3cret'"),))
    with caplog.at_level("INFO"):
        assert api.ask("GET", headers={"Authorization": "Bearer s3cret"}).status == 503
    assert "Authorization: Bearer ******" in caplog.text
    assert "s3cret" not in caplog.text
    assert "s3cret" not in str(ask(api.app, "GET", "/__admin/requests").body)


@pytest.mark.parametrize("code", [204, 205, 304, 301, 302])
def test_some_statuses_have_no_body(code):
    answer = answered(f"code={code} header='Location: /login'")
    assert (answer.status, answer.body, answer.headers["location"]) == (code, b"", "/login")


def test_an_answer_to_head_has_only_headers():
    answer = answered("code=503 text=four", "HEAD")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (503, b"", "4")


def test_an_after_fault_runs_the_request_before_it_refuses():
    api = Api(faults=(parse("PostImageIntegration code=504 execute=true message='upstream timed out'"),))
    answer = api.create(docker(name="made"))
    assert (answer.status, answer.json["code"], answer.message) == (504, 4, "upstream timed out")
    assert answer.headers["content-type"] == "application/json"
    assert "made" in [each["name"] for each in api.list()]
    assert api.app.gateway.sandboxes.default.journal.found()[0].status == 504


def test_an_error_can_be_broken_too():
    answer = answered("code=503 fault=garbage")
    assert answer.status == 503
    with pytest.raises(ValueError, match=r"utf-8|JSON"):
        json.loads(answer.body)
    assert answered("code=503 fault=empty").body == b""
    with pytest.raises(Cut):
        answered("code=503 fault=reset")


def test_a_request_whose_connection_is_reset_with_a_code_is_not_carried_out():
    api = Api(faults=(parse("PostImageIntegration code=503 fault=reset"),))
    with pytest.raises(Cut):
        api.create(docker(name="unmade"))
    assert "unmade" not in [each["name"] for each in api.list()]


def test_the_header_shapes_an_answer(api):
    answer = preferring(api, 'code=429, message="slow down, \\"you\\"", header="Retry-After: 5"')
    assert (answer.status, answer.message, answer.headers["retry-after"]) == (429, 'slow down, "you"', "5")
    assert answer.headers["preference-applied"] == ('code=429, message="slow down, \\"you\\"", header="Retry-After: 5"')
    answer = preferring(api, 'json="{\\"a\\":1}", code=200')
    assert (answer.status, answer.body) == (200, b'{"a":1}')


def test_a_redirect_before_a_fault_stays_a_redirect():
    answer = ask(Api(faults=(parse("code=503 html=x"),)).app, "GET", "/v1//imageintegrations")
    assert (answer.status, answer.body) != (503, b"")


# -- which requests meet it ----------------------------------------------------------------------------


def test_a_fault_is_limited_by_the_method():
    api = Api(faults=(parse("method=post code=503"),))
    assert [api.ask("GET").status, api.create(docker()).status] == [200, 503]


def test_a_fault_is_limited_by_a_header():
    api = Api(faults=(parse("code=503 match-header='User-Agent: roxctl*' match-header='X-Y: 1'"),))
    found = [api.ask("GET", headers=each).status for each in ({}, {"User-Agent": "roxctl/4", "x-y": "1"}, {"X-Y": "1"})]
    assert found == [200, 503, 200]


def test_a_fault_is_limited_by_the_query():
    api = Api(faults=(parse("code=503 match-query=name=acme* match-query=cluster=c"),))
    found = [api.ask("GET", query).status for query in ("", "?name=acme+1", "?name=acme+1&cluster=c", "?cluster=c")]
    assert found == [200, 200, 503, 200]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("$.type=docker", 503),
        ("$.type=quay", 200),
        ("$.docker.endpoint=*.corp", 503),
        ("$['docker']['endpoint']=*.corp", 503),
        ("$.categories[0]=REG*", 503),
        ("$.categories[1]=*", 200),
        ("$.docker.insecure=true", 503),
        ("$.docker.username=*", 200),
        ('$.categories=["REGISTRY"]', 200),  # [ is special in a shell pattern
        ('$.categories=[[]"REGISTRY"]', 503),
        ("$.name.x=*", 200),
        ("$.docker[0]=*", 200),
    ],
)
def test_a_fault_is_limited_by_a_value_of_the_body(path, status):
    fault = Fault(code=503, match_json=(tuple(path.split("=", 1)),))
    sent = docker(docker={"endpoint": "r.corp", "insecure": True})
    assert Api(faults=(fault,)).create(sent).status == status


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[1]", b"null", b"[" * 100_000])
def test_a_body_without_the_value_meets_no_fault(body):
    assert Api(faults=(parse("code=503 match-json=$.a=*"),)).ask("POST", "", body).status == 400


def test_random_faults_are_repeatable_with_a_seed():
    def found(text):
        api = Api(faults=(parse(text),))
        return [api.ask("GET").status for _ in range(40)], api

    first, api = found("code=503 probability=0.25 seed=1")
    assert found("code=503 probability=0.25 seed=1")[0] == first
    assert 2 <= first.count(503) <= 20
    assert found("code=503 probability=0.25 seed=2")[0] != first
    ask(api.app, "POST", "/__admin/reset")
    assert [api.ask("GET").status for _ in range(40)] == first


def test_a_sequence_is_answered_in_order_once():
    api = Api(faults=(parse("GetImageIntegrations sequence=503,ok,429 message=no"), parse("code=418 every=5")))
    found = [api.ask("GET") for _ in range(5)]
    assert [each.status for each in found] == [503, 200, 429, 200, 200]
    assert [each.message for each in found if each.status > 400] == ["no", "no"]
    assert [each.met for each in api.app.gateway.sandboxes.default.faults.listed] == [3, 0]


def test_a_sequence_can_contain_kinds_of_faults():
    api = Api(faults=(parse("sequence='empty 503'"),))
    assert [(each.status, bool(each.body)) for each in (api.ask("GET"), api.ask("GET"))] == [(200, False), (503, True)]


def test_a_slow_body_delays_no_other_request():
    faults = Api(faults=(parse("code=503 name=x"),)).app.gateway.sandboxes.default.faults
    comes, asked = threading.Event(), threading.Event()

    def name():
        asked.set()
        comes.wait(5)
        return "x"

    with ThreadPoolExecutor() as pool:
        slow = pool.submit(faults.match, RequestFacts("", "", name))
        asked.wait(5)
        assert pool.submit(faults.match, RequestFacts("", "", lambda: "y")).result(1) is None
        comes.set()
        assert slow.result(5).code == 503


# -- spoilt answers, on sockets ----------------------------------------------------------------------


@contextmanager
def over_granian():
    with serve_command() as (_, banner):
        yield url_in(banner)


@contextmanager
def over_a_thread():
    with serving() as mock:
        yield mock.url


@pytest.fixture(params=[pytest.param(over_granian, marks=pytest.mark.served), over_a_thread], scope="module")
def url(request):
    with request.param() as found:
        yield found


def received(url, prefer, method="GET", body=b"", version="1.1"):
    """Send a request over a new socket; return the bytes received, and how the connection ended."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        head = f"{method} {PATH} HTTP/{version}\r\nHost: x\r\nPrefer: {prefer}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        got = b""
        while True:
            try:
                piece = connection.recv(65536)
            except ConnectionResetError:
                return got, "reset"
            if not piece:
                return got, "end"
            got += piece
            head, blank, rest = got.partition(b"\r\n\r\n")
            if blank and len(rest) >= length(head):
                return got, "whole"


def length(head):
    return int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])


def test_a_slow_answer_pauses_two_seconds_in_total_and_is_complete(monkeypatch):
    pauses = []
    monkeypatch.setattr(faults, "time", SimpleNamespace(sleep=pauses.append))
    api = Api()
    assert api.ask("GET", headers={"Prefer": "fault=slow"}).body == api.ask("GET").body
    assert len(pauses) == 20
    assert sum(pauses) == pytest.approx(2)


@pytest.mark.served
def test_a_reset_comes_before_the_first_byte_of_the_answer(url):
    assert [received(url, "fault=reset") for _ in range(20)] == [(b"", "reset")] * 20


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_every_request_can_be_reset(url, method, version):
    assert received(url, "fault=reset", method, version=version) == (b"", "reset")


def test_a_reset_answer_to_head_has_no_byte(url):
    assert received(url, "fault=reset", "HEAD")[0] == b""


def ask_for_a_reset_over_tls(host, port):
    """Read until an error. It decrypts in memory, because Python's TLS sockets report some resets as an end."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls, asked = context.wrap_bio(incoming, outgoing), False
    with socket.create_connection((host, port), timeout=10) as connection:
        while True:
            with suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                if not asked:
                    asked = True
                    tls.write(f"GET {PATH} HTTP/1.1\r\nHost: x\r\nPrefer: fault=reset\r\n\r\n".encode())
                assert not tls.read()
            connection.sendall(outgoing.read())
            piece = connection.recv(65536)
            assert piece, "an end, not a reset"
            incoming.write(piece)


@pytest.mark.heavy
@pytest.mark.served
def test_resets_work_over_tls():
    with serve_command("--tls") as (_, banner):
        parts = urlsplit(url_in(banner))
        for _ in range(10):
            with pytest.raises(ConnectionResetError):
                ask_for_a_reset_over_tls(parts.hostname, parts.port)


@pytest.mark.heavy
@pytest.mark.served
def test_resets_under_load_affect_no_other_answer():
    ends, others, done = [], [], threading.Event()

    def bystander(url):
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
        while not done.is_set():
            connection.request("GET", PATH)
            answer = connection.getresponse()
            others.append((answer.status, len(json.loads(answer.read())["integrations"])))
        connection.close()

    with serve_command("--log-level", "error") as (_, banner), ThreadPoolExecutor(22) as pool:
        url = url_in(banner)
        waiting = [pool.submit(bystander, url) for _ in range(12)]
        ends = list(pool.map(lambda _: received(url, "fault=reset"), range(600)))
        done.set()
        for each in waiting:
            each.result()
    assert Counter(ends) == {(b"", "reset"): 600}
    assert set(others) == {(200, 12)}


@pytest.mark.timing
@pytest.mark.served
def test_clients_that_reset_first_do_not_delay_others():
    with serve_command("--log-level", "error") as (_, banner):
        host, port = url_in(banner).removeprefix("http://").split(":")
        other = http.client.HTTPConnection(host, int(port), timeout=20)
        other.connect()
        for _ in range(100):
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(f"GET {PATH} HTTP/1.1\r\nHost: x\r\nPrefer: fault=reset\r\n\r\n".encode())
        began = time.monotonic()
        other.request("GET", PATH)
        assert other.getresponse().status == 200
        assert time.monotonic() - began < 5
        time.sleep(5)
        assert [received(url_in(banner), "fault=reset") for _ in range(5)] == [(b"", "reset")] * 5
        other.close()


@pytest.mark.heavy
@pytest.mark.served
def test_concurrent_truncations_and_resets_do_not_mix():
    kinds = ["reset", "truncated"] * 40
    with serve_command("--log-level", "error") as (_, banner), ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda kind: received(url_in(banner), f"fault={kind}"), kinds))
    for kind, (got, end) in zip(kinds, found, strict=True):
        assert (end, bool(got)) == (("reset", False) if kind == "reset" else ("end", True))


def test_a_server_that_cannot_reset_says_so_at_once(api):
    environ = wsgi.environ("POST", PATH, json.dumps(docker(name="mine")).encode(), {"Prefer": "fault=reset"})
    answer = wsgi.ask(api.app, environ | {"SERVER_SOFTWARE": "waitress"})
    assert (answer.status, answer.headers["mock-central-rule"]) == (501, "fault")
    assert "the server waitress cannot reset a connection" in json.loads(answer.body)["message"]
    assert "mine" not in [each["name"] for each in api.list()]


def test_the_server_of_flask_can_reset(api):
    server = make_server("127.0.0.1", 0, api.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        assert received(f"http://127.0.0.1:{server.port}", "fault=reset") == (b"", "reset")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_garbage_reaches_the_json_parser_of_a_client_that_accepts_gzip(url):
    request = urllib.request.Request(url + PATH, headers={"Prefer": "fault=garbage", "Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert "Content-Encoding" not in answer.headers
        assert answer.headers["Content-Type"] == "application/json"
        with pytest.raises(ValueError, match=r"utf-8|JSON"):
            json.loads(answer.read())


def test_a_reset_leaves_other_connections_of_the_client_alone(url):
    other = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    other.connect()
    connection = other.sock
    for _ in range(10):
        assert received(url, "fault=reset")[1] == "reset"
        other.request("GET", PATH)
        answer = other.getresponse()
        assert json.loads(answer.read())["integrations"]
        # The server of the tests ends each connection after its answer.
        assert answer.getheader("Connection") == "close" or other.sock is connection
    other.close()


@pytest.mark.served
def test_an_empty_answer_has_no_body(url):
    got, end = received(url, "fault=empty")
    assert got.startswith(b"HTTP/1.1 200")
    assert (length(got), got.partition(b"\r\n\r\n")[2], end) == (0, b"", "whole")


@pytest.mark.served
def test_a_truncated_answer_ends_in_the_middle(url):
    got, end = received(url, "fault=truncated")
    head, _, body = got.partition(b"\r\n\r\n")
    assert end == "end"
    assert len(body) == length(head) // 2
    assert body.startswith(b'{"integrations":')


@pytest.mark.served
def test_garbage_is_not_json(url):
    got, end = received(url, "fault=garbage")
    assert end == "whole"
    assert b"application/json" in got
    with pytest.raises(ValueError, match=r"utf-8|JSON"):
        json.loads(got.partition(b"\r\n\r\n")[2])


@pytest.mark.served
def test_a_slow_answer_is_complete(url):
    started = time.monotonic()
    got, end = received(url, "fault=slow")
    assert end == "whole"
    assert time.monotonic() - started > 1.5
    assert json.loads(got.partition(b"\r\n\r\n")[2])["integrations"]


@pytest.mark.served
def test_a_request_with_a_broken_answer_is_still_carried_out(url):
    body = json.dumps(docker(name="lost answer")).encode()
    assert received(url, "fault=reset", "POST", body)[1] == "reset"
    assert b'"lost answer"' in received(url, "delay=0")[0]


def test_a_test_client_without_sockets_meets_a_clear_error(api):
    text = "a fault closes the connection; a test client without sockets gets this exception"
    with pytest.raises(Cut, match=f"^{text}$"):
        preferring(api, "fault=reset")


def test_the_faults_of_the_header_are_documented():
    assert set(ANSWER_FAULTS) == {"reset", "empty", "truncated", "garbage", "slow"}


# -- what it costs and what it spares ----------------------------------------------------------------


def test_control_calls_meet_no_fault():
    api = Api(faults=(parse("code=503"),))
    assert ask(api.app, "GET", "/__admin/health", headers={"Prefer": "code=503"}).status == 200


def test_a_preflight_of_a_browser_meets_no_fault_and_uses_none_up():
    api = Api(cors="*", faults=(parse("code=503 times=1"),))
    preflight = {"Origin": "http://page", "Access-Control-Request-Method": "GET"}
    assert api.ask("OPTIONS", headers=preflight).status == 204
    answer = api.ask("GET", headers={"Origin": "http://page"})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (503, "*")


# -- the forms of a fault ------------------------------------------------------------------------------


FAULT_CALL = document()["paths"]["/faults"]["post"]["requestBody"]["content"]["application/json"]


def test_the_control_call_takes_every_field_but_the_file():
    described = list(document()["components"]["schemas"]["Fault"]["properties"])
    known = [each.name.replace("_", "-") for each in fields(Fault) if each.init and each.name != "file"]
    assert described == known
    assert set(fault_forms._READ) == {each.name for each in fields(Fault) if each.init}


@pytest.mark.parametrize("name", FAULT_CALL["examples"])
def test_a_preset_is_a_fault(api, name):
    value = FAULT_CALL["examples"][name]["value"]
    answer = ask(api.app, "POST", "/__admin/faults", value)
    assert (answer.status, {key: answer.json[key] for key in value}) == (200, value)


@pytest.mark.parametrize("value", ["a text", 1, None, {"a": "b"}, True])
def test_a_control_call_accepts_any_json_as_the_body(api, value):
    assert ask(api.app, "POST", "/__admin/faults", {"json": value}).json["json"] == value
    assert api.ask("GET").json == value


def test_python_accepts_a_fault_by_its_fields():
    with serving() as mock:
        mock.fault(code=429, headers={"Retry-After": "5"}, match_query={"name": "a*"}, json={"a": 1})
        assert mock.faults.listed[0].fault == parse(
            "code=429 json='{\"a\":1}' header='Retry-After: 5' match-query=name=a*"
        )
