"""docs/reference/measurements.md names the commands that write it."""

import importlib
import re
from pathlib import Path

import pytest

from benchmarks import page, servers

PAGE = page.PAGE.read_text("utf-8")
BLOCKS = dict(re.findall(r"<!-- measured: ([a-z-]+) -->\n(.*?)<!-- end -->", PAGE, re.DOTALL))


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python -m (benchmarks\.\w+)", PAGE))))
def test_the_commands_of_the_page_exist(module):
    assert callable(importlib.import_module(module).main)


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_has_a_command(name):
    assert BLOCKS[name].startswith("| ")
    sources = [file.read_text("utf-8") for file in Path(page.__file__).parent.glob("*.py")]
    assert any(f'write("{name}"' in source for source in sources)


def test_goals_are_next_to_their_measurements():
    goals = [page.Goal("at most 2", "1.5", True), page.Goal("at least 4", "3", False)]
    assert page.kept(goals).splitlines()[2:] == ["| at most 2 | 1.5 | yes |", "| at least 4 | 3 | **no** |"]


def test_a_missing_block_is_an_error():
    with pytest.raises(ValueError, match="0 places for other"):
        page.write("other", "text\n")


def test_the_peers_are_pinned_without_a_registry():
    assert all(re.fullmatch(r"[0-9.]+", release) for release in servers.versions().values())
    lock = (servers.PEERS / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in lock
    assert lock.count('"integrity"') > 100
