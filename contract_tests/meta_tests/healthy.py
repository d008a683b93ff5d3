"""Run the harness against healthy mocks and check that it never raises a false alarm.

    python -m contract_tests.meta_tests.healthy --quick 50 --default 20 --deep 5 --busy 2

Seeds take turns with the two manners of the mock and with one to four tokens. `--busy` keeps the machine
busy meanwhile with as many processes, which end with the command.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import sys
import time
from collections.abc import Iterator

import click

from contract_tests.engine.options import PROFILES
from contract_tests.meta_tests.mutant_runs import ROLES, report_on
from contract_tests.runner import known
from contract_tests.runner.report import Report
from mock_server.settings import Settings

MANNERS = ("documented", "deployed")


def alarms(report: Report, manner: str) -> list[str]:
    """Return the false alarms of a run against a healthy mock."""
    differences = {each.check for each in known.read([known.SHIPPED])} if manner == "deployed" else set()
    found = [f"{each.check} failed: {each.what}" for each in report.failures]
    found += [f"{each.check} ended in an error: {each.reason}" for each in report.results if each.outcome == "error"]
    shown = {each.check for each in report.results if each.outcome == "known difference"}
    found += [f"known difference {check} was {'missed' if check in differences else 'reported'}"
              for check in sorted(differences ^ shown)]  # fmt: skip
    return found + [f"left behind: {each}" for each in report.left_behind]


@contextlib.contextmanager
def busy(processes: int, seconds: float) -> Iterator[None]:
    """Keep the machine busy while the block runs, but at most for some seconds."""
    burners = [multiprocessing.Process(target=_burn, args=(seconds,), daemon=True) for _ in range(processes)]
    for each in burners:
        each.start()
    try:
        yield
    finally:
        for each in burners:
            each.terminate()
            each.join()


def _burn(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@click.command()
@click.option("--quick", default=50, show_default=True, help="Number of seeds for the quick profile.")
@click.option("--default", "usual", default=20, show_default=True, help="Number of seeds for the default profile.")
@click.option("--deep", default=5, show_default=True, help="Number of seeds for the deep profile.")
@click.option("--first", default=0, show_default=True, help="The first seed.")
@click.option("--busy", "processes", default=0, show_default=True, help="Processes that keep the machine busy.")
@click.option("--seconds", default=3600.0, show_default=True, help="Maximum time for which they do so.")
def main(quick: int, usual: int, deep: int, *, first: int, processes: int, seconds: float) -> None:
    """Run the harness against healthy mocks; exit with 1 if a run does not pass."""
    wrong = 0
    tokens = itertools.cycle(range(1, len(ROLES) + 1))
    with busy(processes, seconds):
        for profile, seeds in zip(PROFILES, (quick, usual, deep), strict=True):
            for seed, manner in itertools.product(range(first, first + seeds), MANNERS):
                settings = Settings(as_deployed=manner == "deployed", auth=True, seed=seed, fatal_answers=True)
                report = report_on(settings, roles=ROLES[: next(tokens)], profile=profile, seed=seed)
                found = alarms(report, manner)
                wrong += bool(found)
                summary = f"{profile} {manner} seed {seed}: {report.requests} requests in {report.seconds:.1f} s"
                click.echo("\n  ".join([summary, *found]))
    click.echo(f"{wrong} runs with a false alarm.")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
