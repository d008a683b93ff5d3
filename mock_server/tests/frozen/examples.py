"""Integrations to send, one of each type, and the ids and names of a fresh Central."""

from typing import Any

Json = dict[str, Any]

KNOWN = "05fea766-e2f8-44b3-9959-eaa61a4f7466"
"""The id of an integration of a fresh Central."""
KNOWN_NAME = "Public GCR"
SECOND = "f6ce8982-1a75-4430-96f3-9b22b4b66604"
NOBODY = "00000000-0000-4000-8000-000000000000"

_LOGIN = {"username": "robot", "password": "not-real"}
_ACCOUNT = '{"type":"service_account","project_id":"p","private_key":"not-real"}'
_GOOGLE = {"endpoint": "google.example.com", "serviceAccount": _ACCOUNT, "project": "p"}

MEMBERS: dict[str, Json] = {
    "docker": {"docker": {"endpoint": "docker.example.com", **_LOGIN}},
    "artifactory": {"docker": {"endpoint": "artifactory.example.com", **_LOGIN}},
    "nexus": {"docker": {"endpoint": "nexus.example.com:8443", **_LOGIN}},
    "rhel": {"docker": {"endpoint": "rhel.example.com", **_LOGIN}},
    "ghcr": {"docker": {"endpoint": "https://ghcr.example.com", **_LOGIN}},
    "quay": {"quay": {"endpoint": "quay.example.com", "registryRobotCredentials": _LOGIN}},
    "ecr": {
        "ecr": {
            "registryId": "123456789012",
            "region": "us-east-1",
            "accessKeyId": "not-a-real-id",
            "secretAccessKey": "not-real",
            "endpoint": "ecr.example.com",
        }
    },
    "artifactregistry": {"google": _GOOGLE},
    "google": {"google": _GOOGLE},
    "azure": {"azure": {"endpoint": "azure.example.com", **_LOGIN}},
    "ibm": {"ibm": {"endpoint": "ibm.example.com", "apiKey": "not-real"}},
    "clair": {"clair": {"endpoint": "https://clair.example.com"}},
    "clairV4": {"clairV4": {"endpoint": "https://clair-v4.example.com"}},
    "clairify": {"clairify": {"endpoint": "https://clairify.example.com:8080", "grpcEndpoint": "clairify.example.com"}},
    "scannerv4": {"scannerV4": {"indexerEndpoint": "indexer.example.com:8443", "matcherEndpoint": ""}},
}
_SCANNERS = ("clair", "clairV4", "clairify", "scannerv4")


def integration(type: str = "docker", /, **changes: Any) -> Json:
    """Return an integration with a skipped test and some fields changed; None removes a field."""
    categories = ["SCANNER"] if type in _SCANNERS else ["REGISTRY"]
    whole = {"name": f"a {type}", "type": type, "categories": categories, "skipTestIntegration": True}
    return {key: value for key, value in (whole | MEMBERS[type] | changes).items() if value is not None}


def configured(type: str, /, **changes: Any) -> Json:
    """Return an integration with some fields of its config changed; None removes a field."""
    ((member, config),) = MEMBERS[type].items()
    return integration(type, **{member: {key: value for key, value in (config | changes).items() if value is not None}})


def tested(sent: Json) -> Json:
    """Return the integration with its test enabled."""
    return sent | {"skipTestIntegration": False}
