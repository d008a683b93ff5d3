"""Everything that is installed is locked with hashes, and updated automatically."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(".github/workflows/*.yml"))
INSTALLS = ["action.yml", "Makefile", "Dockerfile", "docs/gitlab-ci.yml", *WORKFLOWS, ".ci/run"]
REQUIREMENTS = sorted(ROOT.glob("requirements/*.txt"))


@pytest.mark.parametrize("name", INSTALLS)
def test_everything_installed_has_a_hash_or_is_the_project(name):
    text = (ROOT / name).read_text("utf-8").replace("\\\n", " ")
    text = text.replace("$(INSTALL)", "pip install")
    assert not re.search(r"\b(pipx|uvx|npx)\s", text)
    installs = [line for line in text.splitlines() if re.search(r"\bpip\b.* install\b", line) and ":=" not in line]
    for line in installs:
        assert "--require-hashes" in line or "--no-deps" in line, line


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda file: file.name)
def test_every_requirement_has_one_release_and_a_hash(file):
    entries = re.split(r"\n(?=\S)", file.read_text("utf-8").strip())
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==", entry), entry
        assert "--hash=sha256:" in entry, entry
        assert "://" not in entry


def test_the_harness_of_the_action_is_what_its_tests_run_with():
    locked = {
        file.name: dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", file.read_text("utf-8"), re.MULTILINE))
        for file in REQUIREMENTS
    }
    assert locked["contract.txt"].keys() > {"schemathesis", "requests", "granian"}
    assert locked["contract.txt"].items() <= locked["dev.txt"].items() | locked["serve.txt"].items()


def test_each_lock_is_updated_automatically():
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text("utf-8"))["updates"]
    folders = {each["package-ecosystem"]: each.get("directories", [each.get("directory")]) for each in updates}
    assert folders.keys() == {"github-actions", "pip", "docker", "npm"}
    locks = [path.relative_to(ROOT) for path in ROOT.rglob("package-lock.json")]
    kept = [path for path in locks if "node_modules" not in path.parts and path.parts[0] != "build"]
    assert sorted(folders["npm"]) == sorted(f"/{path.parent}" for path in kept)
    assert set(folders["pip"]) == {"/", "/requirements"}


@pytest.mark.parametrize("name", ["action.yml", *WORKFLOWS])
def test_actions_are_pinned_to_a_commit_with_its_release(name):
    used = re.findall(r"uses: (.+)", (ROOT / name).read_text("utf-8"))
    assert used
    for each in used:
        assert re.fullmatch(r"\S+@[0-9a-f]{40}  # v[0-9.]+", each), each


def test_one_action_has_one_commit_everywhere():
    text = "".join((ROOT / name).read_text("utf-8") for name in ["action.yml", *WORKFLOWS])
    used = set(re.findall(r"uses: (\S+)@(\S+)", text))
    assert len(used) == len({action for action, _ in used})


@pytest.mark.parametrize("name", WORKFLOWS)
def test_each_job_has_the_rights_that_it_names_and_no_others(name):
    workflow = yaml.safe_load((ROOT / name).read_text("utf-8"))
    assert workflow["permissions"] == {}
    assert all("permissions" in job for job in workflow["jobs"].values())


def test_the_script_of_the_action_is_valid_shell():
    if shutil.which("bash") is None:
        pytest.skip("bash is not here")
    for step in yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["runs"]["steps"]:
        if "run" in step:
            subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True, timeout=10)
