"""The release process: version, changelog, workflow and issue forms."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text("utf-8"))
FORMS = sorted({*ROOT.glob(".github/ISSUE_TEMPLATE/*.yml")} - {ROOT / ".github/ISSUE_TEMPLATE/config.yml"})


def test_the_changelog_begins_with_unreleased_and_this_version():
    headings = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(VERSION)}\] - \d{{4}}-\d\d-\d\d", headings[1])


def test_the_upgrade_names_options_control_calls_and_settings_that_exist():
    from mock_server.cli.main import main
    from mock_server.web import control

    rows = re.findall(r"^\| .+ \| ([^-].*) \|$", CHANGELOG, re.MULTILINE)
    assert len(rows) > 15
    now = " ".join(rows)
    options = {name for parameter in main.commands["serve"].params for name in parameter.opts}
    variables = {f"MOCK_CENTRAL_{name.removeprefix('--').replace('-', '_').upper()}" for name in options}
    paths = {path.partition("{")[0].rstrip("/") for path in control.document()["paths"]}
    for found, known in (
        (set(re.findall(r"--[a-z-]+", now)), options),
        (set(re.findall(r"MOCK_CENTRAL_[A-Z_]+", now)), variables),
        (set(re.findall(r"/__admin(/[a-z-]+)", now)), paths),
    ):
        assert found
        assert found <= known


@pytest.mark.served
def test_release_notes_are_the_section_of_the_changelog(tmp_path):
    (step,) = [step for step in WORKFLOW["jobs"]["build"]["steps"] if "changelog" in step.get("name", "")]
    for name in ("pyproject.toml", "CHANGELOG.md"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    run = ["bash", "-eo", "pipefail", "-c", step["run"]]
    environment = {"PATH": "/usr/bin:/bin", "GITHUB_REF_NAME": f"v{VERSION}"}
    subprocess.run(run, cwd=tmp_path, env=environment, check=True, timeout=10)
    notes = (tmp_path / "release/notes.md").read_text("utf-8")
    assert "### Added" in notes
    assert not re.search(r"^## ", notes, re.MULTILINE)
    refused = subprocess.run(
        run, cwd=tmp_path, env=environment | {"GITHUB_REF_NAME": "v0.0.1"}, capture_output=True, timeout=10, check=False
    )
    assert refused.returncode == 1
    assert b"The tag is v0.0.1" in refused.stdout


def test_only_tested_and_signed_artifacts_are_published():
    jobs = WORKFLOW["jobs"]
    assert jobs["sign"]["needs"] == ["test", "build"]
    assert jobs["pypi"]["needs"] == jobs["image"]["needs"] == "sign"
    writing = {name for name, job in jobs.items() if job["permissions"].get("contents") == "write"}
    assert writing == {"github"}
    assert "secrets." not in (ROOT / ".github/workflows/release.yml").read_text("utf-8")


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_a_form_has_what_github_needs(form):
    fields = yaml.safe_load(form.read_text("utf-8"))
    assert {"name", "description", "body"} <= fields.keys()
    asked = [item for item in fields["body"] if item["type"] != "markdown"]
    assert len({item["id"] for item in asked}) == len(asked) > 0
    assert all(item["attributes"]["label"] for item in asked)
    assert any(item.get("validations", {}).get("required") for item in asked)


def test_there_is_a_form_to_report_a_different_central():
    assert [form.stem for form in FORMS] == ["bug", "central-differs", "feature"]
