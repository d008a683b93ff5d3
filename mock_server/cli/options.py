"""Options of `serve` for states, faults, sandboxes, journal and control, and what they set in motion."""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mock_server.serving.body_timeouts import TIMEOUT
from mock_server.simulation.faults import Fault, FaultError, parse
from mock_server.state import scenarios
from mock_server.state.memory import MEMORY
from mock_server.web.access_log import FORMATS

if TYPE_CHECKING:
    from mock_server.settings import Settings
    from mock_server.web.app import MockCentral

log = logging.getLogger("mock_central")

KEPT = ("load", "store", "store_prefix", "journal")
"""Settings that stay as they are from the start: what holds the state goes on."""
AT_START = ("host", "port", "tls", "cert", "key", "log_level", "log_format", "body_timeout", "save", "reload")
"""Options that are no settings of an app: they are looked at once."""

_READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)
_LOOPBACK = ("127.", "localhost", "::1")


class _Faults(click.types.StringParamType):
    """A text with blanks, of which a variable holds several with semicolons between."""

    envvar_list_splitter = ";"


def _scenario(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        scenarios.parse(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}; `mock-central scenarios` tells what they hold") from None
    return value


def _faults(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Fault, ...]:
    found = []
    for value in values:
        try:
            found.append(parse(value))
        except FaultError as error:
            shown = "" if ":" in str(error) else f"{value!r}: "
            raise click.BadParameter(f"{shown}{error}") from None
    return tuple(found)


def is_token(text: str) -> bool:
    """Return whether a text can be a bearer token in a header."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def token(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> str | None:
    """Read a token from a file."""
    if path is None:
        return None
    try:
        found = path.read_text("utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise click.BadParameter(f"{path}: {error}") from None
    if not is_token(found):
        raise click.BadParameter(f"{path}: does not hold a token: one line of ASCII, no blanks")
    return found


def known_mutants(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """See that there are mutants of these names."""
    if values:
        from mock_server import mutants

        try:
            for name in values:
                mutants.find(name)
        except ValueError as error:
            hint = "" if str(error).endswith("?") else "; `mock-central mutants` lists them"
            raise click.BadParameter(f"{error}{hint}") from None
    return values


def complete_mutant(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Return a shell the mutants that begin so."""
    from mock_server.mutants import all_mutants

    return [name for name in all_mutants() if name.startswith(begun)]


def see_to_certificate(cert: Path, key: Path) -> None:
    """See that two files are a certificate and its key.

    Raises:
        click.UsageError: they are not.
    """
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except OSError as error:
        raise click.UsageError(
            f"--cert {cert} and --key {key}: are not a certificate and its key without a password (PEM): {error}"
        ) from None


def _complete_scenario(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    return [name for name in scenarios.known() if name.startswith(begun)]


_OPTIONS = (
    click.option(
        "--scenario",
        default=scenarios.DEFAULT,
        metavar="NAME[:NUMBER]",
        callback=_scenario,
        shell_complete=_complete_scenario,
        help="Named state to start with (see `scenarios`), such as one-of-each or many:1000.",
    ),
    click.option("--load", type=_READABLE, help="Start with the state in this file, as --save or `record` wrote it."),
    click.option(
        "--save",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Keep the state in this file, CREDENTIALS IN CLEAR, and go on from it at the next start.",
    ),
    click.option(
        "--store",
        default=MEMORY,
        metavar="memory|redis://…",
        help="Keep integrations in memory, or in a Redis or Valkey that several replicas share.",
    ),
    click.option(
        "--store-prefix",
        default="mock-central",
        metavar="NAME",
        help="What the keys there begin with; another for each deployment.",
    ),
    click.option(
        "--fault",
        "faults",
        multiple=True,
        type=_Faults(),
        metavar="'[OPERATION] KEY=VALUE …'",
        callback=_faults,
        help="Fault that requests meet, such as 'PostImageIntegration code=503 times=2' or 'delay=1..3'.",
    ),
    click.option(
        "--journal",
        default=1000,
        type=click.IntRange(0),
        help="Requests that each sandbox remembers; 0 remembers none.",
    ),
    click.option(
        "--sandbox-ttl",
        default=600.0,
        type=click.FloatRange(0.1),
        help="Seconds until a sandbox that nobody uses is freed.",
    ),
    click.option(
        "--max-sandboxes", default=10_000, type=click.IntRange(0), help="Sandboxes that there can be at once."
    ),
    click.option(
        "--control/--no-control", default=True, help="Offer the control calls under /__admin (the health always is)."
    ),
    click.option(
        "--control-token-file",
        type=_READABLE,
        callback=token,
        help="Ask control calls for the bearer token in this file.",
    ),
    click.option(
        "--body-timeout",
        default=TIMEOUT,
        type=click.FloatRange(1.0),
        help="Seconds that the body of a request has to come whole.",
    ),
    click.option("--reload", is_flag=True, help="Take up changes of the files that were read, while running."),
    click.option("--log-format", default=FORMATS[0], type=click.Choice(FORMATS), help="How log lines look."),
)


def states_and_faults(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command these options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


class Serve(click.Command):
    """A command that remembers its words, to read them again when a file that they name has changed.

    A wrong value that is no word of the command line is told with the variable or the file that it comes from.
    """

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the words."""
        words = list(args)
        try:
            context = super().make_context(info_name, args, parent, **extra)
        except click.BadParameter as error:
            raise click.BadParameter(
                f"{error.message.rstrip('.')}{_where(error)}", error.ctx, error.param, error.param_hint
            ) from None
        context.meta["mock_central.words"] = words
        return context


def _where(error: click.BadParameter) -> str:
    """Return where a wrong value stands, if not on the command line."""
    if error.ctx is None or error.param is None or error.param.name is None:
        return ""
    source = error.ctx.get_parameter_source(error.param.name)
    if source is click.core.ParameterSource.ENVIRONMENT:
        return f" (the variable {error.ctx.auto_envvar_prefix}_{error.param.name.upper()})"
    if source is click.core.ParameterSource.DEFAULT_MAP:
        return f" (in {error.ctx.meta['mock_central.config']})"
    return ""


@dataclasses.dataclass(frozen=True, slots=True)
class Running:
    """What goes on beside the requests of a server."""

    save: Path | None
    reload: bool
    files: Mapping[str, Path]
    """The files that the options read, by what they are."""
    again: Callable[[], Settings]
    """Reads the options again.

    Raises:
        click.ClickException: what they say cannot be used any more.
    """

    def start(self, app: MockCentral) -> None:
        """Start watching, in the process that serves."""
        if self.reload:
            from mock_server.serving.reload import Watcher

            Watcher(app, self.files, self.again).start()


def running(context: click.Context, settings: Settings, again: Callable[[click.Context], Settings]) -> Running:
    """Return what the options set in motion; `again` makes settings of a context.

    Raises:
        click.ClickException: the first state cannot be read, or the state cannot be saved.
    """
    save: Path | None = context.params["save"]
    if save is not None:
        see_to_folder("--save", save)
    _see_to_first_state(settings, "--load" if context.params["load"] else "--save")
    _see_to_store(settings)
    _see_to_operations(settings)
    watched = {"settings": context.meta.get("mock_central.config"), "state": settings.load}
    if settings.load is not None and save is not None and settings.load.resolve() == save.resolve():
        del watched["state"]  # we change it ourselves
    return Running(
        save,
        context.params["reload"],
        {what: path for what, path in watched.items() if path is not None},
        lambda: dataclasses.replace(again(_read_again(context)), **{name: getattr(settings, name) for name in KEPT}),
    )


def _read_again(context: click.Context) -> click.Context:
    """Read the words of the command again, and say what of it changes nothing."""
    now = context.command.make_context(context.info_name, list(context.meta["mock_central.words"]))
    needs_restart = [
        each.opts[0]
        for each in context.command.params
        if each.name in (*AT_START, *KEPT) and now.params[each.name] != context.params[each.name]
    ]
    if needs_restart:
        log.warning("taken up only by a restart: %s", ", ".join(needs_restart))
    return now


def see_to_folder(option: str, file: Path) -> None:
    """See that a file can be written where an option says.

    Raises:
        click.BadParameter: it cannot.
    """
    try:
        with tempfile.TemporaryFile(dir=file.parent):
            return
    except OSError as error:
        raise click.BadParameter(f"{file}: cannot be written: {error.strerror or error}", param_hint=option) from None


def _see_to_first_state(settings: Settings, option: str) -> None:
    if settings.load is None:
        return
    from mock_server.contract import tables as contract
    from mock_server.contract import validator
    from mock_server.state import files as states

    try:
        states.read(settings.load, contract.load(), validator.shared())
    except states.StateError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _see_to_operations(settings: Settings) -> None:
    if not any(fault.operation for fault in settings.faults):
        return
    from mock_server.web.app import create_app  # which alone knows every operation

    try:
        create_app(settings)
    except FaultError as error:
        raise click.BadParameter(str(error), param_hint="--fault") from None


def _see_to_store(settings: Settings) -> None:
    if settings.store == MEMORY:
        return
    try:
        from mock_server.state import redis_connection

        redis_connection.check(settings.store, settings.store_prefix)
    except ImportError:
        raise click.ClickException(
            "--store: the client library is missing: pip install 'mock-central[redis]'"
        ) from None
    except redis_connection.StoreError as error:
        raise click.ClickException(f"--store {error}") from None


def loaded(load: Path | None, save: Path | None) -> Path | None:
    """Return the file to start from: the one that is named, or the one that was saved before."""
    return load or (save if save is not None and save.exists() else None)


def warning_of_open_control(settings: Settings, host: str) -> str:
    """Say that anybody can control the mock, where that is so."""
    if not settings.control or settings.control_token is not None or host.startswith(_LOOPBACK):
        return ""
    return (
        f"  NOTE   everybody who reaches {host or 'this machine'} can control the mock and read what it stores: "
        f"--control-token-file FILE asks for a token, --no-control closes the calls"
    )
