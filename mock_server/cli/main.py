"""The command `mock-central`."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click

from mock_server.cli import startup
from mock_server.cli.group import Commands
from mock_server.cli.options import ENVIRONMENT, OPTIONS, READABLE, WRITABLE, Serve, settings_of, token_in
from mock_server.cli.release import RELEASE
from mock_server.cli.report import report
from mock_server.contract import export as export_forms
from mock_server.contract import tables as contracts
from mock_server.state import scenarios


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  mock-central serve
  mock-central serve --port 9000 --as-deployed --auth
  mock-central rules
\b
Shell completion (bash; zsh and fish likewise):
  eval "$(_MOCK_CENTRAL_COMPLETE=bash_source mock-central)"
""",
)
@click.version_option(package_name="mock-central", prog_name="mock-central")
def main() -> None:
    """A mock of the image-integration API of StackRox Central."""


@main.command(
    cls=Serve,
    params=list(OPTIONS),
    context_settings={"auto_envvar_prefix": ENVIRONMENT, "show_default": True, "max_content_width": 100},
    epilog="""\b
Each option has one name: --central-version is MOCK_CENTRAL_CENTRAL_VERSION in
the environment and central_version in a TOML file (--config). The command
line wins over the environment, the environment over the file. An option that
can be repeated is a list in the file; in the environment, put semicolons
between its values.
\b
Examples:
  mock-central serve --port 9000
  mock-central serve --auth --as-deployed --central-version 4.11
  mock-central serve --tls --tls-ca-out ca.pem --cors http://localhost:5173
  mock-central serve --registry-test 'registry.example.com=unauthorized'
  mock-central serve --scenario many:1000 --save state.json
  mock-central serve --fault 'PostImageIntegration code=503 times=2'
  mock-central serve --upstream https://central.example.com
""",
)
@click.pass_context
def serve(context: click.Context, /, **chosen: Any) -> None:
    """Serve the mock until Ctrl-C."""
    from mock_server.serving import addresses, tls, worker
    from mock_server.state import files as states

    host, cert, key, ca_out = chosen["host"], chosen["cert"], chosen["key"], chosen["tls_ca_out"]
    startup.require_tls(cert, key, ca_out, self_signed=chosen["tls"])
    settings = settings_of(context)
    with ExitStack() as stack:
        try:
            address = addresses.resolve(host)
            port = addresses.free_port(address, chosen["port"])
            if settings.upstream is not None:
                addresses.check_upstream(settings.upstream, address, port)
            files = tls.Tls(cert, key) if cert and key else None
            if chosen["tls"] and files is None:
                files = stack.enter_context(tls.self_signed(host, address))
                settings = dataclasses.replace(settings, tls_ca=files.ca)
            beside = startup.running(context, settings)
            if beside.save is not None:
                stack.enter_context(states.locked(beside.save))
            if files and files.ca and ca_out:
                ca_out.write_text(files.ca)
            announce = partial(
                startup.announce,
                settings,
                host,
                port,
                secure=files is not None,
                ca=ca_out,
                control_token_file=chosen["control_token_file"],
            )
            worker.serve(
                settings,
                address,
                port,
                name=host,
                tls=files,
                log_level=chosen["log_level"],
                log_format=chosen["log_format"],
                body_timeout=chosen["body_timeout"],
                save=beside.save,
                on_start=beside.start,
                on_listening=announce,
            )
        except states.StateError as error:
            raise click.ClickException(f"--save {error}") from None
        except addresses.ServeError as error:
            raise click.ClickException(str(error)) from None


@main.command()
def routes() -> None:
    """List the operations of the contract."""
    operations = contracts.load().operations.values()
    _table(
        ("method", "path", "operation", "permission"),
        [(each.method, each.path, each.id, each.permission) for each in operations],
    )


@main.command()
@click.option("--central-version", type=RELEASE, help="Only the rules and texts of this release.")
def rules(central_version: str | None) -> None:
    """List the rules of Central: id, status, text and source."""
    contract = contracts.load()
    found = contract.at(central_version).rules if central_version else contract.history
    _table(
        ("rule", "status", "what", "text", "releases", "source"),
        [
            (each.id, str(each.status or ""), each.title, found[each.id].message, _releases(each), each.source)
            for each in contract.history.values()
            if each.id in found
        ],
    )


@main.command(short_help="List where deployed Central differs from the document.")
def differences() -> None:
    """List where deployed Central differs from the published document."""
    _table(
        ("difference", "document (default)", "deployment (--as-deployed)", "source"),
        [dataclasses.astuple(each) for each in contracts.load().differences.values()],
    )


@main.command("scenarios")
def list_scenarios() -> None:
    """List the states that `serve --scenario` starts with."""
    rows: list[tuple[str, ...]] = []
    for each in scenarios.known().values():
        name = f"{each.name}:NUMBER" if each.number else each.name
        rows.append((name, f"{each.title}; broken: {each.broken}" if each.broken else each.title))
    _table(("scenario", "what it holds"), rows)


@main.command(
    short_help="Create a state file from a live Central.",
    epilog="""\b
Examples:
  mock-central record https://central.example.com --token-file token -o state.json
  mock-central serve --load state.json
""",
)
@click.argument("url")
@click.option("--token-file", type=READABLE, help="File with an API token that may read integrations.")
@click.option("--ca-file", "ca", type=READABLE, help="Certificates to trust (PEM).")
@click.option("--insecure", is_flag=True, help="Trust any certificate.")
@click.option("-o", "--output", required=True, type=WRITABLE, help="File to write the state to.")
def record(url: str, token_file: Path | None, ca: Path | None, insecure: bool, output: Path) -> None:
    """Create a state file from a live Central. Credentials are invented, because Central does not show them."""
    from mock_server.cli import record as recording
    from mock_server.contract import validator
    from mock_server.state import files as states

    startup.require_replaceable("--output", output)
    token = token_in(token_file) if token_file else ""
    try:
        listed = recording.fetched(url, token=token, ca=ca, insecure=insecure)
        try:
            state = recording.recorded(listed, contracts.load(), validator.shared())
        except states.StateError as error:
            raise recording.RecordError(f"{url}: {error}") from None
        states.write(output, state)
    except (recording.RecordError, states.StateError, OSError, UnicodeError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(
        f"{len(listed)} integrations in {output}, {len(state['invented'])} of them with invented credentials "
        f"(listed there under `invented`).\n  serve  mock-central serve --load {output}"
    )


@main.command(
    short_help="Write the contract as OpenAPI 3.1, OpenAPI 3.0 or Swagger 2.0.",
    epilog="""\b
Examples:
  mock-central export --format openapi-3.0 -o central.json
  mock-central export --format swagger-2.0 --central-version 4.11 -o central.yaml
""",
)
@click.option("--format", "form", type=click.Choice(list(export_forms.FORMS)), default="openapi-3.1", show_default=True)
@click.option("--central-version", type=RELEASE, help="The contract of this release; by default the newest.")
@click.option("-o", "--output", type=WRITABLE, help="File to write; YAML if its name ends in .yaml or .yml, else JSON.")
def export(form: str, central_version: str | None, output: Path | None) -> None:
    """Write the contract in a format that your generator reads. Without --output, print it as JSON."""
    contract = contracts.load()
    made = export_forms.FORMS[form](contract.at(central_version) if central_version else contract)
    if output is not None and output.suffix in (".yaml", ".yml"):
        import yaml

        text = yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=120)
    else:
        text = f"{json.dumps(made, indent=2, ensure_ascii=False)}\n"
    if output is None:
        click.echo(text, nl=False)
        return
    startup.require_writable("--output", output)
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise click.ClickException(f"--output {output}: cannot be written: {error.strerror}") from None


@main.command(short_help="List the paths besides the API that the mock answers.")
def companions() -> None:
    """List the paths besides the API that the mock answers, unless --no-companions is given."""
    from mock_server.web.companions import COMPANIONS

    _table(
        ("request", "needed by", "access", "answer"),
        [(each.id, each.needed_by, each.access, each.gives) for each in COMPANIONS],
    )


@main.command()
def mutants() -> None:
    """List the mutants that `serve --mutant` applies."""
    from mock_server.mutants import all_mutants

    _table(
        ("mutant", "kind", "check that finds it", "what is wrong"),
        [(each.name, each.kind, each.check, each.summary) for each in all_mutants().values()],
    )


main.add_command(report)


def _releases(rule: contracts.RuleHistory) -> str:
    return "" if rule.releases.everywhere else str(rule.releases)


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print a table on a terminal, tab-separated lines into a pipe."""
    if not sys.stdout.isatty():
        for row in (header, *rows):
            click.echo("\t".join(row))
        return
    from tabulate import tabulate

    others = len(header) - 1
    width = shutil.get_terminal_size().columns - max(len(row[0]) for row in rows)
    limits = [None, *[max(width // others - 2, 8)] * others]
    click.echo(tabulate(rows, header, "simple", disable_numparse=True, maxcolwidths=limits))
