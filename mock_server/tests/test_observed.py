"""Observed answers of a running Central (data/observed.jsonl), as deployed and by release.

`kind` says how a fact is asked: "api" through the app, "wire" over a socket (test_observed_wire.py).
"""

import json
import random
import string
from pathlib import Path
from typing import Any

import pytest

from mock_server.central.registry_test_rules import RegistryTestRule
from mock_server.tests.conftest import PATH, Answer, Api, ask

FACTS = [json.loads(line) for line in (Path(__file__).parent / "data" / "observed.jsonl").read_text().splitlines()]


def of_kind(kind: str) -> list[Any]:
    return [pytest.param(each, id=each["id"]) for each in FACTS if each["kind"] == kind]


def settings_of(fact: dict[str, Any]) -> dict[str, Any]:
    settings = {"as_deployed": True, **fact.get("server", {})}
    if "registry_tests" in settings:
        settings["registry_tests"] = tuple(RegistryTestRule(*each) for each in settings["registry_tests"])
    return settings


def filled(value: Any, ids: list[str]) -> Any:
    """Expand what a fact abbreviates: ids of the set-up, long names, many keys."""
    if isinstance(value, list):
        return [filled(each, ids) for each in value]
    if isinstance(value, dict):
        if "random_letters" in value:
            return "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=value["random_letters"]))
        if "query_keys" in value:
            return f"{PATH}?" + "&".join(f"k{number}=" for number in range(value["query_keys"]))
        return {key: filled(each, ids) for key, each in value.items()}
    if isinstance(value, str):
        for number, id in enumerate(ids):
            value = value.replace(f"{{id{number}}}", id)
    return value


def disagreement(right: dict[str, Any], answer: Answer, count: int) -> str | None:
    """Return how an answer differs from the observed one."""
    if answer.status != right["status"]:
        return f"{answer.status}, not {right['status']}: {answer.body[:600]!r}"
    wrong = {key: value for key, value in right.get("headers", {}).items() if answer.headers.get(key) != value}
    if wrong:
        return f"{answer.headers}, not {wrong}"
    if "message" in right and answer.message != right["message"]:
        return f"{answer.message!r}, not {right['message']!r}"
    if "starts" in right and not answer.message.startswith(right["starts"]):
        return f"{answer.message!r} does not start with {right['starts']!r}"
    return None if count == right.get("count", count) else f"{count} integrations, not {right['count']}"


@pytest.mark.parametrize("fact", of_kind("api"))
def test_the_mock_answers_as_observed(fact):
    api = Api(**settings_of(fact))
    ids: list[str] = []
    for step in fact.get("setup", ()):
        made = ask(api.app, step["method"], step["path"], step["body"])
        ids.append(made.json["id"])
    request = filled(fact["request"], ids)
    answer = ask(api.app, request["method"], request["path"], request.get("body"))
    assert disagreement(fact["right"], answer, len(api.list())) is None
