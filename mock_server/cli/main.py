"""The command `mock-central`."""

from __future__ import annotations

import dataclasses
import sys
import tomllib
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click

from mock_server.central.auth import Credentials
from mock_server.central.registry_tests import DEFAULT_RULES, OUTCOMES, RegistryTestRule
from mock_server.cli import options
from mock_server.cli.release import RELEASE, newest
from mock_server.contract import tables as contracts
from mock_server.settings import VALIDATION_MODES, Settings
from mock_server.state import scenarios
from mock_server.state.memory import MEMORY, address

ENVIRONMENT = "MOCK_CENTRAL"


@click.group(
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
    """A stand-in for the image-integration API of StackRox Central."""


def _from_file(context: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    """Take the values of a TOML file as defaults of the options."""
    if path is None:
        return None
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{path}: {error}") from None
    known = {parameter.name for parameter in context.command.params} - {"config"}
    values = {name.replace("-", "_"): value for name, value in values.items()}
    if unknown := sorted(values.keys() - known):
        raise click.BadParameter(f"{path}: unknown setting {unknown[0]!r}; known: {', '.join(sorted(known))}")
    context.default_map = {**(context.default_map or {}), **values}
    context.meta["mock_central.config"] = path
    return path


def _registry_test_rule(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[RegistryTestRule, ...]:
    rules = []
    for value in values:
        host, _, outcome = value.rpartition("=")
        if not host or outcome not in OUTCOMES:
            raise click.BadParameter(f"{value!r} is not HOST=OUTCOME with an outcome of {', '.join(OUTCOMES)}")
        rules.append(RegistryTestRule(host, outcome))
    return tuple(rules)


def _basic(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, str]:
    user, colon, password = value.partition(":")
    if not colon or not user or not value.isprintable():
        raise click.BadParameter("is not USER:PASSWORD")
    return user, password


def _token(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not options.is_token(value):
        raise click.BadParameter("is not a token: one line of ASCII, no blanks")
    return value


_READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@main.command(
    cls=options.Serve,
    context_settings={"auto_envvar_prefix": ENVIRONMENT, "show_default": True},
    epilog="""\b
Every option can come from the environment (MOCK_CENTRAL_PORT=9000) or from
a TOML file (port = 9000); the command line wins, then the environment.
\b
Examples:
  mock-central serve --port 9000
  mock-central serve --auth --as-deployed --central-version 4.11
  mock-central serve --tls --cors http://localhost:5173
  mock-central serve --registry-test 'registry.example.com=unauthorized'
  mock-central serve --scenario many:1000 --save state.json
  mock-central serve --fault 'PostImageIntegration code=503 times=2'
  mock-central serve --upstream https://central.example.com
""",
)
@click.option(
    "--config", type=_READABLE, callback=_from_file, is_eager=True, expose_value=False, help="TOML file of options."
)
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=8080, type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option(
    "--central-version",
    "version",
    default=newest,
    show_default="the newest",
    type=RELEASE,
    help="Release of Central to play, such as 4.11 (its newest patch) or 4.11.0.",
)
@click.option(
    "--as-deployed", is_flag=True, help="Follow deployed Central where the document disagrees (see `differences`)."
)
@click.option("--managed", is_flag=True, help="Play the managed service.")
@click.option("--empty", is_flag=True, help="Start without the integrations of a fresh Central.")
@click.option("--namespace", default="stackrox", help="Namespace that Central runs in.")
@click.option("--seed", type=int, help="Give the same ids at each start.")
@click.option("--strict", is_flag=True, help="Refuse what the contract does not promise.")
@click.option(
    "--validation",
    default=VALIDATION_MODES[0],
    type=click.Choice(VALIDATION_MODES),
    help="full: openapi-core validates every request and answer.",
)
@click.option(
    "--registry-test",
    "registry_tests",
    multiple=True,
    metavar="HOST=OUTCOME",
    callback=_registry_test_rule,
    help=f"How registry tests of a host (a pattern) end: {', '.join(OUTCOMES)}. Before the built-in rules.",
)
@click.option(
    "--mutant",
    "mutants",
    multiple=True,
    metavar="NAME",
    callback=options.known_mutants,
    shell_complete=options.complete_mutant,
    help="Apply a mutant (see `mutants`), to try a tester out.",
)
@click.option("--auth", is_flag=True, help="Ask for credentials, as Central does.")
@click.option(
    "--admin-token", default="mock-admin-token", callback=_token, metavar="TOKEN", help="Token that may read and write."
)
@click.option(
    "--read-only-token", default="mock-read-only-token", callback=_token, metavar="TOKEN", help="Token that may read."
)
@click.option(
    "--no-access-token",
    default="mock-no-access-token",
    callback=_token,
    metavar="TOKEN",
    help="Token without the Integration permission.",
)
@click.option(
    "--no-role-token", default="mock-no-role-token", callback=_token, metavar="TOKEN", help="Token without a role."
)
@click.option(
    "--basic", default="admin:mock-password", callback=_basic, metavar="USER:PASSWORD", help="Basic credentials."
)
@click.option("--tls", is_flag=True, help="Serve HTTPS with a certificate made at start.")
@click.option("--cert", type=_READABLE, help="Serve HTTPS with this certificate (PEM); goes with --key.")
@click.option("--key", type=_READABLE, help="Key of the certificate.")
@click.option("--cors", metavar="ORIGIN", help="Let browser pages of this origin call; * for any.")
@click.option(
    "--companions/--no-companions",
    default=True,
    help="Answer the paths beside the API that the web UI and scripts ask for (see `companions`).",
)
@click.option("--ui", type=_FOLDER, help="Serve the production build of the web UI in this folder.")
@click.option("--upstream", metavar="URL", help="Pass everything but the image integrations to this Central.")
@click.option("--upstream-ca", type=_READABLE, help="Certificates to trust there (PEM).")
@click.option("--upstream-insecure", is_flag=True, help="Trust any certificate there.")
@click.option(
    "--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]), help="What to log."
)
@options.states_and_faults
@click.pass_context
def serve(context: click.Context, /, **chosen: Any) -> None:
    """Serve the mock until Ctrl-C."""
    from mock_server.serving import server
    from mock_server.state import files as states

    host, cert, key = chosen["host"], chosen["cert"], chosen["key"]
    if (cert is None) != (key is None):
        raise click.UsageError("--cert and --key go together")
    if cert is not None:
        options.see_to_certificate(cert, key)
    settings = _settings(context)
    beside = options.running(context, settings, _settings)
    with ExitStack() as stack:
        if beside.save is not None:
            try:
                stack.enter_context(states.locked(beside.save))
            except states.StateError as error:
                raise click.ClickException(f"--save {error}") from None
        files = server.Tls(cert, key) if cert and key else None
        if chosen["tls"] and files is None:
            files = stack.enter_context(server.self_signed(host))
        try:
            port = server.free_port(host, chosen["port"])
            if settings.upstream is not None:
                server.check_upstream(settings.upstream, host, port)
            server.serve(
                settings,
                host,
                port,
                tls=files,
                log_level=chosen["log_level"],
                log_format=chosen["log_format"],
                body_timeout=chosen["body_timeout"],
                save=beside.save,
                on_start=beside.start,
                on_listening=partial(_banner, settings, host, port, secure=files is not None),
            )
        except server.ServeError as error:
            raise click.ClickException(str(error)) from None


def _settings(context: click.Context) -> Settings:
    """Make settings of the options."""
    chosen = context.params
    username, password = chosen["basic"]
    fields = {
        "credentials": _distinct(Credentials(**_of(Credentials, chosen), username=username, password=password)),
        "registry_tests": chosen["registry_tests"] + DEFAULT_RULES,
        "control_token": chosen["control_token_file"],
        "load": options.loaded(chosen["load"], chosen["save"]),
    }
    try:
        return Settings(**_of(Settings, chosen) | fields)
    except ValueError as error:  # which begins with the name of the setting
        name, colon, rest = str(error).partition(": ")
        named = f"--{name.replace('_', '-')}" if colon and name in chosen else name
        raise click.UsageError(f"{named}{colon}{rest}") from None


def _distinct(credentials: Credentials) -> Credentials:
    tokens = [value for name, value in dataclasses.asdict(credentials).items() if name.endswith("_token")]
    if len({*tokens}) < len(tokens):
        raise click.UsageError(
            "two of --admin-token, --read-only-token, --no-access-token, --no-role-token are the same"
        )
    return credentials


def _of(made: type[Credentials | Settings], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Take the options that are fields of what is to be made."""
    return {each.name: chosen[each.name] for each in dataclasses.fields(made) if each.name in chosen}


def _banner(settings: Settings, host: str, port: int, *, secure: bool) -> None:
    """Return where the mock is and give a line that works."""
    shown = "127.0.0.1" if host in ("0.0.0.0", "") else f"[{host}]" if ":" in host else host  # noqa: S104
    url = f"{'https' if secure else 'http'}://{shown}:{port}"
    curl = "curl -k" if secure else "curl"
    token = f" -H 'Authorization: Bearer {settings.credentials.admin_token}'" if settings.auth else ""
    manner = "as deployed" if settings.as_deployed else "as documented"
    control = f"  reset  {curl} -X POST {url}/__admin/reset\n  look   {url}/__admin/\n" if settings.control else ""
    click.echo(
        f"mock-central listens on {url} and plays Central {settings.version} {manner}.\n"
        f"  try    {curl}{token} {url}/v1/imageintegrations\n"
        f"{control}"
        f"{_places(settings, url)}"
        f"  stop   Ctrl-C"
    )
    if warning := options.warning_of_open_control(settings, host):
        click.echo(warning, err=True)
    sys.stdout.flush()


def _places(settings: Settings, url: str) -> str:
    lines = ""
    if settings.ui is not None:
        login = f"{settings.credentials.username} / {settings.credentials.password}" if settings.auth else "any name"
        if settings.upstream is not None:
            login = "as there"
        lines += f"  ui     {url}/main/integrations (log in: {login})\n"
    if settings.store != MEMORY:
        lines += f"  store  {address(settings.store)}, shared by all with the prefix {settings.store_prefix}\n"
    if settings.upstream is not None:
        lines += f"  rest   passed to {settings.upstream}\n"
    return lines


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


@main.command(short_help="List where document and deployed Central disagree.")
def differences() -> None:
    """List where the published document and deployed Central disagree."""
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
    short_help="Make a state from what a live Central lists.",
    epilog="""\b
Examples:
  mock-central record https://central.example.com --token-file token -o state.json
  mock-central serve --load state.json
""",
)
@click.argument("url")
@click.option(
    "--token-file",
    "token",
    type=_READABLE,
    callback=options.token,
    help="File of an API token that may read integrations.",
)
@click.option("--ca-file", "ca", type=_READABLE, help="Certificates to trust (PEM).")
@click.option("--insecure", is_flag=True, help="Trust any certificate.")
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File to write the state to."
)
def record(url: str, token: str | None, ca: Path | None, insecure: bool, output: Path) -> None:
    """Make a state from what a live Central lists; its credentials, which no list shows, are invented."""
    from mock_server.cli import record as recording
    from mock_server.contract import validator
    from mock_server.state import files as states

    options.see_to_folder("--output", output)
    try:
        listed = recording.fetched(url, token=token or "", ca=ca, insecure=insecure)
        state = recording.recorded(listed, contracts.load(), validator.shared())
        recording.write(output, state)
    except (recording.RecordError, states.StateError, OSError, UnicodeError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(
        f"{len(listed)} integrations in {output}, {len(state['invented'])} of them with invented credentials "
        f"(listed there under `invented`).\n  serve  mock-central serve --load {output}"
    )


@main.command(short_help="List the paths beside the API that are answered.")
def companions() -> None:
    """List the paths beside the API that are answered without --no-companions."""
    from mock_server.web.companions import COMPANIONS

    _table(
        ("request", "needed by", "let in", "answer"),
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


def _releases(rule: contracts.RuleHistory) -> str:
    return "" if rule.releases.everywhere else str(rule.releases)


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print a table on a terminal, tab-separated lines into a pipe."""
    if not sys.stdout.isatty():
        for row in (header, *rows):
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*header)
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
