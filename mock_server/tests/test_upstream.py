"""Forwarding of other paths to an upstream."""

import base64
import http.client
import json
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urljoin, urlsplit

import pytest
import trustme
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from mock_server.cli.main import main
from mock_server.serving.addresses import ServeError, check_upstream
from mock_server.serving.server import serving
from mock_server.settings import Settings
from mock_server.tests.conftest import PATH, Api, ask, docker
from mock_server.tests.echo import ZIPPED, address, echoing
from mock_server.tests.hostile import get, send
from mock_server.tests.test_cli import serve_command, url_in
from mock_server.web import threads
from mock_server.web.companions import PROVIDER
from mock_server.web.upstream import Upstream


@pytest.fixture(scope="module")
def there():
    with echoing() as server:
        yield server


@pytest.fixture(scope="module")
def front(there):
    return Api(upstream=address(there), control=True, companions=True, fatal_answers=False)


@pytest.fixture(scope="module")
def lacking(there):
    """A mock whose upstream answers as the query says."""
    return Api(upstream=address(there) + "/v1/raw", control=True, companions=True, fatal_answers=False)


def asked(front, method, target, body=None, headers=None):
    return ask(front.app, method, target, body, headers)


# -- who answers what --------------------------------------------------------------------------------------

SUPPORTED = [PATH, f"{PATH}/x", f"{PATH}/", f"{PATH}/a/b", "/__admin/health", "/__admin/nothing"]
THEIRS = ["/", "/main/x", "/v1/ping", "/v1/metadata", f"{PATH}x", "/v1/ImageIntegrations", "/api/x", "/__administer"]


@pytest.mark.parametrize("target", SUPPORTED)
@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS"])
def test_image_integrations_and_control_are_the_mock_s_own(front, target, method):
    assert asked(front, method, target).status != 418


@pytest.mark.parametrize("target", THEIRS)
def test_everything_else_is_forwarded_including_companions(front, target):
    answer = asked(front, "GET", target)
    assert (answer.status, answer.json["target"]) == (418, target)


def unknown(status=404):
    """Return the query that makes the upstream answer with this status."""
    return "?" + quote(f"HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}")


@pytest.mark.parametrize("status", [404, 501])
def test_a_companion_answers_if_the_upstream_does_not_have_the_path(lacking, status):
    answer = asked(lacking, "GET", f"/v1/metadata{unknown(status)}")
    assert (answer.status, answer.json["version"]) == (200, str(lacking.app.central.contract.release))
    assert asked(lacking, "GET", f"/v1/other{unknown(status)}").status == status
    login = {"external_token": "username=a&password=b", "type": "basic", "state": PROVIDER}
    answer = asked(lacking, "POST", f"/v1/authProviders/exchangeToken{unknown(status)}", login)
    assert (answer.status, answer.json["token"]) == (200, "mock-admin-token")


@pytest.mark.parametrize("status", [200, 400, 401, 403, 500, 503])
def test_the_upstream_answers_the_paths_that_it_has(lacking, status):
    assert asked(lacking, "GET", f"/v1/metadata{unknown(status)}").status == status


def test_a_body_read_for_a_companion_is_forwarded_completely(front):
    answer = asked(front, "POST", "/v1/apitokens/generate", {"name": "x"})
    assert (answer.status, answer.json["body"]) == (418, '{"name": "x"}')


def test_without_companions_the_upstream_s_404_is_returned(there):
    bare = Api(upstream=address(there) + "/v1/raw", companions=False, fatal_answers=False)
    assert asked(bare, "GET", f"/v1/metadata{unknown()}").status == 404


@pytest.mark.usefixtures("pages")
def test_only_the_listed_paths_are_forwarded(there):
    front = Api(upstream=address(there), upstream_paths=["/v1/clusters*", "/api/graphql"])
    for path in ("/v1/clusters", "/v1/clusters/1", "/api/graphql"):
        assert asked(front, "POST", path, {}).status == 418
    assert asked(front, "GET", "/v1/metadata").status == 200
    assert asked(front, "GET", "/v1/nothing").status == 404


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"upstream_paths": ["/v1/x"]}, "upstream_paths: /v1/x needs an upstream"),
        ({"upstream": "http://x", "upstream_paths": ["v1"]}, "upstream_paths: 'v1': is not a path pattern"),
        ({"permissions": ["all=READ_ACCESS"], "companions": False}, "permissions: all=READ_ACCESS needs the comp"),
    ],
)
def test_settings_without_effect_are_reported_at_startup(settings, text):
    with pytest.raises(ValueError, match=text):
        Settings(**settings)


@pytest.mark.served
def test_the_mock_answers_for_another_mock():
    with serving(Settings(central_version="4.9")) as there:
        front = Api(upstream=there.url, central_version="4.11")
        assert asked(front, "GET", "/v1/metadata").json["version"] == "4.9.10"
        front.created(docker(name="here"))
        assert "here" in [each["name"] for each in front.list()]
        with urllib.request.urlopen(there.url + PATH) as answer:
            assert "here" not in [each["name"] for each in json.load(answer)["integrations"]]


# -- as it came --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
def test_a_request_arrives_as_it_was_sent(front, there, method):
    headers = {
        "Authorization": "Bearer t",
        "Accept-Encoding": "br",
        "Content-Type": "text/x",
        "X-Own": "é",
        "Cookie": "a=b",
    }
    answer = asked(front, method, "/v1/things/a%20b:c?x=%2F&y", b"\x00\xff body" if method != "GET" else None, headers)
    echoed = answer.json
    arrived = dict(echoed["headers"])
    assert (echoed["method"], echoed["target"]) == (method, "/v1/things/a%20b:c?x=%2F&y")
    assert echoed["body"] == ("" if method == "GET" else "\x00\xff body")
    assert headers.items() <= arrived.items()
    assert arrived["Host"] == address(there).removeprefix("http://")
    assert "User-Agent" not in arrived


def test_the_head_of_an_answer_has_no_body(front):
    answer = asked(front, "HEAD", "/v1/x")
    assert (answer.status, answer.body) == (418, b"")
    assert int(answer.headers["content-length"]) > 0


def test_hop_by_hop_headers_are_not_forwarded(front):
    hops = {
        "Connection": "close, X-Mine",
        "X-Mine": "1",
        "Te": "trailers",
        "Upgrade": "h2c",
        "Proxy-Authorization": "Basic x",
    }
    arrived = {
        name.lower() for name, _ in asked(front, "GET", "/v1/x", headers={**hops, "X-Other": "1"}).json["headers"]
    }
    assert "x-other" in arrived
    assert not {"connection", "x-mine", "te", "upgrade", "proxy-authorization"} & arrived
    answer = asked(front, "GET", "/v1/x")
    assert answer.headers["x-kept"] == "kept"
    assert not {"connection", "x-hop", "keep-alive", "transfer-encoding"} & answer.headers.keys()


@pytest.mark.served
def test_every_cookie_is_returned(there):
    with serving(Settings(upstream=address(there))) as front:
        connection = http.client.HTTPConnection(front.url.removeprefix("http://"), timeout=10)
        connection.request("GET", "/v1/x")
        assert connection.getresponse().headers.get_all("Set-Cookie") == ["a=1; Path=/sso", "b=2"]
        connection.close()


def test_a_compressed_answer_stays_as_it_is(front):
    answer = asked(front, "GET", "/v1/zip", headers={"Accept-Encoding": "gzip"})
    assert (answer.body, answer.headers["content-encoding"]) == (ZIPPED, "gzip")


@pytest.mark.parametrize(
    ("path", "location"),
    [("/sso/here", "/main"), ("/sso/there", "/main"), ("/sso/away", "https://idp.example.com/x")],
)
def test_redirects_are_not_followed_and_stay_on_the_mock(front, path, location):
    answer = asked(front, "GET", path)
    assert (answer.status, answer.headers["location"]) == (302, location)


def located(front, location):
    raw = f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n"
    answer = asked(front, "GET", f"/v1/raw?{quote(raw)}")
    assert answer.status == 302, answer
    return answer.headers["location"]


@pytest.mark.parametrize(
    ("location", "here"),
    [
        ("http://UP", "/"),
        ("http://UP/", "/"),
        ("http://UP?q=1", "/?q=1"),
        ("http://UP/x?q#f", "/x?q#f"),
        ("HTTP://UP/x", "/x"),
        ("//UP/x", "/x"),
        ("/x", "/x"),
        ("x", "x"),
        ("?q", "?q"),
        ("http://UP//evil.example/", "/.//evil.example/"),
        ("http://UP/\\evil.example/", "/./\\evil.example/"),
        ("//UP//evil.example/", "/.//evil.example/"),
        ("http://UP.evil.example/x", "http://UP.evil.example/x"),
        ("http://UP@evil.example/x", "http://UP@evil.example/x"),
        ("https://UP/x", "https://UP/x"),
        ("//idp.example.com/x", "//idp.example.com/x"),
        ("https://idp.example.com:99999/x", "https://idp.example.com:99999/x"),
        ("http://[::1/x", "http://[::1/x"),
    ],
)
def test_a_redirect_leads_where_the_upstream_meant(front, there, location, here):
    up = address(there).removeprefix("http://")
    found = located(front, location.replace("UP", up))
    assert found == here.replace("UP", up)
    if found.startswith("/") and location != "//idp.example.com/x":
        assert urlsplit(urljoin("http://mock.example/start", found)).netloc == "mock.example"


@pytest.mark.parametrize(
    ("location", "here"),
    [
        ("http://UP/deep/x", "/x"),
        ("/deep/x", "/x"),
        ("/deep", "/"),
        ("http://UP/deeper", "http://UP/deeper"),
        ("/x", "/x"),
    ],
)
def test_a_redirect_below_the_path_of_the_upstream_leads_here(there, location, here):
    up = address(there).removeprefix("http://")
    upstream = Upstream(Settings(upstream=f"{address(there)}/deep"), ours=())
    assert upstream._here(location.replace("UP", up)) == here.replace("UP", up)


@pytest.mark.parametrize("interim", ["HTTP/1.1 102 Processing", "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload"])
def test_interim_answers_are_skipped(front, interim):
    raw = f"{interim}\r\n\r\n" * 2 + "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
    answer = asked(front, "GET", f"/v1/raw?{quote(raw)}")
    assert (answer.status, answer.body) == (201, b"{}")


def test_an_upstream_that_switches_protocols_is_a_502(front):
    raw = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"
    assert is_bad_gateway(asked(front, "GET", f"/v1/raw?{quote(raw)}"), "switched to another protocol")


@pytest.mark.parametrize(
    ("header", "value"),
    [("X: a\r\n b", "a b"), ("X: a\x00b\x1bc", "abc"), ("X: \tok", "ok")],
    ids=["folded", "controls", "tab"],
)
def test_no_header_of_an_answer_is_a_500(front, header, value):
    raw = f"HTTP/1.1 200 OK\r\n{header}\r\nX(y): z\r\nContent-Length: 0\r\n\r\n"
    answer = asked(front, "GET", f"/v1/raw?{quote(raw)}")
    assert answer.status == 200
    assert answer.headers["x"] == value
    assert "x(y)" not in answer.headers


def test_invalid_headers_are_reported_in_one_line(front, caplog):
    raw = "HTTP/1.1 200 OK\r\nX: y\r\nno header\r\nConnection: close\r\n\r\n"
    assert asked(front, "GET", f"/v1/raw?{quote(raw)}").status == 200
    assert "Failed to parse headers" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_length_next_to_chunks_is_not_returned(front):
    raw = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    answer = asked(front, "GET", f"/v1/raw?{quote(raw)}")
    assert (answer.status, answer.body) == (200, b"ok")
    assert "content-length" not in answer.headers


def test_headers_that_an_upstream_may_trust_are_not_forwarded():
    """granian reads X_Forwarded_For as X-Forwarded-For, so a client could bypass a proxy that drops the latter."""
    with echoing() as there, serve_command("--upstream", address(there)) as (_, banner):
        connection = http.client.HTTPConnection(url_in(banner).removeprefix("http://"), timeout=10)
        names = ["X_Forwarded_For", "X-Forwarded-Host", "X_Real_Ip", "Forwarded"]
        connection.request("GET", "/v1/x", headers={**dict.fromkeys(names, "spoofed"), "X-Other": "kept"})
        arrived = dict(json.load(connection.getresponse())["headers"])
        connection.close()
    assert "spoofed" not in arrived.values()
    assert "kept" in arrived.values()


def test_utf_8_in_headers_is_returned_unchanged(there):
    raw = quote("HTTP/1.1 200 OK\r\nX-Name: Zoë\r\nContent-Length: 0\r\n\r\n".encode())
    with serve_command("--upstream", address(there)) as (_, banner):
        connection = http.client.HTTPConnection(url_in(banner).removeprefix("http://"), timeout=10)
        connection.request("GET", f"/v1/raw?{raw}")
        assert connection.getresponse().headers["X-Name"].encode("latin-1").decode() == "Zoë"
        connection.close()


@given(st.binary(max_size=300))
def test_any_body_arrives(front, raw):
    assert asked(front, "POST", "/v1/x", raw).json["body"] == raw.decode("latin-1")


def test_the_path_of_the_upstream_is_a_prefix(there):
    assert asked(Api(upstream=address(there) + "/deep/"), "GET", "/v1/x?y").json["target"] == "/deep/v1/x?y"


def test_a_page_of_the_allowed_origin_may_read_forwarded_answers(there):
    front = Api(upstream=address(there), cors="http://page.example")
    assert asked(front, "GET", "/v1/x").headers["access-control-allow-origin"] == "http://page.example"


# -- piece by piece, over the server that people use ----------------------------------------------------------


@pytest.mark.served
def test_bodies_are_streamed(there):
    with serve_command("--upstream", address(there)) as (_, banner):
        connection = http.client.HTTPConnection(url_in(banner).removeprefix("http://"), timeout=10)
        there.may_go_on.clear()
        connection.request("GET", "/v1/slow")
        answer = connection.getresponse()
        assert answer.read(5) == b"piece"  # the second one is not even sent yet
        there.may_go_on.set()
        assert answer.read() == b"piece"
        connection.request(
            "POST", "/v1/x", iter([b"one ", b"two"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
        )
        assert json.load(connection.getresponse())["body"] == "one two"
        connection.close()


def test_a_stream_without_chunks_is_forwarded_immediately(there):
    with serve_command("--upstream", address(there)) as (_, banner):
        connection = http.client.HTTPConnection(url_in(banner).removeprefix("http://"), timeout=10)
        there.may_go_on.clear()
        connection.request("GET", "/v1/unchunked")
        answer = connection.getresponse()
        assert answer.read(5) == b"piece"  # the second one is not even sent yet
        there.may_go_on.set()
        assert answer.read() == b"piece"
        connection.close()


@pytest.mark.heavy
def test_a_hanging_upstream_does_not_block_the_mock_s_own_paths(there):
    there.may_go_on.clear()
    with serve_command("--upstream", address(there)) as (_, banner), ThreadPoolExecutor(80) as pool:
        port = int(url_in(banner).rpartition(":")[2])
        hanging = [pool.submit(send, port, get("/v1/hang"), wait=30) for _ in range(80)]
        time.sleep(1.5)
        began = time.monotonic()
        for target in (PATH, "/__admin/health"):
            assert send(port, get(target), wait=10).statuses == [200]
        assert time.monotonic() - began < 3
        there.may_go_on.set()
        seen = Counter(tuple(each.result().statuses) for each in hanging)
        assert seen[418,] >= threads.UPSTREAM
        assert seen[418,] + seen[503,] == 80
        assert send(port, get("/v1/x"), wait=10).statuses == [418]


# -- proxies of the environment ----------------------------------------------------------------------------


@pytest.fixture(params=[str.lower, str.upper], ids=["lower case", "upper case"])
def spelled(request):
    return request.param


@pytest.fixture
def proxy(monkeypatch, spelled):
    """An HTTP proxy that echoes requests."""
    with echoing() as server:
        monkeypatch.setenv(spelled("http_proxy"), address(server).replace("//", "//user:p%40ss@"))
        yield server


def test_a_proxy_of_the_environment_is_asked_for_the_whole_url(proxy):
    echoed = asked(Api(upstream="http://central.invalid:8080/deep"), "GET", "/v1/a%20b?x").json
    assert echoed["target"] == "http://central.invalid:8080/deep/v1/a%20b?x"
    headers = {name.lower(): value for name, value in echoed["headers"]}
    assert headers["host"] == "central.invalid:8080"
    assert headers["proxy-authorization"] == "Basic " + base64.b64encode(b"user:p@ss").decode()


@pytest.mark.usefixtures("proxy")
def test_no_proxy_is_respected(there, monkeypatch, spelled):
    monkeypatch.setenv(spelled("no_proxy"), "127.0.0.1")
    assert asked(Api(upstream=address(there)), "GET", "/v1/x").json["target"] == "/v1/x"


def test_a_secure_upstream_is_reached_through_a_proxy_by_a_tunnel(monkeypatch, proxy, spelled):
    monkeypatch.setenv(spelled("https_proxy"), address(proxy))
    answer = asked(Api(upstream="https://central.invalid"), "GET", "/v1/x")
    assert is_bad_gateway(answer, "Tunnel connection failed: 418")


@pytest.mark.served
def test_an_interrupted_answer_is_logged_and_incomplete(there):
    with serve_command("--upstream", address(there)) as (process, banner):
        connection = http.client.HTTPConnection(url_in(banner).removeprefix("http://"), timeout=10)
        connection.request("GET", "/v1/cut")
        with pytest.raises((http.client.IncompleteRead, http.client.RemoteDisconnected)):
            connection.getresponse().read()
        connection.close()
        process.terminate()
        process.wait(10)
        assert re.search(r"WARNING the answer of the upstream \S+ broke off", process.stderr.read())


def test_a_connection_serves_many_requests(there, monkeypatch):
    opened, accept = [], there.get_request
    monkeypatch.setattr(there, "get_request", lambda: opened.append(1) or accept())
    front = Api(upstream=address(there))
    for _ in range(5):
        assert asked(front, "GET", "/v1/x").status == 418
    assert len(opened) == 1


# -- when there is no answer ------------------------------------------------------------------------------------


def is_bad_gateway(answer, text):
    assert (answer.status, answer.json["code"]) == (502, 14), answer
    assert list(answer.json) == ["code", "message", "details", "error"]
    assert re.search(text, answer.message), answer.message
    assert "object at 0x" not in answer.message
    assert "Connection(" not in answer.message
    return True


@pytest.mark.served
@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("HEAD", 200), ("POST", 502)])
def test_a_read_is_retried_if_a_kept_connection_was_closed(method, status):
    with socket.create_server(("127.0.0.1", 0)) as server:
        api = Api(upstream=f"http://127.0.0.1:{server.getsockname()[1]}", fatal_answers=False)

        def answer_one_and_close_at_the_next():
            for _ in range(2):
                with server.accept()[0] as connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    connection.recv(65536)

        thread = threading.Thread(target=answer_one_and_close_at_the_next, daemon=True)
        thread.start()
        assert asked(api, "GET", "/v1/ping").status == 200
        assert asked(api, method, "/v1/ping").status == status


def test_an_unreachable_upstream_is_a_502_in_central_s_shape():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # but not listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        front = Api(upstream=url)
        assert is_bad_gateway(asked(front, "GET", "/v1/ping"), f"^the upstream {url} does not answer: .*refused")
        assert front.ask("GET").status == 200


def test_an_unknown_host_name_is_a_502():
    front = Api(upstream="http://central.invalid")
    assert is_bad_gateway(asked(front, "GET", "/v1/ping"), "^the upstream http://central.invalid does not answer: ")


@pytest.mark.served
def test_an_upstream_that_hangs_up_is_a_502():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up():
            for _ in range(2):  # a read is retried
                server.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        front = Api(upstream=f"http://127.0.0.1:{server.getsockname()[1]}")
        assert is_bad_gateway(asked(front, "GET", "/v1/ping"), "does not answer: ")


@pytest.mark.served
def test_a_silent_upstream_is_a_502_after_the_timeout(monkeypatch):
    monkeypatch.setattr("mock_server.web.upstream.TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        front = Api(upstream=f"http://127.0.0.1:{server.getsockname()[1]}")
        started = time.monotonic()
        assert is_bad_gateway(asked(front, "GET", "/v1/ping"), "does not answer: .*timed out")
        assert time.monotonic() - started < 20  # the usual time-out is three minutes


# -- trust --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    file = tmp_path_factory.mktemp("trust") / "ca.pem"
    authority.cert_pem.write_to_path(file)
    with echoing(context) as server:
        yield address(server, "https"), file


def test_an_untrusted_certificate_is_a_502_with_advice(secure):
    answer = asked(Api(upstream=secure[0]), "GET", "/v1/x")
    assert is_bad_gateway(
        answer, "certificate verify failed.*; --upstream-ca trusts its certificate, --upstream-insecure any$"
    )


def test_a_certificate_can_be_trusted(secure):
    url, file = secure
    assert asked(Api(upstream=url, upstream_ca=file), "GET", "/v1/x").status == 418


def test_any_certificate_can_be_trusted(secure):
    assert asked(Api(upstream=secure[0], upstream_insecure=True), "GET", "/v1/x").status == 418


# -- never to itself ----------------------------------------------------------------------------------------------


@pytest.mark.served
def test_a_loop_of_mocks_is_reported_and_ends():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        serving(Settings(upstream=f"http://127.0.0.1:{port}")) as first,
        serving(Settings(upstream=first.url), port=port),
    ):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{first.url}/v1/ping", timeout=10)
        assert caught.value.code == 502
        assert "leads back to this mock" in json.load(caught.value)["message"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000", "http://localhost:9000/", "https://[::1]:9000"])
def test_a_server_is_not_its_own_upstream(url):
    with pytest.raises(ServeError, match="is this server itself"):
        check_upstream(url, "127.0.0.1", 9000)
    check_upstream(url, "127.0.0.1", 9001)
    check_upstream("http://central.example.com:9000", "127.0.0.1", 9000)


def test_a_server_as_its_own_upstream_is_reported_at_startup():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    result = CliRunner().invoke(main, ["serve", "--port", port, "--upstream", f"http://localhost:{port}"])
    assert result.exit_code == 1
    assert "is this server itself" in result.output


def test_invalid_tls_options_of_the_upstream_are_one_clear_line(tmp_path):
    result = CliRunner().invoke(main, ["serve", "--upstream-insecure"])
    assert result.exit_code == 2
    assert "give its URL" in result.output.splitlines()[-1]
    (tmp_path / "ca.pem").write_text("not a certificate")
    command = ["serve", "--upstream", "https://central.example.com", "--upstream-ca", str(tmp_path / "ca.pem")]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2
    assert "ca.pem holds no certificates that can be read" in result.output.splitlines()[-1]


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("central.example.com", "is not the URL of a server"),
        ("ftp://central.example.com", "is not the URL of a server"),
        ("https://", "is not the URL of a server"),
        ("https://central.example.com:port", "is not the URL of a server"),
        ("https://[::1", "is not the URL of a server"),
        ("https://admin:hidden@central.example.com", "clients send their own credentials"),
        ("https://central.example.com/?x", "has credentials, a query or a fragment"),
    ],
)
def test_an_invalid_address_is_one_clear_line(url, text):
    result = CliRunner().invoke(main, ["serve", "--upstream", url])
    assert result.exit_code == 2
    assert text in result.output.splitlines()[-1]
    assert "hidden" not in result.output


@pytest.mark.parametrize("length", ["-1", "x", "+2", "2 3"])
def test_an_invalid_length_is_not_returned(front, length):
    raw = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{{}}"
    answer = asked(front, "GET", f"/v1/raw?{quote(raw)}")
    assert (answer.status, answer.body) == (200, b"{}")
    assert answer.headers.get("content-length") in (None, "2")
