"""Options of `serve` for states, troubles, worlds, journal and control, and what they set in motion."""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mock_server import scenarios
from mock_server.bodies import TIMEOUT
from mock_server.logs import FORMATS
from mock_server.store import MEMORY
from mock_server.trouble import Trouble, TroubleError, parse

if TYPE_CHECKING:
    from mock_server.app import MockCentral
    from mock_server.settings import Settings

log = logging.getLogger("mock_central")

KEPT = ("load", "store", "store_prefix", "journal")
"""Settings that stay as they are from the start: what holds the state goes on."""
AT_START = ("host", "port", "tls", "cert", "key", "log_level", "log_format", "body_timeout", "save", "reload")
"""Options that are no settings of an app: they are looked at once."""

_READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)
_LOOPBACK = ("127.", "localhost", "::1")


class _Troubles(click.types.StringParamType):
    """A text with blanks, of which a variable holds several with semicolons between."""

    envvar_list_splitter = ";"


def _scenario(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        scenarios.parse(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}; `mock-central scenarios` tells what they hold") from None
    return value


def _troubles(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Trouble, ...]:
    try:
        return tuple(parse(value) for value in values)
    except TroubleError as error:
        raise click.BadParameter(str(error)) from None


def _token(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise click.BadParameter(f"{path}: {error}") from None
    if not token or not token.isprintable() or " " in token:
        raise click.BadParameter(f"{path}: does not hold a token: one line, no blanks")
    return token


_OPTIONS = (
    click.option(
        "--scenario",
        default=scenarios.DEFAULT,
        metavar="NAME[:NUMBER]",
        callback=_scenario,
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
        "--trouble",
        "troubles",
        multiple=True,
        type=_Troubles(),
        metavar="'[OPERATION] KEY=VALUE …'",
        callback=_troubles,
        help="Trouble that requests meet, such as 'PostImageIntegration code=503 times=2' or 'delay=1..3'.",
    ),
    click.option(
        "--journal", default=1000, type=click.IntRange(0), help="Requests that each world remembers; 0 remembers none."
    ),
    click.option(
        "--world-ttl",
        default=600.0,
        type=click.FloatRange(0.1),
        help="Seconds until a world that nobody uses is freed.",
    ),
    click.option("--max-worlds", default=10_000, type=click.IntRange(0), help="Worlds that there can be at once."),
    click.option(
        "--control/--no-control", default=True, help="Offer the control calls under /__admin (the health always is)."
    ),
    click.option(
        "--control-token-file",
        type=_READABLE,
        callback=_token,
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


def states_and_troubles(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


class Serve(click.Command):
    """A command that remembers its words, to read them again when a file that they name has changed."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the words."""
        words = list(args)
        context = super().make_context(info_name, args, parent, **extra)
        context.meta["mock_central.words"] = words
        return context


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
        """Start saving and watching, in the process that serves."""
        if self.save is not None:
            from mock_server.states import Saver

            Saver(self.save, lambda: app.entrance.worlds.default.central.store)
        if self.reload:
            from mock_server.reload import Watcher

            Watcher(app, self.files, self.again).start()


def running(context: click.Context, settings: Settings, again: Callable[[click.Context], Settings]) -> Running:
    """Give what the options set in motion; `again` makes settings of a context.

    Raises:
        click.ClickException: the first state cannot be read, or the state cannot be saved.
    """
    save: Path | None = context.params["save"]
    if save is not None:
        _see_to_folder(save)
    _see_to_first_state(settings)
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


def _see_to_folder(save: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=save.parent):
            return
    except OSError as error:
        raise click.ClickException(f"--save {save}: cannot be written: {error.strerror or error}") from None


def _see_to_first_state(settings: Settings) -> None:
    if settings.load is None:
        return
    from mock_server import contract, judge, states

    try:
        states.read(settings.load, contract.load(), judge.shared())
    except states.StateError as error:
        raise click.ClickException(str(error)) from None


def _see_to_operations(settings: Settings) -> None:
    if not any(trouble.operation for trouble in settings.troubles):
        return
    from mock_server.app import create_app  # which alone knows every operation

    try:
        create_app(settings)
    except TroubleError as error:
        raise click.BadParameter(str(error), param_hint="--trouble") from None


def _see_to_store(settings: Settings) -> None:
    if settings.store == MEMORY:
        return
    try:
        from mock_server import redis_store

        redis_store.check(settings.store)
    except ImportError:
        raise click.ClickException(
            "--store: the client library is missing: pip install 'mock-central[redis]'"
        ) from None
    except redis_store.StoreError as error:
        raise click.ClickException(f"--store {error}") from None


def loaded(load: Path | None, save: Path | None) -> Path | None:
    """Give the file to start from: the one that is named, or the one that was saved before."""
    return load or (save if save is not None and save.exists() else None)


def warning_of_open_control(settings: Settings, host: str) -> str:
    """Say that anybody can control the mock, where that is so."""
    if not settings.control or settings.control_token is not None or host.startswith(_LOOPBACK):
        return ""
    return (
        f"  NOTE   everybody who reaches {host or 'this machine'} can control the mock and read what it stores: "
        f"--control-token-file FILE asks for a token, --no-control closes the calls"
    )
