"""The command `central-contract`."""

from __future__ import annotations

import os
import random
import re
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from contract_tests.failures import HarnessError
from contract_tests.fixtures.command import fixtures
from contract_tests.options import PROFILES, Credentials, Options
from mock_server.contract import VERSIONS

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NEW_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  central-contract check
  central-contract check http://127.0.0.1:8080 --quick
  central-contract check https://central.example.com --token-file token --allow-writes
  central-contract explain name-unique
  central-contract fixtures --type quay --minimal
""",
)
@click.version_option(package_name="mock-central", prog_name="central-contract")
def main() -> None:
    """Check that a server keeps the image-integration contract and the rules of Central."""


def _per_second(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(?:/(s|m))?", value)
    if match is None or float(match[1]) == 0:
        raise click.BadParameter(f"{value!r} is not a rate such as 20/s or 300/m")
    return float(match[1]) / (60 if match[2] == "m" else 1)


def _seconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(s|m)?", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is not a time such as 60s or 5m")
    return float(match[1]) * (60 if match[2] == "m" else 1)


def target_options(command: Any) -> Any:
    """Add the options that say how to reach a target."""
    for option in reversed(
        (
            click.option("--token-file", type=_FILE, help="File with a bearer token [env: CENTRAL_TOKEN]."),
            click.option("--basic-file", type=_FILE, help="File with USER:PASSWORD [env: CENTRAL_BASIC]."),
            click.option("--ca-file", type=_FILE, help="Certificate authority to trust (PEM)."),
            click.option("--insecure", is_flag=True, help="Do not check the certificate."),
            click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for an answer."),
            click.option("--allow-writes", is_flag=True, help="Let the run write to a target that is not loopback."),
            click.option(
                "--state-dir",
                type=click.Path(file_okay=False, path_type=Path),
                default=Path(".central-contract"),
                show_default=True,
                help="Folder of the ledgers of what runs have created.",
            ),
        )
    ):
        command = option(command)
    return command


@main.command(
    context_settings={"show_default": True},
    epilog="""\b
Exit status: 0 nothing is wrong, 1 the target failed a check, 2 the harness could not do its work.
\b
Examples:
  central-contract check --quick --seed 7
  central-contract check https://central.example.com --token-file token --allow-writes --report-html report.html
""",
)
@click.argument("url", required=False)
@target_options
@click.option("--quick", "profile", flag_value="quick", help="Every rule once, a short lifecycle.")
@click.option("--deep", "profile", flag_value="deep", help="Many more inputs, as long as the budget lets it.")
@click.option(
    "--read-only-token-file", type=_FILE, help="File with a token that may only read [env: CENTRAL_READ_ONLY_TOKEN]."
)
@click.option(
    "--no-access-token-file",
    type=_FILE,
    help="File with a token without the permission [env: CENTRAL_NO_ACCESS_TOKEN].",
)
@click.option("--as-deployed", is_flag=True, help="Without URL: let our mock follow deployed Central.")
@click.option("--central-version", type=click.Choice(VERSIONS), help="Release of Central  [default: ask the target]")
@click.option("--seed", type=int, help="Draw the same inputs again  [default: a new one, printed]")
@click.option("--run-id", help="Name of the run in what it creates  [default: a new one]")
@click.option("--only", multiple=True, metavar="CHECK", help="Only this check; can be repeated.")
@click.option("--skip", multiple=True, metavar="CHECK", help="Not this check; can be repeated.")
@click.option("--rate", callback=_per_second, metavar="N/s", help="Requests a second at the most.")
@click.option("--time-budget", callback=_seconds, metavar="60s", help="Time for the checks.")
@click.option("--max-requests", type=click.IntRange(1), help="Requests for the checks.")
@click.option(
    "--max-live", type=click.IntRange(10), default=150, help="Integrations of the run that may exist at once."
)
@click.option("--max-response-time", default=5.0, help="Seconds that an answer may take.")
@click.option("--workers", type=click.IntRange(1, 16), default=1, help="Checks that run at the same time.")
@click.option(
    "--allow-registry-tests", is_flag=True, help="Let the target contact registries (hosts that do not exist)."
)
@click.option("--allow-load", is_flag=True, help="Send a message of 25 MiB, too.")
@click.option("--known", type=_FILE, multiple=True, help="TOML file of known differences of yours; can be repeated.")
@click.option("--report-json", type=_NEW_FILE, help="Write a JSON report.")
@click.option("--report-junit", type=_NEW_FILE, help="Write a JUnit XML report.")
@click.option("--report-markdown", type=_NEW_FILE, help="Write a Markdown summary.")
@click.option("--report-html", type=_NEW_FILE, help="Write one self-contained HTML page.")
def check(url: str | None, **chosen: Any) -> None:
    """Check the server at URL; without URL start our mock and check that."""
    from contract_tests.reports import terminal, write
    from contract_tests.run import Run

    reports = {kind: chosen.pop(f"report_{kind}") for kind in ("json", "junit", "markdown", "html")}
    as_deployed, run_id = chosen.pop("as_deployed"), chosen.pop("run_id")
    seed = chosen.pop("seed")
    seed = random.randrange(10**6) if seed is None else seed
    with ExitStack() as stack:
        if url is None:
            url = stack.enter_context(_own_mock(as_deployed=as_deployed)).url
        elif as_deployed:
            raise click.UsageError("--as-deployed is for our own mock; leave URL out or --as-deployed")
        options = _options(url, seed=seed, **chosen)
        try:
            with terminal.progress(options) as progress:
                report = Run(options, progress, run_id)()
        except HarnessError as error:
            raise _Unable(str(error)) from None
        except KeyboardInterrupt:
            click.echo("Interrupted; what the run created was deleted.", err=True)
            sys.exit(130)
    terminal.summary(report, options)
    for kind, path in reports.items():
        if path is not None:
            write(kind, report, options, path)
    sys.exit(report.exit_code)


def _own_mock(*, as_deployed: bool) -> Any:
    from mock_server.server import running
    from mock_server.settings import Settings

    return running(Settings(as_deployed=as_deployed))


class _Unable(click.ClickException):
    """The harness cannot do its work."""

    exit_code = 2


def _options(url: str, **chosen: Any) -> Options:
    """Make the options of a run; secrets come from files and the environment only."""
    if not re.match(r"https?://[^/]", url):
        raise click.UsageError(f"{url!r} is not a URL such as https://central.example.com")
    admin = _bearer(chosen.pop("token_file"), "CENTRAL_TOKEN")
    admin = admin or _basic(chosen.pop("basic_file", None))
    chosen.pop("basic_file", None)
    credentials = Credentials(
        admin=admin,
        read_only=_bearer(chosen.pop("read_only_token_file", None), "CENTRAL_READ_ONLY_TOKEN"),
        no_access=_bearer(chosen.pop("no_access_token_file", None), "CENTRAL_NO_ACCESS_TOKEN"),
    )
    profile = chosen.pop("profile", None) or "default"
    assert profile in PROFILES
    version = chosen.pop("central_version", None)
    return Options(url=url, profile=profile, credentials=credentials, version=version, **chosen)


def _secret(path: Path | None, variable: str) -> str | None:
    text = path.read_text("utf-8").strip() if path else os.environ.get(variable, "").strip()
    if path and not text:
        raise click.UsageError(f"{path} is empty")
    return text or None


def _bearer(path: Path | None, variable: str) -> str | None:
    token = _secret(path, variable)
    return f"Bearer {token}" if token else None


def _basic(path: Path | None) -> str | None:
    import base64

    pair = _secret(path, "CENTRAL_BASIC")
    return f"Basic {base64.b64encode(pair.encode()).decode()}" if pair else None


@main.command("list")
def list_checks() -> None:
    """List the checks: id, group, title and source."""
    from contract_tests.observers import OBSERVED
    from contract_tests.registry import all_checks

    for each in all_checks().values():
        click.echo(f"{each.id}\t{each.group}\t{each.title}\t{each.source}")
    for id, title in OBSERVED.items():
        click.echo(f"{id}\tobserved\t{title}\t")


@main.command()
@click.argument("check_id", metavar="CHECK")
def explain(check_id: str) -> None:
    """Say what a check sees to, and where its rule comes from."""
    from contract_tests.observers import OBSERVED
    from contract_tests.registry import all_checks

    if check_id in OBSERVED:
        click.echo(f"{check_id} (observed on every answer)\n\n{OBSERVED[check_id]}.")
        return
    found = all_checks().get(check_id)
    if found is None:
        raise _Unable(f"unknown check {check_id!r}; `central-contract list` names them all")
    click.echo(f"{found.id} ({found.group})\n\n{found.title}.")
    rule = found.rule
    if rule is not None and rule.message:
        click.echo(f"\nAnswer: {rule.status or '400 or 500'}, {rule.message!r}")
    if rule is not None:
        click.echo(f"Central: {rule.since} to {rule.until}")
    if found.source:
        click.echo(f"Source: {found.source}")
    if found.needs:
        click.echo(f"Needs: {', '.join(found.needs)}")


@main.command()
@click.argument("url")
@target_options
def clean(url: str, **chosen: Any) -> None:
    """Delete what earlier runs against URL have left, by their ledgers."""
    from contract_tests.run import clean_leftovers

    try:
        left = clean_leftovers(_options(url, **chosen))
    except HarnessError as error:
        raise _Unable(str(error)) from None
    if left:
        raise click.ClickException(f"still there: {', '.join(left)}")
    click.echo("Nothing of earlier runs is left.")


main.add_command(fixtures)
