"""Integrations to send, and the answers that Central must give: the harness's own reading.

Not imported from mock_server: two readings of Central must agree. Fields, credentials and
defaults come from the contract.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from mock_server.contract.tables import MASK, Contract, Message

Body = dict[str, Any]

UNKNOWN_TYPE = "no-such-registry"
"""A type that no release of Central has, and none will get."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    "docker": (),
    "quay": ("endpoint",),
    "ecr": ("registryId", "accessKeyId", "secretAccessKey", "region"),
    "artifactregistry": ("endpoint", "serviceAccount"),
    "google": ("endpoint", "serviceAccount", "project"),
    "azure": ("endpoint", "password"),
    "ibm": ("endpoint", "apiKey"),
    "clair": ("endpoint",),
    "clairV4": ("endpoint",),
    "clairify": ("endpoint",),
    "scannerv4": (),
}
"""Config fields that a client of the type requires; all others are optional."""

_RSA_KEY = """\
MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBALRY7yJ5DpDupJE7
qm6svOT+x9eT4Nlsh1GSB7NX47ENpPflkcJGrV1FRuYXlGUNnVlI1i1fth0NvXZD
F8UAT4iq+ZgHsw+CR4nW43FE5k1jDX6zDmpKHng3E1dZfwUR9hxjT7bg2IUro8IQ
LSAkPTbwJr0Qxb9yaWL+FcoVGI45AgMBAAECgYBB1Fylpq6MdK+ZW8AgWekxZVao
+A+RDa5vNfCdpC02iZZ37lJAKfBKJWl1v5GpOUkAODgFo/Qjsso/isn4XN6qlIH8
XrIZSEC/26Q0B+OmpJkJo2hVZ+vBYZNPS32F5GFxcpV51LMnTZzpd6mdfuAsTkT9
yHSG5aDWnGIr9ep8AQJBAO+iIbdlvACgx6GtjEPtCGUpiykUgFGUrncG7KRs6UjM
yypoEc1z3FqlCnk8dVW3FPNvnwnEphH8uH/hWwr0xfkCQQDAqje+6D2WDEryXl70
3PKheeXAMKdiPBTnJOnwXpD3uETfXd62PL42CSZzUGlPAlI0Aam63vJxcU7Pstth
TxpBAkEAkGae8qj3dVltctvlnjkDyhISrZqRCJgT2d3uU9bdbOUbuF4l/CxJKMYz
XYM1IYXFtjwZFgXOHSCw/T6LYjrF4QJAMfby5guMjTE67ogS0CXMtpvKPYFgp1U1
hoxILxIXPmcHVXYen9w46AKPejBMXzUW5G3Z+qB+93SPH8YepqnBAQJBAI4/L8LF
04JyMe8zLcGzLWYZ2l5pgjU1khFrwWfTMRe5t4LK6e5kD5r6WfrCu/3YoYXm7Y2Z
bQO19VlopTlUqrY="""
"""An RSA key of the shortest length that Go signs with, in PKCS #8, made for the fixtures and used for nothing else."""

_LABEL = "PRIVATE KEY"  # apart, so that no file here looks as if it held one
KEY_NOTE = "For tests only, opens nothing. gitleaks:allow pragma: allowlist secret"
"""A note for people and secret scanners; PEM allows any text before the key."""
PEM = f"-----BEGIN {_LABEL}-----\n{_RSA_KEY}\n-----END {_LABEL}-----\n"

SERVICE_ACCOUNT = (
    '{"type":"service_account","project_id":"example-project","private_key_id":"%s","private_key":'
    + json.dumps(f"not-a-real-key. {KEY_NOTE}\n{PEM}")
    + "}"
)
"""A Google service account whose key parses, because clients parse it before they contact anyone."""


_CONFIGS: Mapping[str, Body] = {
    "docker": {"endpoint": "https://Registry.example.com/", "username": "robot", "password": "%s", "insecure": True},
    "quay": {"endpoint": "quay.example.com", "oauthToken": "%s", "insecure": True},
    "ecr": {
        "registryId": "123456789012",
        "accessKeyId": "%s",
        "secretAccessKey": "%s",
        "region": "us-east-1",
        "endpoint": "ecr.example.com",
        "assumeRoleId": "role",
        "assumeRoleExternalId": "external",
    },
    "google": {
        "endpoint": "us-docker.example.com",
        "serviceAccount": SERVICE_ACCOUNT,
        "project": "example-project",
    },
    "azure": {"endpoint": "acr.example.com", "username": "robot", "password": "%s"},
    "ibm": {"endpoint": "icr.example.com", "apiKey": "%s"},
    "clair": {"endpoint": "https://clair.example.com:6060", "insecure": True},
    "clairV4": {"endpoint": "https://clair4.example.com", "insecure": True},
    "clairify": {
        "endpoint": "https://scanner.example.com:8080",
        "grpcEndpoint": "scanner.example.com:8443",
        "numConcurrentScans": 7,
    },
    "scannerV4": {
        "numConcurrentScans": 5,
        "indexerEndpoint": "indexer.example.com:8443",
        "matcherEndpoint": "matcher.example.com:8443",
    },
}
"""A config of each member, with `%s` in place of credentials."""


def member_of(contract: Contract, integration: Mapping[str, Any]) -> str | None:
    """Return the name of the config member that is set, or None."""
    members = (field.name for field in contract.integration.members)
    return next((name for name in members if integration.get(name) is not None), None)


def config_for(member: str, secret: Callable[[], str]) -> Body:
    """Return a valid config of a member with every field set; `secret` returns a new credential at each call."""
    return {
        name: value % secret() if isinstance(value, str) and "%s" in value else value
        for name, value in _CONFIGS[member].items()
    }


def update_body(config: Any, update_password: bool | None) -> Body:
    """Return the body of PATCH or /test/updated; None leaves the config or the flag out."""
    body: Body = {} if config is None else {"config": config}
    return body if update_password is None else body | {"updatePassword": update_password}


def has(type: str, changes: Mapping[str, Any], contract: Contract) -> bool:
    """Return whether a release has a type, and each category that changes to its integration give by name."""
    categories = changes.get("categories") or ()
    return type in contract.types and all(each in contract.categories for each in categories if isinstance(each, str))


def with_defaults(message: Message, sent: Mapping[str, Any]) -> Body:
    """Return a message as Central stores it: fields that were not sent have their defaults."""
    answer: Body = {}
    for field in message.fields:
        value = sent.get(field.name)
        if value is not None and field.message is not None and not field.repeated:
            value = with_defaults(field.message, value)
        if value is None and field.oneof:
            continue
        answer[field.name] = field.default if value is None else value
    return answer


def masked(message: Message, answer: Mapping[str, Any], mask: str = MASK) -> Body:
    """Return an answer with each credential replaced by the mask, even if it is empty."""
    copy = dict(answer)
    for field in message.fields:
        if copy.get(field.name) is None:
            continue
        if field.scrub == "always":
            copy[field.name] = mask
        elif field.message is not None and isinstance(copy[field.name], dict):
            copy[field.name] = masked(field.message, copy[field.name], mask)
    return copy


def without_credentials(message: Message, value: Mapping[str, Any]) -> Body:
    """Return a message without its credentials, including those of nested messages."""
    copy: Body = {}
    for name, inner in value.items():
        field = message.by_name.get(name)
        if field is None or field.scrub != "always":
            nested = field is not None and field.message is not None and isinstance(inner, dict)
            copy[name] = without_credentials(field.message, inner) if nested and field and field.message else inner
    return copy


def with_masks(contract: Contract, value: Any) -> Any:
    """Return a JSON value with masked credentials in every integration, for checks that are not about masking."""
    if isinstance(value, list):
        return [with_masks(contract, each) for each in value]
    if not isinstance(value, dict):
        return value
    if "categories" in value and "type" in value:
        return masked(contract.integration, value)
    return {key: with_masks(contract, each) for key, each in value.items()}


def read_answer(contract: Contract, sent: Mapping[str, Any], id: str) -> Body:
    """Return the answer to a read of `sent`, once it is stored under `id`."""
    answer = masked(contract.integration, with_defaults(contract.integration, sent))
    numbers = contract.categories
    answer["categories"] = sorted(answer["categories"], key=lambda name: numbers.get(name, name))
    return answer | {"id": id}


def without(name: str, body: Body) -> Body:
    """Return a copy of a body that lacks a field."""
    return {each: value for each, value in body.items() if each != name}


def value_at(body: Body, place: tuple[str, ...]) -> Any:
    """Return the value at a place, or None if nothing was sent."""
    found: Any = body
    for name in place:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def with_value(body: Body, place: tuple[str, ...], value: Any) -> Body:
    """Return a copy of a body with another value at a place."""
    first, rest = place[0], place[1:]
    return body | {first: with_value(body[first], rest, value) if rest else value}
