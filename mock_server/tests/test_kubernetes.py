"""The manifest: Kubernetes takes it, and its parts agree with one another and with the mock."""

from pathlib import Path
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml

from mock_server import control, redis_connection
from mock_server.cli import main
from mock_server.tests.redis_server import RedisServer, missing

MANIFEST = Path(__file__).parents[2] / "deploy/kubernetes.yaml"
OBJECTS = list(yaml.safe_load_all(MANIFEST.read_text("utf-8")))
SERVICES = {each["metadata"]["name"]: each["spec"] for each in OBJECTS if each["kind"] == "Service"}
DEPLOYMENTS = {each["metadata"]["name"]: each["spec"] for each in OBJECTS if each["kind"] == "Deployment"}


def container(name):
    (only,) = DEPLOYMENTS[name]["template"]["spec"]["containers"]
    return only


def ids(each):
    return f"{each['kind']} {each['metadata']['name']}"


@pytest.mark.parametrize("version", ["1.31", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("each", OBJECTS, ids=ids)
def test_kubernetes_takes_each_object(each, version):
    kubernetes_validate.validate(each, version, strict=True)


def test_the_validator_refuses_what_is_wrong():
    wrong = {**OBJECTS[0], "spec": {**OBJECTS[0]["spec"], "replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def test_two_replicas_share_the_store_of_the_other_service():
    assert DEPLOYMENTS["mock-central"]["replicas"] == 2
    store = next(word.partition("=")[2] for word in container("mock-central")["args"] if word.startswith("--store="))
    parts = urlsplit(store)
    (port,) = SERVICES[parts.hostname]["ports"]
    assert port["port"] == parts.port


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_finds_its_pods_and_their_port(name):
    template = DEPLOYMENTS[name]["template"]
    assert SERVICES[name]["selector"].items() <= template["metadata"]["labels"].items()
    assert DEPLOYMENTS[name]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    named = {port["name"] for port in container(name)["ports"]}
    assert {port["targetPort"] for port in SERVICES[name]["ports"]} <= named
    for probe in ("readinessProbe", "livenessProbe"):
        for how in ("httpGet", "tcpSocket"):
            if how in container(name).get(probe, {}):
                assert container(name)[probe][how]["port"] in named


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_no_pod_runs_as_root_or_may_become_it(name):
    pod = DEPLOYMENTS[name]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_probe_asks_for_the_health():
    path = container("mock-central")["readinessProbe"]["httpGet"]["path"]
    assert path.removeprefix(control.PREFIX) in control.document()["paths"]


def test_the_mock_takes_the_options():
    command, verb = container("mock-central")["command"]
    assert (command, verb) == ("mock-central", "serve")
    with main.commands[verb].make_context(verb, list(container("mock-central")["args"])) as context:
        (port,) = (each["containerPort"] for each in container("mock-central")["ports"])
        assert (context.params["port"], context.params["host"]) == (port, "0.0.0.0")


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_the_server_of_the_store_takes_its_options():
    with RedisServer(*container("mock-central-store")["args"]) as server:  # the port of the test comes last and counts
        redis_connection.check(server.url, "mock-central")
