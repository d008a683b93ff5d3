"""The web UI of StackRox, as it is, in a real browser: against the mock, and through the judging proxy.

`MOCK_CENTRAL_UI` names the folder of a production build: `ui/apps/platform/build` in a clone of stackrox/stackrox.
It is not part of this project. The UI's own Cypress specs are run where they stand beside the build.
"""

import json
import os
import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from mock_server.tests.end_to_end.clients import QUIET, TOKEN, central, is_green
from mock_server.tests.test_cli import serve_command, url_in

HERE = Path(__file__).parent
UI = os.environ.get("MOCK_CENTRAL_UI")
NODE, NPM = shutil.which("node"), shutil.which("npm")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SPECS = Path(UI or "/nowhere").parent / "cypress/integration/integrations/imageIntegrations.test.js"
LOGO_OF_THE_API_REFERENCE = "https://cdn.redoc.ly"
SCRIPTS = ("package.json", "package-lock.json", "browser.mjs", "cypress.mjs", "drive.mjs", "forms.mjs")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.served,
    pytest.mark.skipif(not UI, reason="MOCK_CENTRAL_UI names no production build of the UI"),
    pytest.mark.skipif(not (NODE and NPM), reason="node and npm are not here"),
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not here"),
]


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """A folder with copies of the drivers and their dependencies."""
    folder = tmp_path_factory.mktemp("driver")
    for name in SCRIPTS:
        shutil.copy(HERE / name, folder)
    command = [NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip("npm cannot fetch what the drivers need")
    return folder


def walk(driver, url, out, *words, script="drive.mjs"):
    """Drive the UI at `url`; return the report if every step passed."""
    command = [NODE, str(driver / script), url, *words, "--out", str(out), "--chromium", CHROMIUM]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3000, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\npictures: {out}"
    return json.loads((out / "report.json").read_text())


def is_sound(report):
    unanswered = [each for each in report["exchanges"] if each["status"] in (404, 501) or each["status"] > 501]
    crashes = [each for each in report["exchanges"] if each["path"] == "/api/logimbue"]
    refused = re.compile(r": Failed to load resource: the server responded with a status of 40[013] ")
    errors = [each for each in report["consoleErrors"] if not refused.search(each)]
    assert (unanswered, crashes, errors, report["pageErrors"]) == ([], [], [], [])
    assert set(report["foreignOrigins"]) <= {LOGO_OF_THE_API_REFERENCE}
    return True


@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "proxied"])
def test_every_form_does_all_it_offers(driver, tmp_path, proxied):
    with central(tmp_path, "--ui", UI, proxied=proxied) as (url, verdict):
        report = walk(driver, url, tmp_path)
    assert is_sound(report)
    assert len(report["steps"]) > 140
    assert is_green(verdict) if proxied else not verdict


@pytest.mark.skipif(not SPECS.exists(), reason="the sources of the UI are not beside its build")
@pytest.mark.parametrize(("live", "tests"), [(False, 14), (True, 13)], ids=["as they are", "answered by the mock"])
def test_the_ui_s_own_specs_pass(driver, tmp_path, live, tests):
    # What that spec sends as a key of Google is none: it answers its save itself, and Central would refuse it.
    words = ("--live", "--without", "Google Artifact Registry") if live else ()
    with central(tmp_path, "--ui", UI, proxied=False) as (url, _):
        report = walk(driver, url, tmp_path, str(SPECS), "--token", TOKEN, *words, script="cypress.mjs")
    assert is_sound(report)
    assert len(report["steps"]) == tests


def test_the_form_of_a_type_that_is_gone_works_with_an_older_central(driver, tmp_path):
    with serve_command("--auth", "--ui", UI, "--central-version", "4.11", *QUIET) as (_, banner):
        assert is_sound(walk(driver, url_in(banner), tmp_path, "--types", "google", "--gone", ""))


def test_only_the_image_integrations_need_to_be_mocked(driver, tmp_path):
    """Another server answers the rest of the UI's requests: here a second mock."""
    with ExitStack() as stack:
        _, there = stack.enter_context(serve_command("--auth", "--ui", UI, *QUIET))
        process, here = stack.enter_context(serve_command("--upstream", url_in(there), env={"MOCK_CENTRAL_UI": ""}))
        assert is_sound(walk(driver, url_in(here), tmp_path, "--types", "docker"))
        process.terminate()
        process.wait(10)
        passed_on = re.findall(r"(?:GET|POST) (\S+) \d+ \S+ from", process.stderr.read())
    assert "/v1/authProviders/exchangeToken" in passed_on
    assert not [path for path in passed_on if path.startswith("/v1/imageintegrations")]
