"""What the shipped set covers: each rule on each operation, and which values of a request meet."""

import json
from collections import Counter
from fnmatch import fnmatchcase
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from contract_tests.cli.main import main
from contract_tests.engine.integrations import UNKNOWN_TYPE
from contract_tests.fixtures.cells import SKIPPED, TESTED, cells
from contract_tests.fixtures.coverage import coverage, covered_by_line, requests_of, routes, universe
from contract_tests.fixtures.interactions import Row, all_combinations, chosen_rows, combinations_of, row_of, rows
from contract_tests.fixtures.lines import lines_of
from contract_tests.fixtures.mutation import UNSEEN, mutants, survivors
from mock_server.contract import tables as contracts
from mock_server.mutants import all_mutants, find

SHIPPED = Path(__file__).parents[2] / "fixtures"
CONTRACT = contracts.load()
NEWEST = CONTRACT.releases.newest.line
TYPES = len(CONTRACT.types)
LONGEST_LINE = 64 * 1024


def fixtures(*words: str) -> Result:
    return CliRunner().invoke(main, ["fixtures", *words])


@pytest.fixture(scope="module")
def lines() -> list[Any]:
    return lines_of(SHIPPED)


def test_no_line_is_longer_than_go_reads() -> None:
    assert [
        (path.name, number)
        for path in SHIPPED.rglob("*.jsonl")
        for number, line in enumerate(path.read_bytes().splitlines(), 1)
        if len(line) > LONGEST_LINE
    ] == []


# -- rules on operations ------------------------------------------------------------------------------


def test_build_rules_have_cells_for_every_operation_tested_and_skipped() -> None:
    found = {(cell.operation, cell.test) for cell in cells(CONTRACT) if cell.rule == "quay-endpoint-required"}
    stores = ("PostImageIntegration", "PutImageIntegration", "UpdateImageIntegration")
    tests = ("TestImageIntegration", "TestUpdatedImageIntegration")
    assert found == {(each, test) for each in stores for test in (SKIPPED, TESTED)} | {(each, "") for each in tests}


def test_impossible_items_are_not_wanted() -> None:
    found = {str(cell) for cell in cells(CONTRACT)}
    older = {str(cell) for cell in cells(CONTRACT.at("4.11"))}
    create = "google-scanner-project-required at PostImageIntegration, tested"
    assert create in older
    assert create not in found
    assert "registry-reachable at PutImageIntegration, skipped" not in found
    assert "reconcile-needs-id at PutImageIntegration" not in found
    assert "unknown-route at GetImageIntegrations" not in found
    assert "write-permission at GetImageIntegration" not in found
    assert "write-permission at DeleteImageIntegration" in found


def test_no_refusal_of_the_set_is_in_a_cell_that_the_contract_rules_out(lines: list[Any]) -> None:
    known = {(cell.rule, cell.operation) for cell in cells(CONTRACT)}
    out = set()
    for line in lines:
        expected = line["expect"] if isinstance(line["expect"], list) else [line["expect"]]
        method, path, _ = list(requests_of(line))[-1]
        match = routes(CONTRACT).match(method, path.partition("?")[0])
        rule = CONTRACT.rules.get(str(line["rule"]))
        refuses = rule is not None and rule.kind != "behaviour" and expected[-1]["status"] >= 400
        if match and refuses and line["central"] == NEWEST:
            out |= {(line["rule"], match.operation.id)} - known
    assert out == set()


@pytest.mark.parametrize(
    ("removed", "missing"),
    [
        ("quay-endpoint-required/update-tested", "quay-endpoint-required at UpdateImageIntegration, tested"),
        ("body-syntax/test-updated", "body-syntax at TestUpdatedImageIntegration"),
        ("write-permission/delete", "write-permission at DeleteImageIntegration"),
    ],
)
def test_a_missing_cell_is_reported(removed: str, missing: str, lines: list[Any]) -> None:
    covered = set().union(*(covered_by_line(line) for line in lines if line["id"] != removed))
    assert missing in coverage(covered, universe()).missing["rule x operation"]


# -- values that meet ---------------------------------------------------------------------------------


def test_every_pair_triple_and_quadruple_of_the_newest_release_is_there(lines: list[Any]) -> None:
    found = coverage(set().union(*(covered_by_line(line) for line in lines)), universe())
    assert {kind: len(found.missing[kind]) for kind in ("pair", "triple", "quadruple")} == dict.fromkeys(
        ("pair", "triple", "quadruple"), 0
    )
    for older in CONTRACT.releases.lines:
        assert f"type=ecr release={older}" in found.wanted["pair"]


def test_the_wanted_items_have_the_expected_counts() -> None:
    # Types, 5 lists of categories, skipped or not, 5 operations of which 2 have a flag of two values.
    assert len(rows(CONTRACT)) == TYPES * 5 * 2 * (3 + 2 * 2)
    kinds = Counter(kind for kind, _ in all_combinations(NEWEST))
    flags, operations = 3, 5
    sizes = {"type": TYPES, "categories": 5, "skip": 2}
    pairs = sum(a * b for a, b in combinations(sizes.values(), 2))
    pairs += sum(size * (flags + operations) for size in sizes.values())
    assert kinds["pair"] == pairs + (3 + 2 * 2) + sum(sizes.values()) + flags + operations  # the last: with the release
    assert kinds["quadruple"] == TYPES * 5 * 2 * 5


def test_few_rows_are_chosen() -> None:
    assert len(chosen_rows(NEWEST)) == TYPES * 5 * 2 * 5  # one for each quadruple
    assert all(len(chosen_rows(older)) <= 20 for older in CONTRACT.releases.lines[:-1])


def test_a_request_is_in_its_row() -> None:
    body = {"type": "ecr", "categories": ["REGISTRY"], "skipTestIntegration": True}
    row = Row("ecr", "REGISTRY", "true", "false", "UpdateImageIntegration")
    assert row_of("UpdateImageIntegration", {"config": body}, body, CONTRACT) == row
    assert row_of("PutImageIntegration", body, body, CONTRACT) == row._replace(
        updatePassword="none", operation="PutImageIntegration"
    )
    unlisted = {"type": UNKNOWN_TYPE}
    for odd in (unlisted, {"categories": None}, {"categories": ["BOGUS"]}, {"skipTestIntegration": "yes"}):
        assert row_of("PutImageIntegration", {}, body | odd, CONTRACT) is None
    assert ("pair", "type=ecr operation=UpdateImageIntegration") in combinations_of(row, NEWEST, NEWEST)


def test_a_missing_combination_is_reported(tmp_path: Path) -> None:
    for path in SHIPPED.glob("*.jsonl"):
        kept = [line for line in path.read_text("utf-8").splitlines() if "/clairV4/nodescanner/" not in line]
        (tmp_path / path.name).write_text("\n".join(kept) + "\n", "utf-8")
    result = fixtures("--coverage", str(tmp_path))
    assert result.exit_code == 1
    assert "not covered: type=clairV4 categories=NODE_SCANNER" in result.output


def test_a_long_list_of_missing_items_is_shortened(tmp_path: Path) -> None:
    (line,) = (line for line in lines_of(SHIPPED) if line["id"] == "type/quay/read")
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n", "utf-8")
    result = fixtures("--coverage", str(tmp_path))
    assert result.exit_code == 1
    assert len(result.output.splitlines()) < 500
    assert " more\n" in result.output


# -- mutants ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("name-unique", "name-unique/*"),
        ("refused-update-stored", "kept/*"),
        ("name-with-nul", "kept/name-with-nul"),
        ("unchanged-over-time", "kept/aged"),
        ("registry-not-contacted", "registry-reachable/*-ibm"),
        ("config-extra-field", "type/docker/read"),
        ("list-extra-field", "type/docker/find"),
        ("path-escapes", "get-missing/with-an-escape"),
        ("key-twice", "kept/told-once"),
    ],
)
def test_a_sample_of_the_mutants_is_found(name: str, id: str, lines: list[Any]) -> None:
    about = [line for line in lines if line["central"] == NEWEST and fnmatchcase(line["id"], id)]
    assert list(survivors(about, [find(name)])) == []


def test_a_mutant_with_a_switch_gets_only_lines_with_it(lines: list[Any]) -> None:
    tokens = [line for line in lines if line["rule"] == "token-invalid"]
    assert list(survivors(tokens, [find("any-bearer")])) == []
    others = [line | {"env": {}} for line in tokens]
    assert list(survivors(others, [find("any-bearer")])) == [find("any-bearer")]


def test_differences_between_document_and_deployed_central_are_no_mutants() -> None:
    left_out = {each.check for each in all_mutants().values()} - {each.check for each in mutants()}
    assert {*CONTRACT.differences, "published-document"} <= left_out


def test_a_mutant_that_no_line_is_about_survives(lines: list[Any]) -> None:
    about = [line for line in lines if line["rule"] == "query-encoding"]
    assert [each.name for each in survivors(about, [find("name-unique")])] == ["name-unique"]


def test_mutants_that_one_client_cannot_detect_are_left_out() -> None:
    assert {each.kind for each in mutants()}.isdisjoint(UNSEEN)
    assert fixtures("--mutants").exit_code == 2
