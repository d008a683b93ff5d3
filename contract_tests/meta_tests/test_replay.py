"""Replay of a reported failure, and comparison of two servers."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner, Result

from contract_tests.cli.main import main
from contract_tests.engine.options import Options
from contract_tests.runner.replay import read
from mock_server.serving.server import MockServer, serving
from mock_server.settings import Settings

pytestmark = pytest.mark.served


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words, prog_name="central-contract")


def names_at(mock: MockServer) -> list[str]:
    items = requests.get(f"{mock.url}/v1/imageintegrations", timeout=10).json()["integrations"]
    return [each["name"] for each in items]


@pytest.fixture
def mutated() -> Iterator[MockServer]:
    with serving(Settings(mutants=("name-unique",))) as mock:
        yield mock


def written() -> dict[str, Any]:
    options = {"managed": False, "max_live": 150, "max_response_time": 5.0, "workers": 1, "allow_registry_tests": False,
               "allow_load": False, "disposable": False, "own_mock": None}  # fmt: skip
    failure = {"check": "create", "what": "x", "intermittent": False, "exchanges": []}
    result = {"check": "create", "group": "base", "profile": "quick", "outcome": "failed", "failures": [failure]}
    return {"target": "http://127.0.0.1:9", "run": "a", "centralVersion": "5.0", "seed": 1, "profile": "quick",
            "options": options, "results": [result]}  # fmt: skip


@pytest.mark.parametrize("gone", ["options", "max_live", "own_mock", "depth"])
def test_incomplete_report_is_refused(tmp_path: Path, gone: str) -> None:
    value = written()
    value["options"]["own_mock"] = {"store": "redis://somewhere"}
    value.pop(gone, None)
    value.get("options", {}).pop(gone if gone != "own_mock" else "", None)
    text = "[" * 100_000 if gone == "depth" else json.dumps(value)
    (tmp_path / "report.json").write_text(text)
    done = run("replay", str(tmp_path / "report.json"), "create")
    assert (done.exit_code, "is not a JSON report of a run" in done.output) == (2, True), done.output


@pytest.mark.parametrize(
    ("key", "wrong", "message"),
    [
        ("target", 5, "target is 5"),
        ("seed", "x", "seed is 'x'"),
        ("max_live", "a", "max_live is 'a'"),
        ("centralVersion", "99", "'99' is not a release"),
        ("profile", "traffic", "no run with the profile 'traffic' can be repeated"),
    ],
)
def test_report_with_a_wrong_value_is_refused(tmp_path: Path, key: str, wrong: object, message: str) -> None:
    value = written()
    value["results"][0]["profile"] = ""
    (value if key in value else value["options"])[key] = wrong
    (tmp_path / "report.json").write_text(json.dumps(value))
    done = run("replay", str(tmp_path / "report.json"), "create")
    assert (done.exit_code, message in done.output) == (2, True), done.output


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (("results",), 5),
        (("results",), None),
        (("results", 0), []),
        (("results", 0, "failures"), 5),
        (("results", 0, "failures", 0), []),
        (("results", 0, "failures", 0, "exchanges"), None),
        (("results", 0, "failures", 0, "exchanges"), [5]),
        (("results", 0, "failures", 0, "exchanges"), [{"headers": ["a"]}]),
        (("options",), 5),
        (("options", "own_mock"), 5),
        ((), "{"),
        ((), "5"),
        ((), b"\xff"),
    ],
)
def test_wrong_report_is_refused_in_plain_words(tmp_path: Path, place: tuple[Any, ...], wrong: Any) -> None:
    value: Any = written()
    inner = value
    for key in place[:-1]:
        inner = inner[key]
    if place:
        inner[place[-1]] = wrong
    content = wrong if isinstance(wrong, bytes) else (json.dumps(value) if place else wrong).encode()
    (tmp_path / "report.json").write_bytes(content)
    done = run("replay", str(tmp_path / "report.json"), "create")
    assert done.exit_code == 2, done.output
    assert "report.json is not a JSON report of a run" in done.output
    assert "`central-contract check URL --report-json FILE` writes one" in done.output
    assert not re.search("object|indices|iterable|NoneType|attribute|Expecting|codec|sequence", done.output)


def test_permission_to_damage_a_target_is_not_one_for_another(tmp_path: Path) -> None:
    value = written()
    value["options"] |= {"disposable": True, "allow_load": True}
    value["target"] = "https://disposable.example.com"
    (tmp_path / "report.json").write_text(json.dumps(value))
    recorded = read(tmp_path / "report.json", "create")
    same, other = (recorded.applied(Options(f"https://{each}.example.com")) for each in ("disposable", "production"))
    assert (same.disposable, same.allow_load) == (True, True)
    assert (other.disposable, other.allow_load) == (False, False)


@pytest.fixture
def report(mutated: MockServer, tmp_path: Path) -> Path:
    path = tmp_path / "report.json"
    only = ("--only", "create", "--only", "name-unique")
    state = ("--state-dir", str(tmp_path / "state"))
    assert run("check", mutated.url, *only, *state, "--seed", "3", "--report-json", str(path)).exit_code == 1
    return path


def replay(report: Path, failure: str, *words: str) -> Result:
    return run("replay", str(report), failure, "--state-dir", str(report.parent / "state"), *words)


def test_persisting_failure_is_reported_and_leaves_nothing(report: Path, mutated: MockServer) -> None:
    before = names_at(mutated)
    result = replay(report, "name-unique")
    assert result.exit_code == 1, result.output
    assert "name-unique still fails" in result.output
    assert names_at(mutated) == before
    assert not list((report.parent / "state").glob("*.ledger"))


def test_fixed_failure_no_longer_fails(report: Path) -> None:
    with serving() as healthy:
        before = names_at(healthy)
        result = replay(report, "name-unique", "--url", healthy.url)
        assert result.exit_code == 0, result.output
        assert "name-unique no longer fails" in result.output
        assert names_at(healthy) == before


def test_unreachable_failure_gives_no_verdict(report: Path) -> None:
    """`git bisect run` skips a commit with exit status 125."""
    with serving(Settings(mutants=("create-201",))) as other:
        result = replay(report, "name-unique", "--url", other.url)
    assert result.exit_code == 125, result.output
    assert "could not be judged" in result.output


def test_unreachable_target_gives_no_verdict(report: Path) -> None:
    result = replay(report, "name-unique", "--url", "http://127.0.0.1:9")
    assert result.exit_code == 125, result.output
    assert "does not answer" in result.output


def test_unknown_failure_is_refused_with_the_known_ones(report: Path) -> None:
    result = replay(report, "name-uniq")
    assert result.exit_code == 2
    assert "has no failure 'name-uniq'; it has: name-unique" in result.output


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text("[]")
    result = run("replay", str(path), "create", "--state-dir", str(tmp_path))
    assert result.exit_code == 2
    assert "is not a JSON report of" in result.output


@pytest.mark.heavy
def test_equal_servers_show_no_difference(tmp_path: Path) -> None:
    result = run("compare", "mock", "mock", "--state-dir", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert "differences: 0." in result.output
    assert "APART" not in result.output


@pytest.mark.heavy
def test_both_servers_get_the_same_generated_requests(tmp_path: Path) -> None:
    result = run("compare", "mock", "mock", "--full", "--state-dir", str(tmp_path), "--only", "lifecycle-machine")
    assert result.exit_code == 0, result.output
    assert "APART" not in result.output


@pytest.mark.heavy
def test_difference_is_reported_once(tmp_path: Path) -> None:
    with serving(Settings(mutants=("get-missing-400",))) as other:
        result = run("compare", "mock", other.url, "--state-dir", str(tmp_path))
    assert result.exit_code == 1, result.output
    differences = [line for line in result.output.splitlines() if line.startswith("DIFFERS")]
    assert differences
    assert all("GET /v1/imageintegrations/" in line for line in differences), differences
    assert '+   "status": 400' in result.output


def test_leftovers_of_a_replay_are_named(report: Path, mutated: MockServer) -> None:
    mutated.fault(code=500, method="DELETE")
    done = replay(report, "name-unique", "--url", mutated.url)
    assert "Not deleted: central-contract-" in done.output
    assert f"`central-contract clean {mutated.url}`" in done.output
