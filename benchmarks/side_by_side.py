"""Measure the mock beside bare Flask, openapi-core as it comes, and mock servers from npm.

In each round every server is started anew, warmed up and given the same load in turn; figures are
medians over the rounds. A rate is requests for each CPU second of the server's process tree, so what
else the machine does matters little. `python -m benchmarks.side_by_side --write` puts the table into
docs/reference/measurements.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

from benchmarks import load
from benchmarks.page import Goal, kept, table, write
from benchmarks.process import Process, serving
from benchmarks.servers import BACKEND, BARE, JSON_SERVER, LIST, MOCK, PRISM, STOCK, SUPPORTED, MissingError, peers

OPERATIONS = ("list", "get", "create")
STORED = 10
CPU, WARM = 0.6, 1.0
"""CPU seconds of one measurement, and of its warm-up."""

Samples = dict[str, dict[str, list[float]]]


class Bound(NamedTuple):
    """The required ratio of the mock's rate to another server's."""

    server: str
    least: float
    said: str


BOUNDS = (
    Bound(BACKEND, 1.0, "at least 1.0 times openapi-backend"),
    Bound(PRISM, 4.0, "at least 4 times Prism"),
    Bound(BARE, 1 / 1.3, "at most 1.3 times the time of bare Flask"),
    Bound(STOCK, 50.0, "at least 50 times openapi-core's decorator"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.side_by_side", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", help="measure only this server beside the mock; may be repeated")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/reference/measurements.md")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mock-central-peers-") as name:
        folder = Path(name)
        commands = dict(SUPPORTED)
        missing = ""
        try:
            commands |= peers(folder)
        except MissingError as error:
            missing = f"\nNot measured: Prism, openapi-backend, Mockoon, json-server, because {error}.\n"
        if chosen.only:
            commands = {each: commands[each] for each in (MOCK, *chosen.only)}
        samples = measured(commands, chosen.rounds, folder)
    found = {name: {what: statistics.median(each) for what, each in by.items()} for name, by in samples.items()}
    text = report(found) + missing
    print(text)
    if chosen.write:
        write("side-by-side", text)
    return 0


def measured(commands: Mapping[str, list[str]], rounds: int, folder: Path) -> Samples:
    """Measure every server in every round, in another order each time; json-server begins with an empty file."""
    samples: Samples = {name: {} for name in commands}
    names = list(commands)
    for number in range(rounds):
        turned = number % len(names)
        for name in names[turned:] + names[:turned]:
            print(f"round {number + 1}: {name}", file=sys.stderr, flush=True)
            if name == JSON_SERVER:
                (folder / "db.json").write_text('{"imageintegrations": []}')
            with serving(name, commands[name], LIST) as server:
                for what, value in measure(server):
                    samples[name].setdefault(what, []).append(value)
    return samples


def measure(server: Process) -> Iterator[tuple[str, float]]:
    """Measure one freshly started server."""
    yield "start", server.first_answer
    yield "MiB idle", server.memory()
    names = load.creates(10_000_000)
    answers = [json.loads(load.once(server.port, next(names))) for _ in range(STORED)]
    for what, requests in (
        ("list", repeat(load.request("GET", LIST))),
        ("get", repeat(load.request("GET", f"{LIST}/{answers[0]['id']}"))),
        ("create", names),
    ):
        rate(server, requests, WARM)
        yield what, rate(server, requests, CPU)
    yield "MiB loaded", server.memory()


def rate(server: Process, requests: Iterable[bytes], seconds: float) -> float:
    """Load a server until it has used this many CPU seconds; return its requests per CPU second."""
    before, sent = server.cpu(), 0

    def until_used() -> Iterator[bytes]:
        nonlocal sent
        step = 4
        for each in requests:
            if sent % step == 0 and (used := server.cpu() - before) >= seconds:
                return
            if sent == 4 * step and used < seconds / 10:
                step *= 4
            sent += 1
            yield each

    load.run(server.port, until_used())
    return sent / max(server.cpu() - before, 0.01)


def report(found: Mapping[str, Mapping[str, float]]) -> str:
    """Return the tables: the rates, and the goals next to the measurements."""
    mock = found[MOCK]
    rows = []
    for name, by in found.items():
        ratios = [f"{mock[what] / by[what]:.2f}" for what in OPERATIONS]
        rates = [f"{by[what]:,.0f}" for what in OPERATIONS]
        memory = [f"{by[what]:.0f}" for what in ("MiB idle", "MiB loaded")]
        rows.append((name, *rates, *ratios, f"{by['start']:.2f}", *memory))
    header = ("server", *OPERATIONS, *(f"mock / it, {each}" for each in OPERATIONS), "start, CPU s", "MiB", "MiB after")
    goals = [
        Goal(f"{what}: {bound.said}", f"{mock[what] / found[bound.server][what]:.2f} times its rate", ok)
        for bound in BOUNDS
        if bound.server in found
        for what in OPERATIONS
        for ok in [mock[what] / found[bound.server][what] >= bound.least]
    ]
    return f"{table(header, rows)}\n{kept(goals)}"


if __name__ == "__main__":
    sys.exit(main())
