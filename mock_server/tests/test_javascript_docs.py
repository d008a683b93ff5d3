"""The code of the pages about JavaScript, run by its tools."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from mock_server.serving.addresses import free_port
from mock_server.serving.server import serving
from mock_server.tests.chromium import CHROMIUM, in_chromium
from mock_server.tests.npm import installed

pytestmark = pytest.mark.served

ROOT = Path(__file__).parents[2]
TOOLS = Path(__file__).parent / "javascript"
PAGES = ("javascript", "playwright-and-cypress", "msw")
PAGE = "".join((ROOT / f"docs/how-to/{name}.md").read_text("utf-8") for name in PAGES)
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NAMED = re.compile(r"(?://|<!--) (\S+)(?: -->)?\n")
CODE = [text for language, text in _FENCE.findall(PAGE) if language != "sh"]
FILES = {found[1]: text for text in CODE if (found := _NAMED.match(text))}
COMMANDS = "".join(text for language, text in _FENCE.findall(PAGE) if language == "sh").splitlines()


class Project:
    """A folder with the files of the page, with free ports."""

    def __init__(self, folder: Path, mock_port: int, page_port: int):
        self.folder = folder
        self.ports = {"8080": str(mock_port), "5173": str(page_port)}
        self.page = f"http://127.0.0.1:{page_port}"
        for name, text in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(self.here(text), "utf-8")
        (folder / "package.json").write_text('{"private": true}', "utf-8")  # MSW notes there where its worker is
        # A folder of links: Vite keeps a cache beside the packages.
        (folder / "node_modules").mkdir()
        for each in installed(TOOLS).iterdir():
            (folder / "node_modules" / each.name).symlink_to(each)

    def here(self, text):
        """Return the text with the ports of this project and the path of the checkout."""
        text = re.sub(r"\b(8080|5173)\b", lambda found: self.ports[found[1]], text)
        return text.replace("CHECKOUT", str(ROOT))

    def environment(self, **more):
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {
            "PATH": path,
            "HOME": str(self.folder),
            "CI": "1",
            "CHROMIUM": CHROMIUM or "",
            "MOCK_CENTRAL_PORT": self.ports["8080"],
            **more,
        }

    def run(self, command, **environment):
        """Run a command of the page, or a similar one, and return its output."""
        done = subprocess.run(
            ["/bin/sh", "-ec", self.here(command)],
            cwd=self.folder,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    def playwright(self, spec, **environment):
        """Run a file of Playwright tests; return how many passed without retries."""
        report = json.loads(self.run(f"{command('playwright')} --reporter=json {spec}", **environment))
        assert (report["stats"]["unexpected"], report["stats"]["flaky"], report["stats"]["skipped"]) == (0, 0, 0)
        return report["stats"]["expected"]


def command(*words):
    """Return the only command of the page that contains these words."""
    (found,) = (line for line in COMMANDS if all(word in line for word in words))
    return found.removesuffix(" &")


@pytest.fixture
def project(tmp_path):
    mock_port, page_port = free_port("127.0.0.1", 0), free_port("127.0.0.1", 0)
    return Project(tmp_path, mock_port, page_port)


@contextmanager
def serving_page(project, words):
    """Run a server of the page while the block runs."""
    process = subprocess.Popen(
        ["/bin/sh", "-ec", f"exec {words}"],
        cwd=project.folder,
        env=project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


def answered(url, **headers):
    """Repeat a request until a server answers."""
    for _ in range(300):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
                return answer.read()
        except ConnectionError:
            pass
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionError):
                raise
        time.sleep(0.1)
    raise AssertionError(f"nobody listens at {url}")


def test_each_block_of_code_names_its_file_once():
    assert len(FILES) == len(CODE) >= 10


@pytest.mark.slow
def test_vite_forwards_the_api_and_serves_the_page(tmp_path):
    with serving() as mock:
        project = Project(tmp_path, int(mock.url.rpartition(":")[2]), free_port("127.0.0.1", 0))
        sandbox = mock.sandbox("mine")
        sandbox.scenario("many:3")
        with serving_page(project, "npm exec vite"):
            assert b"main.mjs" in answered(project.page)
            listed = json.loads(answered(f"{project.page}/v1/imageintegrations", **{"Mock-Central-Sandbox": "mine"}))
        assert len(listed["integrations"]) == 3
        assert (sandbox.journal.count(), mock.journal.count()) == (1, 0)


@pytest.mark.slow
@in_chromium
def test_playwright_starts_the_servers_and_its_tests_pass(project):
    assert project.playwright("integrations.spec") == FILES["e2e/integrations.spec.mjs"].count("\ntest(")


@pytest.mark.slow
@in_chromium
def test_a_page_of_another_origin_calls_the_mock_directly(project):
    shutil.copy(TOOLS / "page.spec.mjs", project.folder / "e2e")
    (central,) = re.findall(r"VITE_CENTRAL=(\S+)", PAGE)
    (origin,) = re.findall(r"--cors (\S+)", PAGE)
    environment = {"VITE_CENTRAL": project.here(central), "MOCK_CENTRAL_CORS": project.here(origin)}
    assert project.playwright("page.spec", **environment, MOCK_CENTRAL_SCENARIO="many:7", INTEGRATIONS="7") == 1


@pytest.mark.slow
@in_chromium
def test_msw_answers_in_the_browser(project):
    shutil.copy(TOOLS / "page.spec.mjs", project.folder / "e2e")
    project.run(command("handlers.mjs"))
    project.run(command("msw", "init"))
    assert project.playwright("page.spec", VITE_MSW="1", MOCK_CENTRAL_SCENARIO="empty", INTEGRATIONS="12") == 1


@pytest.mark.heavy
def test_msw_and_a_mock_answer_in_node_s_test_runner(project):
    project.run(command("handlers.mjs"))
    report = project.run(f"{command('node --test')} --test-reporter=tap")
    tests = sum(text.count("\ntest(") for name, text in FILES.items() if name.endswith(".test.mjs"))
    assert re.findall(r"^# (pass|fail) (\d+)$", report, re.MULTILINE) == [("pass", str(tests)), ("fail", "0")]


@pytest.mark.slow
def test_the_cypress_blocks_compile_against_its_types(project):
    options = "--noEmit --checkJs --target es2022 --module esnext --moduleResolution bundler --skipLibCheck"
    project.run(f"node_modules/.bin/tsc {options} --types cypress cypress.config.mjs cypress/e2e/integrations.cy.js")
    loaded = project.run("""node -e 'import("./cypress.config.mjs").then((it) => console.log(JSON.stringify(it)))'""")
    assert json.loads(loaded)["default"]["e2e"]["baseUrl"] == project.page
