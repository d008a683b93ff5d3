"""The commands that judge the requests of others: `audit` for recorded traffic, `proxy` for live traffic."""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from contract_tests.engine.failures import HarnessError
from contract_tests.engine.options import Options
from contract_tests.engine.text import printable
from contract_tests.runner.arguments import FILE, NEW_FILE, traffic_options
from contract_tests.runner.report import ASSUMED, GIVEN, TOLD
from mock_server.contract import tables as contracts

if TYPE_CHECKING:
    from contract_tests.runner.report import Report
    from contract_tests.traffic.judge import Judge

KINDS = ("json", "junit", "markdown", "html")


class Unable(click.ClickException):
    """Traffic cannot be judged; the text may quote what it holds."""

    exit_code = 2

    def format_message(self) -> str:
        """Return the text as it may be shown."""
        return printable(self.message)


class Verdict:
    """What the options of both commands choose: which release, what is known, which reports."""

    def __init__(self, target: str, chosen: dict[str, Any]) -> None:
        """Take the options out of those that a command was given.

        Raises:
            Unable: a report cannot be written where it is wanted.
        """
        from contract_tests.reports import see_to

        kinds = {kind: chosen.pop(f"report_{kind}") for kind in KINDS}
        self.reports: Mapping[str, Path] = {kind: path for kind, path in kinds.items() if path is not None}
        self.given: str | None = chosen["central_version"]
        self.others_write: bool = chosen["others_write"]
        self.client_fails: bool = chosen["client_fails"]
        self.options = Options(
            target, skip=chosen["skip"], known=chosen["known"], no_known=chosen["no_known"], central_version=self.given
        )
        self._started = dt.datetime.now(dt.UTC), time.monotonic()
        self._version_from = GIVEN
        try:
            for path in self.reports.values():
                see_to(path)
        except HarnessError as error:
            raise Unable(str(error)) from None

    def judge(self, told: str = "") -> Judge:
        """Make the judge; `told` is the release that the traffic tells, "" where it does not."""
        from contract_tests.traffic.judge import Judge

        self._version_from = GIVEN if self.given else TOLD if told else ASSUMED
        version = self.given or told or contracts.load().releases.newest.line
        return Judge(version, others_write=self.others_write)

    def give(self, judge: Judge, interrupted: str = "") -> int:
        """Print the verdict, write the reports and return the exit status."""
        from contract_tests.reports import terminal, write
        from contract_tests.runner.judgement import report_on

        started, clock = self._started
        try:
            report: Report = report_on(
                judge,
                self.options,
                version_from=self._version_from,
                started=started,
                seconds=time.monotonic() - clock,
                client_fails=self.client_fails,
            )
            report.interrupted = interrupted
            for kind, path in self.reports.items():
                write(kind, report, self.options, path)
        except HarnessError as error:
            raise Unable(str(error)) from None
        terminal.traffic(report, self.options)
        return report.exit_code


@click.command(
    context_settings={"show_default": True},
    short_help="Judge recorded traffic: a HAR, a request journal, fixtures.",
    epilog="""\b
Exit status: 0 nothing is wrong, 1 Central is not as the contract says,
2 the file could not be read, 3 nothing in it could be judged.
\b
Examples:
  central-contract audit traffic.har
  central-contract audit traffic.har --redact harmless.har --report-html report.html
  curl -s http://127.0.0.1:8080/__admin/requests | central-contract audit -
""",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--redact", type=NEW_FILE, help="Write the requests that were judged as a HAR without credentials, to hand on."
)
@traffic_options
def audit(file: Path, *, redact: Path | None, **chosen: Any) -> None:
    """Judge the requests and answers of the image-integration API in FILE; nothing is sent.

    FILE is a HAR (of a browser, Charles, mitmproxy or `central-contract proxy`), what the mock answers to
    `GET /__admin/requests`, or JSON Lines of fixtures.
    """
    from contract_tests.traffic import har, sources

    verdict = Verdict(str(file), chosen)
    try:
        recording = sources.read(file)
        judge = verdict.judge(recording.version)
        with ExitStack() as stack:
            writer = None
            if redact is not None:
                writer = stack.enter_context(har.Writer(redact, recording.origin, judge.version))
            for conversation in recording.conversations:
                judge.begin()
                judge.judge((each for each in conversation if judge.concerns(each.target)), writer.add if writer else None)
    except HarnessError as error:
        raise Unable(str(error)) from None
    sys.exit(verdict.give(judge))
