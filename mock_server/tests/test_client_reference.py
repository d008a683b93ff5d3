"""The clients of registries and scanners against recordings of the real ones (reference/clients)."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mock_server.central.network import Network
from mock_server.central.registry_test_rules import RegistryTestRule
from mock_server.central.registry_tests import RegistryTests
from mock_server.contract import tables as contracts
from mock_server.golang import aws, google_credentials, grpc
from mock_server.golang import json as gojson
from mock_server.golang.url import NEWEST

_FILE = Path(__file__).parent / "reference" / "clients" / "clients.jsonl"
ROWS = [(each["input"], each["output"]) for each in map(json.loads, _FILE.read_text("utf-8").splitlines())]
OUTCOMES = {0: "unreachable", 401: "unauthorized", 403: "forbidden", 404: "missing", 500: "failing"}


def played(question: Mapping[str, Any]) -> RegistryTests:
    rules = (RegistryTestRule("*", OUTCOMES[question.get("Status", 0)]),)
    return RegistryTests(contracts.load(), Network(rules, NEWEST), "stackrox")


def error_at(question: Mapping[str, Any]) -> str | None:
    tests = played(question)
    client = {
        "ping": tests._ping,
        "catalog": tests._catalog,
        "clair": tests._clair,
        "clairV4": tests._clair_v4,
        "clairify": tests._clairify,
    }[question["Kind"]]
    found = client({"endpoint": question["Endpoint"]})
    return re.sub("^(test request could not be completed: )", "", found or "")


def aws_error(question: Mapping[str, Any]) -> str:
    region, endpoint, role = question["Region"], question.get("Endpoint", ""), "Role" in question
    ask = played(question).network.ask
    found = aws.token_error(region, endpoint, ask, NEWEST, instance_role=False, assume_role=role)
    return f"operation error ECR: GetAuthorizationToken, {found}"


def target_error(question: Mapping[str, Any]) -> str:
    try:
        target = grpc.target(question["Endpoint"], NEWEST)
    except grpc.TargetError as error:
        return str(error)
    return played(question).network.call(target) or ""


def registry_account_error(question: Mapping[str, Any]) -> str | None:
    text = question["Text"].encode("utf-8", "surrogatepass")
    try:
        if google_credentials.is_client_file(text):
            return "runtime error: invalid memory address or nil pointer dereference"
        if found := google_credentials.error(text):
            return found
    except gojson.JsonSyntaxError as error:
        return str(error)
    return google_credentials.token_error(text, played(question).network.ask)


def scanner_account_error(question: Mapping[str, Any]) -> str | None:
    try:
        return google_credentials.scanner_error(question["Text"].encode("utf-8", "surrogatepass"))
    except gojson.JsonSyntaxError as error:
        return str(error)


READERS: dict[str, Callable[[Mapping[str, Any]], str | None]] = {
    **dict.fromkeys(("ping", "catalog", "clair", "clairV4", "clairify"), error_at),
    "ecr": aws_error,
    "grpc": target_error,
    "google_registry": registry_account_error,
    "google_scanner": scanner_account_error,
}


_WHERE = re.compile(r" on [0-9.]+:53(?=: no such host)")
_AT_AN_ADDRESS = re.compile(r"dial tcp (\[?[^ /]+\]?):\d+: connect: connection refused")


def comparable(text: str) -> str:
    """Remove the name server from an error, because the recording looks up addresses, too."""
    text = _AT_AN_ADDRESS.sub(lambda match: f"dial tcp: lookup {match[1].strip('[]')}: no such host", text)
    return _WHERE.sub("", text)


@pytest.mark.parametrize("kind", READERS)
def test_the_clients_fail_as_the_real_ones_do(kind):
    rows = [(question, answer) for question, answer in ROWS if question["Kind"] == kind]
    assert rows
    different = []
    for question, answer in rows:
        expected = answer.get("error") or answer.get("build") or answer.get("panic") or ""
        found = READERS[kind](question) or ""
        if comparable(found) != comparable(expected):
            different.append((question, found, expected))
    assert not different[:3], f"{len(different)} of {len(rows)}"
