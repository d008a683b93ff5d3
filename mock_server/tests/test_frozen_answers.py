"""The mock answers byte for byte as recorded in frozen/answers.jsonl.

Where an answer changed on purpose, ``python -m mock_server.tests.frozen.record`` records all of them again; the
difference then shows in version control.
"""

import json
from itertools import zip_longest

import pytest

from mock_server.contract import tables as contracts

from .frozen import names
from .frozen.conversation import Group, Json, play_at
from .frozen.record import recorded
from .frozen.requests import GROUPS
from .frozen.served import granian, serving_group

pytestmark = pytest.mark.served

_MOST_SHOWN = 5


@pytest.fixture(scope="module")
def switch():
    with granian() as switch:
        yield switch


@pytest.fixture(scope="module")
def answers() -> dict[str, list[Json]]:
    return recorded()


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())
def test_every_answer_is_as_recorded(group: Group, switch, answers):
    with serving_group(group, switch) as port:
        played = [*play_at(port, group)]
    pairs = zip_longest(answers[group.name], played, fillvalue={})
    different = [difference(expected, actual) for expected, actual in pairs if expected != actual]
    assert not different, "\n\n".join([f"{len(different)} of {len(played)} differ", *different[:_MOST_SHOWN]])


def difference(expected: Json, actual: Json) -> str:
    """Return the differing keys, one after another."""
    lines = [f"{actual.get('number', expected.get('number'))}. {actual.get('request', expected.get('request'))}"]
    for key in dict.fromkeys((*expected, *actual)):
        was, now = expected.get(key), actual.get(key)
        if was != now:
            lines += [f"  {key}", f"    recorded: {json.dumps(was)}", f"    now:      {json.dumps(now)}"]
    return "\n".join(lines)


def test_every_recorded_group_is_requested(answers):
    assert answers.keys() == GROUPS.keys()


def test_every_rule_that_refuses_is_recorded(answers):
    refusing = {rule.id for rule in contracts.load().history.values() if rule.kind != "behaviour"}
    seen = {
        header.partition(": ")[2]
        for group in answers.values()
        for answer in group
        for header in answer["headers"]
        if header.lower().startswith(f"{names.RULE_HEADER}: ".lower())
    }
    assert sorted(refusing - seen) == []
