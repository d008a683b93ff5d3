"""Fixtures of a running Central's integrations: nothing of its own stays, links between values do."""

import json
from typing import Any

import pytest

from contract_tests.engine.integrations import Body
from contract_tests.fixtures.choices import Seeded
from contract_tests.fixtures.sanitise import Sanitiser, cases, is_public
from contract_tests.fixtures.scene import Scene
from mock_server.contract import tables as contracts
from mock_server.contract.tables import MASK

CONTRACT = contracts.load()


def sanitised(*read: Body) -> list[Body]:
    sanitiser = Sanitiser(0, CONTRACT)
    return [sanitiser.integration(each) for each in read]


def docker(endpoint: str) -> Body:
    return {"name": "a", "type": "docker", "categories": ["REGISTRY"], "docker": {"endpoint": endpoint}}


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        ("https://u:70349/a@registry.acme.test", "https://host-1.example.com"),
        ("https://u:5000@registry.acme.test:5000/v2", "https://host-1.example.com:5000"),
        ("u:443@registry.acme.test", "host-1.example.com"),
        ("registry.acme.test:27183", "host-1.example.com:8443"),
        ("[2001:db8::7]:5000", "host-1.example.com:5000"),
        ("HTTPS://Registry.acme.test", "https://host-1.example.com"),
        ("acme://registry.acme.test", "https://host-1.example.com"),
        ("210987654321.dkr.ecr.eu-west-1.amazonaws.com", "000000000001.dkr.ecr.eu-west-1.example.com"),
        ("210987654321.dkr.ecr.acme-site-1.amazonaws.com", "host-1.example.com"),
        ("https://api.ecr.us-gov-west-1.amazonaws.com", "https://api.ecr.us-gov-west-1.example.com"),
    ],
)
def test_an_endpoint_keeps_nothing_that_is_somebodys(endpoint: str, shown: str) -> None:
    (body,) = sanitised(docker(endpoint))
    assert body["docker"]["endpoint"] == shown


def test_an_account_is_the_same_in_its_field_and_in_a_host() -> None:
    ecr = {"registryId": "210987654321", "region": "eu-west-1", "accessKeyId": MASK, "secretAccessKey": MASK}
    one, other = sanitised(
        {"name": "a", "type": "ecr", "categories": ["REGISTRY"], "ecr": ecr},
        docker("210987654321.dkr.ecr.eu-west-1.amazonaws.com"),
    )
    assert other["docker"]["endpoint"].startswith(one["ecr"]["registryId"] + ".dkr.")
    assert one["ecr"]["region"] == "eu-west-1"


def test_a_project_is_that_of_its_key() -> None:
    google = {"endpoint": "gcr.io", "project": "acme-prod", "serviceAccount": MASK}
    (body,) = sanitised({"name": "a", "type": "artifactregistry", "categories": ["REGISTRY"], "google": google})
    assert body["google"]["project"] == json.loads(body["google"]["serviceAccount"])["project_id"] == "project-1"


def test_only_known_types_and_regions_stay() -> None:
    (body,) = sanitised(
        {"name": "a", "type": "acme-registry", "categories": ["REGISTRY"], "ecr": {"region": "acme-datacenter-7"}}
    )
    assert body["type"] == "type-1"
    assert body["ecr"]["region"] == "region-1"


def test_what_every_central_has_stays_as_it_is() -> None:
    public = [each for each in CONTRACT.defaults if each["type"] != "scannerv4"]
    assert all(is_public(each, CONTRACT) for each in public)
    moved: Any = {**public[0], "docker": {**public[0]["docker"], "endpoint": "registry.acme.test"}}
    assert not is_public(moved, CONTRACT)
    found = {case.id: case for case, _ in cases([*public, docker("registry.acme.test")], 0, CONTRACT)}
    assert len(found) == len(public) + 2
    scene = Scene(Seeded(), version=CONTRACT.releases.newest.line)
    found[f"from-url/public/{public[0]['name']}"].build(scene)
    assert [step.method for step in scene.steps] == ["GET"]
    assert "from-url/docker/name-1" in found
