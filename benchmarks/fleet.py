"""Measure what many CI jobs cost one shared mock: a sandbox each, and a test suite's worth of requests in it.

`--write` puts the table into docs/performance.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from benchmarks import load
from benchmarks.page import table, write
from benchmarks.process import serving
from benchmarks.servers import LIST, MOCK, SUPPORTED

JOBS, REQUESTS = 1000, 200


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    chosen = parser.parse_args()
    with serving(MOCK, SUPPORTED[MOCK], LIST) as server:
        memory, cpu = server.memory(), server.cpu()
        load.run(server.port, first_requests())
        sandboxes_memory, sandboxes_cpu = server.memory() - memory, server.cpu() - cpu
        cpu = server.cpu()
        load.run(server.port, suites(), connections=64)
        suites_memory, suites_cpu = server.memory() - memory, server.cpu() - cpu
    rows = [
        (
            "making a sandbox, with its first request",
            f"{sandboxes_cpu / JOBS * 1e3:.2f} ms",
            f"{sandboxes_memory / JOBS * 1024:.0f} KiB",
        ),
        (
            f"a job: {REQUESTS} requests, half of them creates",
            f"{suites_cpu / JOBS * 1e3:.0f} ms",
            f"{suites_memory / JOBS * 1024:.0f} KiB",
        ),
        (f"{JOBS:,} jobs", f"{sandboxes_cpu + suites_cpu:.0f} s", f"{suites_memory:.0f} MiB"),
    ]
    text = table(("one mock", "CPU", "memory"), rows)
    print(text)
    if chosen.write:
        write("fleet", text)
    return 0


def first_requests() -> Iterator[bytes]:
    """Ask in each sandbox once."""
    for job in range(JOBS):
        yield load.request("GET", LIST, headers=f"Mock-Central-Sandbox: job-{job}\r\n")


def suites() -> Iterator[bytes]:
    """Return the requests of all jobs, as they come in from jobs that run at once."""
    for number in range(REQUESTS // 2):
        create = next(load.creates(1, number))
        for job in range(JOBS):
            sandbox = b"\r\nMock-Central-Sandbox: job-%d" % job
            yield create.replace(b"\r\nHost: localhost", b"\r\nHost: localhost" + sandbox, 1)
            yield load.request("GET", LIST, headers=f"Mock-Central-Sandbox: job-{job}\r\n")


if __name__ == "__main__":
    sys.exit(main())
