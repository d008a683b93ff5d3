"""Run the harness against lying targets, and kill it: it writes to nothing foreign, and leaves nothing of its own.

python -m contract_tests.meta_tests.trust --runs 1000 --kills 200
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from contract_tests.engine.failures import HarnessError
from contract_tests.engine.options import Options
from contract_tests.meta_tests.lying_targets import LIES, Target, answering, honest, target_of
from contract_tests.runner.leftovers import clean_leftovers
from contract_tests.runner.run import Run

TRUTHFUL = ("honest",)
"""Targets where a run must pass and leave nothing."""


@dataclass(slots=True)
class Outcome:
    """The outcome of a run, or of a kill with the following clean-up."""

    what: str
    requests: int = 0
    writes: int = 0
    lies: int = 0
    violations: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    red: bool = False


def runs(number: int, seed: int, first: int = 0) -> Iterator[Outcome]:
    """Run the harness against one lying target after another."""
    names = list(LIES)
    for index in range(first, first + number):
        what = names[index % len(names)]
        target = target_of(what, seed + index)
        with answering(target) as url, tempfile.TemporaryDirectory() as state:
            options = Options(url=url, profile="quick", seed=seed + index, state_dir=Path(state))
            try:
                red = bool([each for each in Run(options)().failures if each.check != "others-untouched"])
            except HarnessError:
                red = True
        yield Outcome(what, target.requests, target.writes, target.lies, tuple(target.damage()),
                      tuple(target.left()) if what in TRUTHFUL else (), red)  # fmt: skip


def kills(number: int, seed: int) -> Iterator[Outcome]:
    """Kill runs at random moments, sometimes restart the target and give its ids to a user, and clean up."""
    draw = random.Random(seed)
    for index in range(number):
        again = draw.random() < 0.5
        target = Target(honest, seed=seed + index)
        with answering(target) as url, tempfile.TemporaryDirectory() as state:
            command = [sys.executable, "-m", "contract_tests", "check", url, "--quick", "--state-dir", state]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 (this project)
            deadline, moment = time.monotonic() + 60, draw.randrange(2, 400)
            while target.requests < moment and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.001)
            process.kill()
            process.wait()
            had = bool(target.left())
            if again:
                target.restart_for_user()
            cleaned = clean_leftovers(Options(url=url, state_dir=Path(state)))
            ledgers = [path.name for path in Path(state).glob("*.ledger")]
        left = (*target.left(), *cleaned.left, *ledgers)
        what = "killed, started again" if again else "killed" if had else "killed, had nothing"
        yield Outcome(what, target.requests, target.writes, 0, tuple(target.damage()), left)


def table(outcomes: list[Outcome]) -> str:
    """Return the outcomes, one line for each kind."""
    kinds: dict[str, list[Outcome]] = defaultdict(list)
    for each in outcomes:
        kinds[each.what].append(each)
    lines = [
        "| target | runs | requests | writes to an id | lies | red | writes to what is not ours | left |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for what, some in kinds.items():
        sums = (
            len(some),
            sum(each.requests for each in some),
            sum(each.writes for each in some),
            sum(each.lies for each in some),
            sum(each.red for each in some),
            sum(len(each.violations) for each in some),
            sum(len(each.left) for each in some),
        )
        lines.append(f"| {what} | {' | '.join(f'{each:,}' for each in sums)} |")
    return "\n".join(lines)


@click.command()
@click.option("--runs", "number", default=1000, show_default=True, help="Number of quick runs against lying targets.")
@click.option(
    "--kills", "killed", default=200, show_default=True, help="Number of runs that are killed and cleaned up."
)
@click.option("--seed", default=0, show_default=True, help="Seed of the random moments.")
def main(number: int, killed: int, seed: int) -> None:
    """Print the outcomes; exit with 1 if the harness wrote to a foreign integration, or left something."""
    outcomes = []
    for each in (*runs(number, seed), *kills(killed, seed)):
        outcomes.append(each)
        for line in (*each.violations[:3], *each.left[:3]):
            click.echo(f"{each.what}: {line}", err=True)
    click.echo(table(outcomes))
    honest_red = any(each.red for each in outcomes if each.what in TRUTHFUL)
    sys.exit(honest_red or any(each.violations or each.left for each in outcomes))


if __name__ == "__main__":
    main()
