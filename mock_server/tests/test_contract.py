"""`openapi.yaml`: it is valid, and it matches the code."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

import mock_server
from mock_server.contract import tables as contracts
from mock_server.contract import validator as validators
from mock_server.contract.tables import RuleHistory
from mock_server.gateway.operations import HANDLERS, check_complete
from mock_server.tests.conftest import PATH, Api, fields, names

CONTRACT = contracts.load()
DOCUMENT = CONTRACT.document
VIEWS: list[Any] = [pytest.param(view, id=view.release.line) for view in CONTRACT.every_release]
RULES: list[Any] = [pytest.param(rule, id=rule.id) for rule in CONTRACT.history.values()]


def nodes(node: Any, path: str = "#") -> Any:
    """Yield each node of the document with its path."""
    yield path, node
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from nodes(child, f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}")


def resolved(node: Any) -> Any:
    return CONTRACT._resolve(node)


def media_types() -> dict[str, Any]:
    """Return each media type object of the document by its path."""
    return {path: node for path, node in nodes(DOCUMENT) if path.endswith("/application~1json")}


def test_the_document_is_openapi_3_1():
    errors = OpenAPIV31SpecValidator(dict(CONTRACT.source)).iter_errors()
    assert [error.message for error in errors] == []


@pytest.mark.parametrize("view", VIEWS)
def test_the_document_of_each_release_is_openapi_3_1(view):
    errors = OpenAPIV31SpecValidator(view.document).iter_errors()
    assert [error.message for error in errors] == []


@pytest.mark.parametrize("view", VIEWS)
def test_every_type_of_a_release_has_a_valid_example(view):
    for type, known in view.types.items():
        example = view.example(type)
        assert example["type"] == type
        assert set(example["categories"]) <= set(known.categories)
        assert validators.of(view).accepts("StorageImageIntegration", example)


@pytest.mark.parametrize("path", media_types())
def test_every_example_of_a_body_is_valid(path):
    media = media_types()[path]
    schema = media["schema"]["$ref"].rpartition("/")[2]
    assert media["examples"]
    for name, each in media["examples"].items():
        value = resolved(each)["value"]
        assert validators.shared().accepts(schema, value, answer="responses" in path), name


SCHEMAS_WITH_EXAMPLES = {
    path: node
    for path, node in nodes(DOCUMENT)
    if isinstance(node, dict) and isinstance(node.get("examples"), list) and not path.endswith("/properties")
}


@pytest.mark.parametrize("path", SCHEMAS_WITH_EXAMPLES)
def test_every_example_of_a_schema_is_valid(path):
    node = SCHEMAS_WITH_EXAMPLES[path]
    validator = jsonschema_rs.Draft202012Validator(
        {**node, "components": DOCUMENT["components"]}, validate_formats=True
    )
    assert [example for example in node["examples"] if not validator.is_valid(example)] == []


def test_every_named_example_is_used():
    used = {node["$ref"] for _, node in nodes(DOCUMENT) if isinstance(node, dict) and "$ref" in node}
    named = {f"#/components/{kind}/{name}" for kind, each in DOCUMENT["components"].items() for name in each}
    assert named - used == {"#/components/securitySchemes/bearerToken", "#/components/securitySchemes/basic"}


# -- document and server -----------------------------------------------------------------------------


def test_every_operation_has_a_handler_and_every_handler_an_operation():
    check_complete(CONTRACT, HANDLERS)


def test_an_operation_without_a_handler_is_refused_at_the_start():
    incomplete = {id: handler for id, handler in HANDLERS.items() if id != "GetImageIntegration"}
    with pytest.raises(
        ValueError, match=r"^document and server differ: operations without a handler \['GetImageIntegration'\], "
    ):
        check_complete(CONTRACT, incomplete)


def test_a_handler_without_an_operation_is_refused_at_the_start():
    with pytest.raises(
        ValueError, match=r" operations without a handler \[\], handlers without an operation \['Extra'\]$"
    ):
        check_complete(CONTRACT, {**HANDLERS, "Extra": HANDLERS["GetImageIntegration"]})


def test_the_operations_are_those_of_central():
    operations = CONTRACT.operations.values()
    assert {(each.method, each.path.removeprefix(PATH), each.permission, each.request) for each in operations} == {
        ("GET", "", "read", None),
        ("GET", "/{id}", "read", None),
        ("POST", "", "write", "StorageImageIntegration"),
        ("PUT", "/{id}", "write", "StorageImageIntegration"),
        ("PATCH", "/{id}", "write", "V1UpdateImageIntegrationRequest"),
        ("DELETE", "/{id}", "write", None),
        ("POST", "/test", "write", "StorageImageIntegration"),
        ("POST", "/test/updated", "write", "V1UpdateImageIntegrationRequest"),
    }


# -- rules -------------------------------------------------------------------------------------------


def sources(files: Iterable[Path]) -> str:
    return "\n".join(path.read_text("utf-8") for path in files if path.name != Path(__file__).name)


PACKAGE = Path(mock_server.__file__).parent
CODE = sources(path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] not in ("tests", "mutants"))
TESTS = sources(Path(__file__).parent.glob("*.py"))


def test_no_key_of_the_document_is_repeated():
    class Loader(yaml.SafeLoader):
        """A loader that refuses repeated keys, of which YAML keeps the last one."""

        def construct_mapping(self, node, deep=False):
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            assert [key for key, count in Counter(map(str, keys)).items() if count > 1] == [], node.start_mark
            return super().construct_mapping(node, deep)

    yaml.load(contracts.find().read_bytes(), Loader)


def test_every_rule_that_the_document_names_exists():
    assert {
        each["createRefusedBy"] for each in CONTRACT.source["x-types"].values() if "createRefusedBy" in each
    } <= set(CONTRACT.history)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_well_formed(rule: RuleHistory):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.id)
    assert rule.title
    assert rule.source
    refuses = rule.kind in ("plain", "invalid", "missing", "problem")
    assert rule.kind in ("build", "behaviour") or refuses
    assert bool(rule.texts) == (rule.kind != "behaviour")
    assert all(each.text for each in rule.texts)
    assert (rule.status >= 400 and rule.code > 0) == refuses


def test_every_grpc_code_matches_its_status():
    pairs = {(rule.code, rule.status) for rule in CONTRACT.history.values() if rule.code}
    assert pairs == {(3, 400), (5, 404), (7, 403), (8, 429), (12, 501), (13, 500), (16, 401)}


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_named_in_its_code(rule: RuleHistory):
    """As a method or in a look-up; a behaviour without code of its own is named in a test."""
    in_code = f'"{rule.id}"' in CODE or f"def {rule.id.replace('-', '_')}(" in CODE
    assert in_code or (rule.kind == "behaviour" and re.search(f'[`"]{rule.id}[`"]', TESTS))


# -- a second reading of the sheet -------------------------------------------------------------------


def marked(key: str, value: str) -> set[str]:
    return {names(path) for path in fields(CONTRACT.integration) if getattr(path[-1], key) == value}


def test_the_credentials_are_those_of_central():
    assert marked("scrub", "always") == {
        "docker.password",
        "quay.oauthToken",
        "quay.registryRobotCredentials.password",
        "ecr.accessKeyId",
        "ecr.secretAccessKey",
        "ecr.authorizationData.password",
        "google.serviceAccount",
        "ibm.apiKey",
        "azure.password",
    }


def test_the_dependent_fields_are_those_of_central():
    assert marked("scrub", "dependent") == {
        "docker.endpoint",
        "docker.username",
        "quay.endpoint",
        "ecr.useIam",
        "ecr.endpoint",
        "google.endpoint",
        "ibm.endpoint",
        "azure.endpoint",
        "azure.username",
        "azure.wifEnabled",
    }


def test_the_checked_endpoints_are_those_of_central():
    members = {"clairify", "docker", "quay", "ecr", "google", "clair", "clairV4", "ibm", "azure"}
    expected = {f"{member}.endpoint" for member in members} | {"clairify.grpcEndpoint"}
    assert marked("validate", "nolocalendpoint") == expected


def test_fields_are_in_the_order_in_which_central_writes_them():
    messages = [CONTRACT.integration, *(each.message for each in CONTRACT.integration.members if each.message)]
    assert {message.name: [field.name for field in message.fields] for message in messages} == {
        "StorageImageIntegration": [
            *("id", "name", "type", "categories"),
            *("clairify", "scannerV4", "docker", "quay", "ecr", "google", "clair", "clairV4", "ibm", "azure"),
            *("autogenerated", "clusterId", "skipTestIntegration", "source"),
        ],
        "StorageClairifyConfig": ["endpoint", "grpcEndpoint", "numConcurrentScans"],
        "StorageScannerV4Config": ["numConcurrentScans", "indexerEndpoint", "matcherEndpoint"],
        "StorageDockerConfig": ["endpoint", "username", "password", "insecure"],
        "StorageQuayConfig": ["endpoint", "oauthToken", "insecure", "registryRobotCredentials"],
        "StorageECRConfig": [
            *("registryId", "accessKeyId", "secretAccessKey", "region", "useIam", "endpoint"),
            *("useAssumeRole", "assumeRoleId", "assumeRoleExternalId", "authorizationData"),
        ],
        "StorageGoogleConfig": ["endpoint", "serviceAccount", "project", "wifEnabled"],
        "StorageClairConfig": ["endpoint", "insecure"],
        "StorageClairV4Config": ["endpoint", "insecure"],
        "StorageIBMRegistryConfig": ["endpoint", "apiKey"],
        "StorageAzureConfig": ["endpoint", "username", "password", "wifEnabled"],
    }


def test_two_fields_are_camel_case_in_the_proto_file():
    """So `oauth_token` and `update_password` are not fields."""
    update = CONTRACT.message("V1UpdateImageIntegrationRequest")
    quay = CONTRACT.integration.by_name["quay"].message
    assert quay is not None
    assert {"oauth_token", "update_password"} & {*quay.by_name, *update.by_name} == set()


DEFAULTS = {
    "10d3b4dc-8295-41bc-bb50-6da5484cdb1a": ("Public DockerHub", "docker", "registry-1.docker.io"),
    "c6a1a26d-8947-4cb0-a50d-a018856f9390": ("Public Kubernetes GCR (deprecated)", "docker", "k8s.gcr.io"),
    "f6ce8982-1a75-4430-96f3-9b22b4b66604": ("Public Kubernetes Registry", "docker", "registry.k8s.io"),
    "05fea766-e2f8-44b3-9959-eaa61a4f7466": ("Public GCR", "docker", "gcr.io"),
    "6d7fc3f3-03d0-4b61-bf9f-34982a77bd56": ("Public GKE GCR", "docker", "gke.gcr.io"),
    "e50087f1-6840-4d15-aeca-21ba636f0878": ("Public Quay.io", "quay", "quay.io"),
    "4b36a1c3-2d6f-452e-a70f-6c388a0ff947": ("Public Microsoft Container Registry", "docker", "mcr.microsoft.com"),
    "5febb194-a21d-4109-9fad-6880dd632adc": ("Public Amazon ECR", "docker", "public.ecr.aws"),
    "54107745-5717-49c1-9073-a2b72f7a3b49": (
        "registry.access.redhat.com",
        "rhel",
        "registry.access.redhat.com",
    ),
    "48a1b014-fa42-4e3f-b45d-518c3b129f2e": ("Public GitHub Container Registry", "ghcr", "ghcr.io"),
    "a87471e6-9678-4e66-8348-91e302b6de07": ("Scanner V4", "scannerv4", None),
    "169b0d3f-8277-4900-bbce-1127077defae": (
        "Stackrox Scanner",
        "clairify",
        "https://scanner.elsewhere.svc:8080",
    ),
}


def test_a_fresh_central_has_the_twelve_defaults():
    found = Api(namespace="elsewhere").list()
    member = {each["id"]: each[CONTRACT.types[each["type"]].member] for each in found}
    assert {each["id"]: (each["name"], each["type"], member[each["id"]].get("endpoint")) for each in found} == DEFAULTS
    assert {each["name"] for each in found if each["skipTestIntegration"]} == {
        "Public GKE GCR",
        "Public GitHub Container Registry",
    }
    assert {each["name"]: each["categories"] for each in found if each["categories"] != ["REGISTRY"]} == {
        "Scanner V4": ["SCANNER", "NODE_SCANNER"],
        "Stackrox Scanner": ["SCANNER", "NODE_SCANNER"],
    }
    assert member["a87471e6-9678-4e66-8348-91e302b6de07"] == {
        "numConcurrentScans": 0,
        "indexerEndpoint": "scanner-v4-indexer.elsewhere.svc:8443",
        "matcherEndpoint": "scanner-v4-matcher.elsewhere.svc:8443",
    }
