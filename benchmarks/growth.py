"""Measure what a create, a get and a list cost as the store grows.

One mock holds 10 integrations and another 100,000; the two are loaded in turn. `--write` puts the table
into docs/reference/measurements.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from itertools import count, islice, repeat

from benchmarks import load
from benchmarks.page import Goal, kept, table, write
from benchmarks.process import Process, serving
from benchmarks.servers import LIST, MOCK, SUPPORTED
from benchmarks.side_by_side import CPU, rate

FEW, MANY = 10, 100_000
BATCH, BATCHES = 500, 20
"""Creates before the small store is emptied again, so that it stays small, and how often."""
LONG = 1000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the table into docs/reference/measurements.md")
    chosen = parser.parse_args()
    found = measured(chosen.rounds)
    text = report(found)
    print(text)
    if chosen.write:
        write("growth", text)
    return 0


Samples = dict[str, dict[int, list[float]]]


def measured(rounds: int) -> dict[str, dict[int, float]]:
    """Return CPU microseconds by what is asked and how much is stored; the list's floor is at 0."""
    samples: Samples = {"create": {}, "get": {}, "get by name": {}, "list of 1,000": {}}
    names = count(1_000_000)
    with serving("few", SUPPORTED[MOCK], LIST) as few, serving("many", SUPPORTED[MOCK], LIST) as many:
        load.run(many.port, load.creates(MANY))
        with serving("long", SUPPORTED[MOCK], LIST) as long:
            load.run(long.port, load.creates(LONG))
            size = len(load.once(long.port, load.request("GET", LIST)))
            floor = [*SUPPORTED["bare Flask"][:-3], "bytes", "--size", str(size), "--port", "PORT"]
            with serving("bytes", floor, LIST) as bytes_only:
                for number in range(rounds):
                    print(f"round {number + 1}", file=sys.stderr, flush=True)
                    for server, stored in ((few, FEW), (many, MANY))[:: 1 if number % 2 else -1]:
                        for what, cost in measure(server, stored, names):
                            samples[what].setdefault(stored, []).append(cost)
                    whole = repeat(load.request("GET", LIST))
                    for server, stored in ((bytes_only, 0), (long, LONG)):
                        samples["list of 1,000"].setdefault(stored, []).append(1e6 / rate(server, whole, CPU))
    return {what: {stored: statistics.median(each) for stored, each in by.items()} for what, by in samples.items()}


def measure(server: Process, stored: int, names: Iterator[int]) -> Iterator[tuple[str, float]]:
    """Return CPU microseconds of a create, a get and a list by name."""
    used = 0.0
    for _ in range(BATCHES):
        if stored == FEW:
            server.reset()
        load.run(server.port, sent(islice(names, FEW)))
        batch = list(sent(islice(names, BATCH)))
        before = server.cpu()
        load.run(server.port, batch)
        used += server.cpu() - before
    yield "create", used / (BATCHES * BATCH) * 1e6
    number = next(names)
    id = json.loads(load.once(server.port, next(sent(iter([number])))))["id"]
    yield "get", 1e6 / rate(server, repeat(load.request("GET", f"{LIST}/{id}")), CPU)
    named = f"{LIST}?name=integration%20{number:07}"
    yield "get by name", 1e6 / rate(server, repeat(load.request("GET", named)), CPU)


def sent(numbers: Iterator[int]) -> Iterator[bytes]:
    """Return creates with these numbers in their names."""
    for number in numbers:
        yield from load.creates(1, number)


def report(found: dict[str, dict[int, float]]) -> str:
    """Return the table and the goals."""
    rows: list[Sequence[str]] = []
    goals = []
    for what in ("create", "get", "get by name"):
        few, many = found[what][FEW], found[what][MANY]
        rows.append((what, f"{few:.0f}", f"{many:.0f}", f"{many / few:.2f}"))
        goals.append(
            Goal(
                f"{what} at {MANY:,} stored: at most 1.2 times one at {FEW}",
                f"{many / few:.2f} times",
                many <= 1.2 * few,
            )
        )
    floor, whole = found["list of 1,000"][0], found["list of 1,000"][LONG]
    goals.append(
        Goal(
            "list of 1,000: at most twice the time of writing its bytes",
            f"{whole / floor:.2f} times ({whole:.0f} beside {floor:.0f} microseconds)",
            whole <= 2 * floor,
        )
    )
    return f"{table(('CPU microseconds', f'at {FEW} stored', f'at {MANY:,} stored', 'ratio'), rows)}\n{kept(goals)}"


if __name__ == "__main__":
    sys.exit(main())
