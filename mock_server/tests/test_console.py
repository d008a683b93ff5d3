"""The web console: its files, and each of its parts in Chromium."""

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from mock_server.central import protojson
from mock_server.central.registry_test_rules import RegistryTestRule
from mock_server.contract import tables as contracts
from mock_server.serving.server import MockServer, serving
from mock_server.settings import Settings
from mock_server.simulation.fault_forms import parse
from mock_server.tests.chromium import CHROMIUM, in_chromium
from mock_server.tests.conftest import PATH, Api, ask, docker
from mock_server.tests.test_cli import serve_command
from mock_server.web.control import document

pytestmark = [pytest.mark.served, pytest.mark.usefixtures("pages")]

expect.set_options(timeout=20_000)  # milliseconds

PAGE = "/__admin/"
PARTS = {
    "Requests": "No requests yet",
    "Integrations": "Public DockerHub",
    "Scenarios": "Current scenario: fresh. Reset returns to: fresh",
    "Faults": "No fault",
    "Mutants": "name-unique",
    "Registry tests": "The first rule that matches the host",
    "Sandboxes": "(default) (this one)",
    "Settings": "As deployed",
    "API reference": "StackRox Central: image integrations",
}
"""Parts by the text of their links, with a text that each shows."""
SECONDS = 15
"""Time for what a page does: the machine may be busy with other tests."""
complete = partial(protojson.complete, contracts.load().integration)
LONG = "x" * 300
"""A text that breaks nowhere."""
SCRIPT = '<img src=x onerror="alert(1)">'


# -- as it is served ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "type"),
    [
        ("", "text/html; charset=utf-8"),
        ("console/console.css", "text/css; charset=utf-8"),
        ("console/console.js", "text/javascript; charset=utf-8"),
        ("viewer/swagger-ui.css", "text/css; charset=utf-8"),
        ("viewer/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ],
)
def test_a_file_has_its_type_and_is_revalidated(api, path, type):
    answer = ask(api.app, "GET", PAGE + path)
    assert answer.status == 200
    assert answer.body
    assert answer.headers["content-type"] == type
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-security-policy"].startswith("default-src 'self'; ")
    assert "unsafe" not in answer.headers["content-security-policy"]
    again = ask(api.app, "GET", PAGE + path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("prefix", ["", "/__sandbox/team-1"])
def test_the_address_without_its_last_slash_redirects(api, prefix):
    answer = ask(api.app, "GET", f"{prefix}/__admin")
    assert (answer.status, answer.headers["location"]) == (308, "__admin/")
    sandboxes = api.app.gateway.sandboxes
    assert (sandboxes.get("team-1") if prefix else sandboxes.default).journal.found() == []


@pytest.mark.parametrize("path", ["console/nope.js", "console/..", "console/..%5ccli.py", "viewer/nope", "nope"])
def test_an_unknown_file_is_refused_in_central_s_shape(api, path):
    answer = ask(api.app, "GET", PAGE + path)
    assert answer.status == 404
    assert answer.json["code"] == 5


def test_without_control_there_is_no_console():
    api = Api(control=False)
    for path in ("/__admin", PAGE, f"{PAGE}console/console.js", f"{PAGE}viewer/swagger-ui.css"):
        answer = ask(api.app, "GET", path)
        assert (answer.status, answer.json["code"]) == (404, 5)


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
def test_the_banner_shows_its_address(closed):
    with serve_command(*(["--no-control"] if closed else [])) as (_, banner):
        found = re.search(r"console +(.*)", banner)
        assert (found is None) == closed
        if found:
            with urllib.request.urlopen(found[1]) as answer:
                assert answer.read().startswith(b"<!doctype html>")


# -- in a browser ------------------------------------------------------------------------------------

Opened = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=SECONDS * 1000)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def mock() -> Iterator[MockServer]:
    with serving() as mock:
        yield mock


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    """Return a function that opens the console of a mock; errors and requests to other hosts fail the test."""
    pages: list[tuple[Page, str, list[str], list[str]]] = []

    def open(mock: MockServer, name: str = "", *, refused: tuple[int, ...] = (), **context: object) -> Page:
        page = browser.new_page(**{"viewport": {"width": 1200, "height": 900}, **context})
        page.set_default_timeout(SECONDS * 1000)
        asked: list[str] = []
        wrong: list[str] = []
        failed = "Failed to load resource: "
        # A test may end its mock before its page is closed, so the page may still poll.
        gone = [f"{failed}net::ERR_{each}" for each in ("CONNECTION", "SOCKET_NOT_CONNECTED", "EMPTY_RESPONSE")]
        expected = (*gone, *(f"{failed}the server responded with a status of {each}" for each in refused))
        page.on("request", lambda sent: asked.append(sent.url))
        page.on("console", lambda said: said.text.startswith(expected) or wrong.append(said.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        pages.append((page, mock.url.partition("/__sandbox/")[0], asked, wrong))
        page.goto(f"{mock.url}{PAGE}#{name}")
        return page

    yield open
    for page, origin, asked, wrong in pages:
        page.close()
        assert [url for url in asked if not url.startswith((f"{origin}/", "data:", "blob:"))] == []
        assert wrong == []


def asked(mock: MockServer, method: str, path: str = PATH, body: object = None, **headers: str) -> int:
    """Send a request to the mock and return the status."""
    data = None if body is None else json.dumps(body).encode()
    sent = urllib.request.Request(mock.url + path, data, {"Content-Type": "application/json", **headers}, method=method)
    try:
        with urllib.request.urlopen(sent) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def part(page: Page) -> Locator:
    """Return the visible part of the page."""
    return page.locator("main > section:visible")


def turn_to(page: Page, part: str) -> None:
    page.get_by_role("link", name=part, exact=True).click()
    expect(page.get_by_role("heading", name=part, level=2)).to_be_focused()


def rows(page: Page) -> Locator:
    return part(page).locator("tbody")


@in_chromium
def test_each_part_shows_its_content_and_leaves_no_trace_in_the_journal(mock, opened):
    mock.fault("code=503 times=1")
    mock.faults.remove()
    page = opened(mock)
    for name, text in PARTS.items():
        turn_to(page, name)
        expect(part(page)).to_contain_text(text)
        expect(page.get_by_role("link", name=name, exact=True)).to_have_attribute("aria-current", "page")
    assert mock.journal() == []


@in_chromium
def test_reading_the_state_meets_no_fault(mock, opened):
    mock.fault("code=503 times=1")
    expect(rows(opened(mock, "integrations"))).to_have_count(12)
    assert [(each.matched, each.met) for each in mock.faults.listed] == [(0, 0)]


@pytest.mark.timing
@in_chromium
def test_a_request_appears_within_a_second(mock, opened):
    page = opened(mock)
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    seconds = []
    for number in range(1, 4):  # a busy machine may delay one of them
        started = time.monotonic()
        asked(mock, "GET")
        expect(rows(page)).to_have_count(number)
        seconds.append(time.monotonic() - started)
    assert min(seconds) < 1


@in_chromium
def test_a_request_is_shown_with_its_warning_and_opens(mock, opened):
    page = opened(mock)
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    body = docker(name="acme", docker={"user": "robot", "password": "s3cr3t"})
    assert asked(mock, "POST", body=body) == 200
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("$.docker.user: is not a field of the contract")
    page.get_by_role("button", name=PATH).click()
    expect(page.get_by_label("sent body")).to_contain_text('"name": "acme"')
    expect(page.get_by_label("response body")).to_contain_text('"password": "******"')
    expect(page.get_by_label("curl line")).to_contain_text(f"curl -X POST '{mock.url}{PATH}'")
    assert "s3cr3t" not in page.content()


@in_chromium
def test_an_opened_refusal_explains_its_rule(mock, opened):
    page = opened(mock)
    asked(mock, "GET", f"{PATH}/nope")
    page.get_by_role("button", name=f"{PATH}/nope").click()
    rule = mock.app.central.contract.rules["get-missing"]
    expect(page.get_by_text(f"get-missing: {rule.title} ({rule.source})")).to_be_visible()


@in_chromium
def test_the_curl_line_repeats_the_request(mock, opened):
    page = opened(mock)
    assert asked(mock, "POST", body=docker(name='it\'s "quoted" $HOME `id`')) == 200
    page.get_by_role("button", name=PATH).click()
    line = page.get_by_label("curl line").inner_text()
    done = subprocess.run(["bash", "-c", f"{line} -s"], capture_output=True, text=True, timeout=30, check=True)
    assert "already exists" in json.loads(done.stdout)["message"]
    first, second = (each["body"]["name"] for each in mock.journal())
    assert first == second


@in_chromium
def test_requests_can_be_filtered_paused_and_cleared(mock, opened):
    page = opened(mock)
    asked(mock, "GET")
    asked(mock, "GET", f"{PATH}/nope")
    asked(mock, "POST", body=docker(name="acme", surprise=1))
    expect(rows(page)).to_have_count(3)
    page.get_by_label("Status").select_option("4xx")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("get-missing")
    page.get_by_label("Status").select_option("all")
    page.get_by_label("with contract warnings").check()
    expect(rows(page)).to_have_count(1)
    page.get_by_label("with contract warnings").uncheck()
    page.get_by_label("Search").fill("acme post")
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_text("1 of 3 requests")).to_be_visible()
    page.get_by_label("Search").fill("")
    page.get_by_role("button", name="Pause").click()
    asked(mock, "GET")
    page.get_by_role("button", name="Resume (1 new)").click()
    expect(rows(page)).to_have_count(4)
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("No requests yet")).to_be_visible()
    assert mock.journal() == []


@pytest.mark.heavy
@in_chromium
def test_of_five_thousand_requests_200_are_shown_at_a_time(opened):
    with serving(Settings(journal=5000)) as mock:
        for _ in range(5000):
            ask(mock.app, "GET", f"{PATH}/nope")
        page = opened(mock)
        expect(page.get_by_text("5000 requests")).to_be_visible()
        expect(rows(page)).to_have_count(200)
        page.get_by_role("button", name="Show 200 more").click()
        expect(rows(page)).to_have_count(400)
        for _ in range(300):
            ask(mock.app, "GET", PATH)
        expect(rows(page).first).to_contain_text("200")
        expect(rows(page)).to_have_count(400)
        page.get_by_label("Status").select_option("2xx")
        expect(page.get_by_text("300 of 5000 requests")).to_be_visible()


@in_chromium
def test_the_stream_is_resumed(mock, opened):
    page = opened(mock)
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    asked(mock, "GET")
    page.get_by_role("button", name=PATH).click()
    turn_to(page, "Settings")
    asked(mock, "GET", f"{PATH}/nope")
    turn_to(page, "Requests")
    expect(rows(page)).to_have_count(2)
    expect(rows(page).last.get_by_label("response body")).to_be_visible()
    asked(mock, "GET")
    expect(rows(page)).to_have_count(3)
    mock.journal.clear()
    turn_to(page, "Settings")
    turn_to(page, "Requests")
    expect(page.get_by_text("No requests yet")).to_be_visible()


@in_chromium
def test_a_mock_without_a_journal_says_so(opened):
    with serving(Settings(journal=0)) as mock:
        page = opened(mock, refused=(409,))
        expect(page.get_by_text("the mock keeps no journal")).to_be_visible()


@in_chromium
def test_a_name_with_markup_is_shown_as_text(mock, opened):
    assert asked(mock, "POST", body=docker(name=SCRIPT)) == 200
    asked(mock, "GET", f"{PATH}/%3Cimg%20src=x%20onerror=alert(1)%3E")
    mock.fault(name=SCRIPT, code=503)
    page = opened(mock)
    page.on("dialog", lambda _dialog: pytest.fail("the name was run"))
    expect(rows(page)).to_have_count(2)
    for opener in part(page).locator("button.open").all():
        opener.click()
    expect(page.get_by_label("sent body")).to_contain_text("<img src=x onerror=")
    turn_to(page, "Integrations")
    page.get_by_role("button", name=SCRIPT, exact=True).click()
    expect(page.get_by_role("region", name=SCRIPT)).to_contain_text("<img src=x onerror=")
    turn_to(page, "Faults")
    expect(rows(page)).to_contain_text(SCRIPT)
    assert page.locator("img").count() == 0


@in_chromium
def test_an_integration_is_deleted_after_confirmation(mock, opened):
    page = opened(mock, "integrations")
    delete = page.get_by_role("button", name="Delete Public GCR", exact=True)
    page.once("dialog", lambda dialog: dialog.dismiss())
    delete.click()
    expect(rows(page)).to_have_count(12)
    page.once("dialog", lambda dialog: dialog.accept())
    delete.click()
    expect(rows(page)).to_have_count(11)
    expect(page.get_by_role("heading", name="Integrations")).to_be_focused()
    expect(page.locator("#health")).to_contain_text("11 integrations")


@in_chromium
def test_an_integration_is_created_with_a_form_by_its_type(mock, opened):
    page = opened(mock, "integrations", refused=(400,))
    page.get_by_role("button", name="Create…").click()
    editor = page.get_by_role("dialog")
    editor.locator("[name=type]").select_option("quay")
    for category, is_set in (("REGISTRY", True), ("SCANNER", False)):
        editor.locator(f"[name={category}]").set_checked(is_set)
    editor.locator("[name=name]").fill("Public GCR")
    editor.locator("[name='quay.endpoint']").fill("quay.example.com")
    editor.get_by_role("button", name="Create").click()
    expect(editor.get_by_role("alert")).to_contain_text("already exists")
    editor.locator("[name=name]").fill("mine")
    editor.get_by_text("The request as curl").click()
    line = editor.get_by_label("curl line").inner_text()
    assert line.startswith(f"curl -X POST '{mock.url}{PATH}' -H 'content-type: application/json' -d '")
    assert json.loads(line.partition(" -d ")[2].strip("'"))["quay"]["endpoint"] == "quay.example.com"
    editor.get_by_role("button", name="Create").click()
    expect(editor).to_have_count(0)
    expect(rows(page)).to_have_count(13)
    stored = mock.app.central.store.integrations()[-1]
    assert (stored["name"], stored["type"], stored["categories"]) == ("mine", "quay", ["REGISTRY"])
    assert stored["quay"]["endpoint"] == "quay.example.com"
    assert mock.journal() == []


@in_chromium
def test_an_integration_is_edited_with_and_without_its_credentials(mock, opened):
    id = mock.app.central.service.create(complete(docker(name="mine", docker={"endpoint": "a", "password": "old"})))[0][
        "id"
    ]
    page = opened(mock, "integrations")

    def stored():
        return mock.app.central.store.get(id).integration

    page.get_by_role("button", name="Edit mine").click()
    editor = page.get_by_role("dialog")
    expect(editor.locator("[name='docker.password']")).to_be_disabled()
    expect(editor.locator("[name='docker.password']")).to_have_value("******")
    editor.locator("[name='docker.insecure']").check()
    editor.get_by_role("button", name="Test").click()
    expect(editor.get_by_text("The test passed.")).to_be_visible()
    editor.get_by_role("button", name="Save").click()
    expect(editor).to_have_count(0)
    assert (stored()["docker"]["insecure"], stored()["docker"]["password"]) == (True, "old")
    page.get_by_role("button", name="Edit mine").click()
    editor.get_by_label("Replace the stored credentials").check()
    expect(editor.locator("[name='docker.password']")).to_have_value("")
    editor.locator("[name='docker.password']").fill("new")
    editor.locator("[name='docker.endpoint']").fill("b")
    editor.get_by_role("button", name="Save").click()
    expect(editor).to_have_count(0)
    assert (stored()["docker"]["endpoint"], stored()["docker"]["password"]) == ("b", "new")


@in_chromium
def test_an_integration_is_written_as_json(mock, opened):
    page = opened(mock, "integrations")
    page.get_by_role("button", name="Create…").click()
    editor = page.get_by_role("dialog")
    editor.get_by_role("button", name="JSON").click()
    text = editor.get_by_label("Integration as JSON")
    assert json.loads(text.input_value())["type"] == "docker"
    text.fill("{")
    editor.get_by_role("button", name="Create").click()
    expect(editor.get_by_role("alert")).to_contain_text("JSON")
    text.fill(json.dumps(docker(name="mine", clusterId="c")))
    editor.get_by_role("button", name="Form").click()
    expect(editor.locator("[name=name]")).to_have_value("mine")
    editor.get_by_role("button", name="Create").click()
    expect(editor).to_have_count(0)
    assert mock.app.central.store.integrations()[-1]["clusterId"] == "c"


@in_chromium
def test_every_type_that_can_be_created_is_created_from_its_example(mock, opened):
    mock.scenario("empty")
    page = opened(mock, "integrations")
    types = mock.app.central.contract.creatable_types
    editor = page.get_by_role("dialog")
    for number, each in enumerate(types, start=1):
        page.get_by_role("button", name="Create…").click()
        offered = editor.locator("[name=type]")
        offered.select_option(each)
        if number == 1:
            assert offered.locator("option").all_inner_texts() == types
        editor.get_by_role("button", name="Create").click()
        expect(editor).to_have_count(0)
        expect(rows(page)).to_have_count(number)
    assert [each["type"] for each in mock.app.central.store.integrations()] == types


@in_chromium
def test_a_server_that_is_gone_is_reported_and_comes_back(opened):
    with serving() as mock:
        page = opened(mock, "integrations")
        create, more = page.get_by_role("button", name="Create…"), part(page).locator("button.open").first
        expect(create).to_be_enabled()
        page.route("**/__admin/**", lambda route: route.abort("connectionrefused"))
        expect(page.get_by_role("alert")).to_contain_text("The mock does not answer")
        for name in ("Reset", "Create…", "Edit Public GCR", "Delete Public GCR"):
            expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
        more.click()
        expect(part(page).locator(".code-block")).to_be_visible()
        page.unroute("**/__admin/**")
        expect(create).to_be_enabled()
        expect(page.get_by_role("alert")).to_be_hidden()


@in_chromium
def test_the_journal_is_downloaded_as_har(mock, opened, tmp_path):
    page = opened(mock)
    asked(mock, "GET")
    expect(page.get_by_text("1 request", exact=True)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as HAR").click()
    assert download.value.suggested_filename == "mock-central.har"
    download.value.save_as(tmp_path / "journal.har")
    (entry,) = json.loads((tmp_path / "journal.har").read_text())["log"]["entries"]
    assert entry["request"]["url"] == f"{mock.url}{PATH}"


@in_chromium
def test_a_filter_that_nothing_matches_is_reported_from_a_journal_without_requests(mock, opened):
    page = opened(mock)
    expect(page.get_by_text("No requests yet.")).to_be_visible()
    asked(mock, "GET")
    expect(rows(page)).to_have_count(1)
    page.get_by_label("Search").fill("nothing like this")
    expect(page.get_by_text("No requests match the filter.")).to_be_visible()
    expect(page.get_by_text("0 of 1 request", exact=True)).to_be_visible()


@in_chromium
def test_a_path_in_a_narrow_window_breaks_between_segments(mock, opened):
    id = "6513270e-269e-4d37-b2a7-4de452e6b438"
    page = opened(mock, viewport={"width": 390, "height": 900})
    asked(mock, "GET", f"{PATH}/{id}?a=1")
    opener = page.get_by_role("button", name=id)
    expect(opener).to_be_visible()
    lines = opener.evaluate("each => each.getClientRects().length && Math.round(each.offsetHeight / 22)")
    assert lines <= 3
    for piece in opener.locator("span").all():
        assert piece.evaluate("each => each.getClientRects().length") == 1


@in_chromium
def test_the_reference_begins_with_the_operations(mock, opened):
    page = opened(mock, "reference", viewport={"width": 1280, "height": 900})
    first = page.locator("#operations-ImageIntegrationService-GetImageIntegrations")
    expect(first).to_be_visible()
    assert first.bounding_box()["y"] < 900
    expect(part(page)).not_to_contain_text("x-proto-number")


@in_chromium
def test_a_sandbox_shows_its_links_to_share(opened, tmp_path):
    (tmp_path / "index.html").write_text("<title>UI</title>")
    with serving(Settings(ui=tmp_path)) as mock:
        page = opened(mock.sandbox("team-1"), "sandboxes")
        base = f"{mock.url}/__sandbox/team-1"
        expect(page.get_by_role("region", name="Base URL for clients")).to_have_text(base)
        expect(page.get_by_role("region", name="Console")).to_have_text(f"{base}/__admin/")
        expect(page.get_by_role("region", name="Web UI")).to_have_text(f"{base}/main/integrations")
    with serving() as mock:
        page = opened(mock, "sandboxes")
        expect(page.get_by_role("region", name="Console")).to_have_text(f"{mock.url}/__admin/")
        assert page.get_by_role("region", name="Web UI").count() == 0


@in_chromium
def test_changes_by_others_are_shown(mock, opened):
    page = opened(mock, "integrations")
    expect(rows(page)).to_have_count(12)
    asked(mock, "POST", body=docker(name="acme"))
    expect(rows(page)).to_have_count(13)


@in_chromium
def test_a_state_is_saved_and_loaded_and_a_wrong_one_is_reported(mock, opened, tmp_path: Path):
    page = opened(mock, "integrations", refused=(400,))
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the state").click()
    assert download.value.suggested_filename == "mock-central-state.json"
    path = tmp_path / "state.json"
    download.value.save_as(path)
    mock.scenario("empty")
    page.reload()
    expect(rows(page)).to_have_count(0)
    page.locator("input[type=file]").set_input_files(path)
    expect(rows(page)).to_have_count(12)
    state = json.loads(path.read_text())
    state["integrations"][1]["type"] = 5
    path.write_text(json.dumps(state))
    page.locator("input[type=file]").set_input_files(path)
    expect(part(page).get_by_role("alert")).to_contain_text("$.integrations[1].type")


@in_chromium
def test_a_scenario_is_switched_to_and_reset(mock, opened):
    page = opened(mock, "scenarios", refused=(400,))
    page.get_by_label("Number for many").fill("7")
    page.get_by_role("button", name="Switch to many").click()
    expect(page.get_by_text("Current scenario: many:7. Reset returns to: fresh. Now 7 integrations")).to_be_visible()
    expect(page.locator("#health")).to_contain_text("7 integrations")
    page.get_by_label("Number for many").fill("9999999")
    page.get_by_role("button", name="Switch to many").click()
    expect(part(page).get_by_role("alert")).to_contain_text("the number is not between")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_text("Current scenario: fresh. Reset returns to: fresh")).to_be_visible()


@in_chromium
def test_a_fault_is_added_counted_and_removed(mock, opened):
    page = opened(mock, "faults", refused=(400,))
    page.get_by_role("button", name="Add").click()
    expect(part(page).get_by_role("alert")).to_contain_text("a code, delay, fault")
    page.locator("[name=code]").fill("503")
    page.locator("[name=operation]").select_option("PostImageIntegration")
    page.locator("[name=times]").fill("2")
    page.get_by_role("button", name="Add").click()
    expect(rows(page)).to_contain_text("code=503 operation=PostImageIntegration times=2")
    assert part(page).get_by_role("alert").count() == 0
    assert asked(mock, "POST", body=docker()) == 503
    expect(rows(page).locator("td").nth(3)).to_have_text("1")
    page.get_by_role("button", name="Remove fault 1").click()
    expect(page.get_by_text("No faults:")).to_be_visible()
    assert asked(mock, "POST", body=docker()) == 200


@in_chromium
def test_a_preset_fills_the_form_of_a_fault(mock, opened):
    page = opened(mock, "faults")
    page.get_by_label("preset").select_option("429 with Retry-After")
    expect(page.locator("[name=code]")).to_have_value("429")
    page.locator("[name=match-query]").fill("name: a*")
    page.locator("[name=execute]").select_option("true")
    page.locator("[name=json]").fill('{"a": 1}')
    page.locator("[name=probability]").fill("0.5")
    page.get_by_role("button", name="Add").click()
    expect(rows(page)).to_contain_text('code=429 json={"a":1} headers={"Retry-After":"5"} execute=true')
    added = mock.faults.listed[0].fault
    assert added == parse(
        "code=429 json='{\"a\":1}' header='Retry-After: 5' execute=true match-query=name=a* probability=0.5"
    )
    for each in document()["paths"]["/faults"]["post"]["requestBody"]["content"]["application/json"][
        "examples"
    ].values():
        mock.faults.remove()
        page.get_by_label("preset").select_option(each["summary"])
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_label("preset")).to_have_value("")
        assert mock.faults.listed[0].fault.shown() == each["value"]
    page.locator("[name=match-query]").fill("name")
    page.get_by_role("button", name="Add").click()
    expect(part(page).get_by_role("alert")).to_contain_text("write NAME: VALUE")


@in_chromium
def test_the_form_has_every_field_of_a_fault(mock, opened):
    page = opened(mock, "faults")
    expect(page.get_by_role("button", name="Add")).to_be_visible()
    names = page.evaluate("[...document.querySelector('form.fields').elements].map(each => each.name).filter(Boolean)")
    assert names == list(document()["components"]["schemas"]["Fault"]["properties"])


@in_chromium
def test_a_mutant_is_switched_on_and_off(mock, opened):
    page = opened(mock, "mutants")
    page.get_by_label("Search").fill("name that another")
    switch = page.get_by_role("switch", name="name-unique")
    switch.check()
    expect(page.get_by_text("1 of")).to_be_visible()
    assert [asked(mock, "POST", body=docker(name="twice")) for _ in range(2)] == [200, 200]
    page.get_by_label("Search").fill("")
    page.get_by_label("applied only").check()
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="Remove all").click()
    expect(page.get_by_text("No mutants match the filter.")).to_be_visible()
    assert asked(mock, "POST", body=docker(name="twice")) == 400


@in_chromium
def test_registry_tests_end_as_the_rules_say(mock, opened):
    page = opened(mock, "registries")
    tested = docker(docker={"endpoint": "registry.example.com"})
    assert asked(mock, "POST", f"{PATH}/test", tested) == 200
    page.get_by_role("button", name="Add a rule").click()
    expect(page.get_by_label("Host").first).to_be_focused()
    page.keyboard.type("*.example.com")
    page.get_by_label("Outcome").first.select_option("unauthorized")
    page.get_by_label("Reason").first.fill("not today")
    page.get_by_label("Times").first.fill("1")
    turn_to(page, "Sandboxes")
    turn_to(page, "Registry tests")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("applied: 6 rules")).to_be_visible()
    assert mock.app.central.network.rules[0].shown() == {
        "host": "*.example.com",
        "outcome": "unauthorized",
        "reason": "not today",
        "times": 1,
    }
    assert [asked(mock, "POST", f"{PATH}/test", tested) for _ in range(2)] == [400, 200]
    page.get_by_role("button", name="Remove").first.click()
    page.get_by_role("button", name="Up").nth(1).click()
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("applied: 5 rules")).to_be_visible()
    hosts = [each.host for each in mock.app.central.network.rules]
    assert hosts == ["unreachable.*", "*.invalid", "unreachable", "unauthorized.*", "unauthorized"]


@in_chromium
def test_sandboxes_are_opened_shown_separately_and_deleted(mock, opened):
    mock.sandbox("team-1").scenario("empty")
    asked(mock, "GET")
    page = opened(mock, "sandboxes")
    expect(rows(page)).to_have_count(2)
    page.get_by_role("link", name="team-1").click()
    expect(page.locator("#health")).to_contain_text("Sandbox team-1: Central 5.0 as documented, 0 integrations")
    expect(page.get_by_text("No requests yet")).to_be_visible()
    assert page.url.startswith(f"{mock.url}/__sandbox/team-1/__admin/")
    asked(mock, "GET", f"/__sandbox/team-1{PATH}/nope")
    expect(rows(page)).to_have_count(1)
    turn_to(page, "Sandboxes")
    page.get_by_label("Name").fill("team-2")
    page.get_by_role("button", name="Open").click()
    expect(page.locator("#health")).to_contain_text("Sandbox team-2")
    turn_to(page, "Sandboxes")
    page.get_by_role("button", name="Delete team-1").click()
    expect(rows(page)).to_have_count(2)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("link", name="(default)").click()
    turn_to(page, "Sandboxes")
    page.get_by_role("button", name="Delete all except the default").click()
    expect(rows(page)).to_have_count(1)


@in_chromium
def test_a_link_opens_the_ui_of_a_sandbox(browser, tmp_path):
    (tmp_path / "index.html").write_text("<title>UI</title><h1></h1><script src='/static/ui.js'></script>")
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "ui.js").write_text(
        "fetch('/v1/imageintegrations').then(answer => answer.json()).then(found => {"
        " document.querySelector('h1').textContent = `${location.pathname}: ${found.integrations.length}`; })"
    )
    with serving(Settings(ui=tmp_path)) as mock, browser.new_page() as page:
        mock.sandbox("team-1").scenario("many:3")
        heading = page.get_by_role("heading")
        page.goto(f"{mock.url}/main/integrations")
        expect(heading).to_have_text("/main/integrations: 12")
        page.goto(f"{mock.url}/__sandbox/team-1/main/integrations")
        expect(heading).to_have_text("/main/integrations: 3")
        page.reload()
        expect(heading).to_have_text("/main/integrations: 3")
        page.goto(f"{mock.url}/__sandbox//main/integrations")
        expect(heading).to_have_text("/main/integrations: 12")


@in_chromium
def test_the_reference_tries_out_this_mock_in_this_sandbox(mock, opened):
    sandbox = mock.sandbox("team-1")
    sandbox.scenario("many:1")
    page = opened(sandbox, "reference")
    page.locator("#operations-ImageIntegrationService-GetImageIntegrations .opblock-summary-control").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    expect(page.locator(".live-responses-table")).to_contain_text('"type": "docker"')
    assert [each["operation"] for each in sandbox.journal()] == ["GetImageIntegrations"]
    page.get_by_role("link", name="Control calls").click()
    expect(page.get_by_role("heading", name="Control of a mock-central")).to_be_visible()
    page.locator("#operations-default-health .opblock-summary-control").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table")).to_contain_text('"integrations": 1')


@in_chromium
def test_the_token_is_requested_once_and_allows_everything(opened):
    with serving(Settings(control_token="open-sesame")) as mock:
        page = opened(mock, refused=(401,))
        page.get_by_label("Token", exact=True).fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_text("The mock refused this token.")).to_be_visible()
        page.get_by_label("Token", exact=True).fill("open-sesame")
        page.keyboard.press("Enter")
        expect(page.get_by_text("live", exact=True)).to_be_visible()
        asked(mock, "GET")
        expect(rows(page)).to_have_count(1)
        for name in ("Integrations", "Mutants", "Settings"):
            turn_to(page, name)
            expect(part(page)).to_contain_text(PARTS[name])
        page.reload()
        expect(part(page)).to_contain_text(PARTS["Settings"])
        turn_to(page, "API reference")
        page.get_by_role("link", name="Control calls").click()
        page.locator("#operations-default-scenario .opblock-summary-control").click()
        page.get_by_role("button", name="Execute").click()
        expect(page.locator(".live-responses-table")).to_contain_text('"scenario": "fresh"')
        assert page.evaluate("Object.keys(localStorage).length") == 0


@in_chromium
def test_a_caller_without_a_token_gets_an_error(opened):
    with serving(Settings(control_token="open-sesame")) as mock:
        page = opened(mock, refused=(401,))
        page.get_by_role("button", name="Continue without").click()
        expect(page.get_by_text("not live: control calls require the control token")).to_be_visible()
        page.wait_for_timeout(1500)
        expect(page.get_by_role("dialog")).to_be_hidden()
        page.get_by_role("link", name="Settings").click()
        page.get_by_role("button", name="Continue without").click()
        expect(part(page).get_by_role("alert")).to_contain_text("require the control token")


@in_chromium
def test_everything_is_reachable_by_keyboard(mock, opened):
    for _ in range(3):
        asked(mock, "GET")
    page = opened(mock)
    expect(rows(page)).to_have_count(3)
    press = page.keyboard.press
    press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    press("Enter")
    expect(page.get_by_role("heading", name="Requests")).to_be_focused()
    for label in ("Search", "Method", "Status", "with contract warnings", "Pause", "Clear", "Download as HAR"):
        press("Tab")
        reached = page.evaluate("(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()")
        assert reached.startswith(label)
    press("Tab")
    press("Enter")
    expect(page.get_by_label("response body")).to_be_visible()
    press("ArrowDown")
    press("ArrowDown")
    press("Space")
    expect(page.get_by_label("response body")).to_have_count(2)
    expect(rows(page).nth(2).get_by_label("response body")).to_be_visible()
    for _ in range(2):
        page.locator("nav a").nth(3).focus()
        press("Enter")
        expect(page.get_by_role("heading", name="Faults")).to_be_focused()
    expect(page.get_by_role("button", name="Add")).to_be_visible()
    for _ in range(3):
        press("Tab")
    page.keyboard.type("503")
    press("Enter")
    expect(rows(page)).to_contain_text("code=503")


CONTRASTS = """() => {
    const channel = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const parts = colour => colour.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const ground = element => {
        for (let each = element; each; each = each.parentElement) {
            const [r, g, b, a = 1] = parts(getComputedStyle(each).backgroundColor);
            if (a === 1) return [r, g, b];
        }
        return parts(getComputedStyle(document.body).backgroundColor);
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest("#viewer")) continue;
        const [a, b] = [light(parts(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x);
        found.push([(a + 0.05) / (b + 0.05), walker.currentNode.data]);
    }
    return found;
}"""


def stands_out(page: Page) -> int:
    """Check that every text has contrast and fits into the window; return the number of texts."""
    found = page.evaluate(CONTRASTS)
    assert [each for each in found if each[0] < 4.5] == []
    for element in ("document.documentElement", "(document.querySelector('dialog[open]') ?? document.body)"):
        assert page.evaluate(f"{element}.scrollWidth <= {element}.clientWidth"), element
    return len(found)


@in_chromium
@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("light", 390),
        ("dark", 1280),
        pytest.param("light", 1280, marks=pytest.mark.slow),
        pytest.param("dark", 390, marks=pytest.mark.slow),
    ],
)
def test_contrast_is_sufficient_and_nothing_overflows(mock, opened, scheme, width):
    """WCAG AA: a contrast of 4.5 for text."""
    mock.scenario("odd-names")
    asked(mock, "POST", body=docker(name="acme", surprise=1))
    asked(mock, "GET", Prefer="code=503")
    asked(mock, "GET", f"{PATH}/{LONG}")
    asked(mock, "POST", body={**docker(name=LONG), "docker": {"endpoint": LONG}})
    mock.fault(delay="0", path=f"/{LONG}", match_headers={"X-Long": LONG})
    mock.sandbox("s" * 100)
    mock.app.central.network.rules = [RegistryTestRule(LONG, "failing", reason=LONG)]
    page = opened(mock, color_scheme=scheme, viewport={"width": width, "height": 900}, refused=(400,))
    number = 0
    for name, text in PARTS.items():
        turn_to(page, name)
        if name not in ("Requests", "Faults", "Scenarios"):
            expect(part(page)).to_contain_text(text)
        if name == "Requests":
            expect(rows(page)).to_have_count(4)
        if name in ("Requests", "Integrations"):
            part(page).locator("button.open").first.click()
        if name == "Faults":
            page.get_by_role("button", name="Add").click()
            expect(part(page).get_by_role("alert")).to_be_visible()
        number += stands_out(page)
    turn_to(page, "Integrations")
    page.get_by_role("button", name="Edit acme").click()
    page.get_by_role("dialog").get_by_text("The request as curl").click()
    expect(page.get_by_role("dialog").get_by_label("curl line")).to_be_visible()
    number += stands_out(page)
    page.get_by_role("button", name="JSON").click()
    stands_out(page)
    page.get_by_role("button", name="Close").click()
    page.route("**/__admin/**", lambda route: route.abort("connectionrefused"))
    expect(page.locator("#gone")).to_be_visible()
    stands_out(page)
    assert number > 200
