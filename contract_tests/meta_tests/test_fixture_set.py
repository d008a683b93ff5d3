"""The published form of the fixtures: the schema of a line, the manifest, and what changed between two sets."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from contract_tests.cli.main import main
from contract_tests.fixtures.lines import SCHEMA, lines_of
from contract_tests.fixtures.record import TOKENS
from mock_server.contract import tables as contracts

SHIPPED = Path(__file__).parents[2] / "fixtures"
LINES = lines_of(SHIPPED)
NEWEST = contracts.load().releases.newest.line


@pytest.mark.heavy
def test_every_line_fits_the_shipped_schema() -> None:
    schema = json.loads((SHIPPED / "line.schema.json").read_text("utf-8"))
    assert schema == json.loads(SCHEMA.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert [(line["id"], error.message) for line in LINES for error in validator.iter_errors(line)] == []


@pytest.mark.parametrize(
    "change",
    [{"id": ""}, {"central": "five"}, {"expects": {}}, {"env": {"auht": True}}, {"expect": {"json": {}}},
     {"expect": [{"status": 200}]}, {"request": {"method": "GET"}},
     {"request": {"method": "GET", "path": "/v1", "boddy": {}}}, {"steps": []}],
    ids=str,
)  # fmt: skip
def test_the_schema_refuses_invalid_lines(change: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    line = next(line for line in LINES if "request" in line)
    assert validator.is_valid(line)
    assert not validator.is_valid(line | change)


def test_every_key_of_the_schema_is_used() -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    text = json.dumps(LINES)
    known = {*schema["properties"], *(key for part in schema["$defs"].values() for key in part.get("properties", ()))}
    assert {key for key in known if f'"{key}"' not in text} == {"note"}  # of --from-url alone


def test_no_line_is_too_long_for_the_scanner_of_go() -> None:
    assert max(len(line) for path in SHIPPED.rglob("*.jsonl") for line in path.read_bytes().splitlines()) < 64_000


def test_callers_are_placeholders_and_each_is_documented() -> None:
    documented = (SHIPPED.parent / "docs/reference/fixture-lines.md").read_text("utf-8")
    text = json.dumps(LINES)
    assert [token for name, token in TOKENS.items() if token != name and token in text] == []
    used = set(re.findall(r"\{\{[A-Z_]+\}\}", text))
    assert used <= {*TOKENS}
    assert [name for name in TOKENS if f"`{name}`" not in documented] == []


def test_the_manifest_describes_the_set() -> None:
    manifest = json.loads((SHIPPED / "manifest.json").read_text("utf-8"))
    files = {str(path.relative_to(SHIPPED)): path for path in SHIPPED.rglob("*") if path.is_file()}
    assert {*manifest["files"]} == {*files} - {"README.md", "manifest.json"}
    for name, digest in manifest["files"].items():
        assert digest == hashlib.sha256(files[name].read_bytes()).hexdigest(), name
    counts = manifest["counts"]
    assert counts["fixtures"] == len(LINES) == sum(counts["byFile"].values()) == sum(counts["byRelease"].values())
    assert counts["requests"] == sum(len(line.get("steps", [1])) for line in LINES)
    assert manifest["central"] in counts["byRelease"]
    assert re.fullmatch(r"[0-9a-f]{64}", manifest["digest"])


def test_the_changes_between_two_sets_are_listed(tmp_path: Path) -> None:
    lines = [line for line in LINES if "request" in line and line["central"] == NEWEST and "env" not in line][:4]
    removed, answered, asked, described = lines
    old, new = tmp_path / "old", tmp_path / "new"
    added = removed | {"id": "brand-new"}
    after = [answered | {"expect": {"status": 418}, "why": "Tea."}, asked | {"env": {"auth": True}}]
    for folder, held in ((old, lines), (new, [*after, described | {"why": "Other."}, added])):
        folder.mkdir()
        (folder / "set.jsonl").write_text("".join(json.dumps(each) + "\n" for each in held), "utf-8")
    result = CliRunner().invoke(main, ["fixtures", "--changes", str(old), str(new)])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "# Fixtures: old to new",
        *("", "## Removed (1)", "", f"- `{removed['id']}` (Central {NEWEST}): {removed['why']}"),
        *("", "## Added (1)", "", f"- `brand-new` (Central {NEWEST}): {removed['why']}"),
        *("", "## Answers (1)", "", f"- `{answered['id']}` (Central {NEWEST}): expect, why"),
        *("", "## Requests (1)", "", f"- `{asked['id']}` (Central {NEWEST}): env"),
        *("", "## Descriptions (1)", "", f"- `{described['id']}` (Central {NEWEST}): why"),
    ]


def test_changes_show_the_digest_and_that_nothing_changed(tmp_path: Path) -> None:
    out = tmp_path / "changes.md"
    result = CliRunner().invoke(main, ["fixtures", "--changes", str(SHIPPED), str(SHIPPED), "-o", str(out)])
    assert result.exit_code == 0, result.output
    text = out.read_text("utf-8")
    digest = json.loads((SHIPPED / "manifest.json").read_text("utf-8"))["digest"][:12]
    assert f"({digest})" in text
    assert text.endswith("Nothing changed.\n")
