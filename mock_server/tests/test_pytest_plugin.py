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


def test_an_unused_plugin_imports_nothing_of_the_mock(pytester):
    pytester.makepyfile(
        """
import sys
def test_light():
    assert not [name for name in ("flask", "mock_server.app", "mock_server.contract") if name in sys.modules]
"""
    )
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)
