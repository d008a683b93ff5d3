"""Values of one body belong together, and bodies of the web interface are those its forms send."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from contract_tests import strategies
from contract_tests.engine.integrations import Body
from contract_tests.fixtures.bodies import VARIANTS
from contract_tests.fixtures.forms import FORMS
from contract_tests.fixtures.lines import lines_of
from mock_server.contract import tables as contracts

SHIPPED = Path(__file__).parents[2] / "fixtures"
CONTRACT = contracts.load()

PARTITIONS = {"cn-": ("aws-cn", "cn.example.com"), "us-gov-": ("aws-us-gov", "us-gov.example.com")}
REGION = re.compile(r"[a-z]{2}(?:-gov)?-[a-z]+-\d")


def key_of(google: Body) -> Body:
    try:
        found = json.loads(google.get("serviceAccount") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def partition(region: str) -> tuple[str, str]:
    return next((found for start, found in PARTITIONS.items() if region.startswith(start)), ("aws", ""))


def host(address: str) -> str:
    return address.partition("//")[2] or address


CORRELATIONS: Mapping[str, tuple[str, Callable[[Body], bool]]] = {
    "a role is given by its name": ("ecr", lambda ecr: ":" not in ecr.get("assumeRoleId", "")),
    "the region of ECR's API is that of the body": (
        "ecr",
        lambda ecr: set(REGION.findall(ecr.get("endpoint", ""))) <= {ecr.get("region")},
    ),
    "ECR's API is in the partition of the region": (
        "ecr",
        lambda ecr: partition(ecr.get("region", ""))[1] in ecr.get("endpoint", "") or not ecr.get("endpoint"),
    ),
    "the endpoint of ECR is no registry's host": ("ecr", lambda ecr: ".dkr." not in ecr.get("endpoint", "")),
    "an ARN has the account and the partition": (
        "ecr",
        lambda ecr: all(
            found == (partition(ecr["region"])[0], ecr["registryId"])
            for found in re.findall(r"arn:([\w-]+):iam::(\d+)", json.dumps(ecr))
        ),
    ),
    "a container's role needs no key": ("ecr", lambda ecr: not (ecr.get("useIam") and ecr.get("accessKeyId"))),
    "AssumeRole names a role": ("ecr", lambda ecr: not ecr.get("useAssumeRole") or bool(ecr.get("assumeRoleId"))),
    "a project is the key's": (
        "google",
        lambda google: (
            not (key_of(google) and google.get("project")) or key_of(google)["project_id"] == google["project"]
        ),
    ),
    "an account is of the key's project": (
        "google",
        lambda google: (
            f"@{key_of(google).get('project_id')}." in key_of(google).get("client_email", "") or not key_of(google)
        ),
    ),
    "a workload identity has no key": (
        "google",
        lambda google: not (google.get("wifEnabled") and google.get("serviceAccount")),
    ),
    "a workload identity has no password": (
        "azure",
        lambda azure: not (azure.get("wifEnabled") and azure.get("password")),
    ),
    "both addresses of a scanner are on one host": (
        "clairify",
        lambda config: (
            host(config.get("grpcEndpoint", "")).partition(":")[0]
            in ("", host(config.get("endpoint", "")).partition(":")[0].rstrip("/"))
        ),
    ),
    "both parts of Scanner V4 are in one place": (
        "scannerV4",
        lambda config: (
            config.get("indexerEndpoint", "").replace("indexer", "")
            == config.get("matcherEndpoint", "").replace("matcher", "")
        ),
    ),
}
"""What belongs together, by the config member that shows it."""


def bodies(line: Mapping[str, Any]) -> Iterator[Body]:
    for request in (*line.get("setup", ()), line["request"]) if "request" in line else line["steps"]:
        body = request.get("body")
        if isinstance(body, dict):
            yield body.get("config", body) or {}


def ordinary() -> Iterator[tuple[str, Body]]:
    """Return the bodies of fixtures that are about an ordinary integration."""
    for line in lines_of(SHIPPED):
        if line["id"].startswith(("type/", "conversation/", "variant/", "ui/", "list/")):
            yield from ((line["id"], body) for body in bodies(line))


def wrong(correlation: str, body: Body) -> bool:
    member, holds = CORRELATIONS[correlation]
    return isinstance(body.get(member), dict) and not holds(body[member])


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_values_of_a_shipped_body_are_consistent(correlation: str) -> None:
    found = [(id, body) for id, body in ordinary() if CORRELATIONS[correlation][0] in body]
    assert len(found) > 5
    assert [id for id, body in found if wrong(correlation, body)] == []


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_every_correlation_can_fail(correlation: str) -> None:
    spoiled: Mapping[str, Body] = {
        "ecr": {
            "registryId": "123456789012", "region": "cn-north-1", "useIam": True, "useAssumeRole": True,
            "accessKeyId": "x", "endpoint": "https://1.dkr.ecr.us-east-1.example.com", "assumeRoleId": "",
            "assumeRoleExternalId": "arn:aws:iam::123456789012:role/r",
        },
        "google": {"project": "a", "wifEnabled": True,
                   "serviceAccount": '{"project_id": "b", "client_email": "x@c.example.com"}'},
        "azure": {"wifEnabled": True, "password": "x"},
        "clairify": {"endpoint": "https://a.example.com", "grpcEndpoint": "b.example.com:8443"},
        "scannerV4": {"indexerEndpoint": "indexer.a:1", "matcherEndpoint": "matcher.b:1"},
    }  # fmt: skip
    body = dict(spoiled)
    if correlation == "a role is given by its name":
        body["ecr"] = {"assumeRoleId": "arn:aws:iam::123456789012:role/r"}
    assert wrong(correlation, body)


@hypothesis.settings(max_examples=50)
@given(strategies.realistic())
def test_drawn_values_are_consistent(body: Body) -> None:
    assert [each for each in CORRELATIONS if wrong(each, body)] == []


def test_regions_of_every_partition_are_sent() -> None:
    regions = {body["ecr"].get("region", "") for _, body in ordinary() if "ecr" in body}
    assert {partition(each)[0] for each in regions if each} == {"aws", "aws-cn", "aws-us-gov"}


def test_every_key_parses_and_is_marked_as_an_example() -> None:
    accounts = [key_of(body["google"]) for _, body in ordinary() if "google" in body]
    keys: set[str] = {each["private_key"] for each in accounts if each}
    assert len(keys) > 10
    for key in keys:
        assert key.startswith("not-a-real-key-")
        assert "opens nothing" in key.splitlines()[0]
        assert "gitleaks:allow" in key.splitlines()[0]
    load_pem_private_key(keys.pop().encode(), None)
    assert {key.partition("\n")[2] for key in keys} == {keys.pop().partition("\n")[2]}


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda each: f"{each.type}-{each.name}")
def test_each_way_to_sign_in_is_a_body_to_copy(variant: Any) -> None:
    path = SHIPPED / f"json/integrations/{variant.type}/{variant.name}.json"
    body = json.loads(path.read_text("utf-8"))
    assert body["type"] == variant.type
    config = body[CONTRACT.types[variant.type].member]
    assert {*variant.drawn, *variant.fixed} == set(config)
    assert {name: config[name] for name in variant.fixed} == variant.fixed


# -- the web interface --------------------------------------------------------------------------------

COMMON = ["id", "name", "categories", "autogenerated", "clusterId", "skipTestIntegration", "type"]
CLUSTERS = {"docker", "ecr", "artifactregistry", "azure", "artifactory", "nexus", "ibm", "rhel", "ghcr", "clair"}
CONFIGS: Mapping[str, list[str]] = {
    "docker": ["endpoint", "username", "password", "insecure"],
    "ecr": ["registryId", "endpoint", "region", "useIam", "accessKeyId", "secretAccessKey", "useAssumeRole",
            "assumeRoleId", "assumeRoleExternalId"],
    "google": ["endpoint", "project", "wifEnabled", "serviceAccount"],
    "azure": ["endpoint", "username", "password", "wifEnabled"],
    "quay": ["endpoint", "oauthToken", "insecure", "registryRobotCredentials"],
    "ibm": ["endpoint", "apiKey"],
    "clair": ["endpoint", "insecure"],
    "clairV4": ["endpoint", "insecure"],
    "clairify": ["endpoint", "grpcEndpoint", "numConcurrentScans"],
}  # fmt: skip
"""The keys of each form's part of the body, as seen on the wire."""
REQUIRED: Mapping[str, Callable[[Body], list[str]]] = {
    # What the forms' own schemas ask for, besides a name and a category.
    "docker": lambda _: ["endpoint"],
    "ecr": lambda ecr: (
        ["registryId", "region"]
        + ([] if ecr["useIam"] else ["accessKeyId", "secretAccessKey"])
        + (["assumeRoleId"] if ecr["useAssumeRole"] else [])
    ),
    "google": lambda google: ["endpoint", "project"] + ([] if google["wifEnabled"] else ["serviceAccount"]),
    "azure": lambda azure: ["endpoint"] + ([] if azure["wifEnabled"] else ["password"]),
    "quay": lambda _: ["endpoint"],
    "ibm": lambda _: ["endpoint", "apiKey"],
    "clair": lambda _: ["endpoint"],
    "clairV4": lambda _: ["endpoint"],
    "clairify": lambda _: ["endpoint"],
}


def of_the_interface() -> list[Any]:
    return [line for line in lines_of(SHIPPED) if line["group"] == "as-the-ui-sends"]


def test_every_form_is_there_for_test_create_and_edit() -> None:
    ids = {line["id"] for line in of_the_interface()}
    for type in FORMS:
        for action in ("test", "create", "edit"):
            assert [id for id in ids if re.fullmatch(rf"ui/{type}/{action}(-.*)?", id)], (type, action)


def test_a_body_of_the_interface_has_the_keys_of_its_form() -> None:
    for line in of_the_interface():
        for body in bodies(line):
            if not body:
                continue
            member = CONTRACT.types[body["type"]].member
            more = {"clusters"} if body["type"] in CLUSTERS else set()
            assert set(body) - {"source"} == {*COMMON, member, *more}, line["id"]
            assert sorted(body[member]) == sorted(CONFIGS[member]), line["id"]


def test_a_saved_form_has_the_fields_that_it_requires() -> None:
    for line in of_the_interface():
        for body in bodies(line):
            if body and body["id"] == "":  # the first save; an edit may send its secrets empty
                config = body[CONTRACT.types[body["type"]].member]
                assert body["name"].strip()
                assert body["categories"]
                missing = [name for name in REQUIRED[CONTRACT.types[body["type"]].member](config) if not config[name]]
                assert missing == [], line["id"]


def test_an_edit_without_credentials_sends_every_secret_empty() -> None:
    edits = [line for line in of_the_interface() if re.fullmatch(r"ui/[^/]+/edit(?!-cred).*", line["id"])]
    assert len(edits) > len(FORMS)
    for line in edits:
        last = line["steps"][-1]
        form = FORMS[line["type"]]
        method = "PATCH" if form.secrets else "PUT"
        assert last["request"].startswith(method), line["id"]
        if form.secrets:
            assert last["body"]["updatePassword"] is False
            assert {last["body"]["config"][form.member][name] for name in form.secrets} == {""}
            assert last["body"]["config"]["id"] == "{ID}"


@given(st.data())
@hypothesis.settings(max_examples=20, deadline=None)
def test_the_interface_is_drawn_for_hypothesis_too(data: st.DataObject) -> None:
    case, steps = data.draw(strategies.conversations(group="as-the-ui-sends"))
    assert case.id.startswith("ui/")
    assert steps
