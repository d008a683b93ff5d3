"""Protection of a loopback mock from web pages: DNS rebinding, and requests from other sites."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, sync_playwright

from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.hosts import host_fault, is_cross_site, is_local, page_fault, require_host
from mock_server.gateway.messages import Response
from mock_server.sandboxes.sandboxes import Sandboxes
from mock_server.serving.server import MockServer, serving
from mock_server.serving.worker import make_app
from mock_server.settings import Settings
from mock_server.tests.chromium import CHROMIUM, in_chromium
from mock_server.tests.conftest import PATH, Api, ask, docker
from mock_server.tests.hostile import send
from mock_server.tests.test_cli import serve_command, url_in
from mock_server.tests.test_gateway import FINE, exchange, made
from mock_server.web import wsgi
from mock_server.web.app import create_app
from mock_server.web.control import MOST_WAITING

STATE, RESET = "/__admin/state", "/__admin/reset"
NAMES = ("mock.internal.example", "*.trusted.example")

TAKEN = (
    *("localhost", "localhost:8080", "LOCALHOST", "localhost.", "a.localhost:1", "127.0.0.1:8080", "10.0.0.7"),
    *("[::1]:8080", "[fe80::1]", "mock.internal.example:80", "Mock.Internal.Example.", "a.trusted.example"),
)
REFUSED = (
    *("evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "evillocalhost.example"),
    *("[evil.example]", "trusted.example", "mock.internal.example.evil.example", "evil.example..", "a.b"),
)


@pytest.mark.parametrize("host", TAKEN)
@pytest.mark.parametrize("path", [STATE, PATH])
def test_local_and_allowed_names_are_accepted(host, path):
    assert host_fault(path, host, NAMES) == ""


@pytest.mark.parametrize("host", REFUSED)
@pytest.mark.parametrize("path", [STATE, "/__sandbox/a", "/__admin", PATH, "/"])
def test_other_names_are_refused_with_advice(host, path):
    assert "serve --allow-host " in host_fault(path, host, NAMES)


@pytest.mark.parametrize("host", ["central", "central:8443", "x", ""])
def test_a_name_without_a_dot_can_request_only_central_s_paths(host):
    assert host_fault(PATH, host, ()) == ""
    assert host_fault(STATE, host, ()) != ""


def test_every_name_can_be_allowed():
    assert host_fault(STATE, "evil.example", ["*"]) == ""


@pytest.mark.parametrize(
    ("name", "local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("", False), ("10.0.0.1", False), ("central", False)],
)  # fmt: skip
def test_loopback_is_recognised(name, local):
    assert is_local(name) == local


OURS = "localhost:8080"


@pytest.mark.parametrize(
    ("host", "origin", "fetch_site", "cors"),
    [
        (OURS, None, None, None),  # no browser
        (OURS, None, "none", None),  # the address bar
        (OURS, None, "same-origin", None),
        (OURS, None, "same-site", None),
        (OURS, f"http://{OURS}", "same-origin", None),
        (OURS, "http://page.example", "cross-site", "http://page.example"),
        (OURS, "null", "cross-site", "null"),
    ],
)
def test_pages_of_the_mock_and_of_the_allowed_origin_may_make_control_calls(host, origin, fetch_site, cors):
    assert page_fault(host, origin, fetch_site, cors) == ""


@pytest.mark.parametrize(
    ("host", "origin", "fetch_site", "cors"),
    [
        (OURS, None, "cross-site", None),  # a picture, a form that is fetched, a link
        (OURS, None, "cross-site", "*"),
        (OURS, None, "cross-site", "http://page.example"),
        (OURS, "http://page.example", None, None),
        (OURS, "http://page.example", None, "*"),
        (OURS, "http://localhost:1", "same-site", None),
        (OURS, "null", None, None),
        ("", "null", None, None),
        ("", "http://", None, None),
        (OURS, "http://[", None, None),
        (OURS, OURS, None, None),
    ],
)
def test_other_pages_may_make_no_control_calls(host, origin, fetch_site, cors):
    assert "--cors" in page_fault(host, origin, fetch_site, cors)


def test_refusals_of_pages_and_names_give_advice():
    assert page_fault(OURS, None, "cross-site", None) == (
        "pages of other sites cannot make control calls; --cors ORIGIN allows one"
    )
    assert page_fault(OURS, "http://a", None, None) == (
        "pages of http://a cannot make control calls; --cors http://a allows them"
    )
    assert host_fault(STATE, "", ()) == "a request without a Host header cannot use the mock's own paths"
    assert host_fault(STATE, "Evil.example.:80", ()) == (
        "'evil.example' is not a name of this mock; serve --allow-host evil.example adds it"
    )


@pytest.mark.parametrize(
    ("origin", "fetch_site", "cors", "is_foreign"),
    [
        (None, None, None, False),
        (None, "cross-site", None, True),
        (None, "cross-site", "*", True),
        ("http://a", "cross-site", "http://b", True),
        ("http://a", "cross-site", "*", False),
        ("http://a", "cross-site", "http://a", False),
        ("http://a", "same-origin", None, False),  # forwarded by a development server
        ("http://a", None, None, True),  # a browser that does not send it
        ("null", None, None, True),
        (f"http://{OURS}", None, None, False),
    ],
)
def test_a_page_of_another_site_is_recognised(origin, fetch_site, cors, is_foreign):
    assert is_cross_site(OURS, origin, fetch_site, cors) == is_foreign


@pytest.mark.usefixtures("pages")
@pytest.mark.parametrize("origin", ["http://[", "null", "http://page.example", "\xff"])
def test_an_invalid_origin_is_refused(api, origin):
    answer = ask(api.app, "GET", STATE, headers={"Origin": origin})
    assert (answer.status, answer.json["code"]) == (403, 7)


def test_a_page_of_another_site_creates_no_sandbox(api):
    sandboxes = api.app.gateway.sandboxes
    for path in ("/__sandbox/a", f"/__sandbox/a{PATH}", "/__sandbox/a/__admin/state"):
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}, {"Origin": "http://page.example"}):
            answer = ask(api.app, "GET", path, headers=headers)
            assert (answer.status, answer.rule) == (403, "sandbox")
            assert answer.message == "a page of another site cannot create a sandbox; --cors ORIGIN allows one"
    assert [each["name"] for each in sandboxes.listed()] == [""]
    assert ask(api.app, "GET", f"/__sandbox/a{PATH}", headers={"Sec-Fetch-Site": "same-origin"}).status == 200


def test_an_allowed_page_creates_a_sandbox():
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "http://page.example"}
    for cors in ("*", "http://page.example"):
        assert ask(Api(cors=cors).app, "GET", f"/__sandbox/a{PATH}", headers=headers).status == 200


@pytest.mark.parametrize("name", ["http://a.example", "a.example:80", "", "a b", "[::1]"])
def test_an_invalid_name_cannot_be_allowed(name):
    with pytest.raises(ValueError, match=r"^allow_hosts: .*is not the name of a host; give one such as"):
        Settings(allow_hosts=[name])


def evil(app, path=STATE, host="evil.example"):
    return ask(app, "GET", path, headers={"Host": host})


def test_only_a_loopback_server_checks_names_by_default():
    for app in (make_app(Settings()), make_app(Settings(), "0.0.0.0"), make_app(Settings(), "10.1.2.3", "evil")):
        assert evil(app).status == 200
    for app in (make_app(Settings(), "127.0.0.1"), make_app(Settings(), "::1"), make_app(Settings(), "localhost")):
        assert evil(app).status == 403
    assert evil(make_app(Settings(), "127.0.0.1", "evil.example")).status == 200
    for host in ("", "127.0.0.1"):
        app = make_app(Settings(allow_hosts=["good.example"]), host)
        assert (evil(app).status, evil(app, host="good.example").status) == (403, 200)


def test_a_request_without_a_host_may_make_no_control_calls():
    answer = ask(make_app(Settings(), "127.0.0.1"), "GET", STATE)
    assert (answer.status, answer.rule) == (403, "host")
    assert answer.message == "a request without a Host header cannot use the mock's own paths"


@pytest.mark.parametrize(
    ("path", "target", "refused"),
    [
        (PATH, PATH, True),
        (PATH, "", True),
        (PATH, f"http://evil.example{PATH}", False),
        (STATE, f"http://evil.example{STATE}", True),
    ],
)
def test_foreign_names_are_accepted_where_pages_cannot_send_them(path, target, refused):
    asked = exchange(path=path, headers={"host": "evil.example"})
    asked.request = asked.request._replace(target=target)
    found = require_host(Sandboxes(asked.sandbox.instance, made), (), FINE)(asked)
    assert (found.status, asked.refusal is not None) == ((403, True) if refused else (200, False))


def test_a_name_can_be_allowed_while_the_server_runs():
    for host in ("", "127.0.0.1"):
        app = make_app(Settings(allow_hosts=["good.example"]), host)
        app.gateway.renew(create_app(Settings(allow_hosts=["evil.example"])).gateway, keep_state=True)
        assert (evil(app).status, evil(app, host="good.example").status) == (200, 403)


def test_a_refused_name_leaves_no_trace():
    app = make_app(Settings(faults=["code=503"]), "127.0.0.1")
    answer = evil(app, f"/__sandbox/a{PATH}")
    assert (answer.status, answer.json["code"]) == (403, 7)
    assert "'evil.example' is not a name of this mock; serve --allow-host evil.example adds it" in answer.message
    assert evil(app, PATH).status == 403
    assert [each["name"] for each in app.gateway.sandboxes.listed()] == [""]
    assert app.gateway.sandboxes.default.journal.found() == []


def test_an_absolute_url_can_request_only_central_s_paths():
    app = make_app(Settings(), "127.0.0.1")
    for path, status in ((PATH, 200), (STATE, 403)):
        environ = wsgi.environ("GET", path, headers={"Host": "other.example"})
        assert wsgi.ask(app, environ | {"REQUEST_URI": f"http://other.example{path}"}).status == status


# -- over sockets ------------------------------------------------------------------------------------


@pytest.mark.served
def test_the_served_mock_accepts_only_its_names(tmp_path):
    config = tmp_path / "mock.toml"
    config.write_text('allow_host = ["*.trusted.example"]\n')
    with serve_command("--config", str(config)) as (_, banner):
        port = int(url_in(banner).rpartition(":")[2])

        def status(host: str, path: str, version: str = "1.1", method: str = "GET", headers: str = "") -> list[int]:
            name = f"Host: {host}\r\n" if host else ""
            head = f"{method} {path} HTTP/{version}\r\n{name}{headers}Connection: close\r\n\r\n"
            return send(port, head.encode()).statuses

        for path in (STATE, "/__admin/", "/__admin/health", "/__admin/requests/stream", "/__sandbox/a", PATH, "/x"):
            assert status("evil.example", path) == [403]
        assert status(f"evil.example:{port}", RESET, method="POST") == [403]
        assert status("central", PATH) == [200]
        assert status("central", STATE) == [403]
        assert status("a b", STATE) == [400], "refused as Go refuses it"
        assert status("", STATE, "1.0") == [403]
        assert status("", PATH, "1.0") == [200]
        assert status("a.trusted.example", STATE) == [200]
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", "[::1]", "mock.localhost"):
            assert status(host, STATE) == [200]
            assert status(host, STATE, headers="Sec-Fetch-Site: cross-site\r\n") == [403]
            assert status(host, STATE, headers="Origin: null\r\n") == [403]


# -- in a browser ------------------------------------------------------------------------------------


@contextmanager
def page_of_evil_example(mock: MockServer) -> Iterator[Page]:
    """Open a page whose host name leads to the mock, as after DNS rebinding."""
    with sync_playwright() as playwright:
        rules = "--host-resolver-rules=MAP evil.example 127.0.0.1"
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", rules])
        page = browser.new_page()
        page.goto(f"http://evil.example:{mock.url.rpartition(':')[2]}/")
        assert page.evaluate("location.hostname") == "evil.example"
        yield page
        browser.close()


def stolen(page: Page) -> list[int]:
    """Read state and list, create and reset as a page of the same origin; return the statuses."""
    return page.evaluate(
        """async ([state, list, reset, body]) => {
            const asked = [[state, {}], [list, {}], [list, {method: "POST", body}], [reset, {method: "POST"}]];
            const found = [];
            for (const [path, init] of asked) found.push((await fetch(path, init)).status);
            return found;
        }""",
        [STATE, PATH, RESET, '{"name": "planted"}'],
    )


def listed(mock: MockServer) -> bytes:
    with urllib.request.urlopen(f"{mock.url}{PATH}", timeout=10) as answer:
        return answer.read()


def hold_something(mock: MockServer) -> None:
    request = urllib.request.Request(f"{mock.url}{PATH}", json.dumps(docker(name="kept")).encode())
    urllib.request.urlopen(request, timeout=10).close()


@pytest.mark.heavy
@in_chromium
@pytest.mark.served
@pytest.mark.parametrize("allowed", [False, True])
def test_dns_rebinding_reaches_neither_state_nor_reset(allowed):
    """Control: the same page reaches all of it if its name is allowed."""
    with serving(Settings(allow_hosts=["evil.example"] if allowed else [])) as mock:
        hold_something(mock)
        with page_of_evil_example(mock) as page:
            assert stolen(page) == ([200, 200, 400, 200] if allowed else [403] * 4)
        assert (b'"kept"' in listed(mock)) != allowed


@pytest.mark.heavy
@in_chromium
@pytest.mark.served
def test_images_on_another_site_occupy_no_place_and_create_no_sandbox():
    with serving() as mock, page_of_evil_example(mock) as page:
        statuses: list[int] = []

        def note(proceed: Proceed) -> Proceed:
            def answer(exchange: Exchange) -> Response:
                response = proceed(exchange)
                statuses.append(response.status)
                return response

            return answer

        mock.app.add_layer(note)  # the browser hides it from the page
        wait = f"{mock.url}/__admin/requests/wait?count=99&timeout=3"
        urls = [f"{wait}&since={number}" for number in range(MOST_WAITING)] + [f"{mock.url}/__sandbox/planted"]
        page.evaluate(
            """urls => Promise.all(urls.map(url => new Promise(done => {
                const image = new Image();
                image.onload = image.onerror = done;
                image.src = url;
            })))""",
            urls,
        )
        assert set(statuses) == {403}
        assert len(statuses) >= len(urls)
        with pytest.raises(urllib.error.HTTPError, match="408"):
            urllib.request.urlopen(f"{mock.url}/__admin/requests/wait?count=99&timeout=0.1", timeout=10)
        assert [each["name"] for each in mock.app.gateway.sandboxes.listed()] == [""]
