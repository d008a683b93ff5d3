import json
import re
import shlex
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from mock_server import Settings, create_app
from mock_server.cli.main import main
from mock_server.cli.report import Keeper
from mock_server.consumer import rendering, report
from mock_server.contract import tables as contracts
from mock_server.serving.server import serving
from mock_server.simulation import fault_forms, usage
from mock_server.simulation.usage import Kind, Usage
from mock_server.state import files as states

pytest_plugins = ["pytester"]

CONTRACT = contracts.load()
OPERATIONS, TYPES = len(CONTRACT.operations), len(CONTRACT.types)
PATH = "/v1/imageintegrations"
DOCKER = {
    "name": "a",
    "type": "docker",
    "categories": ["REGISTRY"],
    "docker": {"endpoint": "registry.example.com", "username": "robot", "password": "secret-word"},
    "skipTestIntegration": True,
}


def mock(**settings):
    app = create_app(Settings(**settings))
    app.gateway.record_usage()
    return app.test_client()


def counted(client):
    return client.application.gateway.usage


def reported(client):
    return report.report(counted(client), CONTRACT)


def met(client, section):
    return {each.name: each.count for each in reported(client).section(section).met}


def test_nothing_is_counted_by_default():
    client = create_app(Settings()).test_client()
    client.get(PATH)
    assert client.application.gateway.usage is None
    refused = client.get("/__admin/usage")
    assert refused.status_code == 404
    assert "serve --usage" in refused.json["message"]


def test_counts_contain_kinds_of_requests_but_no_values():
    client = mock()
    client.post(PATH, json=DOCKER)
    client.post(PATH, json=DOCKER | {"name": "b"})
    kind, again = counted(client).kinds
    fields = ("name", "type", "categories", "docker.endpoint", "docker.username", "docker.password")
    assert {*kind.fields} == {*fields, "skipTestIntegration"}
    assert kind == Kind("PostImageIntegration", 200, "", "docker", kind.fields, ("mask-read",))
    assert again == kind._replace(marks=())  # a single mask suffices
    assert "secret-word" not in json.dumps(counted(client).document())
    assert "registry.example.com" not in json.dumps(counted(client).document())


def test_counts_survive_resets_and_include_sandboxes():
    client = mock()
    client.get(PATH)
    client.post("/__admin/reset")
    client.get(PATH, headers={"Mock-Central-Sandbox": "other"})
    client.delete("/__admin/sandboxes")
    client.get("/__sandbox/third" + PATH)
    assert met(client, "operations") == {"GetImageIntegrations": 3}


def test_requests_outside_of_the_api_are_not_counted():
    client = mock()
    client.get("/v1/metadata")
    client.get("/__admin/health")
    assert counted(client).kinds == {}


def test_rules_statuses_types_and_fields_are_covered():
    client = mock()
    client.post(PATH, json=DOCKER)
    client.post(PATH, json=DOCKER)
    client.get(f"{PATH}/nobody")
    client.get("/v1/nothing")
    assert met(client, "types") == {"docker": 2}
    assert met(client, "statuses") == {
        "PostImageIntegration 200": 1,
        "PostImageIntegration 400": 1,
        "GetImageIntegration 404": 1,
    }
    rules = met(client, "rules")
    assert rules.keys() == {
        "name-unique", "get-missing", "unknown-route", "answer-headers", "error-shape", "create-assigns-id",
        "credentials-masked",
    }  # fmt: skip
    assert met(client, "fields")["docker.password"] == 2
    assert met(client, "situations") == {"name-taken": 1, "not-there": 1}


def test_behaviours_that_refuse_nothing_are_covered():
    client = mock(empty=True)
    id = client.post(PATH, json=DOCKER).json["id"]
    stored = client.get(f"{PATH}/{id}").json
    client.patch(f"{PATH}/{id}", json={"config": stored, "updatePassword": False})
    client.put(f"{PATH}/{id}", json=stored)
    client.get(PATH, query_string={"name": "a"})
    client.get(PATH, query_string={"cluster": "remote"})
    client.post(f"{PATH}/test/updated", json={"config": stored, "updatePassword": False})
    client.post(PATH, json={"name": "b", "type": "quay", "categories": ["REGISTRY"], "skipTestIntegration": True})
    found = met(client, "rules")
    expected = {
        "credentials-masked", "stored-credentials-kept", "mask-taken-literally", "list-by-name", "list-by-cluster",
        "update-replaces", "path-id-wins", "test-stores-nothing", "create-rolled-back", "quay-config-required",
    }  # fmt: skip
    assert expected <= found.keys()
    assert found["mask-taken-literally"] == 1
    assert found["stored-credentials-kept"] == 2


def test_a_mask_in_a_compressed_answer_is_seen():
    client = mock(empty=True)
    client.post(PATH, json=DOCKER)
    client.get(PATH, headers={"Accept-Encoding": "gzip"})
    assert "credentials-masked" in met(client, "rules")


def test_situations_are_covered():
    client = mock(auth=True, as_deployed=True, registry_tests=["*=unauthorized"])
    tokens = client.application.settings.credentials
    admin = {"Authorization": f"Bearer {tokens.admin_token}"}
    assert client.get(PATH).status_code == 403
    assert client.post(PATH, json=DOCKER).status_code == 401
    id = client.post(PATH, json=DOCKER, headers=admin).json["id"]
    client.post(PATH, json=DOCKER, headers=admin)
    stored = client.get(f"{PATH}/{id}", headers=admin).json
    moved = stored | {"docker": stored["docker"] | {"endpoint": "other.example.com"}}
    client.patch(f"{PATH}/{id}", json={"config": moved}, headers=admin)
    client.put(f"{PATH}/{id}", json=stored, headers=admin)
    client.get(f"{PATH}/nobody", headers=admin)
    client.get(PATH, headers=admin)
    ecr = {"name": "e", "type": "ecr", "categories": ["REGISTRY"]} | {
        "ecr": {"registryId": "123456789012", "region": "us-east-1", "accessKeyId": "a", "secretAccessKey": "b"}
    }
    client.post(PATH, json=ecr, headers=admin)
    for code in (429, 503):
        client.get(PATH, headers=admin | {"Prefer": f"code={code}"})
    assert [each.name for each in reported(client).section("situations").gaps] == []


def test_faults_and_recoveries_are_counted():
    client = mock(faults=["GetImageIntegrations code=503 times=2"])
    other = {"Mock-Central-Sandbox": "other"}
    assert [client.get(PATH).status_code for _ in range(3)] == [503, 503, 200]
    client.get(PATH, headers=other)
    assert met(client, "faults") == {"code": 3}
    assert reported(client).survived == {"code=503": 1}
    client.get(PATH, headers={"Prefer": "fault=garbage"})
    assert met(client, "faults") == {"code": 3, "garbage": 1}
    assert reported(client).survived == {"code=503": 1}


def test_a_custom_answer_counts_as_a_fault():
    client = mock(faults=["GetImageIntegrations json={} times=1", "GetImageIntegrations delay=0.001 times=1"])
    assert client.get(PATH).json == {}
    client.get(PATH)
    assert met(client, "faults") == {"answer": 1, "delay": 1}


def test_warnings_are_counted():
    client = mock()
    for name in "ab":
        client.post(PATH, json=DOCKER | {"name": name, "extra": 1})
    assert reported(client).warnings == (("PostImageIntegration", "$.extra: is not a field of the contract", 2),)


def test_the_number_of_kinds_is_limited(monkeypatch):
    monkeypatch.setattr(usage, "MOST_KINDS", 2)
    client = mock()
    for type in ("docker", "quay", "ecr", "clair"):
        client.post(PATH, json={"name": "a", "type": type})
    kinds = counted(client).kinds
    assert sum(kinds.values()) == 4
    assert len(kinds) == 3
    assert Kind("PostImageIntegration", 400, "category-required", marks=()) in kinds


def test_counts_of_runs_add_up_and_can_be_written_and_read(tmp_path):
    client = mock(faults=["GetImageIntegrations code=503 times=1"])
    client.get(PATH)
    client.get(PATH)
    client.post(PATH, json=DOCKER | {"extra": 1})
    states.write(tmp_path / "one.json", counted(client).document())
    read = usage.read(tmp_path / "one.json")
    assert read.document() == counted(client).document()
    whole = usage.merged([read, read])
    assert {kind: 2 * number for kind, number in read.kinds.items()} == whole.kinds
    assert whole.survived == {"code=503": 2}
    assert [*whole.warnings.values()] == [2]


def test_counts_of_as_deployed_are_marked():
    client = mock(as_deployed=True, empty=True)
    earlier = Usage("5.0.0")
    earlier.add(counted(mock()))
    client.get(PATH)
    earlier.add(counted(client))
    assert [kind.marks for kind in earlier.kinds] == [("as-deployed",)]


# -- gaps ---------------------------------------------------------------------------------------------


def hints():
    whole = report.report(Usage(), CONTRACT)
    return sorted({each.how for section in whole.sections for each in section.gaps})


def test_every_hint_is_an_existing_command():
    from contract_tests.cli.main import main as contract

    for hint in hints():
        if re.match(r"(GET|POST|PUT|PATCH|DELETE) /v1/", hint):
            continue
        words = shlex.split(hint.partition(", ")[0])
        command = {"mock-central": main, "central-contract": contract}[words[0]].commands[words[1]]
        command.make_context(words[1], words[2:], resilient_parsing=True)
        known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
        assert {word for word in words if word.startswith("--")} <= known, hint
        for word, value in pairwise(words):
            if word == "--fault":
                fault_forms.parse(value)


def test_every_rule_that_a_hint_names_has_a_fixture():
    folder = Path(__file__).parents[2] / "fixtures"
    lines = [line for file in folder.glob("*.jsonl") for line in file.read_text("utf-8").splitlines()]
    shipped = {json.loads(line)["rule"] for line in lines}
    named = {found for hint in hints() for found in re.findall(r"--rule (\S+)", hint)}
    assert named - shipped == set()


def test_behaviours_are_rules():
    assert report._BEHAVIOURS.keys() <= {each.id for each in CONTRACT.rules.values() if each.kind == "behaviour"}


def test_the_fixtures_cover_most_rules():
    """The counts include what each fixture is about."""
    client = mock(empty=True)
    folder = Path(__file__).parents[2] / "fixtures"
    rules = set()
    for line in (folder / "refused.jsonl").read_text("utf-8").splitlines():
        fixture = json.loads(line)
        if "request" in fixture and not fixture["setup"] and not fixture["request"].get("headers"):
            sent = fixture["request"]
            answer = client.open(sent["path"], method=sent["method"], json=sent.get("body"))
            rules |= {answer.headers["Mock-Central-Rule"]}
            client.post("/__admin/reset")
    refusals = {each.id for each in CONTRACT.rules.values() if each.kind != "behaviour"}
    assert len(rules) > 30
    assert {name for name in met(client, "rules") if name in refusals} == rules & refusals


# -- reports ------------------------------------------------------------------------------------------


def some():
    client = mock(faults=["GetImageIntegrations code=503 times=1"])
    client.get(PATH)
    client.get(PATH)
    client.post(PATH, json=DOCKER | {"<b>|\u202e": 1})
    return counted(client)


def run(tmp_path, *words):
    states.write(tmp_path / "usage.json", some().document())
    return CliRunner().invoke(main, ["report", str(tmp_path / "usage.json"), *words])


def test_the_command_lists_gaps_and_how_to_reproduce_them(tmp_path):
    ran = run(tmp_path)
    assert ran.exit_code == 0, ran.output
    assert f"3 requests; the contract of Central {CONTRACT.release}." in ran.output
    assert re.search(rf"operations +2/{OPERATIONS} {2 / OPERATIONS:.0%}", ran.output)
    assert re.search(r"a credential asked for again +central-contract fixtures --rule reconcile", ran.output)
    assert "Survived: code=503 (once)" in ran.output
    assert "\u202e" not in ran.output
    assert f"and {TYPES - 9} more (--all)" in ran.output  # 1 met, 8 named
    everything = run(tmp_path, "--all").output
    assert re.search(r"^  quay +central-contract fixtures --type quay$", everything, re.MULTILINE)


def test_thresholds_fail(tmp_path):
    ran = run(tmp_path, "--fail-under", "rules=40%", "--fail-under", "operations=20", "--no-warnings")
    assert ran.exit_code == 1
    rules, requests = (line for line in ran.output.splitlines() if line.startswith("Missed"))
    assert re.fullmatch(r"Missed: rules: [1-9]\.\d% covered, 40% required\.", rules)
    assert requests == "Missed: 1 requests violated the contract."
    assert run(tmp_path, "--fail-under", "operations=20%").exit_code == 0


@pytest.mark.parametrize("text", ["rules", "rule=40", "rules=much", "rules=101", "=4", "rules=-1"])
def test_an_invalid_threshold_is_refused(tmp_path, text):
    ran = run(tmp_path, "--fail-under", text)
    assert ran.exit_code == 2
    assert "SECTION=PERCENT" in ran.output


def test_all_formats_report_the_same(tmp_path):
    words = [word for kind in rendering.RENDERERS for word in (f"--report-{kind}", str(tmp_path / kind))]
    assert run(tmp_path, "--fail-under", "types=50%", *words).exit_code == 1
    data = json.loads((tmp_path / "json").read_text())
    operations = next(each for each in data["sections"] if each["name"] == "operations")
    assert operations["met"] == {"GetImageIntegrations": 2, "PostImageIntegration": 1}
    assert operations["percent"] == round(100 * 2 / OPERATIONS, 1)
    assert operations["gaps"][0]["name"] == "GetImageIntegration"
    assert data["problems"] == [f"types: {1 / TYPES:.1%} covered, 50% required"]
    suites = ET.parse(tmp_path / "junit").getroot()
    assert suites.get("failures") == "1"
    assert int(suites.get("skipped")) == sum(len(each["gaps"]) for each in data["sections"])
    page = (tmp_path / "html").read_text()
    assert "Your tests never saw" in page
    assert "<b>" not in page
    shown = (tmp_path / "markdown").read_text()
    assert f"| operations | 2 of {OPERATIONS} | {2 / OPERATIONS:.0%} |" in shown
    assert "<b>" not in shown


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "cannot be read: line 1, column 2"),
        ("[" * 100_000, "cannot be read: is nested too deeply"),
        (f"[{'9' * 5000}]", "cannot be read: has a number with too many digits"),
        ("[]", "is not what `serve --usage` writes"),
        ('{"format": "mock-central usage", "version": 1}', "is damaged at $.requests;"),
        (
            '{"format": "mock-central usage", "version": 1, "requests": [], "warnings": [], "survived": {"a": 1e999}}',
            "cannot be read: $.survived.a: is inf, which JSON has no number for",
        ),
        (
            '{"format": "mock-central usage", "version": 1, "requests": [3], "warnings": [], "survived": {}}',
            "is damaged at $.requests[0]; `mock-central serve --usage FILE` writes a new one",
        ),
        (
            '{"format": "mock-central usage", "version": 1, "requests": [], "warnings": [{}], "survived": {}}',
            "is damaged at $.warnings[0];",
        ),
        (
            '{"format": "mock-central usage", "version": 1, "requests": null, "warnings": [], "survived": {}}',
            "is damaged at $.requests;",
        ),
        (
            '{"format": "mock-central usage", "version": 1, "requests": [], "warnings": [], "survived": [1]}',
            "is damaged at $.survived;",
        ),
    ],
)
def test_a_file_that_is_not_a_usage_file_is_reported(tmp_path, content, says):
    (tmp_path / "usage.json").write_text(content)
    ran = CliRunner().invoke(main, ["report", str(tmp_path / "usage.json")])
    assert ran.exit_code == 2
    assert says in ran.output
    refused = CliRunner().invoke(main, ["serve", "--port", "0", "--usage", str(tmp_path / "usage.json")])
    assert refused.exit_code == 2
    assert "--usage" in refused.output


def test_a_keeper_continues_from_its_file(tmp_path):
    file = tmp_path / "usage.json"
    for _ in range(2):
        client = mock()
        keeper = Keeper(counted(client), file)
        keeper.start()
        client.get(PATH)
        keeper.write()
    assert [*usage.read(file).kinds.values()] == [2]


def blocks(kind):
    page = (Path(__file__).parents[2] / "docs/how-to/measure-your-tests.md").read_text("utf-8")
    return re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)


@pytest.mark.heavy
@pytest.mark.served
def test_the_page_shows_the_report_that_its_test_produces(pytester):
    (code,), (shown,) = blocks("python"), blocks("text")
    pytester.makepyfile(code)
    plugins = ("cacheprovider", "schemathesis", "hypothesispytest", "xdist")
    ran = pytester.runpytest_subprocess(
        *(word for each in plugins for word in ("-p", f"no:{each}")), "--mock-central-report"
    )
    ran.assert_outcomes(passed=1)
    assert shown in ran.stdout.str()


def test_the_commands_of_the_page_have_their_options():
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("mock-central")]
    assert len(lines) == 4
    for line in lines:
        _, command, *words = shlex.split(line)
        known = {option for each in main.commands[command].params for option in each.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


@pytest.mark.served
def test_the_counts_of_a_running_mock_are_fetched(tmp_path):
    with serving(Settings(control_token="abc")) as server:
        server.record_usage()
        refused = CliRunner().invoke(main, ["report", server.url])
        assert refused.exit_code == 2
        assert "answered 401; give the control token" in refused.output
        (tmp_path / "token").write_text("abc")
        ran = CliRunner().invoke(main, ["report", server.url, "--token-file", str(tmp_path / "token")])
        assert ran.exit_code == 0, ran.output
        assert "0 requests" in ran.output
    gone = CliRunner().invoke(main, ["report", server.url])
    assert gone.exit_code == 2


@pytest.mark.heavy
@pytest.mark.served
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_server_keeps_its_counts_over_restarts(tmp_path):
    import urllib.request

    file = tmp_path / "usage.json"
    for number in (1, 2):
        command = [sys.executable, "-m", "mock_server", "serve", "--port", "0", "--usage", str(file)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            url = re.search(r"http://\S+", server.stdout.readline()).group()
            with urllib.request.urlopen(url + PATH) as answer:
                assert answer.status == 200
            server.send_signal(signal.SIGTERM)
            server.wait(20)
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
        until = time.monotonic() + 5
        while sum(usage.read(file).kinds.values()) < number and time.monotonic() < until:
            time.sleep(0.05)
        assert [*usage.read(file).kinds.values()] == [number]
