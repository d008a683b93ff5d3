"""Fault on demand: refusals, delays and spoilt answers, asked for by header, option or control call."""

import http.client
import json
import re
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
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.serving import make_server

from mock_server.gateway.faults import Cut
from mock_server.serving.server import serving
from mock_server.simulation.faults import ANSWER_FAULTS, Fault, FaultError, drawn, from_strings, parse, preferences
from mock_server.tests.conftest import PATH, Api, ask, docker
from mock_server.tests.test_cli import serve_command, url_in
from mock_server.web import wsgi


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


def test_a_refused_request_does_nothing(api):
    assert preferring(api, "code=503", "POST", "", docker()).status == 503
    assert len(api.list()) == 12


def test_any_request_can_be_refused(api):
    for method, rest in (("PUT", "/x"), ("PATCH", "/x"), ("DELETE", "/x"), ("POST", "/test"), ("GET", "/no/route")):
        assert preferring(api, "code=503", method, rest, {}).status == 503


@pytest.mark.parametrize("code", ["abc", "200", "600", "", "40 4", "-1"])
def test_a_code_that_is_none_is_told(api, code):
    answer = preferring(api, f"code={code}")
    assert (answer.status, answer.rule) == (400, "prefer")
    assert "code=" in answer.message
    assert "preference-applied" not in answer.headers


def test_a_preference_of_others_is_ignored_and_logged(api, caplog):
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
        assert re.search("code|delay|fault", header, re.IGNORECASE)


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
def test_what_is_no_delay_is_told_with_what_would_be_one(delay):
    with pytest.raises(FaultError, match=r"LOW\.\.HIGH"):
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


def test_fail_twice_then_work():
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
    assert api.patch(id, docker(name="bad luck"), update_password=True).status == 200  # it is about the stored one
    assert [api.get(id).status, api.put(id, docker()).status, api.delete(id).status] == [500] * 3
    assert api.ask("GET", "?name=bad+one").status == 500
    assert api.test_updated(docker(name="bad one"), update_password=True).status == 500
    assert api.ask("POST", "", b"no JSON").status == 400


def test_the_first_fault_that_a_request_meets_counts():
    api = Api(faults=(parse("code=503 times=1"), parse("code=429")))
    assert [api.ask("GET").status for _ in range(3)] == [503, 429, 429]


def test_a_preference_comes_before_the_faults():
    api = Api(faults=(parse("code=503"),))
    assert preferring(api, "code=404").status == 404


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "KEY=VALUE|a code, a delay or a fault"),
        ("times=2", "a code, a delay or a fault"),
        ("code=503 fault=reset", "do not go together"),
        ("fault=rset", "reset, empty"),
        ("code=503 time=2", "times"),
        ("PostImageIntegration code", "KEY=VALUE"),
        ("code=503 times=0", "above 0"),
        ("code=503 every=x", "whole number"),
        ("name='x code=503", "quot"),
    ],
)
def test_a_fault_that_makes_no_sense_is_told(text, named):
    with pytest.raises(FaultError, match=named):
        parse(text)


def test_an_operation_that_does_not_exist_is_told_with_those_that_are_close():
    with pytest.raises(FaultError, match="did you mean PostImageIntegration"):
        Api(faults=(parse("PostImageIntegratoin code=503"),))


ANY_FAULT = st.builds(
    Fault,
    code=st.none() | st.integers(400, 599),
    delay=st.sampled_from(["0", "1..2", "exponential(1)"]),
    operation=st.sampled_from(["", "PostImageIntegration"]),
    path=st.sampled_from(["", "/v1/*"]),
    times=st.none() | st.integers(1, 99),
    every=st.integers(1, 9),
)


@given(ANY_FAULT)
def test_a_fault_is_written_as_it_is_read(fault):
    assert parse(str(fault)) == fault
    assert from_strings({key: str(value) for key, value in fault.json().items()}) == fault


# -- spoilt answers, on sockets ----------------------------------------------------------------------


@contextmanager
def over_granian():
    with serve_command() as (_, banner):
        yield url_in(banner)


@contextmanager
def over_a_thread():
    with serving() as mock:
        yield mock.url


@pytest.fixture(params=[over_granian, over_a_thread], scope="module")
def url(request):
    with request.param() as found:
        yield found


def received(url, prefer, method="GET", body=b"", version="1.1"):
    """Ask over a socket of our own; give what came, and how it ended."""
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


@pytest.mark.served
def test_a_reset_comes_before_a_byte_of_the_answer(url):
    assert [received(url, "fault=reset") for _ in range(20)] == [(b"", "reset")] * 20


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_whatever_is_asked_for_is_reset(url, method, version):
    assert received(url, "fault=reset", method, version=version) == (b"", "reset")


def test_a_head_that_is_to_be_reset_gets_no_byte(url):
    assert received(url, "fault=reset", "HEAD")[0] == b""


def ask_for_a_reset_over_tls(host, port):
    """Read until an error; through memory, because Python's own TLS sockets tell some resets as an end."""
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


def test_a_reset_comes_over_tls_too():
    with serve_command("--tls") as (_, banner):
        parts = urlsplit(url_in(banner))
        for _ in range(10):
            with pytest.raises(ConnectionResetError):
                ask_for_a_reset_over_tls(parts.hostname, parts.port)


def test_every_reset_under_load_is_one_and_no_other_answer_suffers():
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


def test_clients_that_reset_first_hold_up_nobody():
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


def test_truncated_answers_and_resets_at_once_end_as_each_should():
    kinds = ["reset", "truncated"] * 40
    with serve_command("--log-level", "error") as (_, banner), ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda kind: received(url_in(banner), f"fault={kind}"), kinds))
    for kind, (got, end) in zip(kinds, found, strict=True):
        assert (end, bool(got)) == (("reset", False) if kind == "reset" else ("end", True))


def test_a_server_that_cannot_reset_says_so_at_once(api):
    environ = wsgi.environ("POST", PATH, json.dumps(docker(name="mine")).encode(), {"Prefer": "fault=reset"})
    answer = wsgi.ask(api.app, environ | {"SERVER_SOFTWARE": "waitress"})
    assert (answer.status, answer.headers["mock-central-rule"]) == (501, "fault")
    assert "the server waitress gives no way to reset a connection" in json.loads(answer.body)["message"]
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


def test_garbage_reaches_the_parser_of_a_client_that_takes_gzip(url):
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
def test_garbage_is_no_json(url):
    got, end = received(url, "fault=garbage")
    assert end == "whole"
    assert b"application/json" in got
    with pytest.raises(ValueError, match=r"utf-8|JSON"):
        json.loads(got.partition(b"\r\n\r\n")[2])


@pytest.mark.served
def test_a_slow_answer_is_whole_in_the_end(url):
    started = time.monotonic()
    got, end = received(url, "fault=slow")
    assert end == "whole"
    assert time.monotonic() - started > 1.5
    assert json.loads(got.partition(b"\r\n\r\n")[2])["integrations"]


@pytest.mark.served
def test_what_a_spoilt_answer_answered_is_done(url):
    body = json.dumps(docker(name="lost answer")).encode()
    assert received(url, "fault=reset", "POST", body)[1] == "reset"
    assert b'"lost answer"' in received(url, "delay=0")[0]


def test_a_test_client_without_sockets_meets_a_clear_error(api):
    with pytest.raises(Cut, match="the connection is cut, as a fault asks"):
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
