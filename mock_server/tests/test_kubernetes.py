"""The Kubernetes manifest: it is valid, consistent, and matches the mock."""

import json
import re
from contextlib import ExitStack
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import kubernetes_validate
import pytest
import yaml

from mock_server.cli.main import main
from mock_server.state import redis_connection
from mock_server.tests.conftest import PATH, docker
from mock_server.tests.redis_server import PROGRAMS, RedisServer
from mock_server.tests.test_cli import serve_command, url_in
from mock_server.web import control

MANIFEST = Path(__file__).parents[2] / "deploy/kubernetes.yaml"
OBJECTS = list(yaml.safe_load_all(MANIFEST.read_text("utf-8")))
SERVICES = {each["metadata"]["name"]: each["spec"] for each in OBJECTS if each["kind"] == "Service"}
DEPLOYMENTS = {each["metadata"]["name"]: each["spec"] for each in OBJECTS if each["kind"] == "Deployment"}


def pod(name):
    return DEPLOYMENTS[name]["template"]["spec"]


def container(name):
    (only,) = pod(name)["containers"]
    return only


def ids(each):
    return f"{each['kind']} {each['metadata']['name']}"


@pytest.mark.parametrize("version", ["1.31", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("each", OBJECTS, ids=ids)
def test_kubernetes_accepts_each_object(each, version):
    kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.served
def test_the_validator_refuses_an_invalid_object():
    wrong = {**OBJECTS[0], "spec": {**OBJECTS[0]["spec"], "replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def secret():
    """Return the values of the secret that the commands at the top of the manifest create, by key."""
    literals = re.findall(r'--from-literal=(\S+?)="(.*)"', MANIFEST.read_text("utf-8"))
    return {key: text.replace("$PASSWORD", "1a2b").replace("$(openssl rand -hex 24)", "3c4d") for key, text in literals}


def mounted(name, folder):
    """Write the files of a pod's secret; return the arguments of its container with the paths of these files."""
    volumes = {each["name"]: each["secret"] for each in pod(name)["volumes"] if "secret" in each}
    args = container(name)["args"]
    for mount in container(name)["volumeMounts"]:
        for item in volumes.get(mount["name"], {}).get("items", ()):
            (folder / item["path"]).write_text(secret()[item["key"]], "utf-8")
            args = [each.replace(f"{mount['mountPath']}/{item['path']}", str(folder / item["path"])) for each in args]
    return args


def test_two_replicas_share_the_store_of_the_other_service():
    assert DEPLOYMENTS["mock-central"]["replicas"] == 2
    parts = urlsplit(secret()["store"])
    (port,) = SERVICES[parts.hostname]["ports"]
    assert port["port"] == parts.port


def test_the_commands_create_each_secret():
    for each in map(pod, DEPLOYMENTS):
        for volume in each["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["secretName"] == "mock-central"
                assert {item["key"] for item in volume["secret"]["items"]} <= secret().keys()
    (variable,) = container("mock-central")["env"]
    assert variable["name"] == "MOCK_CENTRAL_STORE"
    assert variable["valueFrom"]["secretKeyRef"] == {"name": "mock-central", "key": "store"}


def test_variables_of_services_do_not_set_options():
    """Kubernetes would set MOCK_CENTRAL_PORT to tcp://..., for the service of that name."""
    assert "MOCK_CENTRAL_PORT" in {f"{name.upper().replace('-', '_')}_PORT" for name in SERVICES}
    assert all(pod(name)["enableServiceLinks"] is False for name in DEPLOYMENTS)


@pytest.mark.heavy
@pytest.mark.served
@pytest.mark.skipif("valkey" not in PROGRAMS, reason="there is no Valkey here")
def test_the_replicas_of_the_manifest_share_state_and_show_no_secret(tmp_path):
    listening = ("--host=", "--port=")
    words = [each for each in mounted("mock-central", tmp_path) if not each.startswith(listening)]
    # The last --port applies.
    with RedisServer(*mounted("mock-central-store", tmp_path), kind="valkey") as server, ExitStack() as stack:
        parts = urlsplit(secret()["store"])
        with pytest.raises(redis_connection.StoreError, match="authenticate"):
            redis_connection.check(server.url, "mock-central")
        env = {
            "MOCK_CENTRAL_STORE": secret()["store"].replace(
                f"{parts.hostname}:{parts.port}", urlsplit(server.url).netloc
            )
        }
        started = [
            stack.enter_context(serve_command(*words, env=env)) for _ in range(DEPLOYMENTS["mock-central"]["replicas"])
        ]
        one, two = (url_in(banner) for _, banner in started)
        body = json.dumps(docker(name="mine")).encode()
        with urlopen(f"{one}{PATH}", body) as answer:
            id = json.load(answer)["id"]
        with urlopen(f"{two}{PATH}/{id}") as answer:
            assert json.load(answer)["name"] == "mine"
        health = container("mock-central")["readinessProbe"]["httpGet"]["path"]
        with urlopen(f"{two}{health}") as answer:
            assert answer.status == 200
        with pytest.raises(HTTPError, match="401"):
            urlopen(f"{two}/__admin/state")
        with_token = {"Authorization": f"Bearer {secret()['control-token']}"}
        with urlopen(Request(f"{two}/__admin/state", headers=with_token)) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_selects_its_pods_and_their_port(name):
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
def test_no_pod_runs_as_root_or_can_become_root(name):
    assert pod(name)["securityContext"]["runAsNonRoot"] is True
    assert pod(name)["securityContext"]["runAsUser"] > 0
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_probe_requests_the_health_check():
    path = container("mock-central")["readinessProbe"]["httpGet"]["path"]
    assert path.removeprefix(control.PREFIX) in control.document()["paths"]


def test_the_options_of_the_manifest_are_valid(tmp_path):
    command, verb = container("mock-central")["command"]
    assert (command, verb) == ("mock-central", "serve")
    with main.commands[verb].make_context(verb, mounted("mock-central", tmp_path)) as context:
        (port,) = (each["containerPort"] for each in container("mock-central")["ports"])
        assert (context.params["port"], context.params["host"]) == (port, "0.0.0.0")
