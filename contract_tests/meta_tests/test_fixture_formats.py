"""Each form that fixtures are written in, read by the tool that it is for."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from contract_tests.fixtures.formats import FILES, write
from contract_tests.fixtures.formats.plain import file_name
from contract_tests.fixtures.generate import Wish, generate
from mock_server.serving.addresses import free_port
from mock_server.serving.server import MockServer, serving
from mock_server.settings import Settings
from mock_server.tests.chromium import CHROMIUM, in_chromium
from mock_server.tests.maven import jar
from mock_server.tests.npm import installed

pytestmark = [pytest.mark.served, pytest.mark.slow]
"""`make test-forms` runs them."""

TOOLS = Path(__file__).parent / "fixture_tools"
SHIPPED = Path(__file__).parents[2] / "fixtures"
TSC = ("--strict", "--noEmit", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler")


@pytest.fixture(scope="module")
def mock() -> Iterator[MockServer]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def node_modules() -> Path:
    return installed(TOOLS)


@pytest.fixture
def folder(tmp_path: Path, node_modules: Path) -> Path:
    (tmp_path / "node_modules").symlink_to(node_modules)
    return tmp_path


def run(folder: Path, *words: str, expected: int = 0) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == expected, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_tsc_accepts_the_module_and_its_types_refuse_wrong_values(folder: Path) -> None:
    for path in (SHIPPED / "typescript/fixtures.ts", SHIPPED / "msw/handlers.mjs", SHIPPED / "msw/handlers.d.mts"):
        shutil.copy(path, folder)
    shutil.copy(TOOLS / "use.ts", folder)
    run(folder, "node_modules/.bin/tsc", *TSC, "use.ts")


def test_tsc_accepts_a_module_without_bodies_answers_or_errors(folder: Path) -> None:
    names = ("name-unique/create", "list/fresh", "type/quay/minimal-registry", "type/quay/read")
    for name in names:
        made = write("typescript", list(generate(Wish(names=(name,)))))
        (folder / f"{file_name(name)}.ts").write_text(made[FILES["typescript"]], "utf-8")
    run(folder, "node_modules/.bin/tsc", *TSC, *(f"{file_name(name)}.ts" for name in names))


def test_msw_answers_every_request_as_recorded(folder: Path) -> None:
    shutil.copy(SHIPPED / "msw/handlers.mjs", folder)
    shutil.copy(TOOLS / "drive.mjs", folder)
    found = json.loads(run(folder, "node", "drive.mjs").splitlines()[-1])
    assert found["wrong"] == 0
    assert found["sent"] > 200


def test_msw_with_a_state_answers_the_life_of_integrations_as_the_mock_does(folder: Path, mock: MockServer) -> None:
    shutil.copy(SHIPPED / "msw/handlers.mjs", folder)
    shutil.copy(TOOLS / "state.mjs", folder)
    mock.reset()
    by_mock = run(folder, "node", "state.mjs", mock.url).splitlines()
    assert len(by_mock) > 1000
    assert run(folder, "node", "state.mjs").splitlines() == by_mock


def of_one_rule(form: str, folder: Path) -> Path:
    """Return a file with the fixtures of a rule: a mutant needs no more to be seen."""
    (text,) = write(form, list(generate(Wish(rules=("name-unique",))))).values()
    path = folder / FILES[form]
    path.write_text(text, "utf-8")
    return path


def newman(folder: Path, url: str, collection: Path, *, expected: int = 0) -> dict[str, int]:
    report = folder / "report.json"
    run(
        folder,
        *("node_modules/.bin/newman", "run", str(collection)),
        *("--env-var", f"baseUrl={url}", "--reporters", "json", "--reporter-json-export", str(report)),
        expected=expected,
    )
    found: dict[str, int] = json.loads(report.read_text("utf-8"))["run"]["stats"]["assertions"]
    return found


def test_newman_runs_the_collection_and_every_assertion_holds(folder: Path, mock: MockServer) -> None:
    found = newman(folder, mock.url, SHIPPED / "postman/collection.json")
    assert found["failed"] == 0
    assert found["total"] > 1000


def test_newman_detects_a_mutant(folder: Path) -> None:
    with serving(Settings(mutants=("name-unique",))) as broken:
        assert newman(folder, broken.url, of_one_rule("postman", folder), expected=1)["failed"] > 0


def curl(url: str, script: Path, *, expected: int = 0) -> str:
    done = subprocess.run(["bash", str(script), url], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == expected, done.stdout + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
def test_bash_runs_the_script_and_every_answer_is_the_one_expected(mock: MockServer) -> None:
    assert curl(mock.url, SHIPPED / "curl/fixtures.sh").strip() == "0 answers differ"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
def test_the_script_detects_a_mutant(tmp_path: Path) -> None:
    with serving(Settings(mutants=("name-unique",))) as broken:
        assert "name-unique/create: POST" in curl(broken.url, of_one_rule("curl", tmp_path), expected=1)


def test_the_script_takes_a_url_that_ends_with_a_slash(tmp_path: Path) -> None:
    stub = tmp_path / "curl"
    stub.write_text(f'#!/bin/bash\necho "${{@: -1}}" >> {tmp_path}/urls\n', "utf-8")
    stub.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    words = ("bash", str(of_one_rule("curl", tmp_path)), "http://central.example.com/")
    subprocess.run(words, env=environment, capture_output=True, timeout=120, check=False)
    urls = set((tmp_path / "urls").read_text("utf-8").split())
    assert {f"http://central.example.com{path}" for path in ("/__admin/reset", "/v1/imageintegrations")} <= urls


def of_shipped_har() -> dict[str, list[dict[str, Any]]]:
    """Return the entries of each fixture."""
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in json.loads((SHIPPED / "har/fixtures.har").read_text("utf-8"))["log"]["entries"]:
        found.setdefault(entry["pageref"], []).append(entry)
    return found


@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not here")
@pytest.mark.parametrize("mutants", [(), ("name-unique",)], ids=["healthy", "mutant"])
def test_go_plays_the_lines_that_the_package_embeds(tmp_path: Path, mutants: tuple[str, ...]) -> None:
    for path in (SHIPPED / "go.mod", SHIPPED / "fixtures.go", TOOLS / "replay_test.go", *SHIPPED.glob("*.jsonl")):
        shutil.copy(path, tmp_path)
    shutil.copytree(SHIPPED / "versions", tmp_path / "versions")
    assert subprocess.check_output(["gofmt", "-l", "."], cwd=tmp_path, text=True) == ""
    with serving(Settings(mutants=mutants)) as server:
        environment = {**os.environ, "CENTRAL": server.url, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
        done = subprocess.run(
            ["go", "test", "."], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
    failed = {line.split()[2] for line in done.stdout.splitlines() if line.startswith("    --- FAIL")}
    assert bool(failed) == bool(mutants), done.stdout[-3000:] + done.stderr[-3000:]
    assert all("name-" in each for each in failed), failed
    assert done.returncode == int(bool(mutants))


@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not here")
def test_a_go_package_of_a_few_fixtures_compiles(tmp_path: Path) -> None:
    for path, text in write("go", list(generate(Wish(rules=("name-unique",))))).items():
        (tmp_path / path).write_text(text, "utf-8")
    done = subprocess.run(["go", "vet", "."], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


WIREMOCK = "org.wiremock:wiremock-standalone:3.13.2"


@pytest.fixture(scope="module")
def wiremock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start WireMock, from Maven."""
    folder = tmp_path_factory.mktemp("wiremock")
    program = jar(WIREMOCK, folder)
    port = free_port("127.0.0.1", 0)
    options = ("--port", str(port), "--bind-address", "127.0.0.1", "--root-dir", str(folder), "--disable-banner")
    with (folder / "log").open("w") as log, subprocess.Popen(
        ["java", "-jar", str(program), *options], stdout=log, stderr=log
    ) as process:  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        try:
            for _ in range(300):
                with suppress(requests.RequestException):
                    if requests.get(f"{url}/__admin/health", timeout=5).ok:
                        break
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()


def test_wiremock_answers_each_fixture_as_recorded(wiremock: str) -> None:
    sent = 0
    for name, entries in of_shipped_har().items():
        path = SHIPPED / f"wiremock/mappings/{file_name(name)}.json"
        if not path.exists():
            continue  # its path is no URL
        requests.delete(f"{wiremock}/__admin/mappings", timeout=10).raise_for_status()
        requests.post(f"{wiremock}/__admin/scenarios/reset", timeout=10).raise_for_status()
        requests.post(f"{wiremock}/__admin/mappings/import", data=path.read_bytes(), timeout=10).raise_for_status()
        for entry in entries:
            asked, expected = entry["request"], entry["response"]
            url = asked["url"].replace("https://central.example.com", wiremock)
            body = asked.get("postData", {}).get("text")
            got = requests.request(asked["method"], url, data=body and body.encode(), timeout=10)
            assert got.status_code == expected["status"], (name, got.text)
            text = expected["content"]["text"]
            assert got.text == text or got.json() == json.loads(text), name
            assert got.headers["content-type"] == "application/json"
            sent += 1
    assert sent > 300


@in_chromium
def test_a_browser_plays_the_archive(tmp_path: Path, mock: MockServer) -> None:
    """Playwright answers with an entry whose URL, method and body are those of a request."""
    from playwright.sync_api import sync_playwright

    entries = of_shipped_har()["conversation/life-quay"]
    archive = tmp_path / "one.har"
    log = json.loads((SHIPPED / "har/fixtures.har").read_text("utf-8"))
    log["log"]["entries"] = entries
    archive.write_text(json.dumps(log).replace("https://central.example.com", mock.url), "utf-8")
    creates = [each for each in entries if each["request"]["method"] == "POST" and each["response"]["status"] == 200]
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=CHROMIUM) as browser:
        page = browser.new_page()
        page.goto(f"{mock.url}/__admin/health")
        page.route_from_har(archive, url="**/v1/**", not_found="abort")
        for each in creates:
            asked = each["request"]
            script = """async ([url, method, body]) => {
                const options = { method, body, headers: { "Content-Type": "application/json" } };
                return (await fetch(url, options)).text();
            }"""
            url = asked["url"].replace("https://central.example.com", mock.url)
            got = page.evaluate(script, [url, asked["method"], asked["postData"]["text"]])
            assert got == each["response"]["content"]["text"]
    assert creates


@pytest.mark.parametrize("mutants", [(), ("name-unique",)], ids=["healthy", "mutant"])
def test_httpyac_runs_the_file_and_every_test_holds(tmp_path: Path, mutants: tuple[str, ...]) -> None:
    (tmp_path / "node_modules").symlink_to(installed(TOOLS / "http"))
    text = (SHIPPED / "http/fixtures.http").read_text("utf-8")
    with serving(Settings(mutants=mutants)) as server:
        (tmp_path / "fixtures.http").write_text(text.replace("http://127.0.0.1:8080", server.url), "utf-8")
        command = ("node_modules/.bin/httpyac", "send", "fixtures.http", "--all", "--output", "none", "--json")
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        with (tmp_path / "report.json").open("w") as report:  # what it writes to a pipe is cut off
            subprocess.run(command, cwd=tmp_path, env=environment, stdout=report, timeout=300, check=False)
    found = json.loads((tmp_path / "report.json").read_text("utf-8"))["summary"]
    assert found["totalTests"] > 500
    assert found["erroredTests"] == 0
    assert bool(found["failedTests"]) == bool(mutants)
