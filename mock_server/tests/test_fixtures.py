"""The shipped fixtures, replayed against the app: healthy, of older releases, and mutated."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mock_server.contract import tables as contracts
from mock_server.tests.conftest import Api
from mock_server.tests.test_conformance import disagreements, play

SHIPPED = Path(__file__).parents[2] / "fixtures"
FILES = sorted(SHIPPED.rglob("*.jsonl"))
SWITCHES = {"auth": "auth", "managed_central": "managed"}


@cache
def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def switches(line: dict[str, Any]) -> dict[str, Any]:
    found = {setting: True for name, setting in SWITCHES.items() if line.get("env", {}).get(name)}
    return {"central_version": line["central"], **found}


def replayed(line: dict[str, Any], api: Api) -> list[str]:
    """Replay a line as the conformance suite does, and return the differences."""
    api.central.store.reset()
    if "request" in line:
        return disagreements(line["expect"], play(api, line["request"]))
    saved: dict[str, str] = {}
    found = []
    for step, expect in zip(line["steps"], line["expect"], strict=True):
        request = filled(step, saved)
        method, path = request["request"].split(" ", 1)
        answer = play(api, {**request, "method": method, "path": path})
        if "save_id_as" in step and answer.status == 200:
            saved[step["save_id_as"]] = answer.json["id"]
        found += disagreements(filled(expect, saved), answer)
    return found


def filled(value: Any, saved: dict[str, str]) -> Any:
    text = json.dumps(value)
    for name, id in saved.items():
        text = text.replace(f"{{{name}}}", id)
    return json.loads(text)


@pytest.mark.parametrize("as_deployed", [False, True], ids=["by-document", "as-deployed"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SHIPPED)))
def test_the_mock_answers_every_line(path, as_deployed):
    apis: dict[str, Api] = {}
    for line in lines(path):
        chosen = switches(line)
        key = json.dumps(chosen)
        if key not in apis:
            apis[key] = Api(as_deployed=as_deployed, **chosen)
        assert replayed(line, apis[key]) == [], line["id"]
    assert lines(path)


def of_rule(rule: str) -> list[dict[str, Any]]:
    found = [line for path in FILES for line in lines(path) if line["rule"] == rule]
    newest = [line for line in found if line["central"] == contracts.load().releases.newest.line]
    return newest or found


@pytest.mark.parametrize("rule", contracts.load().history)
def test_a_mutated_rule_fails_one_of_its_fixtures(rule):
    apis: dict[str, Api] = {}
    for line in of_rule(rule):
        chosen = switches(line)
        key = json.dumps(chosen)
        if key not in apis:
            apis[key] = Api(mutants=(rule,), fatal_answers=False, **chosen)
        try:
            if replayed(line, apis[key]):
                return
        except (KeyError, TypeError, ValueError):  # a broken answer
            return
    pytest.fail(f"no fixture sees that {rule} is broken")
