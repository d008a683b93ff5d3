"""`central-contract fixtures`: what it makes, that it makes the same everywhere, and what it covers."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import hypothesis
import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given

from contract_tests import strategies
from contract_tests.cli.main import main
from contract_tests.engine.integrations import NEEDED, Body
from contract_tests.fixtures import values
from contract_tests.fixtures.cases import Case, catalogue
from contract_tests.fixtures.coverage import covered_by_line
from contract_tests.fixtures.formats import har, jsonl
from contract_tests.fixtures.generate import Wish, generate
from contract_tests.fixtures.lines import lines_of
from contract_tests.fixtures.record import Answer, ClaimError, Mock, record
from contract_tests.fixtures.replay import replay
from contract_tests.fixtures.scene import Step
from contract_tests.fixtures.shipped import whole_set
from mock_server.contract import tables as contracts
from mock_server.contract.tables import MASK, Message
from mock_server.serving.server import serving
from mock_server.settings import Settings

SHIPPED = Path(__file__).parents[2] / "fixtures"
PATH = "/v1/imageintegrations"
CONTRACT = contracts.load()
NEWEST = CONTRACT.releases.newest.line


def run(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ("fixtures", *words), env=environment, prog_name="central-contract")


def made(*words: str) -> list[Any]:
    result = run(*words)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


# -- the shipped set ----------------------------------------------------------------------------------


@pytest.mark.heavy
def test_the_shipped_set_is_what_the_command_makes() -> None:
    there = {str(path.relative_to(SHIPPED)): path.read_bytes() for path in SHIPPED.rglob("*") if path.is_file()}
    del there["README.md"]
    fresh = {path: text.encode() for path, text in whole_set(Wish()).items()}
    assert sorted(there) == sorted(fresh), "make fixtures"
    assert [path for path in fresh if fresh[path] != there[path]] == [], "make fixtures"


def test_the_readme_of_the_set_says_what_each_file_is_for() -> None:
    text = (SHIPPED / "README.md").read_text("utf-8")
    for path in SHIPPED.rglob("*"):
        relative = path.relative_to(SHIPPED)
        if path.is_file() and relative.name != "README.md":
            folder = "/".join(relative.parts[:2]) + "/"
            if folder == f"versions/{relative.name}/":
                relative = Path("versions/RELEASE.jsonl")
            assert f"`{relative}`" in text or f"`{folder}`" in text, relative


def test_the_shipped_set_covers_everything_and_the_command_says_so() -> None:
    result = run("--coverage", str(SHIPPED))
    assert result.exit_code == 0, result.output
    assert "not covered" not in result.output
    assert f"rule              {len(CONTRACT.rules)} of {len(CONTRACT.rules)}" in result.output


@pytest.mark.heavy
def test_coverage_reports_removed_fixtures(tmp_path: Path) -> None:
    copy = tmp_path / "set"
    shutil.copytree(SHIPPED, copy)
    lines = (copy / "auth.jsonl").read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if '"rule":"basic-malformed"' not in line]
    (copy / "auth.jsonl").write_text("".join(kept), "utf-8")
    result = run("--coverage", str(copy))
    assert result.exit_code == 1
    assert "not covered: basic-malformed\n" in result.output
    assert "not covered: basic-malformed/base64\n" in result.output


def test_no_fixture_is_redundant() -> None:
    lines = lines_of(SHIPPED)
    times = Counter(item for line in lines for item in covered_by_line(line))
    assert [line["id"] for line in lines if all(times[item] > 1 for item in covered_by_line(line))] == []


# -- truth ----------------------------------------------------------------------------------------------


def test_a_case_that_names_another_rule_than_the_server_is_not_recorded() -> None:
    case = Case("wrong", lambda scene: scene.refused({}), "", rule="name-unique")
    with pytest.raises(ClaimError, match="category-required decided, not name-unique"):
        record(case, [Step("POST", PATH, {})], Mock(), version=NEWEST)


def test_an_unexpected_create_is_not_recorded() -> None:
    body = {"name": "a", "type": "docker", "categories": ["REGISTRY"], "docker": {}, "skipTestIntegration": True}
    with pytest.raises(ClaimError, match="should be refused was accepted"):
        record(Case("wrong", lambda _: None, ""), [Step("POST", PATH, body)], Mock(), version=NEWEST)


@pytest.mark.parametrize("type", [type for type in CONTRACT.types if type != "scannerv4"])
def test_every_field_of_a_minimal_integration_is_required(type: str) -> None:
    version = "4.11" if type == "google" else NEWEST  # which 5.0 does not let anyone create
    target = Mock(central_version=version)
    (body,) = (step.body for step in steps_of(f"type/{type}/minimal-{categories(type)[-1]}", version=version))
    assert target.ask("POST", PATH, json.dumps(body).encode(), {}).status == 200
    member = CONTRACT.types[type].member
    for name in NEEDED.get(type, ()):
        target.fresh()
        less = body | {member: {key: value for key, value in body[member].items() if key != name}}
        assert target.ask("POST", PATH, json.dumps(less).encode(), {}).status == 500, name


def categories(type: str) -> list[str]:
    return [each.lower().replace("_", "") for each in CONTRACT.types[type].categories]


def steps_of(id: str, version: str = NEWEST) -> list[Step]:
    from contract_tests.fixtures.generate import steps

    return steps(catalogue()[id], Wish(version=version))


@pytest.mark.parametrize("type", CONTRACT.types)
def test_a_full_integration_sets_every_field_that_can_be_combined(type: str) -> None:
    forms = "-".join(categories(type))
    body = steps_of(f"type/{type}/full-{forms}")[-1].body
    member, message = CONTRACT.types[type].member, CONTRACT.config_message(type)
    assert {field.name for field in message.fields} - set(body[member]) <= {"authorizationData"}


@pytest.mark.parametrize(
    ("type", "asked"),
    [("quay", "if the registry answers"), ("clair", "if the scanner answers"), ("scannerv4", "asks no scanner")],
)
def test_the_explanation_of_a_test_says_who_is_asked(type: str, asked: str) -> None:
    made = generate(Wish(names=(f"type/{type}/test", f"type/{type}/test-keep", f"type/{type}/test-give")))
    assert [asked in each.why for each in made] == [True] * 3


def test_a_long_name_is_not_said_to_be_without_limit() -> None:
    [made] = generate(Wish(names=("field/name/long",)))
    assert made.why == "`name` has 255 characters, which is not too long."  # its index has a limit: test_database.py


def test_fields_with_drawn_values_exist() -> None:
    def names(message: Message) -> Iterator[str]:
        for field in message.fields:
            yield field.name
            if field.message is not None:
                yield from names(field.message)

    assert set(values.MADE) <= set(names(CONTRACT.integration))


# -- what is in them --------------------------------------------------------------------------------------


def bodies(line: Mapping[str, Any]) -> Iterator[Body]:
    for request in (line["request"],) if "request" in line else line["steps"]:
        body = request.get("body")
        if isinstance(body, dict):
            yield body.get("config", body) or {}


def ordinary() -> list[Any]:
    """Return the fixtures that people copy."""
    return [line for line in lines_of(SHIPPED) if line["id"].startswith(("type/", "conversation/"))]


def test_hosts_are_under_example_com() -> None:
    found = set()
    for line in ordinary():
        for body in bodies(line):
            configs = [body[member.name] for member in CONTRACT.integration.members if member.name in body]
            found |= {
                value for config in configs for name, value in config.items() if name.endswith(("endpoint", "Endpoint"))
            }
    found.discard("")
    assert len(found) > 50
    assert [
        each for each in found if not re.fullmatch(r"(https?://)?([a-z0-9-]+\.)+example\.com(:8443)?/?", each)
    ] == []


def credentials(message: Message, value: Mapping[str, Any]) -> Iterator[str]:
    for field in message.fields:
        inner = value.get(field.name)
        if field.scrub == "always" and isinstance(inner, str):
            yield inner
        elif field.message is not None and isinstance(inner, dict):
            yield from credentials(field.message, inner)


def test_no_create_of_the_ordinary_fixtures_has_the_mask_for_a_credential_or_one_that_could_be_real() -> None:
    found = []
    for line in ordinary():
        for request in (line["request"] | {"request": "POST"},) if "request" in line else line["steps"]:
            body = request.get("body")
            if request["request"].startswith("POST") and isinstance(body, dict) and "config" not in body:
                found += list(credentials(CONTRACT.integration, body))
    assert len(found) > 50
    assert MASK not in found
    assert [each for each in found if "not-a-real-" not in each] == []


def test_a_service_account_is_credential_json() -> None:
    found = [
        json.loads(body["google"]["serviceAccount"])
        for line in ordinary()
        for body in bodies(line)
        if body.get("google", {}).get("serviceAccount", "").startswith("{")
    ]
    assert {each["type"] for each in found} == {"service_account"}
    assert all(each["client_email"].endswith(".example.com") for each in found)


# -- the same everywhere ------------------------------------------------------------------------------------

_DRAW = """
import hashlib, json
from contract_tests.fixtures.choices import Seeded
from contract_tests.fixtures.values import Values
from mock_server.contract import tables as contracts
found = []
for seed in range(200):
    values = Values(Seeded(seed, "case"), contracts.load())
    found += [values.name("quay", seed), values.secret("key"), values.endpoint("ecr"), values.service_account("")]
    found += [values.uuid(), values.role(""), values.expires_at(""), values.choices.below(seed + 1)]
print(hashlib.sha256(json.dumps(found).encode()).hexdigest())
"""


def drawn(python: str, **environment: str) -> str:
    packages = [Path(module.__file__ or "").parents[1] for module in (yaml, click)]
    path = os.pathsep.join(str(each) for each in (SHIPPED.parent, *packages))
    done = subprocess.run(
        [python, "-c", _DRAW],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": path, "PATH": os.environ["PATH"], **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def other_pythons() -> list[str]:
    """Find Pythons of other versions on the path and where pyenv keeps them."""
    found: dict[int, str] = {}
    folders = [Path(each) for each in os.environ["PATH"].split(os.pathsep)]
    folders += sorted(Path.home().glob(".pyenv/versions/3.*/bin"))
    for folder in folders:
        for minor in range(11, 16):
            python = folder / f"python3.{minor}"
            if minor != sys.version_info.minor and python.exists() and "shims" not in python.parts:
                found.setdefault(minor, str(python))
    return list(found.values())


@pytest.mark.heavy
@pytest.mark.served
def test_other_pythons_and_hash_seeds_draw_the_same() -> None:
    expected = drawn(sys.executable, PYTHONHASHSEED="1")
    assert drawn(sys.executable, PYTHONHASHSEED="2") == expected
    others = other_pythons()
    if not others:
        pytest.skip("no other Python is here")
    assert {python: drawn(python, PYTHONHASHSEED="3") for python in others} == dict.fromkeys(others, expected)


@pytest.mark.served
@pytest.mark.slow
def test_two_processes_make_the_same_bytes_of_one_seed() -> None:
    def output(hash_seed: str) -> bytes:
        command = [sys.executable, "-m", "contract_tests", "fixtures", "--count", "100", "--seed", "7"]
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        return subprocess.run(command, capture_output=True, timeout=120, check=True, env=environment).stdout

    assert output("1") == output("2") == run("--count", "100", "--seed", "7").stdout_bytes
    assert output("1") != run("--count", "100", "--seed", "8").stdout_bytes


# -- choosing -----------------------------------------------------------------------------------------------


@pytest.mark.heavy
def test_a_type_and_a_verdict_narrow_what_is_made() -> None:
    assert {line["type"] for line in made("--type", "quay", "--count", "40")} == {"quay"}
    assert all(status(line) == 200 for line in made("--valid", "--count", "40"))
    assert all(status(line) >= 400 for line in made("--invalid", "--count", "40"))


def status(line: Mapping[str, Any]) -> int:
    expect = line["expect"][-1] if isinstance(line["expect"], list) else line["expect"]
    return int(expect["status"])


@pytest.mark.heavy
@pytest.mark.parametrize("rule", ["name-unique", "clair-endpoint-required", "null-is-absent", "message-size"])
def test_a_rule_narrows_what_is_made(rule: str) -> None:
    found = made("--rule", rule)
    assert found
    assert {line["rule"] for line in found} == {rule}


def test_minimal_and_full_say_what_bodies_hold() -> None:
    def sizes(form: str) -> dict[str, int]:
        return {line["id"]: len(json.dumps(line)) for line in made("--type", "docker", form, "--valid")}

    least, most = sizes("--minimal"), sizes("--full")
    assert least["type/docker/update-keep"] < most["type/docker/update-keep"]


@pytest.mark.heavy
def test_the_first_fixtures_cover_more_than_random_ones() -> None:
    lines = [jsonl.line(each) for each in generate(Wish(count=60))]
    driven = set().union(*(covered_by_line(line) for line in lines))
    every = [line for line in lines_of(SHIPPED) if line["central"] == NEWEST]
    blind = set().union(*(covered_by_line(every[place]) for place in range(0, len(every), len(every) // 60)))
    assert len(driven) > len(blind)


def test_a_larger_count_draws_rare_items_again_first() -> None:
    lines = made("--type", "ibm", "--rule", "ibm-api-key-required", "--count", "40")
    assert len({line["id"] for line in lines}) == 40
    cases = Counter(line["id"].partition("#")[0] for line in lines)
    assert max(cases.values()) - min(cases.values()) <= 2
    names = [body["name"] for line in lines for body in bodies(line) if body.get("type") == "ibm"]
    assert len(set(names)) > 30


@pytest.mark.heavy
def test_ten_thousand_take_less_than_twenty_seconds_going_by_a_quarter_of_them() -> None:
    started = time.process_time()
    assert sum(1 for _ in generate(Wish(count=2_500))) == 2_500
    assert time.process_time() - started < 20 / 4


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b'{"id": 5}\n', "a.jsonl line 1 is not a fixture", id="other"),
        pytest.param(b"[" * 100_000, "a.jsonl line 1 is not a fixture", id="deep"),
        pytest.param(b"\xff\xfe\0\1", "a.jsonl cannot be read: 'utf-8' codec can't decode byte 0xff", id="binary"),
    ],
)
def test_an_invalid_line_is_reported_with_file_and_line(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    result = run("--coverage", str(tmp_path))
    assert result.exit_code == 2
    assert reason in result.output


def test_each_format_has_its_own_file(tmp_path: Path) -> None:
    result = run("--type", "ibm", "--format", "curl", "--format", "json", "-o", str(tmp_path / "x"))
    assert result.exit_code == 0, result.output
    assert (tmp_path / "x/fixtures.sh").exists()
    assert json.loads((tmp_path / "x/json/integrations/ibm/minimal-registry.json").read_text("utf-8"))["type"] == "ibm"
    assert run("--type", "ibm", "-o", str(tmp_path / "ibm.jsonl")).exit_code == 0
    assert (tmp_path / "ibm.jsonl").read_text("utf-8").count("\n") > 20


# -- other servers ------------------------------------------------------------------------------------------


@pytest.mark.served
def test_a_running_mock_answers_as_the_one_in_the_process() -> None:
    words = ("--type", "ibm", "--seed", "3")
    with serving() as mock:
        assert made(*words, "--at", mock.url) == made(*words)


@pytest.mark.heavy
@pytest.mark.served
def test_a_wrong_answer_of_a_server_is_not_recorded() -> None:
    with serving(Settings(mutants=("name-unique",))) as broken:
        result = run("--rule", "name-unique", "--at", broken.url)
    assert result.exit_code == 2
    assert "a create that should be refused was accepted" in result.output


@pytest.mark.parametrize("version", ["4.8", NEWEST])
def test_lines_of_deployed_central_hold_for_the_document_and_are_the_same_each_time(version: str) -> None:
    names = ("field/*/number", "field-value/*", "type/*/read", "list/*")
    wish = Wish(names=names, version=version, as_deployed=True)
    lines = [jsonl.line(each) for each in generate(wish)]
    assert lines == [jsonl.line(each) for each in generate(wish)]
    assert [each for each in map(partial(replay, target=Mock(central_version=version)), lines) if each] == []


def test_an_answer_of_a_proxy_is_kept_as_its_text() -> None:
    (fixture,) = generate(Wish(names=("name-required/create",)))
    (exchange,) = fixture.exchanges
    odd = replace(exchange, answer=Answer(520, {"content-type": "text/html"}, "<html>Web server is down</html>"))
    (entry,) = json.loads(har.write([replace(fixture, exchanges=(odd,))]))["log"]["entries"]
    assert (entry["response"]["status"], entry["response"]["statusText"]) == (520, "")
    assert entry["response"]["content"]["text"] == odd.answer.text


SECRETS: Body = {
    "name": "Acme production",
    "type": "docker",
    "categories": ["REGISTRY"],
    "docker": {"endpoint": "https://robot:pw@registry.acme.test:5000/v2", "username": "acme-ci", "password": "hunter2"},
    "skipTestIntegration": True,
}


@pytest.mark.served
def test_integrations_of_a_running_central_lose_private_values() -> None:
    with serving(Settings(empty=True)) as mock:
        found = {"name": "Autogenerated https://registry.acme.test for cluster acme", "autogenerated": True}
        source = {"clusterId": "acme-cluster", "namespace": "acme-ns", "imagePullSecretName": "acme-pull"}
        for body in (SECRETS, SECRETS | found | {"source": source, "clusterId": "acme-cluster"}):
            create(mock.url, body)
        lines = made("--from-url", mock.url)
    text = json.dumps(lines)
    assert not re.search(r"acme|hunter2|robot:pw", text, re.IGNORECASE)
    sent = [body for line in lines[:2] for body in bodies(line) if "docker" in body]
    assert {body["docker"]["endpoint"] for body in sent} == {"https://host-1.example.com:5000"}
    assert {body["docker"]["username"] for body in sent} == {"username-1"}
    assert all(body["docker"]["password"].startswith("not-a-real-") for body in sent)
    flagged = [line for line in lines if "Autogenerated" in line.get("note", "")]
    assert len(flagged) == 1
    (one,) = (body for body in bodies(flagged[0]) if body)
    assert one["clusterId"] == one["source"]["clusterId"] != "acme-cluster"
    assert all(status(line) == 200 for line in lines)


@pytest.mark.heavy
@pytest.mark.served
def test_every_type_of_a_running_central_becomes_an_accepted_fixture() -> None:
    with serving(Settings(central_version="4.11")) as mock:
        for line in made("--valid", "--central-version", "4.11"):
            if line["id"].startswith(("odd/", "usual/")) or re.fullmatch(r"type/[^/]+/full-.*", line["id"]):
                for body in bodies(line):
                    create(mock.url, body)
        found = made("--from-url", mock.url, "--central-version", "4.11")
    assert {line["type"] for line in found} >= set(CONTRACT.types)
    assert [(line["id"], status(line)) for line in found if status(line) != 200] == []


def create(url: str, body: Body) -> None:
    import requests

    requests.post(url + PATH, json=body, timeout=10)


@pytest.mark.served
def test_a_token_goes_to_the_server_and_nowhere_else(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("mock-admin-token\n", "utf-8")
    with serving(Settings(auth=True)) as mock:
        assert "asks for credentials (--token-file" in run("--from-url", mock.url).output
        result = run("--from-url", mock.url, "--token-file", str(token))
    assert result.exit_code == 0
    assert "mock-admin-token" not in result.output


# -- for people who write hypothesis tests ------------------------------------------------------------------


@pytest.mark.heavy
@hypothesis.settings(deadline=None)
@given(strategies.realistic())
def test_realistic_integrations_are_accepted(integration: Body) -> None:
    target = Mock()
    assert target.ask("POST", PATH, json.dumps(integration).encode(), {}).status == 200


def test_a_failure_shrinks_to_a_readable_example() -> None:
    found = hypothesis.find(strategies.realistic(types=["quay"], form="minimal"), lambda _: True)
    assert found == {
        "name": "payments quay 0000-1",
        "type": "quay",
        "categories": ["REGISTRY"],
        "quay": {"endpoint": "quay.example.com"},
        "skipTestIntegration": True,
    }


@pytest.mark.heavy
def test_a_conversation_of_a_rule_shrinks_to_its_first_case() -> None:
    case, steps = hypothesis.find(strategies.conversations(rules=["name-unique"]), lambda _: True)
    assert case.id == "name-unique/create"
    assert [step.body["name"] for step in steps] == ["payments docker 0000-1"] * 2


def test_no_case_is_a_clear_error() -> None:
    with pytest.raises(ValueError, match="no case of Central"):
        hypothesis.find(strategies.conversations(rules=["name-unique"], types=["clair"]), lambda _: True)
