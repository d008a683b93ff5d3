"""A new release needs only data: mock, harness, fixtures and docs follow the contract; older releases do not change."""

import json
import os
import re
import shutil
from typing import Any

import pytest

from contract_tests.meta_tests.project_copy import ROOT, ProjectCopy

pytestmark = pytest.mark.served

SEEDS = int(os.environ.get("TEST_SEEDS", "1"))
RULE, OLD, NEW = "category-required", "integrations require a category", "an integration needs a category"


def add_release_5_1(document: dict[str, Any]) -> None:
    """Add a release with a new field, type and text, and one category less."""
    document["x-releases"]["5.1"] = "5.1.0"
    schemas, examples = document["components"]["schemas"], document["components"]["examples"]
    schemas["StorageDockerConfig"]["properties"]["proxy"] = {
        "description": "Proxy to reach the registry through.",
        "type": "string",
        "examples": ["proxy.example.com:3128"],
        "x-proto-number": 5,
        "x-since": "5.1",
    }
    document["x-types"]["harbor-proxy"] = {
        "member": "docker",
        "categories": ["REGISTRY"],
        "testPaths": [{"path": "/v2/"}],
        "since": "5.1",
    }
    for kind in ("request", "answer"):
        value = {**examples[f"docker-{kind}"]["value"], "type": "harbor-proxy"}
        examples[f"harbor-proxy-{kind}"] = {"summary": "Harbor", "value": value, "x-since": "5.1"}
    rule = document["x-rules"][RULE]
    rule["messages"] = [{"text": rule.pop("message")}, {"text": NEW, "since": "5.1"}]
    schemas["StorageImageIntegrationCategory"]["x-enum-releases"] = {"NODE_SCANNER": {"until": "5.0"}}
    for id in ("node-scanner-type-known", "clairify-node-config-required", "scanner-v4-node-config-required"):
        document["x-rules"][id]["until"] = "5.0"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """Copy the project and add only the release to the contract of the copy."""
    found = ProjectCopy(tmp_path_factory.mktemp("project"))
    found.change_document(add_release_5_1)
    return found


_ANSWERS = """
import json, sys
from mock_server.settings import Settings
from mock_server.tests.conftest import Api, docker
api = Api(central_version=sys.argv[1])
body = docker(docker={"endpoint": "registry.example.com", "proxy": "p"}, name="one")
id = api.created(body)
clairify = {"name": "c", "type": "clairify", "categories": ["SCANNER", "NODE_SCANNER"], "skipTestIntegration": True}
print(json.dumps({
    "read": api.get(id).json["docker"],
    "type": api.create({**body, "type": "harbor-proxy", "name": "two"}).status,
    "text": api.create({**body, "categories": [], "name": "three"}).message,
    "categories": api.get(api.created({**clairify, "clairify": {"endpoint": "c"}})).json["categories"],
    "document": "proxy" in str(dict(api.central.contract.document["components"]["schemas"])),
}))
"""


@pytest.mark.heavy
@pytest.mark.parametrize("release", ["4.8", "4.11", "5.0", "5.1"])
def test_mock_answers_as_the_new_release(copy: ProjectCopy, release: str) -> None:
    found = json.loads(copy.run("-c", _ANSWERS, release))
    is_new = release == "5.1"
    assert found["read"].get("proxy") == ("p" if is_new else None)
    assert found["type"] == (200 if is_new else 500)
    assert found["text"] == f"Validation error: {NEW if is_new else OLD}: invalid arguments"
    assert found["categories"] == (["SCANNER"] if is_new else ["SCANNER", "NODE_SCANNER"])
    assert found["document"] == is_new


@pytest.mark.slow
def test_older_releases_answer_as_recorded(copy: ProjectCopy) -> None:
    copy.test("mock_server/tests/test_frozen_answers.py")


@pytest.mark.slow
def test_tests_read_releases_texts_and_types_from_the_contract(copy: ProjectCopy) -> None:
    modules = ("consumer_report", "protojson", "published", "service", "validation", "versions")
    paths = [f"mock_server/tests/test_{each}.py" for each in modules]
    copy.test(*paths, "-m", "not served and not heavy and not slow", "--hypothesis-profile=fast")


@pytest.mark.heavy
@pytest.mark.parametrize("release", ["4.8", "5.0", "5.1"])
def test_harness_raises_no_false_alarm(copy: ProjectCopy, release: str) -> None:
    patch = {"4.8": "4.8.11", "5.0": "5.0.0", "5.1": "5.1.0"}[release]
    assert f"Central {patch}, given; profile quick" in copy.check("--central-version", release)


@pytest.mark.skipif(SEEDS == 1, reason="takes half a minute; TEST_SEEDS=2 or more runs it")
def test_default_profile_passes_on_the_new_release(copy: ProjectCopy) -> None:
    copy.run("-m", "contract_tests", "check", "--seed", "7", "--central-version", "5.1")


_MOCK = """
import sys
from contract_tests.cli.main import main
from mock_server.serving.server import serving
from mock_server.settings import Settings
with serving(Settings(central_version=sys.argv[1])) as mock:
    main(["check", mock.url, "--quick", "--seed", "7", "--central-version", sys.argv[2]])
"""


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("plays", "expected", "named"),
    [
        ("5.0", "5.1", ["a create of type harbor-proxy fails", "proxy"]),
        ("5.1", "5.0", [rf"FAILED .*\b{RULE}\b", "proxy"]),
    ],
)
def test_harness_distinguishes_the_releases(copy: ProjectCopy, plays: str, expected: str, named: list[str]) -> None:
    output = copy.run("-c", _MOCK, plays, expected, status=1)
    assert [each for each in named if not re.search(each, output)] == [], output


@pytest.mark.slow
def test_older_fixture_files_contain_only_differences(copy: ProjectCopy) -> None:
    copy.run("-m", "contract_tests", "fixtures", "--all", "-o", "made")
    made = {path.name: path.read_text("utf-8").splitlines() for path in (copy.folder / "made").rglob("*.jsonl")}
    newest = {line for name, lines in made.items() if not name.startswith(("4.", "5.")) for line in lines}
    taken = {line["id"]: line for line in map(json.loads, made["taken.jsonl"])}
    assert {"type/harbor-proxy/full-registry", "field/docker.proxy/beyond-ascii"} <= taken.keys()
    assert taken["type/docker/read"]["expect"][-1]["json"]["docker"]["proxy"] == "proxy.example.com:3128"
    assert made["5.0.jsonl"]
    assert newest.isdisjoint(made["5.0.jsonl"])
    shipped = {
        line["id"]: line
        for path in (ROOT / "fixtures/versions").glob("4.8.jsonl")
        for line in map(json.loads, path.read_text("utf-8").splitlines())
    }
    again = {line["id"]: line for line in map(json.loads, made["4.8.jsonl"])}
    assert [id for id in shipped if id not in again and not id.startswith("combination/")] == []  # those are drawn
    assert [id for id in shipped.keys() & again.keys() if again[id] != shipped[id]] == []
    shutil.rmtree(copy.folder / "fixtures")
    (copy.folder / "made").rename(copy.folder / "fixtures")
    copy.test("mock_server/tests/test_fixtures.py", "-k", "every_line")


@pytest.mark.heavy
def test_doc_tables_include_the_new_release(copy: ProjectCopy) -> None:
    copy.run("docs/generate.py")
    rules = (copy.folder / "docs/reference/rules.md").read_text("utf-8")
    assert "| 5.0 | 5.0.0 | `harbor-proxy`, `docker.proxy` | `NODE_SCANNER`, `node-scanner-type-known`" in rules
    assert f"`{OLD}`; `{NEW}` (since 5.1)" in rules
