"""Measure the harness: requests a second of `central-contract check`, and fixtures a second.

Beside it, in turn, one client thread of the same HTTP library creates, reads and deletes. These are seconds by the
clock, since waiting is what a harness does most; what else the machine does shows. `--write` puts the tables into
docs/reference/measurements.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.load import integration
from benchmarks.page import Goal, kept, write
from benchmarks.process import serving
from benchmarks.servers import LIST, QUIET, SUPPORTED

CLIENT, ONE, TWO = "one client thread", "check, one worker", "check, two workers"
FAR_ONE, FAR_FOUR = "check, one worker, far away", "check, four workers, far away"
FAR = "0.01"
"""Seconds that a server far away takes for each answer."""
CLIENT_SECONDS = 2.0
FIXTURES = 1000
_COMMAND = [sys.executable, "-m", "contract_tests"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.harness", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/reference/measurements.md")
    chosen = parser.parse_args()
    samples: dict[str, list[float]] = {}
    with (
        serving(QUIET, SUPPORTED[QUIET], LIST) as server,
        serving(QUIET, [*SUPPORTED[QUIET], "--fault", f"delay={FAR}"], LIST) as far,
        tempfile.TemporaryDirectory(prefix="mock-central-harness-") as name,
    ):
        for _ in range(chosen.rounds):
            for what, value in measure(server.port, far.port, Path(name)):
                samples.setdefault(what, []).append(value)
            server.reset()
    found = {what: statistics.median(each) for what, each in samples.items()}
    text = report(found)
    print(text)
    if chosen.write:
        write("harness", text)
    return 0


def measure(port: int, far: int, folder: Path) -> Iterator[tuple[str, float]]:
    """Measure one round: requests, and fixtures, a second."""
    yield CLIENT, client_rate(f"http://127.0.0.1:{port}")
    for what, asked, workers in ((ONE, port, 1), (TWO, port, 2), (FAR_ONE, far, 1), (FAR_FOUR, far, 4)):
        report = folder / "report.json"
        options = ["--quick", "--seed", "7", "--workers", str(workers), "--state-dir", str(folder)]
        command = [*_COMMAND, "check", f"http://127.0.0.1:{asked}", *options, "--report-json", str(report)]
        subprocess.run(command, capture_output=True, check=True)
        run = json.loads(report.read_text("utf-8"))
        yield what, run["requests"] / run["seconds"]
    few, many = (fixture_seconds(folder, count) for count in (1, 1 + FIXTURES))
    yield "fixtures", FIXTURES / (many - few)


def client_rate(url: str) -> float:
    """Return the requests a second that one thread sends."""
    import requests

    session = requests.Session()
    began, sent = time.perf_counter(), 0
    while time.perf_counter() - began < CLIENT_SECONDS:
        id = session.post(url + LIST, json=integration(sent)).json()["id"]
        session.get(f"{url}{LIST}/{id}").json()
        session.delete(f"{url}{LIST}/{id}").json()
        sent += 3
    return sent / (time.perf_counter() - began)


def fixture_seconds(folder: Path, count: int) -> float:
    """Return the seconds that making so many fixtures takes, the start of the command included."""
    file = folder / "made.jsonl"
    began = time.perf_counter()
    command = [*_COMMAND, "fixtures", "--count", str(count), "--seed", "3", "-o", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    took = time.perf_counter() - began
    with file.open() as lines:
        assert sum(1 for line in lines if json.loads(line)) == count
    return took


def report(found: dict[str, float]) -> str:
    """Return the goals next to the measurements."""
    share, fixtures = (found[each] / found[CLIENT] for each in (ONE, "fixtures"))
    scaled, far = found[TWO] / found[ONE], found[FAR_FOUR] / found[FAR_ONE]
    return kept(
        [
            Goal(
                "`check --quick` sends at least 60 % of what one client thread does",
                f"{share:.0%} ({found[ONE]:,.0f} of {found[CLIENT]:,.0f} a second)",
                share >= 0.6,
            ),
            Goal("`--workers 2` scales on two cores: at least 1.3 times", f"{scaled:.2f} times", scaled >= 1.3),
            Goal(
                "`--workers 4` scales where an answer takes 10 ms: at least 3 times",
                f"{far:.2f} times ({found[FAR_FOUR]:,.0f} instead of {found[FAR_ONE]:,.0f} a second)",
                far >= 3,
            ),
            Goal(
                "fixtures a second, with their answers: at least 60 % of it",
                f"{fixtures:.0%} ({found['fixtures']:,.0f} a second)",
                fixtures >= 0.6,
            ),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
