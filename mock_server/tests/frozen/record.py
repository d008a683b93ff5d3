"""Record the answers of every group again: ``python -m mock_server.tests.frozen.record``."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from .conversation import Json, play_at
from .requests import GROUPS
from .served import granian, serving_group

FILE = Path(__file__).with_name("answers.jsonl")


def recorded() -> dict[str, list[Json]]:
    """Read the recorded answers by group."""
    found: dict[str, list[Json]] = {}
    for line in FILE.read_text("utf-8").splitlines():
        answer = json.loads(line)
        found.setdefault(answer["group"], []).append(answer)
    return found


def record() -> Iterable[Json]:
    """Send every group."""
    with granian() as switch:
        for group in GROUPS.values():
            with serving_group(group, switch) as port:
                yield from play_at(port, group)


def main() -> None:
    """Write the file again."""
    lines = [json.dumps(each, ensure_ascii=True) + "\n" for each in record()]
    FILE.write_text("".join(lines), "utf-8")
    print(f"{len(lines)} answers of {len(GROUPS)} groups, {FILE.stat().st_size / 1e6:.2f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
