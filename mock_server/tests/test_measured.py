"""Every measured figure names its command and release."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

from benchmarks import page

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")})
STAMP = re.compile(r"^Measured with mock-central (\d+)\.(\d+)\.\d+: `(.+)`\.$", re.MULTILINE)
BLOCK = re.compile(r"<!-- measured: ([a-z-]+) -->\n(.*?)<!-- end -->", re.DOTALL)
UNIT = re.compile(r"µs|\bms\b|\b[KM]iB\b|\bseconds\b|\bmeasured\b|\bmedian\b")

# A page that a command writes as a whole is one block.
BLOCKS = {"detection": (ROOT / "docs/reference/detection.md").read_text("utf-8")} | {
    name: text for file in PAGES for name, text in BLOCK.findall(file.read_text("utf-8"))
}


def released(text: str) -> tuple[int, int]:
    """Return the oldest release that a stamp may name: patch releases are not measured again."""
    major, minor, _ = text.split(".")
    return int(major), int(minor)


@pytest.mark.parametrize("name", BLOCKS)
def test_every_measurement_names_an_existing_command(name):
    (found,) = STAMP.findall(BLOCKS[name])
    program, *words = found[2].split()
    if program == "make":
        assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    else:
        assert (program, words[0]) == ("python", "-m")
        assert importlib.util.find_spec(words[1])


@pytest.mark.parametrize("name", BLOCKS)
def test_no_measurement_is_older_than_the_release(name):
    (found,) = STAMP.findall(BLOCKS[name])
    assert (int(found[0]), int(found[1])) >= released(VERSION)


def test_benchmarks_write_a_stamp(tmp_path, monkeypatch):
    copy = tmp_path / "performance.md"
    copy.write_text("before\n<!-- measured: hot-paths -->\n| old |\n<!-- end -->\nafter\n", "utf-8")
    monkeypatch.setattr(page, "PAGE", copy)
    for _ in range(2):
        page.write("hot-paths", "| new |\n")
        written = copy.read_text("utf-8")
        assert written.startswith("before\n<!-- measured: hot-paths -->\n| new |\n\nMeasured")
        assert [found[2] for found in STAMP.findall(written)] == ["python -m benchmarks.hot_paths"]


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_a_table_of_measurements_is_in_a_block(file):
    text = BLOCK.sub("", file.read_text("utf-8"))
    headers = re.findall(r"^(\|.*\|)\n\| ?:?---", text, re.MULTILINE)
    assert STAMP.search(text) or [header for header in headers if UNIT.search(header)] == []
