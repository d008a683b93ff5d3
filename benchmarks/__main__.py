"""Measure the mock beside a bare Flask app and print a Markdown report.

All servers run at once; each round gives every server the same load in turn, so that a busy
moment of the machine meets them alike. Figures are medians over the rounds. A rate is
requests for each CPU second of the server's process tree.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version

from benchmarks import load
from benchmarks.process import Process, serving

LIST = "/v1/imageintegrations"
BARE, MOCK, LOGGING, STOCK = "bare Flask", "mock", "mock, log level info", "openapi-core's decorator"
COMMANDS = {
    BARE: ["benchmarks.bare", "bare"],
    MOCK: ["mock_server", "serve", "--empty", "--log-level", "warning"],
    LOGGING: ["mock_server", "serve", "--empty"],
    STOCK: ["benchmarks.bare", "stock"],
}

# Bounds of the guard: far enough from what is measured that a busy machine does not trip them.
FLOORS = {"create": 0.5, "get": 0.6, "list of 12": 0.6}
LIST_CEILING = 4.0
FIRST_ANSWER_CEILING = 4.0


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    rounds: int
    requests: int
    starts: int
    stored: tuple[int, ...]


FULL = Size(rounds=7, requests=8000, starts=7, stored=(10, 10_000, 100_000))
QUICK = Size(rounds=5, requests=4000, starts=3, stored=(10, 10_000))
GUARD = Size(rounds=3, requests=4000, starts=3, stored=())

Samples = dict[str, dict[str, list[float]]]
"""Measured values by what was measured and by server."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, no 100,000 stored")
    parser.add_argument("--guard", action="store_true", help="a few ratios; status 1 when one is out of bounds")
    parser.add_argument("--stock", action="store_true", help="openapi-core's own Flask decorator too (slow)")
    chosen = parser.parse_args()
    size = GUARD if chosen.guard else QUICK if chosen.quick else FULL
    names = [BARE, MOCK] if chosen.guard else [BARE, MOCK, LOGGING] + [STOCK] * chosen.stock
    samples: Samples = {}
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(name, COMMANDS[name], LIST)) for name in names]
        for number in range(size.rounds):
            # Another order each round: nobody is always the one who runs after the slowest.
            turned = number % len(servers)
            for server in servers[turned:] + servers[:turned]:
                measure_operations(server, size, samples)
                if server.name != STOCK:
                    measure_long_list(server, samples)
    measure_starts(names, size, samples)
    if chosen.guard:
        return guard(medians(samples))
    report(names, size, medians(samples))
    return 0


def medians(samples: Samples) -> dict[str, dict[str, float]]:
    return {what: {name: statistics.median(each) for name, each in by.items()} for what, by in samples.items()}


def note(samples: Samples, what: str, server: str, value: float) -> None:
    samples.setdefault(what, {}).setdefault(server, []).append(value)


# -- measuring ------------------------------------------------------------------------------------


def cpu_seconds(server: Process, requests: Sequence[bytes], connections: int = load.CONNECTIONS) -> float:
    """Send the requests and give the CPU seconds they took."""
    before = server.cpu()
    load.run(server.port, requests, connections)
    return max(server.cpu() - before, 0.01)


def measure_operations(server: Process, size: Size, samples: Samples) -> None:
    """Measure creates into an empty store, then reads of twelve integrations."""
    count = max(20, size.requests // 40) if server.name == STOCK else size.requests
    server.reset()
    sent = list(load.creates(count))
    before = server.cpu()
    seconds = load.run(server.port, sent)
    note(samples, "create", server.name, count / max(server.cpu() - before, 0.01))
    note(samples, "create, by the clock", server.name, count / seconds)
    server.reset()
    ids = [created(server, number) for number in range(12)]
    for what, path in (("get", f"{LIST}/{ids[0]}"), ("list of 12", LIST)):
        cpu = cpu_seconds(server, [load.request("GET", path)] * count)
        note(samples, what, server.name, count / cpu)


def created(server: Process, number: int) -> str:
    id: str = json.loads(load.once(server.port, next(load.creates(1, number))))["id"]
    return id


def measure_long_list(server: Process, samples: Samples) -> None:
    """Measure CPU milliseconds of a list of 1,000, beside ``json.dumps`` of the same list."""
    server.reset()
    load.run(server.port, list(load.creates(1000)))
    plain = load.request("GET", LIST)
    count = 40 if server.name == BARE else 300
    note(samples, "list of 1,000", server.name, cpu_seconds(server, [plain] * count, 1) / count * 1000)
    if server.name == BARE:
        return
    everything = json.loads(load.once(server.port, plain))
    note(samples, "list of 1,000", "json.dumps", dumps_milliseconds(everything))
    zipped = load.request("GET", LIST, headers="Accept-Encoding: gzip\r\n")
    note(samples, "the same, gzip", server.name, cpu_seconds(server, [zipped] * 60, 1) / 60 * 1000)
    first = everything["integrations"][0]
    put = load.request("PUT", f"{LIST}/{first['id']}", json.dumps(first).encode())
    puts = cpu_seconds(server, [put] * count, 1)
    both = cpu_seconds(server, [put, plain] * count, 1)
    note(samples, "the same, each after a write", server.name, (both - puts) / count * 1000)


def dumps_milliseconds(value: object) -> float:
    started = time.process_time()
    for _ in range(20):
        json.dumps(value)
    return (time.process_time() - started) * 50


def measure_starts(names: Iterable[str], size: Size, samples: Samples) -> None:
    """Measure the time to the first answer and the memory then."""
    for _ in range(size.starts):
        for name in names:
            with serving(name, COMMANDS[name], LIST) as server:
                note(samples, "first answer", name, server.first_answer)
                note(samples, "memory", name, server.memory())


def growth(size: Size) -> Iterable[tuple[int, float, float]]:
    """Give CPU microseconds of a create and memory in MiB, by how much is stored."""
    with serving(MOCK, COMMANDS[MOCK], LIST) as server:
        stored = 0
        for wanted in size.stored:
            load.run(server.port, load.creates(wanted - stored, stored))
            sent = list(load.creates(size.requests, wanted))
            cpu = cpu_seconds(server, sent)
            stored = wanted + size.requests
            yield wanted, cpu / size.requests * 1e6, server.memory()


# -- telling --------------------------------------------------------------------------------------


def report(names: Sequence[str], size: Size, found: dict[str, dict[str, float]]) -> None:
    print(
        f"Python {platform.python_version()}, granian {version('granian')}, flask {version('flask')}; "
        f"medians of {size.rounds} rounds of {size.requests:,} requests, {load.CONNECTIONS} connections.\n"
    )
    table(["requests a CPU second", *names, "mock / bare", "with its log / bare", "goal"])
    goals = {"create": "0.65"}
    for what in ("create", "get", "list of 12", "create, by the clock"):
        by = found[what]
        ratios = [f"{by[name] / by[BARE]:.2f}" for name in (MOCK, LOGGING)]
        row([what, *(f"{by[name]:,.0f}" for name in names), *ratios, goals.get(what, "")])
    table(["CPU milliseconds", "json.dumps", *names, "mock / json.dumps", "goal"])
    dumps = found["list of 1,000"]["json.dumps"]
    for what in ("list of 1,000", "the same, each after a write", "the same, gzip"):
        by = found[what]
        shown = [f"{by[name]:.2f}" if name in by else "" for name in ("json.dumps", *names)]
        row([what, *shown, f"{by[MOCK] / dumps:.2f}", "at most 3" if what == "list of 1,000" else ""])
    table(["start", *names, "goal"])
    row(["seconds to the first answer", *(f"{found['first answer'][name]:.2f}" for name in names), "below 1"])
    row(["MiB then", *(f"{found['memory'][name]:.0f}" for name in names), ""])
    table(["integrations stored", "CPU microseconds a create", "MiB after"])
    for stored, cpu, memory in growth(size):
        row([f"{stored:,}", f"{cpu:.0f}", f"{memory:.0f}"])


def table(header: Sequence[str]) -> None:
    print()
    row(header)
    row(["---"] + ["---:"] * (len(header) - 1))


def row(cells: Sequence[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def guard(found: dict[str, dict[str, float]]) -> int:
    """Compare with the bounds; ratios of one run, so that the speed of the machine does not matter."""
    bad = 0
    for what, floor in FLOORS.items():
        ratio = found[what][MOCK] / found[what][BARE]
        bad += verdict(f"{what}: {ratio:.2f} of bare Flask", f"at least {floor}", ratio >= floor)
    times = found["list of 1,000"][MOCK] / found["list of 1,000"]["json.dumps"]
    bad += verdict(f"list of 1,000: {times:.2f} x json.dumps", f"at most {LIST_CEILING}", times <= LIST_CEILING)
    times = found["first answer"][MOCK] / found["first answer"][BARE]
    bad += verdict(
        f"first answer: {times:.2f} x bare Flask's", f"at most {FIRST_ANSWER_CEILING}", times <= FIRST_ANSWER_CEILING
    )
    return 1 if bad else 0


def verdict(text: str, bound: str, kept: bool) -> bool:
    print(f"{'ok  ' if kept else 'FAIL'} {text} ({bound})", flush=True)
    return not kept


if __name__ == "__main__":
    sys.exit(main())
