import io
import json
import re
import unittest
import urllib.request
from pathlib import Path

import pytest

from mock_server import Settings
from mock_server.serving import serving

pytestmark = pytest.mark.served

pytest_plugins = ["pytester"]

PLUGIN = tuple(f"-pno:{name}" for name in ("cacheprovider", "schemathesis", "hypothesispytest", "xdist", "randomly"))
"""Options of an inner run: some plugins take two seconds to import, and its tests go in their order."""

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


@pytest.mark.heavy
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


@pytest.mark.heavy
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


@pytest.mark.heavy
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


def test_an_unused_plugin_does_not_import_the_mock(pytester):
    pytester.makepyfile(
        """
import sys
def test_light():
    assert not [name for name in ("flask", "mock_server.web.app", "mock_server.contract.tables") if name in sys.modules]
"""
    )
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)


@pytest.mark.heavy
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


@pytest.mark.heavy
def test_the_python_of_the_docs_works(pytester):
    root = Path(__file__).parents[2]
    pages = [root / "README.md", *sorted(root.glob("docs/**/*.md"))]
    text = "".join(page.read_text("utf-8") for page in pages)
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    blocks = [block for block in blocks if re.search("mock_central|mock_server", block)]
    tests = sum(len(re.findall(r"^ *def test_", block, re.MULTILINE)) for block in blocks)
    assert tests >= 5
    pytester.makepyfile(**{f"test_{number}": block for number, block in enumerate(blocks)})
    pytester.runpytest_subprocess(*PLUGIN, "--import-mode=importlib").assert_outcomes(passed=tests)


@pytest.mark.heavy
def test_an_invalid_marker_is_one_clear_line(pytester):
    pytester.makepyfile(
        """
import pytest
@pytest.mark.mock_central(scenario="fresch")
def test_a_scenario(mock_central):
    pass
@pytest.mark.mock_central("one-of-each", "empty")
def test_two_scenarios(mock_central):
    pass
@pytest.mark.mock_central({"auth": True})
def test_a_dictionary(mock_central):
    pass
@pytest.mark.mock_central(as_deploy=True)
def test_a_setting(mock_central):
    pass
@pytest.mark.mock_central(faults=["code=100"])
def test_a_fault(mock_central):
    pass
@pytest.mark.mock_central(faults=["PostImageIntegratoin code=503"])
def test_an_operation(mock_central):
    pass
@pytest.mark.mock_central(fail_on=["unmet-fault"])
def test_a_misuse(mock_central):
    pass
@pytest.mark.mock_central(auth="no")
def test_a_text_for_a_flag(mock_central):
    pass
@pytest.mark.mock_central(fail_on=True)
def test_a_misuse_that_is_not_a_name(mock_central):
    pass
@pytest.mark.mock_central("empty")
def test_a_mock_that_others_share(mock_central_module):
    pass
def test_a_sandbox(mock_central):
    with pytest.raises(ValueError, match="'a b' is not the name of a sandbox"):
        mock_central.sandbox("a b")
"""
    )
    found = pytester.runpytest_subprocess(*PLUGIN)
    found.assert_outcomes(passed=1, errors=10)
    found.stdout.fnmatch_lines_random(
        [
            "pytest.mark.mock_central: scenario: *'fresch'*fresh*",
            "pytest.mark.mock_central: 'one-of-each', 'empty': give one scenario, such as *;*",
            "pytest.mark.mock_central: {'auth': True}: give one scenario, *; everything else has a name,*",
            "pytest.mark.mock_central: unknown setting 'as_deploy'; did you mean 'as_deployed'?",
            "pytest.mark.mock_central: faults: 'code=100': code=100: is not a status between 200 and 599",
            "mock_central: operation=PostImageIntegratoin: is not an operation; did you mean PostImageIntegration*",
            "pytest.mark.mock_central: fail_on: unknown name 'unmet-fault'; did you mean 'unmet-faults'?",
            "pytest.mark.mock_central: auth: 'no' is not true or false",
            "pytest.mark.mock_central: fail_on: True is not a list of names; known: *",
            "pytest.mark.mock_central: does not apply to mock_central_module, which tests share; use pytestmark*",
        ]
    )
    found.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.heavy
def test_a_scenario_needs_no_name(pytester):
    pytester.makepyfile(
        ASK
        + """
import pytest
@pytest.mark.mock_central("many:3", as_deployed=True)
def test_three(mock_central):
    assert len(names(mock_central.url)) == 3
    assert mock_central.app.settings.as_deployed
"""
    )
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)


@pytest.mark.heavy
def test_openapi_core_can_validate_everything(pytester):
    pytester.makepyfile(
        ASK
        + """
import sys
import pytest
@pytest.mark.mock_central(validation="full")
def test_full(mock_central):
    create(mock_central.url, "mine")
    assert "openapi_core" in sys.modules
"""
    )
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)


@pytest.mark.heavy
def test_a_module_and_a_session_can_share_a_mock(pytester):
    pytester.makeconftest(
        """
import pytest
@pytest.fixture(scope="session")
def mock_central_settings():
    return {"scenario": "many:2"}
@pytest.fixture(scope="session")
def filled(mock_central_session):
    mock_central_session.scenario("many:5")
    return mock_central_session
"""
    )
    shared = """
import pytest
pytestmark = pytest.mark.mock_central("many:3")
def test_first(mock_central_module):
    assert len(names(mock_central_module.url)) == 3
    create(mock_central_module.url, "mine")
def test_second(mock_central_module, mock_central, filled):
    assert "mine" in names(mock_central_module.url)
    assert len(names(mock_central.url)) == 3
    assert len(names(filled.url)) == 5
"""
    other = """
def test_of_another_module(mock_central_module, mock_central, filled):
    assert len(names(mock_central_module.url)) == 2
    assert len(names(mock_central.url)) == 2
    assert len(names(filled.url)) == 5
"""
    pytester.makepyfile(test_a=ASK + shared, test_b=ASK + other)
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=3)


MISUSED = """
import pytest, urllib.error, urllib.request
def test_unmatched(mock_central):
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(mock_central.url + "/v1/imageintegration")
def test_warning(mock_central):
    body = b'{"name":"a","type":"docker","categories":["REGISTRY"],"docker":{},"skipTestIntegration":true}'
    urllib.request.urlopen(mock_central.url + "/v1/imageintegrations", body).close()
def test_unmet(mock_central):
    mock_central.sandbox("one").fault("GetImageIntegrations code=503 times=1")
def test_used_well(mock_central):
    mock_central.fault("GetImageIntegrations code=503 times=1")
    with pytest.raises(urllib.error.HTTPError):
        names(mock_central.url)
    create(mock_central.url, "mine")
@pytest.mark.mock_central(fail_on=())
def test_allowed(mock_central):
    mock_central.fault("GetImageIntegrations code=503 times=1")
@pytest.mark.xfail(strict=True)
def test_failed_anyway(mock_central):
    mock_central.fault("GetImageIntegrations code=503 times=1")
    assert False
"""


@pytest.mark.heavy
def test_misuse_fails_the_test_if_requested(pytester):
    pytester.makepyfile(ASK + MISUSED)
    asked = ("-o", "mock_central_fail_on=all")
    found = pytester.runpytest_subprocess(*PLUGIN, *asked)
    found.assert_outcomes(passed=2, failed=3, xfailed=1)
    found.stdout.fnmatch_lines_random(
        [
            "  requests that matched no operation: GET /v1/imageintegration (404)",
            "  requests that violated the contract: POST /v1/imageintegrations: *content type is not application/json",
            "  faults that affected no request: GetImageIntegrations code=503 times=1 (sandbox one)",
        ]
    )
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=5, xfailed=1)
    one = pytester.runpytest_subprocess(*PLUGIN, *asked, "--mock-central-fail-on=unmet-faults,contract-warnings")
    one.assert_outcomes(passed=3, failed=2, xfailed=1)


@pytest.mark.heavy
def test_misuse_of_a_module_s_mock_fails_at_its_end(pytester):
    pytester.makepyfile(
        """
import pytest
pytestmark = pytest.mark.mock_central(fail_on="unmet-faults")
def test_first(mock_central_module):
    mock_central_module.fault("GetImageIntegrations code=503 times=1")
def test_second(mock_central_module):
    pass
"""
    )
    found = pytester.runpytest_subprocess(*PLUGIN)
    found.assert_outcomes(passed=2, errors=1)
    found.stdout.fnmatch_lines_random(["  faults that affected no request: GetImageIntegrations code=503 times=1"])


@pytest.mark.heavy
def test_misuse_cannot_be_detected_without_a_journal(pytester):
    pytester.makepyfile(
        """
import pytest
@pytest.mark.mock_central(journal=0, fail_on="contract-warnings")
def test_one(mock_central):
    with pytest.raises(ValueError, match="journal=1000"):
        mock_central.journal
"""
    )
    found = pytester.runpytest_subprocess(*PLUGIN)
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines_random(["*cannot be known: the mock keeps no request journal (journal=0)"])


def test_the_fixtures_and_options_are_listed(pytester):
    listed = pytester.runpytest_subprocess(*PLUGIN, "--fixtures", "--help").stdout.str()
    assert "--mock-central-fail-on=" in listed
    assert "mock_central_fail_on (args):" in listed


def test_check_central_says_what_is_missing(pytester):
    pytester.makeconftest("import sys\nsys.modules['requests'] = None")
    pytester.makepyfile("def test_one(check_central):\n    check_central('http://127.0.0.1:1')")
    found = pytester.runpytest_subprocess(*PLUGIN)
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(
        ["check_central needs the harness, but requests is not installed; *: pip install '.[[]contract]'"]
    )


def test_other_frameworks_use_the_context_manager():
    class Tests(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            cls.mock = cls.enterClassContext(serving(Settings(scenario="many:3")))

        def test_list(self):
            with urllib.request.urlopen(f"{self.mock.url}/v1/imageintegrations") as answer:
                assert len(json.load(answer)["integrations"]) == 3
            self.mock.verify()

    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Tests)
    assert unittest.TextTestRunner(stream=io.StringIO()).run(suite).wasSuccessful()


REPORTED = (
    ASK
    + """
import pytest
@pytest.mark.mock_central(empty=True)
def test_one(mock_central):
    assert names(mock_central.url) == []
def test_two(mock_central_module):
    create(mock_central_module.url, "a")
"""
)


@pytest.mark.heavy
@pytest.mark.served
@pytest.mark.parametrize("words", [("test_mine.py",), ("test_mine.py::test_mine",), (".",)])
def test_the_report_never_replaces_the_tests(pytester, words):
    file = pytester.makepyfile(test_mine="def test_mine():\n    pass\n")
    before = file.read_text()
    found = pytester.runpytest_subprocess(*PLUGIN, "--mock-central-report", *words)
    found.stderr.fnmatch_lines(["*put the option after the tests, or write --mock-central-report=FILE"])
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    assert file.read_text() == before
    assert pytester.runpytest_subprocess(*PLUGIN, *words, "--mock-central-report").ret == pytest.ExitCode.OK


@pytest.mark.heavy
def test_the_report_lists_what_the_tests_covered(pytester):
    pytester.makepyfile(REPORTED)
    found = pytester.runpytest_subprocess(*PLUGIN, "--mock-central-report=usage.json")
    found.assert_outcomes(passed=2)
    found.stdout.fnmatch_lines(["*mock-central report*", "2 requests; *", "*Your tests never saw:", "*a 403 *"])
    assert json.loads((pytester.path / "usage.json").read_text())["format"] == "mock-central usage"
    assert "mock-central report" not in pytester.runpytest_subprocess(*PLUGIN).stdout.str()


@pytest.mark.slow
def test_the_report_adds_up_workers(pytester):
    pytester.makepyfile(REPORTED)
    words = [word for word in PLUGIN if word != "-pno:xdist"]
    found = pytester.runpytest_subprocess(*words, "-n", "2", "--mock-central-report")
    found.assert_outcomes(passed=2)
    found.stdout.fnmatch_lines(["2 requests; *"])


def test_wrong_use_is_reported():
    with serving(Settings()) as mock:
        for call, text in (
            (lambda: mock.verify("unmet-fault"), "did you mean 'unmet-faults'"),
            (lambda: mock.fault("code=503", times=2), "give either a text or fields"),
            (lambda: mock.fault({"code": 503}), "give either a text or fields"),
            (lambda: mock.journal.count(operatoin="x"), "did you mean 'operation'"),
            (lambda: mock.journal(operation="GetImageIntegratoin"), "did you mean GetImageIntegration"),
            (lambda: mock.journal.wait(status="oops"), "status=oops"),
            (lambda: mock.journal(since="yesterday"), "since=yesterday: is not the number of a request"),
            (lambda: mock.sandbox(".."), "is not the name of a sandbox"),
        ):
            with pytest.raises(ValueError, match=text):
                call()
        assert mock.journal.count(status=200) == 0
        assert mock.sandbox(5).url.endswith("/__sandbox/5")
        with pytest.raises(OSError, match="is taken"), serving(port=int(mock.url.rpartition(":")[2])):
            pass
    with pytest.raises(TypeError, match=r"give Settings\("), serving({"auth": True}):
        pass
