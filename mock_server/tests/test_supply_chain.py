"""Everything that is installed is locked with hashes, and something keeps it new."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
INSTALLS = ["action.yml", "Makefile", "Dockerfile", "docs/gitlab-ci.yml", ".github/workflows/ci.yml", ".ci/run"]
REQUIREMENTS = sorted(ROOT.glob("requirements/*.txt"))


@pytest.mark.parametrize("name", INSTALLS)
def test_what_is_installed_has_a_hash_or_is_the_project_itself(name):
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


def test_something_keeps_each_lock_new():
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text("utf-8"))["updates"]
    folders = {each["package-ecosystem"]: each.get("directories", [each.get("directory")]) for each in updates}
    assert folders.keys() == {"github-actions", "pip", "docker", "npm"}
    locks = [path for path in ROOT.rglob("package-lock.json") if "node_modules" not in str(path)]
    assert sorted(folders["npm"]) == sorted(f"/{path.parent.relative_to(ROOT)}" for path in locks)
    assert set(folders["pip"]) == {"/", "/requirements"}


def test_actions_are_named_by_their_commit():
    for path in (ROOT / "action.yml", ROOT / ".github/workflows/ci.yml"):
        for used in re.findall(r"uses: (\S+)", path.read_text("utf-8")):
            assert re.search(r"@[0-9a-f]{40}$", used), used


def test_the_script_of_the_action_is_one_that_a_shell_takes():
    if shutil.which("bash") is None:
        pytest.skip("bash is not here")
    for step in yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["runs"]["steps"]:
        if "run" in step:
            subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True, timeout=10)
