"""The recipes of "To change …" in CONTRIBUTING for a rule and an operation; `test_new_release` has the others.

What the page asks for by hand is done in a copy; then every test and command that demands something of it is content.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from contract_tests.meta_tests.project_copy import ROOT, ProjectCopy

pytestmark = pytest.mark.served

COLLECTION = "/v1/imageintegrations"


def complete_fixtures(copy: ProjectCopy) -> None:
    """Check that generated fixtures would cover everything."""
    copy.run("-m", "contract_tests", "fixtures", "--all", "-o", "made")
    output = copy.run("-m", "contract_tests", "fixtures", "--coverage", "made")
    assert "not covered" not in output


@pytest.fixture(scope="module")
def with_rule(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    copy = ProjectCopy(tmp_path_factory.mktemp("rule"))

    def add(document: dict[str, Any]) -> None:
        document["x-rules"]["name-forbidden"] = {
            "title": "A name with an end that nobody may have",
            "kind": "problem",
            "status": 400,
            "code": 3,
            "since": "5.0",
            "message": "name {name} is forbidden",
            "source": "central/imageintegration/service/service_impl.go",
        }

    copy.change_document(add)
    copy.replace(
        "mock_server/central/validation.py",
        "            self.category_required(integration),\n",
        "            self.category_required(integration),\n            self.name_forbidden(integration),\n",
    )
    copy.append(
        "mock_server/central/validation.py",
        '''

    def name_forbidden(self, integration: Integration) -> Problem | None:
        """Refuse such a name."""
        if integration["name"].endswith("forbidden"):
            return self.rules.problem("name-forbidden", name=quote(integration["name"]))
        return None
''',
    )
    copy.append(
        "contract_tests/checks/validation.py",
        """

@check("name-forbidden", "rules")
def name_forbidden(central: Central) -> None:
    with central.case():
        name = f"{central.name()} forbidden"  # of the run, which owns what a target stores all the same
        reply = central.create(central.integration(name=name))
        central.refused_by(reply, "name-forbidden", "a create of that name", name=f'"{name}"')
""",
    )
    copy.replace("mock_server/mutants/rules.py", '        name-unique"""', '        name-unique name-forbidden"""')
    copy.replace(
        "contract_tests/fixtures/catalogue/operations.py",
        '    "name-required": (',
        '    "name-forbidden": ("docker", {"name": "forbidden"}),\n    "name-required": (',
    )
    return copy


@pytest.mark.heavy
@pytest.mark.parametrize(("release", "number"), [("4.11", 124), ("5.0", 126)])
def test_rule_is_checked_only_in_its_releases(with_rule: ProjectCopy, release: str, number: int) -> None:
    output = with_rule.check("--central-version", release)
    assert f"of {number} rules" in output
    assert ("does not have this rule: google-not-created, name-forbidden" in output) == (release == "4.11")


@pytest.mark.heavy
def test_mutant_of_a_new_rule_is_found(with_rule: ProjectCopy) -> None:
    with_rule.test("contract_tests/meta_tests/test_mutants.py", "-k", "name-forbidden or each_rule")


@pytest.mark.slow
def test_new_rule_satisfies_the_consistency_tests(with_rule: ProjectCopy) -> None:
    with_rule.test("mock_server/tests/test_contract.py", "-k", "rule or name-forbidden")
    complete_fixtures(with_rule)
    with_rule.run("docs/generate.py")
    for page in ("rules", "checks", "mutants"):
        assert "`name-forbidden`" in (with_rule.folder / f"docs/reference/{page}.md").read_text("utf-8")


@pytest.fixture(scope="module")
def with_operation(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    copy = ProjectCopy(tmp_path_factory.mktemp("operation"))

    def add(document: dict[str, Any]) -> None:
        responses = {"200": "Done", "403": "ReadForbidden", "404": "NotFound", "default": "OtherError"}
        document["paths"][f"{COLLECTION}/{{id}}/health"] = {
            "parameters": [{"$ref": "#/components/parameters/IntegrationId"}],
            "get": {
                "operationId": "GetImageIntegrationHealth",
                "tags": ["ImageIntegrationService"],
                "summary": "Ask for the health of one image integration",
                "x-permission": "read",
                "x-since": "5.0",
                "responses": {status: {"$ref": f"#/components/responses/{name}"} for status, name in responses.items()},
            },
        }

    copy.change_document(add)
    copy.append(
        "mock_server/gateway/operations.py",
        '''

def get_health(exchange: Exchange) -> bytes:
    """GetImageIntegrationHealth."""
    exchange.sandbox.central.service.get(exchange.id)
    return EMPTY


HANDLERS["GetImageIntegrationHealth"] = get_health
''',
    )
    copy.replace(
        "contract_tests/checks/permissions.py",
        '        ("GET of the list by name",',
        f"""        *(
            ("GET of the health", lambda **how: central.send("GET", f"{COLLECTION}/{{ids[0]}}/health", **how))
            for _ in ids
            if "GetImageIntegrationHealth" in central.contract.operations
        ),
        ("GET of the list by name",""",
    )
    copy.append(
        "contract_tests/checks/lifecycle.py",
        f"""

@check("health", "lifecycle", "An integration has a health")
def health(central: Central) -> None:
    if "GetImageIntegrationHealth" not in central.contract.operations:
        return
    with central.case():
        id, _ = central.created()
        reply = central.send("GET", f"{COLLECTION}/{{id}}/health")
        central.ok(reply, "GET of the health")
""",
    )
    copy.append(
        "contract_tests/fixtures/catalogue/lists.py",
        f"""

def _has_health(contract):
    return "GetImageIntegrationHealth" in contract.operations


@case("get-missing/health", "The health of none.", type=None, needs=_has_health)
def _no_health(scene: Scene) -> None:
    scene.send("GET", f"{COLLECTION}/6513270e-269e-4d37-b2a7-4de452e6b438/health")


@case("kept/health", "The health of one.", needs=_has_health)
def _health(scene: Scene) -> None:
    scene.send("GET", f"{COLLECTION}/{{scene.create(scene.complete())}}/health")
""",
    )
    copy.replace(
        "contract_tests/fixtures/words.py",
        '    "GetImageIntegration": (',
        '    "GetImageIntegrationHealth": ("health", "GET of the health"),\n    "GetImageIntegration": (',
    )
    return copy


@pytest.mark.heavy
@pytest.mark.parametrize(("release", "number"), [("4.11", 8), ("5.0", 9)])
def test_operation_is_covered_only_in_its_releases(with_operation: ProjectCopy, release: str, number: int) -> None:
    assert f"COVERED  {number} of {number} operations" in with_operation.check("--central-version", release)


@pytest.mark.heavy
def test_operation_is_guarded_and_its_mutant_is_found(with_operation: ProjectCopy) -> None:
    with_operation.test("contract_tests/meta_tests/test_mutants.py", "-k", "open-GetImageIntegrationHealth")


@pytest.mark.slow
def test_fixtures_cover_the_operation(with_operation: ProjectCopy) -> None:
    complete_fixtures(with_operation)


def test_page_names_existing_files() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## To change")[2]
    named = {each for each in re.findall(r"`([\w./-]+\.(?:py|yaml|md))`", page) if "TYPE" not in each}
    folders = [
        ROOT,
        *(
            ROOT / each
            for each in ("mock_server", "mock_server/mutants", "mock_server/tests", "contract_tests/fixtures")
        ),
    ]
    folders.append(ROOT / "contract_tests/meta_tests")
    assert len(named) > 20
    assert [each for each in sorted(named) if not any((folder / each).exists() for folder in folders)] == []
