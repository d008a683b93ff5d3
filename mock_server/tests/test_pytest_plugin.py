import re
from pathlib import Path

pytest_plugins = ["pytester"]

PLUGIN = ("-p", "no:cacheprovider")

ASK = """
import json, urllib.request
def names(url):
    with urllib.request.urlopen(url + "/v1/imageintegrations") as answer:
        return [each["name"] for each in json.load(answer)["integrations"]]
def create(url, name):
    body = {"name": name, "type": "docker", "categories": ["REGISTRY"], "docker": {}, "skipTestIntegration": True}
    request = urllib.request.Request(url + "/v1/imageintegrations", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)
"""


def test_each_test_gets_a_fresh_mock(pytester):
    pytester.makepyfile(
        ASK
        + """
def test_one(mock_central):
    create(mock_central.url, "mine")
    assert "mine" in names(mock_central.url)
def test_two(mock_central):
    assert "mine" not in names(mock_central.url)
"""
    )
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=2)


def test_the_marker_chooses_settings(pytester):
    pytester.makepyfile(
        ASK
        + """
import pytest
@pytest.mark.mock_central(empty=True)
def test_empty(mock_central):
    assert names(mock_central.url) == []
@pytest.mark.mock_central(empty=True, seed=7)
def test_seed(mock_central):
    first = create(mock_central.url, "a")["id"]
    mock_central.reset()
    assert create(mock_central.url, "a")["id"] == first
"""
    )
    pytester.runpytest_subprocess(*PLUGIN, "--strict-markers").assert_outcomes(passed=2)


def test_the_marker_chooses_full_validation(pytester):
    pytester.makepyfile(
        ASK
        + """
import pytest
@pytest.mark.mock_central(validation="full", empty=True)
def test_full(mock_central):
    seen = []
    validator = mock_central.app.central.validator
    violations = validator.request_violations
    validator.request_violations = lambda *values: seen.append(values) or violations(*values)
    try:
        create(mock_central.url, "a")
    finally:
        validator.request_violations = violations
    assert len(seen) == 1
"""
    )
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)


def test_an_unused_plugin_imports_nothing_of_the_mock(pytester):
    pytester.makepyfile(
        """
import sys
def test_light():
    assert not [name for name in ("flask", "mock_server.web.app", "mock_server.contract.tables") if name in sys.modules]
"""
    )
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)


def test_the_fixture_has_scenarios_faults_sandboxes_and_the_journal(pytester):
    pytester.makepyfile(
        ASK
        + """
import urllib.error
import pytest
def test_scenario(mock_central):
    mock_central.scenario("many:3")
    assert len(names(mock_central.url)) == 3
def test_fault(mock_central):
    assert len(names(mock_central.url)) == 12
    mock_central.fault("PostImageIntegration code=503 times=1")
    mock_central.fault(operation="DeleteImageIntegration", fault="reset")
    with pytest.raises(urllib.error.HTTPError, match="503"):
        create(mock_central.url, "mine")
    create(mock_central.url, "mine")
    assert mock_central.faults.listed[0].met == 1
@pytest.mark.mock_central(faults=["GetImageIntegrations code=503 times=1"])
def test_faults_of_the_start(mock_central):
    with pytest.raises(urllib.error.HTTPError, match="503"):
        names(mock_central.url)
    assert len(names(mock_central.url)) == 12
def test_journal(mock_central):
    assert mock_central.journal.count() == 0
    create(mock_central.url, "mine")
    assert mock_central.journal.count(operation="PostImageIntegration") == 1
    assert mock_central.journal.wait(operation="PostImageIntegration")[0]["body"]["name"] == "mine"
    assert mock_central.journal(status="4xx") == []
    with pytest.raises(TimeoutError, match="1 of 2"):
        mock_central.journal.wait(2, timeout=0.1)
def test_sandboxes(mock_central):
    one, two = mock_central.sandbox("one"), mock_central.sandbox("two")
    one.scenario("empty")
    create(one.url, "mine")
    assert names(one.url) == ["mine"]
    assert len(names(two.url)) == 12
    assert (one.journal.count(), two.journal.count(), mock_central.journal.count()) == (2, 1, 0)
    one.reset()
    assert len(names(one.url)) == 12
def test_mutants(mock_central):
    mock_central.mutate("name-unique")
    create(mock_central.url, "mine")
    create(mock_central.url, "mine")
def test_nothing_is_left(mock_central):
    with pytest.raises(urllib.error.HTTPError, match="400"):
        create(mock_central.url, "Public DockerHub")
    assert [each["name"] for each in mock_central.app.gateway.sandboxes.listed()] == [""]
"""
    )
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=7)


def test_the_tests_of_the_docs_pass(pytester):
    page = (Path(__file__).parents[2] / "docs/stub.md").read_text("utf-8")
    pytester.makepyfile(*re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=2)


def test_what_cannot_be_chosen_is_one_clear_line(pytester):
    pytester.makepyfile(
        """
import pytest
@pytest.mark.mock_central(scenario="fresch")
def test_a_scenario(mock_central):
    pass
@pytest.mark.mock_central(as_deploy=True)
def test_a_setting(mock_central):
    pass
@pytest.mark.mock_central(faults=["code=200"])
def test_a_fault(mock_central):
    pass
def test_a_sandbox(mock_central):
    with pytest.raises(ValueError, match="'a b' is not the name of a sandbox"):
        mock_central.sandbox("a b")
"""
    )
    found = pytester.runpytest_subprocess(*PLUGIN)
    found.assert_outcomes(passed=1, errors=3)
    found.stdout.fnmatch_lines_random(
        [
            "pytest.mark.mock_central: unknown scenario 'fresch'; known: fresh, *",
            "pytest.mark.mock_central: unknown setting 'as_deploy'; known: version, as_deployed, *",
            "pytest.mark.mock_central: code=200: is not a status between 400 and 599",
        ]
    )
    found.stdout.no_fnmatch_line("*Traceback*")
