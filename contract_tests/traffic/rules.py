"""The rules that an integration breaks whatever is stored, implemented independently of the mock."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from contract_tests.engine.integrations import Body, masked
from contract_tests.traffic.exchanges import json_of
from mock_server.contract.tables import MASK, Contract

CREDENTIAL_RULES = frozenset(
    ("azure-password-required", "ecr-access-key-required", "ecr-authorization-password", "ecr-secret-key-required",
     "google-scanner-service-account-required", "google-service-account-json", "google-service-account-required",
     "ibm-api-key-required", "quay-one-credential", "quay-robot-complete", "quay-scanner-without-robot")
)  # fmt: skip
"""Rules about credentials: undecidable if stored credentials matter, or those that were sent are masked."""
_ENDPOINT_RULES = ("endpoint-not-local", "endpoint-not-metadata", "endpoint-parses")
_PLAIN_ENDPOINT = re.compile(r"(?:https?://)?([a-zA-Z0-9._-]+)(?::[0-9]{1,5})?(?:/[a-zA-Z0-9._/-]*)?")
_FLAWED = {
    "REGISTRY": "registry-type-known",
    "SCANNER": "scanner-type-known",
    "NODE_SCANNER": "node-scanner-type-known",
}


@dataclass(slots=True)
class Refusals:
    """The rules that must refuse a request (the error names one of them), and those that may, as far as is known."""

    must: set[str] = field(default_factory=set)
    may: set[str] = field(default_factory=set)


def broken(contract: Contract, integration: Body) -> Refusals:
    """Return the rules that an integration, with all its fields known, breaks whatever is stored."""
    found = Refusals()
    if not integration["name"]:
        found.must.add("name-required")
    if not integration["categories"]:
        found.must.add("category-required")
    if not integration["type"]:
        found.must.add("type-defined")
    member = next((each for each in contract.integration.members if integration.get(each.name) is not None), None)
    if member is not None and member.message is not None:
        for endpoint in (each for each in member.message.fields if each.validate == "nolocalendpoint"):
            _endpoint(found, integration[member.name].get(endpoint.name) or "")
    if (integration.get("ecr") or {}).get("useIam"):
        found.may.add("ecr-iam-managed")
    for category in integration["categories"]:
        if category in _FLAWED:
            found.must |= set(_client(contract, integration, category))
        else:
            found.may.add("category-implemented")
    if "google-service-account-json" in found.must:
        found.must.discard("google-service-account-json")
        account = str(integration["google"]["serviceAccount"]).encode("utf-8", "surrogatepass")
        (found.may if isinstance(json_of(account), dict) else found.must).add("google-service-account-json")
    if integration["type"] == "scannerv4":
        found.may |= {"scanner-v4-indexer-address", "scanner-v4-matcher-address"}
    found.must &= contract.rules.keys()
    return found


def broken_with_unknown(contract: Contract, integration: Body) -> Refusals:
    """Return the rules that an integration with unknown credentials breaks or may break."""
    full, empty = (broken(contract, masked(contract.integration, integration, text)) for text in (MASK, ""))
    unsure = {each for found in (full, empty) for each in found.must | found.may} & CREDENTIAL_RULES
    return Refusals(full.must - CREDENTIAL_RULES, full.may | unsure)


def _endpoint(found: Refusals, endpoint: str) -> None:
    """Add the rules about an endpoint; Go's URL parser, which is not repeated here, may refuse an odd one."""
    plain = _PLAIN_ENDPOINT.fullmatch(endpoint)
    if not endpoint:
        return
    if plain is None:
        found.may |= set(_ENDPOINT_RULES)
    elif plain[1] == "localhost" or plain[1] == "127.0.0.1":
        found.must.add("endpoint-not-local")
    elif plain[1] in ("169.254.169.254", "metadata.google.internal"):
        found.must.add("endpoint-not-metadata")
    elif _is_loopback(plain[1]):
        found.may.add("endpoint-not-local")  # only in later releases


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _client(contract: Contract, integration: Body, category: str) -> Iterator[str]:
    """Yield the rules that keep Central from building the client of one category."""
    type = integration["type"]
    known = contract.types.get(type)
    if known is None or category not in known.categories:
        yield _FLAWED[category]
        return
    scanner = "scanner-" if type == "google" and category == "SCANNER" else ""
    node = "node-" if category == "NODE_SCANNER" else ""
    prefix = {"clairV4": "clair-v4", "scannerv4": "scanner-v4", "artifactregistry": "google"}.get(type, known.member)
    config = integration.get(known.member)
    if type == "azure" and config is None and integration.get("docker") is not None:
        config = {**integration["docker"], "wifEnabled": False}
    if config is None:
        yield f"{prefix}-{scanner}{node}config-required"
        if type == "clairV4":
            yield "clair-v4-endpoint-required"
        return
    if type not in contract.types_of("docker") and type not in ("ecr", "scannerv4") and not config["endpoint"]:
        yield f"{prefix}-{scanner}endpoint-required"
    details = {"quay": _quay, "ecr": _ecr, "google": _google, "artifactregistry": _google}
    if scanner:
        yield from _google_scanner(config)
    elif type in details:
        yield from details[type](config, integration["categories"])
    elif type == "azure" and not config["wifEnabled"] and not config["password"]:
        yield "azure-password-required"
    elif type == "ibm" and not config["apiKey"]:
        yield "ibm-api-key-required"


def _quay(config: Mapping[str, Any], categories: list[str]) -> Iterator[str]:
    robot, token = config["registryRobotCredentials"], config["oauthToken"]
    if robot is None:
        return
    if categories == ["SCANNER"] or (categories != ["REGISTRY"] and not token):
        yield "quay-scanner-without-robot"
    if categories == ["REGISTRY"] and token:
        yield "quay-one-credential"
    if not robot["username"] or not robot["password"]:
        yield "quay-robot-complete"


def _ecr(config: Mapping[str, Any], _categories: list[str]) -> Iterator[str]:
    data = config["authorizationData"]
    needed = {"registryId": "ecr-registry-id-required", "region": "ecr-region-required"}
    yield from (rule for name, rule in needed.items() if not config[name])
    if data is not None and not _erases(config):
        needed = {"username": "username", "password": "password", "expiresAt": "expiry"}
        yield from (f"ecr-authorization-{rule}" for name, rule in needed.items() if not data[name])
        return
    if not config["useIam"]:
        needed = {"accessKeyId": "ecr-access-key-required", "secretAccessKey": "ecr-secret-key-required"}
        yield from (rule for name, rule in needed.items() if not config[name])
    if config["useAssumeRole"] and config["endpoint"]:
        yield "ecr-assume-role-no-endpoint"
    if config["useAssumeRole"] and not config["assumeRoleId"]:
        yield "ecr-assume-role-id-required"


def _erases(ecr: Mapping[str, Any]) -> bool:
    """Return whether Central erases the authorization data of an ecr config because it has other credentials."""
    return bool(ecr["useIam"] or ecr["accessKeyId"] or ecr["secretAccessKey"] or ecr["useAssumeRole"])


def _google(config: Mapping[str, Any], _categories: list[str]) -> Iterator[str]:
    if config["wifEnabled"]:
        return
    yield "google-service-account-json" if config["serviceAccount"] else "google-service-account-required"


def _google_scanner(config: Mapping[str, Any]) -> Iterator[str]:
    needed = {"serviceAccount": "service-account-required", "project": "project-required"}
    yield from (f"google-scanner-{rule}" for name, rule in needed.items() if not config[name])
    if config["wifEnabled"]:
        yield "google-scanner-no-workload-identity"
    if config["serviceAccount"]:
        yield "google-service-account-json"
