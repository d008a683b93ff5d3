"""A few of each attack; `python -m mock_server.tests.attacks` runs all of docs/reference/hostile-input.md."""

import re
from pathlib import Path

import pytest

from mock_server.tests.attacks import ATTACKS

PAGE = (Path(__file__).parents[2] / "docs/reference/hostile-input.md").read_text("utf-8")


@pytest.mark.heavy
@pytest.mark.served
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.make.__name__)
def test_a_served_mock_withstands(attack):
    assert attack.make(max(1, attack.number // 40)) == []


def test_the_page_lists_each_attack_with_its_number():
    rows = re.findall(r"^\| ([^|]+) \| ([\d,]+) \| ([^|]+) \| `attacks\.(\w+)` \|$", PAGE, re.MULTILINE)
    assert rows == [(each.title, f"{each.number:,}", each.result, each.make.__name__) for each in ATTACKS]
