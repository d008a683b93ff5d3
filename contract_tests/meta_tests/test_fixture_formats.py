"""Each form that fixtures are written in, read by the tool that it is for."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract_tests.fixtures.formats import FILES, write
from contract_tests.fixtures.generate import Wish, generate
from mock_server.serving.server import MockServer, serving
from mock_server.settings import Settings
from mock_server.tests.npm import installed

pytestmark = pytest.mark.served

TOOLS = Path(__file__).parent / "fixture_tools"
SHIPPED = Path(__file__).parents[2] / "fixtures"


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


@pytest.mark.slow
def test_tsc_takes_the_module_and_its_types_refuse_what_is_wrong(folder: Path) -> None:
    shutil.copy(SHIPPED / "typescript/fixtures.ts", folder)
    shutil.copy(TOOLS / "use.ts", folder)
    options = ("--strict", "--noEmit", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler")
    run(folder, "node_modules/.bin/tsc", *options, "use.ts")


def test_msw_answers_every_request_as_recorded(folder: Path) -> None:
    shutil.copy(SHIPPED / "msw/handlers.mjs", folder)
    shutil.copy(TOOLS / "drive.mjs", folder)
    found = json.loads(run(folder, "node", "drive.mjs").splitlines()[-1])
    assert found["wrong"] == 0
    assert found["sent"] > 200


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


@pytest.mark.slow
def test_newman_runs_the_collection_and_every_assertion_holds(folder: Path, mock: MockServer) -> None:
    found = newman(folder, mock.url, SHIPPED / "postman/collection.json")
    assert found["failed"] == 0
    assert found["total"] > 1000


def test_newman_sees_a_mutant(folder: Path) -> None:
    with serving(Settings(mutants=("name-unique",))) as broken:
        assert newman(folder, broken.url, of_one_rule("postman", folder), expected=1)["failed"] > 0


def curl(url: str, script: Path, *, expected: int = 0) -> str:
    done = subprocess.run(["bash", str(script), url], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == expected, done.stdout + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
def test_bash_runs_the_script_and_every_answer_is_the_one_expected(mock: MockServer) -> None:
    assert curl(mock.url, SHIPPED / "curl/fixtures.sh").strip() == "0 of the answers differ"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
def test_the_script_sees_a_mutant(tmp_path: Path) -> None:
    with serving(Settings(mutants=("name-unique",))) as broken:
        assert "name-unique/create: POST" in curl(broken.url, of_one_rule("curl", tmp_path), expected=1)
