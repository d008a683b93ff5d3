"""The command `mock-central report`, and the file that `serve --usage` keeps."""

from __future__ import annotations

import dataclasses
import json
import logging
import multiprocessing.util
import sys
import threading
import time
from pathlib import Path
from typing import Any

import click

from mock_server.cli.options import READABLE, WRITABLE, token_in
from mock_server.cli.release import RELEASE
from mock_server.contract import tables as contracts
from mock_server.simulation import usage as usages
from mock_server.simulation.usage import Usage, UsageError
from mock_server.state import files as states

log = logging.getLogger("mock_central")

_SECONDS = 1.0
"""Interval of writing the file."""
PATH = "/__admin/usage"


class Keeper:
    """Adds the counts of a server to those in a file."""

    def __init__(self, usage: Usage, path: Path) -> None:
        self._usage = usage
        self._path = path
        self._kept = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Load the counts in the file, and write it each second and at the end."""
        if self._path.exists():
            self._usage.add(usages.read(self._path))
        self.write()
        threading.Thread(target=self._write_at_times, daemon=True).start()
        # The worker process ends without running `atexit` hooks.
        multiprocessing.util.Finalize(self, self.write, exitpriority=0)

    def _write_at_times(self) -> None:
        while True:
            time.sleep(_SECONDS)
            self.write()

    def write(self) -> None:
        """Write the file, if anything was counted since."""
        with self._lock:
            number = sum(self._usage.copied().values())
            if number == self._kept and self._path.exists():
                return
            try:
                states.write(self._path, self._usage.document())
                self._kept = number
            except states.StateError as error:
                log.error("--usage %s", error)  # noqa: TRY400 (the text says it)


@click.command(
    short_help="Report which parts of the API clients used, and which they never used.",
    epilog="""\b
Exit status: 0 done, 1 a threshold is missed, 2 no counts can be read.
\b
Examples:
  mock-central serve --usage usage.json
  mock-central report usage.json
  mock-central report http://127.0.0.1:8080
  mock-central report shard-1.json shard-2.json --fail-under rules=40% --no-warnings
""",
)
@click.argument("sources", nargs=-1, required=True, metavar="FILE|URL...")
@click.option("--central-version", type=RELEASE, help="Release to report on  [default: the simulated one]")
@click.option("--all", "everything", is_flag=True, help="List every gap and how to reproduce it.")
@click.option("--fail-under", multiple=True, metavar="SECTION=PERCENT",
              help="Fail if less was covered, such as rules=40%; can be repeated.")  # fmt: skip
@click.option("--no-warnings", is_flag=True, help="Fail if requests violated the contract.")
@click.option("--token-file", type=READABLE, help="File with the control token of the mocks at URLs.")
@click.option("--ca-file", "ca", type=READABLE, help="Certificates to trust (PEM).")
@click.option("--insecure", is_flag=True, help="Trust any certificate.")
@click.option("--report-json", type=WRITABLE, help="Write a JSON report.")
@click.option("--report-junit", type=WRITABLE, help="Write a JUnit XML report.")
@click.option("--report-markdown", type=WRITABLE, help="Write a Markdown report.")
@click.option("--report-html", type=WRITABLE, help="Write one self-contained HTML page.")
def report(
    sources: tuple[str, ...],
    central_version: str | None,
    *,
    everything: bool,
    fail_under: tuple[str, ...],
    no_warnings: bool,
    token_file: Path | None,
    ca: Path | None,
    insecure: bool,
    **files: Path | None,
) -> None:
    """Report which parts of the API clients used, and which they never used.

    Each source is a file that `serve --usage` wrote, or the URL of a mock that runs with that option.
    """
    from mock_server.cli.record import RecordError
    from mock_server.consumer import rendering
    from mock_server.consumer import report as consumer

    reach = {"token": token_in(token_file) if token_file else "", "ca": ca, "insecure": insecure}
    try:
        wanted = consumer.thresholds(fail_under)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--fail-under") from None
    try:
        usage = usages.merged(_fetched(each, **reach) if "://" in each else usages.read(Path(each)) for each in sources)
        contract = contracts.load()
        found = consumer.report(usage, contract.at(central_version or usage.release or contract.release))
        found = dataclasses.replace(found, problems=consumer.problems(found, wanted, no_warnings=no_warnings))
        for kind, render in rendering.RENDERERS.items():
            if (path := files[f"report_{kind}"]) is not None:
                _write(path, render(found))
    except (UsageError, RecordError, ValueError) as error:
        raise _Unable(str(error)) from None
    click.echo(rendering.text(found, everything=everything))
    sys.exit(bool(found.problems))


class _Unable(click.ClickException):
    exit_code = 2


def _fetched(url: str, **reach: Any) -> Usage:
    """Return the counts of a running mock.

    Raises:
        UsageError: it does not answer them.
    """
    from mock_server.cli.record import asked

    status, content = asked(url, PATH, **reach)
    if status != 200:
        hints = {401: "; give the control token with --token-file", 404: "; start the mock with `serve --usage FILE`"}
        raise UsageError(f"{url}{PATH}: answered {status}{hints.get(status, '')}")
    try:
        return usages.parse(json.loads(content), url)
    except ValueError as error:
        raise UsageError(f"{url}{PATH}: cannot be read: {error}") from None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"the report {path} cannot be written: {error.strerror}") from None
