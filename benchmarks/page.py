"""The page of the measurements: docs/reference/measurements.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parent.parent / "docs/reference/measurements.md"


class Goal(NamedTuple):
    """A goal, the measurement, and whether it is reached."""

    goal: str
    measured: str
    reached: bool


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table: a column of texts, then figures."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def kept(goals: Iterable[Goal]) -> str:
    """Return goals next to the measurements."""
    return table(
        ("goal", "measured", ""), [(each.goal, each.measured, "yes" if each.reached else "**no**") for each in goals]
    )


def stamp(command: str) -> str:
    """Return the stamp with version and command, which the tests check."""
    return f"Measured with mock-central {version('mock-central')}: `{command}`.\n"


def write(name: str, text: str, *, page: Path | None = None, command: str = "") -> None:
    """Write a text and its stamp between ``<!-- measured: NAME -->`` and ``<!-- end -->`` of a page."""
    page = page or PAGE
    block = re.compile(rf"(<!-- measured: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    made = stamp(command or f"python -m benchmarks.{name.replace('-', '_')}")
    changed, count = block.subn(lambda match: f"{match[1]}{text}\n{made}{match[2]}", page.read_text("utf-8"))
    if count != 1:
        raise ValueError(f"{page} has {count} places for {name}")
    page.write_text(changed, "utf-8")
