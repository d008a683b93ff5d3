"""The HTML report in Chromium: complete, with working filters, in light and dark mode."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Page, sync_playwright

from contract_tests.cli.main import main
from mock_server.serving.server import serving
from mock_server.settings import Settings
from mock_server.tests.chromium import CHROMIUM, needs_chromium

pytestmark = [pytest.mark.served, pytest.mark.heavy, needs_chromium]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    path = folder / "report.html"
    with serving(Settings(mutants=("name-unique",), as_deployed=True)) as mock:
        words = ("check", mock.url, "--quick", "--seed", "1", "--state-dir", str(folder), "--report-html", str(path))
        assert CliRunner().invoke(main, words).exit_code == 1
    return path


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser, report: Path) -> Iterator[Page]:
    page = browser.new_page(color_scheme=request.param, viewport={"width": 1200, "height": 900})
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda sent: asked.append(sent.url))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(report.as_uri())
    yield page
    assert asked == [report.as_uri()], "the page needs nothing else"
    assert not wrong
    page.close()


def shown(page: Page) -> int:
    return page.locator("#results tbody tr:visible").count()


def test_failures_come_first_and_expanded(page: Page) -> None:
    assert " failed: " in page.locator("h1").inner_text()
    first = page.locator("#results tbody tr").first
    assert first.locator("td").first.inner_text() == "failed"
    assert "name-unique" in first.inner_text()
    script, again = first.locator("pre").all()[-2:]
    assert "curl" in script.inner_text()
    assert "central-contract replay" in again.inner_text()
    assert first.locator("pre").first.is_visible()


def test_filters_work(page: Page) -> None:
    whole = shown(page)
    rows = page.locator("#results tbody tr").filter(has=page.get_by_role("cell", name="passed", exact=True))
    passed_of_lifecycle = rows.filter(has=page.get_by_role("cell", name="lifecycle", exact=True)).count()
    page.get_by_label("passed").uncheck()
    page.get_by_label("skipped").uncheck()
    page.get_by_label("known difference").uncheck()
    assert shown(page) == 1
    assert page.get_by_role("status").inner_text() == f"1 of {whole} shown"
    page.get_by_label("passed").check()
    page.get_by_label("Group").select_option("lifecycle")
    assert 1 < shown(page) == passed_of_lifecycle
    page.get_by_label("Search").fill("no such check")
    assert shown(page) == 0


def test_report_is_usable_by_keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert not page.get_by_label("passed").is_checked()
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert not page.locator("details").first.locator("pre").first.is_visible()


def test_contrast_is_sufficient_and_nothing_overflows(page: Page) -> None:
    """WCAG AA: a contrast of 4.5 for text."""
    contrasts = page.evaluate(
        """() => {
            const channel = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
            const light = colour => {
                const [r, g, b] = colour.match(/\\d+/g).map(Number).map(channel);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const ground = element => {
                for (let each = element; each; each = each.parentElement) {
                    const colour = getComputedStyle(each).backgroundColor;
                    if (!colour.endsWith(", 0)")) return colour;
                }
            };
            return [...document.querySelectorAll("h1, p, td, th, pre span, .outcome, code")].map(each => {
                const [a, b] = [light(getComputedStyle(each).color), light(ground(each))].sort((x, y) => y - x);
                return (a + 0.05) / (b + 0.05);
            });
        }"""
    )
    assert len(contrasts) > 100
    assert min(contrasts) >= 4.5
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
