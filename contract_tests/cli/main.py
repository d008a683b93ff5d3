"""The command `central-contract`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from contract_tests.cli.drift import drift
from contract_tests.cli.fixtures import fixtures
from contract_tests.cli.interruption import interruptible
from contract_tests.cli.traffic import audit, proxy
from contract_tests.engine.failures import BudgetSpent, Busy, HarnessError, OwnershipError
from contract_tests.engine.ledger import is_left_by_this_process
from contract_tests.engine.options import Credentials, Options
from contract_tests.engine.text import printable
from contract_tests.runner.arguments import (
    FILE,
    Unable,
    check_option,
    complete_check,
    credential_options,
    options_of,
    per_second,
    report_options,
    run_id,
    run_options,
    target_options,
    time_option,
    unknown_check,
)
from contract_tests.runner.environment import CREDENTIAL_FILES, bearer
from contract_tests.runner.own_mock import own_mock
from contract_tests.runner.report import INTERRUPTED, Report
from mock_server.cli.group import Commands
from mock_server.cli.release import RELEASE, newest
from mock_server.contract import tables as contracts

LAST_REPORT = "last-report.json"
"""File in --state-dir for the JSON report of a failed run without `--report-json`, because `replay` needs one."""


class _Commands(Commands):
    """Commands that end with one line and exit status 2 if they cannot proceed, or 130 if interrupted.

    Click's own status, 1, would mean that the target failed.
    """

    unable = 2

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            click.echo("Interrupted.", err=True)
            sys.exit(INTERRUPTED[getattr(stop, "signal", "SIGINT")])
        except BudgetSpent as error:
            raise Unable(f"the budget of {error} was used up") from None
        except (Busy, HarnessError, OwnershipError) as error:
            raise Unable(str(error)) from None


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  central-contract check
  central-contract check http://127.0.0.1:8080 --quick
  central-contract check https://central.example.com --token-file token --allow-writes
  central-contract explain name-unique
  central-contract fixtures --type quay --minimal
  central-contract drift https://central.example.com --token-file token
\b
Shell completion (bash; zsh and fish likewise):
  eval "$(_CENTRAL_CONTRACT_COMPLETE=bash_source central-contract)"
""",
)
@click.version_option(package_name="mock-central", prog_name="central-contract")
def main() -> None:
    """Check that a server conforms to the image-integration contract and rules of Central."""


@main.command(
    context_settings={"show_default": True},
    short_help="Check the server at a URL, or a mock that is started for it.",
    epilog="""\b
Exit status: 0 passed, 1 the target failed a check, 2 it could not be
checked, 3 incomplete: nothing failed, but not everything was checked or
cleaned up; 130 and 143: SIGINT or SIGTERM ended the run.
\b
Examples:
  central-contract check --quick --seed 7
  central-contract check https://central.example.com --token-file token
  central-contract check https://central.example.com --token-file token \\
    --allow-writes --report-html report.html --report-junit report.xml
""",
)
@click.argument("url", required=False)
@target_options
@run_options
@click.option("--as-deployed", is_flag=True, help="Without URL: start the mock with --as-deployed.")
@click.option(
    "--run-id",
    metavar="NAME",
    type=run_id,
    help="Id of the run, part of every name it creates: lower-case letters and digits  [default: random]",
)
@report_options
def check(url: str | None, **chosen: Any) -> None:
    """Check the server at URL. Without URL, start a mock and check that.

    The mock has its own tokens and ignores those in the environment. --central-version and --managed also configure it.
    """
    state_dir = chosen["state_dir"]
    try:
        with interruptible():
            sys.exit(_check(url, **chosen))
    except KeyboardInterrupt as stop:
        click.echo(_interruption_message(url, state_dir), err=True)
        sys.exit(INTERRUPTED[getattr(stop, "signal", "SIGINT")])


def _check(url: str | None, *, as_deployed: bool, run_id: str | None, **chosen: Any) -> int:
    """Run the checks, print the summary, write the reports, and return the exit status."""
    from contract_tests import reports
    from contract_tests.reports import terminal

    files = reports.requested(chosen)
    with ExitStack() as stack:
        mock = None
        if url is None:
            _refuse_credentials(chosen)
            version = chosen["central_version"] or newest()
            settings = {"as_deployed": as_deployed, "central_version": version, "managed": chosen["managed"]}
            mock = stack.enter_context(own_mock(**settings))
            url = mock.url
        elif as_deployed:
            raise click.UsageError("--as-deployed needs the mock that `check` starts; omit URL or --as-deployed")
        options = options_of(url, mock, **chosen)
        report = _run(options, run_id, files)
        if report.failures:
            files.setdefault("json", options.state_dir / LAST_REPORT)
        report.kept = files.get("json")
        try:
            reports.write(report, files)
        finally:
            terminal.summary(report)
    return report.exit_code


def _run(options: Options, run_id: str | None, files: Mapping[str, Path]) -> Report:
    """Run the checks and return the report.

    Raises:
        HarnessError: the run could not begin; the reports say why.
        KeyboardInterrupt: the run was interrupted before its first check; the reports say so.
    """
    from contract_tests import reports
    from contract_tests.reports import terminal
    from contract_tests.runner.report import unable
    from contract_tests.runner.run import Run

    try:
        with terminal.progress(options) as progress:
            return Run(options, progress, run_id)()
    except HarnessError as error:
        problem = str(error)
    except BudgetSpent as error:
        problem = f"the budget of {error} was used up before the first check"
    except KeyboardInterrupt as stop:
        report = unable(options, run_id or "", f"{stop or 'SIGINT'} ended the run early")
        report.interrupted = getattr(stop, "signal", "SIGINT")
        reports.write(report, files)
        raise
    reports.write(unable(options, run_id or "", problem), files)
    raise HarnessError(problem)


def _refuse_credentials(chosen: dict[str, Any]) -> None:
    """Raise click.UsageError for credential files without a URL, as the mock has its own tokens."""
    given = [key for key in CREDENTIAL_FILES if chosen.get(key)]
    if given:
        raise click.UsageError(f"--{given[0].replace('_', '-')}: the mock has its own tokens; give a URL to use yours")


def _interruption_message(url: str | None, state_dir: Path) -> str:
    """Return the message on an interrupted run: its ledger remains only if the clean-up was interrupted, too."""
    if url is not None and is_left_by_this_process(state_dir):
        return f"Interrupted; `central-contract clean {url}` deletes integrations that the run may have left."
    return "Interrupted; everything that the run created was deleted."


@main.command("list")
def list_checks() -> None:
    """List the checks: id, group, title and source."""
    from contract_tests.checks.registry import all_checks
    from contract_tests.oracle.observers import OBSERVED

    for each in all_checks().values():
        click.echo(f"{each.id}\t{each.group}\t{each.title}\t{each.source}")
    for id, title in OBSERVED.items():
        click.echo(f"{id}\tobserved\t{title}\t")


@main.command()
@click.argument("check_id", metavar="CHECK", shell_complete=complete_check)
def explain(check_id: str) -> None:
    """Explain what a check covers and where its rule comes from."""
    from contract_tests.checks.registry import all_checks
    from contract_tests.oracle.observers import OBSERVED

    if check_id in OBSERVED:
        click.echo(f"{check_id} (observed on every answer)\n\n{OBSERVED[check_id]}.")
        return
    explained = all_checks().get(check_id)
    if explained is None:
        raise HarnessError(unknown_check(check_id))
    click.echo(f"{explained.id} ({explained.group})\n\n{explained.title}.")
    rule = contracts.load().history.get(explained.id)
    if rule is not None:
        for text in rule.texts:
            releases = "" if text.releases.everywhere else f" ({text.releases})"
            click.echo(f"\nAnswer{releases}: {rule.status or '400 or 500'}, {text.text!r}")
        click.echo(f"Releases: {rule.releases}")
    if explained.source:
        click.echo(f"Source: {explained.source}")
    if explained.needs:
        click.echo(f"Needs: {', '.join(explained.needs)}")


@main.command(
    short_help="Replay a reported failure.",
    epilog="""\b
Exit status: 1 the check still fails, 0 it no longer fails, 2 there is no such
failure, 125 it could not be judged (`git bisect run` skips the commit).
\b
Examples:
  central-contract replay report.json name-unique
  central-contract replay report.json name-unique/2 --url http://127.0.0.1:8080
  central-contract replay report.json name-unique --script
""",
)
@click.argument("report", type=FILE)
@click.argument("failure")
@click.option("--url", metavar="URL", help="Target  [default: from the report]")
@click.option("--script", is_flag=True, help="Only print the requests that lead to the failure, as curl commands.")
@target_options
@credential_options
def replay(report: Path, failure: str, url: str | None, *, script: bool, **chosen: Any) -> None:
    """Run the check of a FAILURE in a JSON REPORT again with the same inputs.

    FAILURE is the check that failed, or CHECK/2 for its second failure. The check first runs with its prerequisites
    only; if it passes, it runs again after all checks that ran before it. If the run started a mock, so does replay.
    """
    from contract_tests.reports import curl, terminal
    from contract_tests.runner import replay

    recorded = replay.read(report, failure)
    with ExitStack() as stack, interruptible():
        mock = None
        if url is None and recorded.own_mock is not None and not script:
            _refuse_credentials(chosen)
            mock = stack.enter_context(own_mock(**recorded.own_mock))
        options = options_of(mock.url if mock else url or recorded.target, mock, **chosen)
        if script:
            click.echo("\n".join(curl.sequence(recorded.exchanges, options)))
            return
        click.echo(f"{recorded.check}: {printable(recorded.what)}")
        try:
            outcome = replay.run_again(recorded, options)
        except HarnessError as error:
            outcome = replay.Outcome(replay.UNKNOWN, str(error))
        terminal.replayed(outcome, recorded)
        if left := ", ".join(outcome.left_behind):
            click.echo(f"Not deleted: {left}; `central-contract clean {options.url}` tries again.", err=True)
        sys.exit(replay.STATUS[outcome.verdict])


@main.command(
    short_help="Send the same requests to two servers; print the differences.",
    epilog="""\b
Examples:
  central-contract compare mock mock-as-deployed
  central-contract compare mock https://central.example.com --token-file-b token --allow-writes
""",
)
@click.argument("url_a")
@click.argument("url_b")
@target_options
@click.option("--token-file-b", type=FILE, help="File with a bearer token for URL_B only [env: CENTRAL_TOKEN_B].")
@click.option("--full", is_flag=True, help="Also send generated requests, like `check` without --quick.")
@click.option("--central-version", type=RELEASE, help="Release of Central that both servers follow.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the generated requests.")
@check_option("--only", "Send only the requests of this check")
@click.option("--rate", type=per_second, metavar="N/s", help="Maximum requests per second.")
def compare(
    url_a: str, url_b: str, token_file_b: Path | None, *, full: bool, central_version: str | None, **chosen: Any
) -> None:
    """Send the same requests to URL_A and URL_B and print where the answers differ.

    Instead of a URL, `mock` starts a mock and `mock-as-deployed` a mock that follows deployed Central. Ids and times
    are normalised, and integrations that the run did not create are ignored. Exit status: 0 no differences,
    1 differences, 2 the requests could not be sent.
    """
    from contract_tests.reports import terminal
    from contract_tests.runner.compare import compare

    version = central_version or newest()
    chosen |= {"profile": "default" if full else "quick", "central_version": central_version}
    with ExitStack() as stack, interruptible():
        urls = [
            stack.enter_context(own_mock(auth=False, as_deployed=each != "mock", central_version=version)).url
            if each in ("mock", "mock-as-deployed")
            else each
            for each in (url_a, url_b)
        ]
        one, two = (options_of(url, **chosen) for url in urls)
        if other := bearer(token_file_b, "CENTRAL_TOKEN_B"):
            two = replace(two, credentials=Credentials(admin=other))
        comparison = compare(one, two)
    if not comparison.compared:
        raise HarnessError("no request was sent to both servers, so nothing was compared")
    terminal.comparison(comparison, one.url, two.url)
    sys.exit(bool(comparison.differences))


@main.command(
    short_help="Delete integrations that killed runs left on a server.",
    epilog="""\b
Examples:
  central-contract clean https://central.example.com --token-file token --allow-writes
  central-contract clean https://central.example.com --token-file token --allow-writes --orphans --older-than 24h
""",
)
@click.argument("url")
@target_options
@click.option("--orphans", is_flag=True, help="Also delete leftovers of runs that have no ledger in --state-dir.")
@time_option(
    "--older-than",
    "With --orphans: only runs that began at least this long ago; others may still be running.",
    "1h",
    show_default=True,
)
@click.option("--yes", is_flag=True, help="With --orphans: do not ask for confirmation.")
@interruptible()
def clean(url: str, *, orphans: bool, older_than: float, yes: bool, **chosen: Any) -> None:
    """Delete integrations that earlier runs left at URL, using their ledgers in --state-dir.

    An integration is deleted only if it still has the name of the run. Leftovers of runs without a ledger here are
    recognised by name and listed. Exit status: 0 no leftovers of a ledger remain, 1 some remain,
    2 the target could not be reached.
    """
    from contract_tests.runner.leftovers import clean_leftovers, find_orphans, is_over, remove_orphans

    options = replace(options_of(url, **chosen), time_budget=None)
    cleaned = clean_leftovers(options)
    for name in cleaned.not_ours:
        click.echo(f"Not deleted, because it no longer has the name of the run: {name}")
    if cleaned.deleted:
        click.echo(f"Leftovers deleted: {cleaned.deleted}.")
    if cleaned.left:
        raise click.ClickException(f"could not be deleted: {', '.join(cleaned.left)}")
    all_orphans = find_orphans(options)
    if all_orphans is None:
        raise HarnessError(
            f"{options.url} does not return its list of integrations; look at the URL and at the credentials "
            "(--token-file, --basic-file)"
        )
    old = [orphan for orphan in all_orphans if is_over(orphan, older_than)]
    for orphan in old if orphans else all_orphans:
        click.echo(f"  {orphan}")
    if not orphans:
        if all_orphans or not cleaned.deleted:
            click.echo(_orphans_message(len(all_orphans), options.url))
        return
    if not old:
        young = f"; {len(all_orphans)} from later runs or runs of unknown age" if all_orphans else ""
        click.echo(f"No leftovers of runs that began {older_than / 60:g} minutes ago or earlier{young}.")
        return
    if not yes:
        click.confirm(f"Delete these {len(old)}?", abort=True)
    if left := remove_orphans(options, old):
        raise click.ClickException(f"could not be deleted: {', '.join(left)}")
    click.echo(f"Leftovers deleted: {len(old)}.")


def _orphans_message(count: int, url: str) -> str:
    if not count:
        return "No leftovers of earlier runs."
    return (
        f"No leftovers of the runs in --state-dir. The {count} above belong to runs without a ledger there; "
        f"`central-contract clean {url} --orphans` deletes those of finished runs."
    )


main.add_command(fixtures)
main.add_command(audit)
main.add_command(proxy)
main.add_command(drift)
