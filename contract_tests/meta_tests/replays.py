"""Replay a failure of every mutant: it must fail on the mutant, and pass on the healthy mock.

    python -m contract_tests.meta_tests.replays              # all of them, minutes
    python -m contract_tests.meta_tests.replays name-unique get-in-clear

The script of curl of each failure is run, too: its last answer has to be the one that was recorded, and nothing may
be left on the mock.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import requests

from contract_tests.checks.registry import all_checks
from contract_tests.engine.options import Options
from contract_tests.meta_tests.mutant_runs import (
    RUN_OPTIONS,
    TIMED,
    check_of,
    credentials_of,
    hurried,
)
from contract_tests.reports import curl, json_report
from contract_tests.runner import replay
from contract_tests.runner.replay import Recorded
from contract_tests.runner.report import FAILED, Report
from contract_tests.runner.run import Run
from mock_server.mutants import Mutant, all_mutants, find
from mock_server.serving.server import serving
from mock_server.settings import Settings

UNTIDY = (
    "answer-not-stored",
    "create-answers-its-own",
    "create-rolled-back",
    "create-stores-twice",
    "create",
    "delete-late",
    "delete-answer",
    "generated-invalid",
    "generated-refused",
    "generated-stay",
    "ids-as-numbers",
    "refused-create-stored",
    "refused-write-visible",
    "scanner-v4-not-created",
    "scanner-v4-stays",
    "test-stores-nothing",
    "update-duplicates",
    "update-new-id",
)
"""Mutants that store without returning an id, or do not delete, so that no script can clean up."""
COUNTING = ("create-every-third-lost", "creates-repeat", "reads-steady", "updates-repeat")
"""Mutants that count requests, besides those named `every-…`, so that a script alone misses the faulty one."""
OUT_OF_REACH = ("database-error", "database-error-raw", "scanner-v4-not-deleted")
"""Mutants that no check finds; see test_mutants.py."""
VARIABLES = ("CENTRAL_TOKEN", "CENTRAL_READ_ONLY_TOKEN", "CENTRAL_NO_ACCESS_TOKEN", "CENTRAL_NO_ROLE_TOKEN")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of a replay on the mutant and on the healthy mock."""

    mutant: str
    mutated: str
    healthy: str
    script: str = ""
    """What is wrong with the curl script, or ""."""

    @property
    def good(self) -> bool:
        """Return whether the replay distinguished the mocks and the script worked."""
        return (self.mutated, self.healthy, self.script) == (replay.SHOWS, replay.GONE, "")


def replayed(name: str) -> Outcome:
    """Run the harness against a mutant, and replay the failure of its check."""
    mutant = find(name)
    settings = Settings(seed=1, mutants=(name,), **mutant.settings)
    with tempfile.TemporaryDirectory() as folder:
        chosen = {"timeout": 15, "state_dir": Path(folder), **RUN_OPTIONS.get(mutant.check, {})}
        with hurried(mutant) as more:
            with _options(settings, **chosen, **more) as options:
                report = Run(_chosen(options, mutant))()
                recorded = _recorded(report, mutant.check, Path(folder))
            if recorded is None:
                return Outcome(name, "has no failure", "")
            with _options(settings, **chosen) as options:  # a mutant may have damaged the first
                mutated = replay.run_again(recorded, options).verdict
            with _options(settings, **chosen) as options:
                script = _script(recorded, options, mutant=name)
        # A thirtieth of a second is too short to distinguish a slow mutant from a busy machine.
        usual = {**recorded.options, "max_response_time": Options("").max_response_time}
        with _options(replace(settings, mutants=()), **chosen) as options:
            healthy = replay.run_again(replace(recorded, options=usual), options).verdict
    return Outcome(name, mutated, healthy, script)


@contextmanager
def _options(settings: Settings, **more: Any) -> Iterator[Options]:
    with serving(settings) as mock:
        yield Options(
            url=mock.url,
            seed=1,
            managed=settings.managed,
            central_version=settings.central_version,
            credentials=credentials_of(settings),
            **more,
        )


def _chosen(options: Options, mutant: Mutant) -> Options:
    """Choose what finds a mutant: its check with its prerequisites, or a quick run."""
    check = check_of(mutant)
    if check is None:
        return replace(options, profile="quick")
    profile = "default" if "default" in check.profiles else check.profiles[-1]
    more = (*TIMED, *mutant.also) if mutant.check == "response-time" else mutant.also
    more = tuple(each for each in more if each in all_checks())
    return replace(options, profile=profile, only=tuple(dict.fromkeys((*check.needs, *more, check.id))))


def _recorded(report: Report, check: str, folder: Path) -> Recorded | None:
    failed = [result.check for result in report.results if result.outcome == FAILED]
    if not failed:
        return None
    path = folder / "report.json"
    path.write_text(json_report.render(report), "utf-8")
    return replay.read(path, check if check in failed else failed[0])


def _script(recorded: Recorded, options: Options, *, mutant: str) -> str:
    """Run the script of a failure; return what is wrong with it."""
    if not recorded.exchanges:
        return ""
    before = _listed(options)
    tokens = options.credentials.by_role.values()
    environment = {name: (token or "").partition(" ")[2] for name, token in zip(VARIABLES, tokens, strict=True)}
    lines = curl.sequence(recorded.exchanges, options)
    done = subprocess.run(  # noqa: S603 (a script of this project)
        ["bash", "-c", "\n".join(lines)],  # noqa: S607 (the bash of the PATH)
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", **{name: text for name, text in environment.items() if text}},
    )
    statuses = [line for line in (done.stdout + "\n" + done.stderr).splitlines() if line.isdecimal() and len(line) == 3]
    last = str(recorded.exchanges[-1].status)
    if recorded.unsteady or last == "0":
        return ""
    if last not in statuses and not mutant.startswith("every-") and mutant not in COUNTING:
        return f"no answer {last} in {statuses}: {done.stderr[-500:]}"
    return "" if mutant in UNTIDY or _listed(options) == before else "it left something"


def _listed(options: Options) -> set[str]:
    token = options.credentials.admin
    headers = {"Authorization": token} if token else {}
    try:
        url = f"{options.url}/v1/imageintegrations"
        items = requests.get(url, headers=headers, timeout=10).json()["integrations"]
        ours = {each["id"]: each["name"] for each in items if each["name"].startswith("central-contract-")}
        there = (id for id in ours if requests.get(f"{url}/{id}", headers=headers, timeout=10).ok)
        return {ours[id] for id in there}
    except (ValueError, KeyError, TypeError):
        return set()  # the mutant is in the list itself


@click.command()
@click.argument("names", nargs=-1)
@click.option("--workers", default=2, show_default=True, help="Number of mutants tested in parallel.")
def main(names: Sequence[str], workers: int) -> None:
    """Replay a failure of each mutant (default: all); exit with 1 if a replay misjudges one."""
    names = names or [name for name in all_mutants() if name not in OUT_OF_REACH]
    wrong = 0
    with multiprocessing.Pool(workers, maxtasksperchild=25) as pool:
        for outcome in pool.imap_unordered(_tried, names):
            wrong += not outcome.good
            if not outcome.good:
                click.echo(json.dumps(_shown(outcome)))
    click.echo(f"{len(names) - wrong} of {len(names)} replays distinguished the mutant from the healthy mock.")
    sys.exit(bool(wrong))


def _tried(name: str) -> Outcome:
    try:
        return replayed(name)
    except Exception as error:  # noqa: BLE001 (an error with one mutant must not end the others)
        return Outcome(name, repr(error), "")


def _shown(outcome: Outcome) -> dict[str, str]:
    return {"mutant": outcome.mutant, "mutated": outcome.mutated, "healthy": outcome.healthy, "script": outcome.script}


if __name__ == "__main__":
    main()
