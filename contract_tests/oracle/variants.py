"""Tables of special integrations: those that break each rule, and those that look wrong but are accepted.

Checks and fixtures share these tables.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, NamedTuple

from contract_tests.engine.integrations import UNKNOWN_TYPE
from mock_server.contract import tables as contracts

FRESH = "{fresh}"
"""Placeholder for a new credential in these tables."""

FORM = "application/x-www-form-urlencoded"

SOURCE = {"clusterId": "c", "namespace": "n", "imagePullSecretName": "s"}

LOCAL = (
    "localhost", "localhost:5000", "localhost/v2/", "localhost?a=b", "user:pass@localhost", "http://localhost",
    "https://localhost", "http://https://localhost", "127.0.0.1", "127.255.255.254:443", "https://127.8.9.10/path",
    "user@127.0.0.1:5000", "[::1]", "[::1]:5000", "[::ffff:127.0.0.1]",
)  # fmt: skip
METADATA = (
    "169.254.169.254", "169.254.169.254:80", "http://169.254.169.254/latest", "http://https://169.254.169.254",
    "user@169.254.169.254", "[::ffff:169.254.169.254]", "metadata.google.internal",
    "https://metadata.google.internal:80/computeMetadata/v1",
)  # fmt: skip
REFUSED_BY_NEWER = (
    "127.255.255.254:443", "https://127.8.9.10/path", "[::1]", "[::1]:5000", "[::ffff:127.0.0.1]",
    "[::ffff:169.254.169.254]",
)  # fmt: skip
"""Endpoints of `LOCAL` and `METADATA` that older releases accept: they know only two names and two addresses."""


def refuses_more_endpoints(rules: Container[str]) -> bool:
    """Return whether a release with these rules refuses the endpoints in `REFUSED_BY_NEWER`.

    It does if it refuses to create type google, as both came with the same release.
    """
    return "google-not-created" in rules


UNPARSABLE = ("foo bar", "registry.example.com:port", "reg%zzistry", "https://reg\tistry.example.com")
LOOK_ALIKES = (
    "LOCALHOST", "localhost.", "localhost.example.com", "127.0.0.1.example.com", "registry.example.com/127.0.0.1",
    "localhost@registry.example.com", "127.1", "0.0.0.0", "[::]", "2130706433", "HTTP://localhost",  # noqa: S104 (an endpoint)
    "https://http://localhost", "ftp://localhost", "10.0.0.1", "192.168.0.1:5000", "METADATA.google.internal", "",
)  # fmt: skip

ENDPOINTS = (
    "https://Registry.Example.com/",
    "https://robot@registry.example.com:443/a%20b/?q=1#end",
    "http://registry.example.com//",
    "registry.example.com:5000/v2/Path",
    "HTTP://registry.example.com",
    "registry.example.com.",
)
"""Endpoints of the docker family that a server may normalise; no client is built from them."""

# -- building clients ----------------------------------------------------------------------------

BOTH = ["REGISTRY", "SCANNER"]
NODE = ["NODE_SCANNER"]
ROBOT = {"username": "org+robot", "password": FRESH}
DATA = {"username": "AWS", "password": FRESH, "expiresAt": "2030-01-02T03:04:05Z"}
KEYLESS = {"accessKeyId": "", "secretAccessKey": ""}
DOCKER_TYPES = contracts.load().types_of("docker")

# By rule: types with the changes to a valid integration that break the rule.
Change = tuple[str, Mapping[str, Any]]
BROKEN: Mapping[str, list[Change]] = {
    "registry-type-known": [
        ("docker", {"type": UNKNOWN_TYPE}),
        ("docker", {"type": "Docker"}),
        ("clair", {"categories": ["REGISTRY"]}),
        ("clairV4", {"categories": ["REGISTRY"]}),
        ("clairify", {"categories": ["REGISTRY"]}),
        ("clairV4", {"type": "scannerV4", "categories": ["REGISTRY"]}),
    ],
    "scanner-type-known": [
        *((type, {"categories": ["SCANNER"]}) for type in (*DOCKER_TYPES, "ecr", "artifactregistry", "azure", "ibm")),
        ("clair", {"type": "trivy"}),
        ("clairV4", {"type": "clairv4"}),
    ],
    "node-scanner-type-known": [
        *((type, {"categories": NODE}) for type in ("docker", "quay", "ecr", "ibm", "azure", "clair", "clairV4")),
        ("clairify", {"type": UNKNOWN_TYPE, "categories": NODE}),
    ],
    "docker-config-required": [
        *((type, {"docker": None}) for type in DOCKER_TYPES),
        ("quay", {"type": "docker"}),
        ("azure", {"type": "ghcr"}),
    ],
    "quay-config-required": [
        ("quay", {"quay": None}),
        ("docker", {"type": "quay"}),
        ("quay", {"quay": None, "categories": ["SCANNER"]}),
    ],
    "quay-endpoint-required": [
        ("quay", {"quay": {"endpoint": ""}}),
        ("quay", {"quay": {"endpoint": None}, "categories": ["SCANNER"]}),
        # Central reports only the first problem.
        ("quay", {"quay": {"endpoint": "", "registryRobotCredentials": ROBOT}}),
    ],
    "quay-scanner-without-robot": [
        ("quay", {"categories": ["SCANNER"], "quay": {"registryRobotCredentials": ROBOT}}),
        ("quay", {"categories": BOTH, "quay": {"oauthToken": "", "registryRobotCredentials": ROBOT}}),
        ("quay", {"categories": ["REGISTRY"] * 2, "quay": {"oauthToken": "", "registryRobotCredentials": ROBOT}}),
    ],
    "quay-one-credential": [("quay", {"quay": {"registryRobotCredentials": ROBOT}})],
    "quay-robot-complete": [
        *(
            ("quay", {"quay": {"oauthToken": "", "registryRobotCredentials": ROBOT | {name: ""}}})
            for name in ("username", "password")
        ),
        ("quay", {"quay": {"oauthToken": "", "registryRobotCredentials": {}}}),
        ("quay", {"categories": BOTH, "quay": {"registryRobotCredentials": ROBOT | {"password": ""}}}),
    ],
    "ecr-config-required": [("ecr", {"ecr": None}), ("docker", {"type": "ecr"})],
    "ecr-registry-id-required": [("ecr", {"ecr": {"registryId": ""}})],
    "ecr-authorization-username": [("ecr", {"ecr": KEYLESS | {"authorizationData": DATA | {"username": ""}}})],
    "ecr-authorization-password": [("ecr", {"ecr": KEYLESS | {"authorizationData": DATA | {"password": ""}}})],
    "ecr-authorization-expiry": [("ecr", {"ecr": KEYLESS | {"authorizationData": DATA | {"expiresAt": None}}})],
    "ecr-access-key-required": [("ecr", {"ecr": {"accessKeyId": ""}}), ("ecr", {"ecr": KEYLESS})],
    "ecr-secret-key-required": [("ecr", {"ecr": {"secretAccessKey": ""}}), ("ecr", {"ecr": KEYLESS})],
    "ecr-assume-role-no-endpoint": [("ecr", {"ecr": {"useAssumeRole": True}})],
    "ecr-assume-role-id-required": [("ecr", {"ecr": {"useAssumeRole": True, "endpoint": "", "assumeRoleId": ""}})],
    "ecr-region-required": [
        ("ecr", {"ecr": {"region": ""}}),
        ("ecr", {"ecr": KEYLESS | {"region": "", "authorizationData": DATA}}),
    ],
    "google-config-required": [("artifactregistry", {"google": None}), ("docker", {"type": "artifactregistry"})],
    "google-endpoint-required": [
        ("artifactregistry", {"google": {"endpoint": ""}}),
        ("artifactregistry", {"google": {"endpoint": "", "serviceAccount": "", "wifEnabled": True}}),
    ],
    "google-service-account-required": [("artifactregistry", {"google": {"serviceAccount": ""}})],
    "google-service-account-json": [
        ("artifactregistry", {"google": {"serviceAccount": "not json"}}),
        ("artifactregistry", {"google": {"serviceAccount": '{"project_id":"p"}'}}),
    ],
    "azure-config-required": [("azure", {"azure": None}), ("quay", {"type": "azure"})],
    "azure-endpoint-required": [
        ("azure", {"azure": {"endpoint": ""}}),
        ("docker", {"type": "azure", "docker": {"endpoint": ""}}),
    ],
    "azure-password-required": [
        ("azure", {"azure": {"password": ""}}),
        ("docker", {"type": "azure", "docker": {"password": ""}}),
    ],
    "ibm-config-required": [("ibm", {"ibm": None}), ("docker", {"type": "ibm"})],
    "ibm-endpoint-required": [("ibm", {"ibm": {"endpoint": ""}})],
    "ibm-api-key-required": [("ibm", {"ibm": {"apiKey": ""}})],
    "clair-config-required": [("clair", {"clair": None}), ("clairV4", {"type": "clair"})],
    "clair-endpoint-required": [("clair", {"clair": {"endpoint": ""}})],
    "clair-v4-config-required": [("clairV4", {"clairV4": None}), ("clair", {"type": "clairV4"})],
    "clair-v4-endpoint-required": [("clairV4", {"clairV4": {"endpoint": ""}})],
    "clairify-config-required": [("clairify", {"clairify": None}), ("clair", {"type": "clairify"})],
    "clairify-node-config-required": [("clairify", {"categories": NODE, "clairify": None})],
    "clairify-endpoint-required": [
        ("clairify", {"clairify": {"endpoint": ""}}),
        ("clairify", {"categories": NODE, "clairify": {"endpoint": ""}}),
    ],
}

# These types cannot be created. Checks test them; they also PUT those of type google over an existing integration.
NOT_CREATED: Mapping[str, Change] = {
    "google-scanner-config-required": ("google", {"google": None}),
    "google-scanner-endpoint-required": ("google", {"google": {"endpoint": ""}}),
    "google-scanner-service-account-required": ("google", {"google": {"serviceAccount": ""}}),
    "google-scanner-project-required": ("google", {"google": {"project": ""}}),
    "google-scanner-no-workload-identity": ("google", {"google": {"wifEnabled": True}}),
    "scanner-v4-config-required": ("scannerv4", {"scannerV4": None}),
    "scanner-v4-node-config-required": ("scannerv4", {"categories": NODE, "scannerV4": None}),
    "scanner-v4-indexer-address": ("scannerv4", {"scannerV4": {"indexerEndpoint": "indexer.example.com"}}),
    "scanner-v4-matcher-address": ("scannerv4", {"scannerV4": {"matcherEndpoint": "https://matcher.example.com:8443"}}),
}


class Valid(NamedTuple):
    """A combination of fields that Central accepts; it looks wrong unless it is `usual`."""

    what: str
    like: str
    changes: Mapping[str, Any]
    usual: bool = False


VALID = (
    Valid(
        "docker with an empty member",
        "docker",
        {"docker": dict.fromkeys(("endpoint", "username", "password", "insecure"))},
    ),
    Valid("docker with empty texts", "docker", {"docker": {"endpoint": "", "username": "", "password": ""}}),
    Valid("docker with a user name and no password", "ghcr", {"docker": {"password": ""}}),
    Valid("quay without credentials", "quay", {"quay": {"oauthToken": ""}}),
    Valid("a quay scanner without credentials", "quay", {"categories": ["SCANNER"], "quay": {"oauthToken": ""}}),
    Valid(
        "quay with a robot account", "quay", {"quay": {"oauthToken": "", "registryRobotCredentials": ROBOT}}, usual=True
    ),
    Valid(
        "quay with both credentials for both categories",
        "quay",
        {"categories": BOTH, "quay": {"registryRobotCredentials": ROBOT}},
        usual=True,
    ),
    Valid(
        "quay with both credentials and one category twice",
        "quay",
        {"categories": ["REGISTRY", "REGISTRY"], "quay": {"registryRobotCredentials": ROBOT}},
    ),
    Valid("quay without credentials for both categories", "quay", {"categories": BOTH, "quay": {"oauthToken": ""}}),
    Valid("ecr by IAM", "ecr", {"ecr": KEYLESS | {"useIam": True}}, usual=True),
    Valid("ecr by an assumed role", "ecr", {"ecr": {"useAssumeRole": True, "endpoint": ""}}, usual=True),
    Valid("ecr by authorization data", "ecr", {"ecr": KEYLESS | {"authorizationData": DATA}}, usual=True),
    Valid(
        "ecr by authorization data with an endpoint and a role that is not used",
        "ecr",
        {"ecr": KEYLESS | {"authorizationData": DATA, "endpoint": "https://api.ecr.example.com", "assumeRoleId": ""}},
    ),
    Valid("ecr with a key and half of authorization data", "ecr", {"ecr": {"authorizationData": {"username": "AWS"}}}),
    Valid(
        "artifactregistry by workload identity",
        "artifactregistry",
        {"google": {"serviceAccount": "", "wifEnabled": True}},
        usual=True,
    ),
    Valid("artifactregistry without a project", "artifactregistry", {"google": {"project": ""}}),
    Valid("azure by workload identity", "azure", {"azure": {"password": "", "wifEnabled": True}}, usual=True),
    Valid("azure without a user name", "azure", {"azure": {"username": ""}}),
    Valid("azure with a docker member", "docker", {"type": "azure"}),
    Valid("clairify without the address of its gRPC port", "clairify", {"clairify": {"grpcEndpoint": ""}}),
    Valid("clairify as a node scanner", "clairify", {"categories": NODE}, usual=True),
    Valid("clairify for both categories", "clairify", {"categories": ["SCANNER", "NODE_SCANNER"]}, usual=True),
)

LEFT_ALONE = (
    Valid("type rhel without an endpoint", "rhel", {"docker": {"endpoint": ""}}),
    Valid("an upper-case region and a non-numeric id", "ecr", {"ecr": {"region": "US-East-1", "registryId": "Id"}}),
    Valid("keys together with IAM", "ecr", {"ecr": {"useIam": True}}),
    Valid("the id of a role that is not used", "ecr", {"ecr": {"assumeRoleId": "Role", "assumeRoleExternalId": ""}}),
    Valid("a project that is a number", "artifactregistry", {"google": {"project": "0123"}}),
    Valid("a negative number of scans", "clairify", {"clairify": {"numConcurrentScans": -1}}),
    Valid("a source without any text", "ghcr", {"source": {}}),
)
"""Values that a server may correct, besides `VALID`."""


# -- stored credentials --------------------------------------------------------------------------

Variant = tuple[str, dict[str, Any]]

# Valid integrations: with credentials in a nested message, and one of each config member with credentials.
ROBOTIC: Variant = ("quay", {"quay": {"oauthToken": "", "registryRobotCredentials": ROBOT}})
AUTHORIZED: Variant = ("ecr", {"ecr": KEYLESS | {"authorizationData": DATA}})
PLAIN: tuple[Variant, ...] = (
    ("docker", {}), ("quay", {}), ("ecr", {}), ("artifactregistry", {}), ("azure", {}), ("ibm", {}),
)  # fmt: skip
# Every credential of the contract, and everything that depends on one.
VARIANTS: tuple[Variant, ...] = (
    ("docker", {}),
    ("quay", {"categories": BOTH, "quay": {"registryRobotCredentials": ROBOT}}),
    # Stored, but ignored because of the access key.
    ("ecr", {"ecr": {"authorizationData": DATA}}),
    ("artifactregistry", {}),
    ("azure", {}),
    ("ibm", {}),
)
UNTAGGED: tuple[Variant, ...] = (("clair", {}), ("clairV4", {}), ("clairify", {}))
