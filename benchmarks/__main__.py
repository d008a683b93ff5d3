"""Measure the mock and the harness; `--write` puts the tables into docs/reference/measurements.md.

Rates are requests for each CPU second of a server's process tree, and figures medians of interleaved rounds: what else
the machine does matters little. `--guard` measures a few ratios only and fails where one got worse by half.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from benchmarks import growth, harness, hot_paths, side_by_side, start
from benchmarks.process import serving
from benchmarks.servers import BARE, LIST, QUIET, SUPPORTED
from benchmarks.side_by_side import OPERATIONS, Samples, measure

FLOORS = {"list": 1.25, "get": 1.2, "create": 0.75}
"""The mock's rate over that of bare Flask: about half of what docs/reference/measurements.md tells."""
START_CEILING = 3.5
"""CPU seconds to the first answer over those of bare Flask."""
GUARD_ROUNDS = 3


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--guard", action="store_true", help="a few ratios; status 1 when one is out of bounds")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/reference/measurements.md")
    chosen = parser.parse_args()
    if chosen.guard:
        return guard()
    sys.argv = [sys.argv[0], *["--write"] * chosen.write]
    for part in (side_by_side, growth, start, hot_paths, harness):
        part.main()
    return 0


def guard() -> int:
    """Compare ratios of one run with their bounds, so that the speed of the machine does not matter."""
    samples: Samples = {BARE: {}, QUIET: {}}
    for _ in range(GUARD_ROUNDS):
        for name, by in samples.items():
            with serving(name, SUPPORTED[name], LIST) as server:
                for what, value in measure(server):
                    by.setdefault(what, []).append(value)
    found = {name: {what: statistics.median(each) for what, each in by.items()} for name, by in samples.items()}
    bad = 0
    for what in OPERATIONS:
        ratio = found[QUIET][what] / found[BARE][what]
        bad += verdict(f"{what}: {ratio:.2f} of bare Flask", f"at least {FLOORS[what]}", ratio >= FLOORS[what])
    times = found[QUIET]["start"] / found[BARE]["start"]
    bad += verdict(f"start: {times:.2f} x bare Flask's", f"at most {START_CEILING}", times <= START_CEILING)
    return 1 if bad else 0


def verdict(text: str, bound: str, kept: bool) -> bool:
    """Print a ratio, and return whether it is out of bounds."""
    print(f"{'ok  ' if kept else 'FAIL'} {text} ({bound})", flush=True)
    return not kept


if __name__ == "__main__":
    sys.exit(main())
