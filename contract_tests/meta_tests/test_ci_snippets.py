"""The steps of `action.yml`, run as by a GitHub runner, and what both CI snippets install."""

import html
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mock_server.serving.server import serving
from mock_server.settings import Settings

pytestmark = pytest.mark.served

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
STEPS: dict[str, Any] = {step["name"]: step for step in ACTION["runs"]["steps"]}


class Step:
    """The check step, in a separate job."""

    def __init__(self, folder: Path, url: str, arguments: str, job: str = "contract") -> None:
        tool = folder / "runner/central-contract/bin/central-contract"
        tool.parent.mkdir(parents=True)
        tool.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m contract_tests "$@"\n')
        tool.chmod(0o755)
        (folder / "list").touch()  # a name that a pattern would find
        files = {"GITHUB_STEP_SUMMARY": folder / "summary", "GITHUB_OUTPUT": folder / "output"}
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(folder),
            "RUNNER_TEMP": str(folder / "runner"),
            "GITHUB_ACTIONS": "true",
            "GITHUB_JOB": job,
            **{name: str(path) for name, path in files.items()},
            **dict.fromkeys(("CENTRAL_TOKEN", "ARTIFACT"), ""),
            "URL": url,
            "PROFILE": "quick",
            "ARGUMENTS": arguments,
            "REPORT": "report",
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS["Check"]["run"]],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr  # the verdict is a step of its own
        self.log = done.stdout
        self.summary = files["GITHUB_STEP_SUMMARY"].read_text("utf-8")
        self.output = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text("utf-8").splitlines())
        self.reports = sorted(path.name for path in (folder / "report").iterdir())


@pytest.mark.parametrize(
    ("mutants", "arguments", "status", "summary"),
    [
        ((), "--only create", "0", "passed: "),
        (("name-unique",), "--only create\n--only name-unique", "1", "### name-unique"),
        ((), "--only create --max-requests 5", "3", "is incomplete: "),
        ((), "--only creat", "2", "did you mean create"),
        ((), "--help", "2", "Exit status"),
    ],
    ids=["passed", "failed", "incomplete", "wrong option", "nothing checked"],
)
def test_every_exit_status_has_a_summary(
    tmp_path: Path, mutants: tuple[str, ...], arguments: str, status: str, summary: str
) -> None:
    with serving(Settings(mutants=mutants)) as mock:
        step = Step(tmp_path, mock.url, arguments)
    assert step.output["status"] == status, step.log
    assert step.summary.startswith("## The check ")
    assert summary in html.unescape(step.summary)
    assert "output.txt" in step.reports


def test_unreachable_server_has_a_summary(tmp_path: Path) -> None:
    step = Step(tmp_path, "http://127.0.0.1:9", "")
    assert step.output["status"] == "2"
    assert "## http://127.0.0.1:9 could not be checked: " in html.unescape(step.summary)


def test_arguments_are_not_expanded_as_patterns(tmp_path: Path) -> None:
    step = Step(tmp_path, "http://127.0.0.1:9", "--only lis*")
    assert "unknown check 'lis*'" in html.unescape(step.summary)


@pytest.mark.heavy
def test_artifact_names_are_unique(tmp_path: Path) -> None:
    names = set()
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        names.add(Step(tmp_path / str(number), "http://127.0.0.1:9", "").output["artifact"])
    assert len(names) == 2
    assert all(re.fullmatch(r"central-contract-contract-[0-9a-f]{8}", name) for name in names)


def test_installation_is_locked_and_sees_no_token() -> None:
    install = STEPS["Install"]
    assert set(install["env"]) == {"ACTION"}
    gitlab = " ".join(yaml.safe_load((ROOT / "docs/gitlab-ci.yml").read_text("utf-8"))["central-contract"]["script"])
    for script in (install["run"], gitlab):
        locked, own = [line for line in re.split(r"\n|(?= pip )", script) if "--require" in line or "--no-deps" in line]
        assert "--require-hashes" in locked
        assert "requirements/contract.txt" in locked
        assert "--no-build-isolation" in own


def test_harness_lock_is_a_subset_of_the_test_lock() -> None:
    def pins(name: str) -> dict[str, str]:
        text = (ROOT / "requirements" / name).read_text("utf-8")
        return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.MULTILINE))

    contract, dev = pins("contract.txt"), pins("dev.txt")
    assert {"requests", "schemathesis", "hypothesis", "pytest", "hatchling"} <= set(contract)
    assert {name: dev.get(name) for name in contract} == contract
