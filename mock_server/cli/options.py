"""The options of `serve`, with one name each on the command line, in the environment and in a TOML file.

`--central-version` is `MOCK_CENTRAL_CENTRAL_VERSION` and `central_version`. Options that are settings take their names,
defaults and texts from `Settings`.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from mock_server.central.auth import Credentials, is_token
from mock_server.central.registry_outcomes import OUTCOMES
from mock_server.central.registry_test_rules import DEFAULT_RULES
from mock_server.cli.release import RELEASE, ReleaseType
from mock_server.serving.body_timeouts import TIMEOUT
from mock_server.settings import VALIDATION_MODES, Settings, documentation, suggestion
from mock_server.simulation.redaction import without_any_userinfo
from mock_server.state import scenarios
from mock_server.state.memory import MEMORY
from mock_server.web.access_log import FORMATS

ENVIRONMENT = "MOCK_CENTRAL"

AT_START = (
    *("host", "port", "tls", "tls_ca_out", "cert", "key", "body_timeout"),
    *("save", "usage", "reload", "log_level", "log_format"),
)
"""Options that are not settings of an app. They are read once."""
KEPT = ("load", "store", "store_prefix", "journal", "tls_ca")
"""Settings that a reload does not change, because the state stays."""

READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)
WRITABLE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)

SERVER, CENTRAL, STATE = "Server", "Central", "State"
AUTHENTICATION, FAULTS, REGISTRY_TESTS = "Authentication", "Faults and mutants", "Registry tests"
SANDBOXES, CONTROL = "Sandboxes", "Control and request journal"
PROXY, LOGGING = "Proxy and UI", "Logging"


class Option(click.Option):
    """An option in a group of the help, which shows its variable."""

    def __init__(self, words: list[str], group: str, **more: Any) -> None:
        super().__init__(words, show_envvar=True, **more)
        self.group = group

    @property
    def field(self) -> str:
        """The field of `Settings` or `Credentials` that this option sets: a list has a plural."""
        return f"{self.name}s" if self.multiple else str(self.name)

    @property
    def variable(self) -> str:
        """The environment variable of this option."""
        return f"{ENVIRONMENT}_{str(self.name).upper()}"

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Convert a value; the error of a flag is that of TOML, without the synonyms that variables may have."""
        try:
            return super().type_cast_value(ctx, value)
        except click.BadParameter:
            if self.is_flag:
                raise click.BadParameter(f"{value!r} is not true or false", ctx, self) from None
            raise


class _Whole(click.IntRange):
    """A whole number of at least 0."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Refuse other values in plain words: click calls this an integer range."""
        try:
            return int(super().convert(value, param, ctx))
        except click.BadParameter:
            limits = f"of at least {self.min}" if self.max is None else f"from {self.min} to {self.max}"
            self.fail(f"{value!r} is not a whole number {limits}", param, ctx)


class _Seconds(click.FloatRange):
    """A finite number of seconds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Refuse infinity and NaN, which `FloatRange` accepts."""
        try:
            is_number = math.isfinite(float(value))
        except (ValueError, OverflowError):
            is_number = False
        if not is_number:
            self.fail(f"{value} is not a number of seconds, such as 60", param, ctx)
        return float(super().convert(value, param, ctx))


class _Several(click.types.StringParamType):
    """A text; an environment variable separates several by semicolons."""

    def split_envvar_value(self, rv: str) -> list[str]:
        """Split at semicolons outside of quotes."""
        found = re.split(r""";(?=(?:[^"']|"[^"]*"|'[^']*')*$)""", rv)
        return [each.strip() for each in found if each.strip()]


_DEFAULTS = {
    each.name: each.default if each.default_factory is dataclasses.MISSING else each.default_factory
    for of in (Credentials, Settings)
    for each in dataclasses.fields(of)
}
_TEXTS = {**documentation(Credentials), **documentation(Settings)}


def _setting(name: str, group: str, *, also: str = "", **more: Any) -> Option:
    """Return the option of a setting or a credential; `also` is appended to its help."""
    default, word = _DEFAULTS[name], f"--{name.replace('_', '-')}"
    if isinstance(default, tuple):
        word, default = word.removesuffix("s"), ()
        more |= {"multiple": True, "type": _Several()}
    elif default is True:
        word += f"/--no-{word.removeprefix('--')}"
    elif default is False:
        more["is_flag"] = True
    return Option([word], group, default=default, help=f"{_TEXTS[name]} {also}".strip(), **more)


def _basic(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, str]:
    user, colon, password = value.partition(":")
    if not colon or not user or not value.isprintable():
        raise click.BadParameter("is not USER:PASSWORD")
    return user, password


def token_in(path: Path) -> str:
    """Return the token in a file.

    Raises:
        click.BadParameter: the file cannot be read, or does not contain a token.
    """
    try:
        found = path.read_text("utf-8", "replace").strip()
    except OSError as error:
        raise click.BadParameter(f"{path}: cannot be read: {error.strerror or error}") from None
    if not is_token(found):
        raise click.BadParameter(f"{path}: does not contain a token: one line of ASCII without spaces")
    return found


def _holds_token(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    if path is not None:
        token_in(path)
    return path


def _known_mutants(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    if values:
        from mock_server import mutants

        try:
            for name in values:
                mutants.find(name)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return values


def _complete_mutant(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    from mock_server.mutants import all_mutants

    return [name for name in all_mutants() if name.startswith(begun)]


def _complete_scenario(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    return [name for name in scenarios.known() if name.startswith(begun)]


# -- environment and file ----------------------------------------------------------------------------


def _read_config(context: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    """Use the values of a TOML file as defaults of the options."""
    if path is None:
        return None
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except UnicodeError:
        raise click.BadParameter(f"{path}: is not UTF-8; save it as UTF-8") from None
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{path}: {error}") from None
    known = {str(each.name): each for each in _options(context.command) if each.name != "config"}
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in known and isinstance(value, dict):
            raise click.BadParameter(f"{path}: [{key}]: options are top-level keys; remove this line")
        if name not in known:
            raise click.BadParameter(f"{path}: unknown key {key!r}; {_did_you_mean(name, known)}")
        found[name] = _from_toml(path, known[name], value)
    context.default_map = {**(context.default_map or {}), **found}
    context.meta["mock_central.config"] = path
    return path


def _from_toml(path: Path, option: Option, value: Any) -> Any:
    """Return the value of a key for the option.

    Raises:
        click.BadParameter: the value has another type; unlike a command line, TOML has types.
    """
    if option.multiple:
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(each, str) for each in values):
            raise click.BadParameter(f'{path}: {option.name}: give a list of strings, such as {option.name} = ["..."]')
        return values
    takes_text = isinstance(option.type, click.Choice | click.types.StringParamType | click.Path | ReleaseType)
    problem = ""
    if isinstance(value, bool) != option.is_flag:
        problem = "is not true or false" if option.is_flag else "cannot be true or false"
    elif takes_text and not isinstance(value, str):
        problem = "is not a string; put it in quotes"
    elif not isinstance(value, str | int | float):  # a list, a table, a date
        problem = "is not a single value"
    elif isinstance(value, float) and isinstance(option.type, click.types.IntParamType):
        problem = "is not a whole number"
    if problem:
        shown = "the value" if option.group == AUTHENTICATION else repr(value)
        raise click.BadParameter(f"{path}: {option.name}: {shown} {problem}")
    return value


def _refuse_unknown_variables(command: click.Command, environment: Mapping[str, str]) -> None:
    known = {each.variable.removeprefix(f"{ENVIRONMENT}_") for each in _options(command)}
    for name in sorted(environment):
        prefix, _, rest = name.partition(f"{ENVIRONMENT}_")
        if prefix or not rest or rest in known:
            continue
        if environment[name].startswith("tcp://") or re.search(r"_(SERVICE_(HOST|PORT)|PORT_[0-9]+_[A-Z]+)", name):
            hint = "Kubernetes sets it for a service of that name; `enableServiceLinks: false` in the pod turns it off"
        else:
            hint = _did_you_mean(rest, known).replace("mean '", f"mean '{ENVIRONMENT}_")
        raise click.UsageError(f"unknown environment variable {name}; {hint}")


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    asked = suggestion(name, known)
    return asked if asked.endswith("?") else "`mock-central serve --help` lists all of them"


def _options(command: click.Command) -> list[Option]:
    return [each for each in command.params if isinstance(each, Option)]


@contextmanager
def _no_userinfo_in_errors() -> Iterator[None]:
    """Remove passwords of URLs from error messages."""
    try:
        yield
    except click.ClickException as error:
        error.message = without_any_userinfo(error.message)  # type: ignore[misc] # only a hint of click
        raise


class Serve(click.Command):
    """A command with grouped options. It stores its arguments, to parse them again when a file has changed."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the arguments; errors name the variable or the file of an invalid value."""
        words = list(args)
        with _no_userinfo_in_errors():
            try:
                context = super().make_context(info_name, args, parent, **extra)
            except click.BadParameter as error:
                place = place_of(error.ctx, error.param) if error.ctx and isinstance(error.param, Option) else ""
                raise click.BadParameter(
                    f"{error.message.rstrip('.')}{place}", error.ctx, error.param, error.param_hint
                ) from None
        if not context.resilient_parsing:
            _refuse_unknown_variables(self, os.environ)
        context.meta["mock_central.words"] = words
        return context

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. A second --cors is refused; of other options the last one counts, as in a container."""
        _, _, given = self.make_parser(ctx).parse_args(list(args))
        if [each.name for each in given].count("cors") > 1:
            raise click.UsageError("--cors: is given twice; it takes one origin", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Serve."""
        with _no_userinfo_in_errors():
            return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options by group."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for each in self.get_params(ctx):
            if record := each.get_help_record(ctx):
                groups.setdefault(getattr(each, "group", "Help"), []).append(record)
        for name, records in groups.items():
            with formatter.section(name):
                formatter.write_dl(records)


def place_of(context: click.Context, option: Option) -> str:
    """Return the source of a value, if it is not the command line."""
    source = context.get_parameter_source(str(option.name))
    if source is click.core.ParameterSource.ENVIRONMENT:
        return f" (the variable {option.variable})"
    if source is click.core.ParameterSource.DEFAULT_MAP:
        return f" (in {context.meta['mock_central.config']})"
    return ""


# -- the options -------------------------------------------------------------------------------------

OPTIONS: tuple[Option, ...] = (
    Option(["--host"], SERVER, default="127.0.0.1", metavar="NAME", help="Listen on this address; 0.0.0.0 means all."),
    Option(["--port"], SERVER, default=8080, type=_Whole(0, 65535), metavar="PORT",
           help="Listen on this port; 0 chooses a free one."),
    _setting("allow_hosts", SERVER, metavar="NAME"),
    Option(["--tls"], SERVER, is_flag=True, default=False, help="Serve HTTPS with a certificate made at the start."),
    Option(["--tls-ca-out"], SERVER, type=WRITABLE, metavar="FILE",
           help="Write the certificate authority of --tls to this file (PEM), for clients to trust."),
    Option(["--cert"], SERVER, type=READABLE, metavar="FILE",
           help="Serve HTTPS with this certificate (PEM). Needs --key."),
    Option(["--key"], SERVER, type=READABLE, metavar="FILE", help="Key of --cert (PEM, without a password)."),
    Option(["--body-timeout"], SERVER, default=TIMEOUT, type=_Seconds(1.0), metavar="SECONDS",
           help="Refuse a request whose body takes longer than this."),
    Option(["--config"], SERVER, type=READABLE, callback=_read_config, is_eager=True, expose_value=False,
           metavar="FILE", help="Read options from this TOML file."),
    Option(["--reload"], SERVER, is_flag=True, default=False,
           help="Apply changes to configuration and state files while running."),
    _setting("central_version", CENTRAL, type=RELEASE, metavar="RELEASE", show_default="the newest"),
    _setting("as_deployed", CENTRAL),
    _setting("managed", CENTRAL),
    _setting("namespace", CENTRAL, metavar="NAME"),
    _setting("strict", CENTRAL),
    _setting("validation", CENTRAL, type=click.Choice(VALIDATION_MODES)),
    _setting("scenario", STATE, metavar="NAME[:NUMBER]", shell_complete=_complete_scenario),
    _setting("empty", STATE),
    _setting("seed", STATE, type=int, metavar="NUMBER"),
    _setting("load", STATE, type=READABLE, metavar="FILE"),
    Option(["--save"], STATE, type=WRITABLE, metavar="FILE",
           help="Save the state to this file (CREDENTIALS IN CLEAR TEXT), and continue from it at the next start."),
    _setting("store", STATE, metavar="memory|redis://…"),
    _setting("store_prefix", STATE, metavar="NAME"),
    _setting("auth", AUTHENTICATION),
    _setting("admin_token", AUTHENTICATION, metavar="TOKEN"),
    _setting("read_only_token", AUTHENTICATION, metavar="TOKEN"),
    _setting("no_access_token", AUTHENTICATION, metavar="TOKEN"),
    _setting("no_role_token", AUTHENTICATION, metavar="TOKEN"),
    Option(["--basic"], AUTHENTICATION, default=f"{_DEFAULTS['username']}:{_DEFAULTS['password']}", callback=_basic,
           metavar="USER:PASSWORD", help="Name and password for basic authentication and the login form."),
    _setting("faults", FAULTS, metavar="'[OPERATION] KEY=VALUE …'"),
    _setting("mutants", FAULTS, metavar="NAME", callback=_known_mutants, shell_complete=_complete_mutant),
    _setting("registry_tests", REGISTRY_TESTS, metavar="'HOST=OUTCOME …'", also=f"Outcomes: {', '.join(OUTCOMES)}."),
    _setting("sandbox_ttl", SANDBOXES, type=_Seconds(0.1), metavar="SECONDS"),
    _setting("max_sandboxes", SANDBOXES, type=_Whole(0), metavar="NUMBER"),
    _setting("control", CONTROL),
    Option(["--control-token-file"], CONTROL, type=READABLE, callback=_holds_token, metavar="FILE",
           help="Require the bearer token in this file for control calls."),
    Option(["--usage"], CONTROL, type=WRITABLE, metavar="FILE",
           help="Keep usage counts for `mock-central report` in this file, over restarts."),
    _setting("journal", CONTROL, type=_Whole(0), metavar="NUMBER"),
    _setting("cors", PROXY, metavar="ORIGIN"),
    _setting("companions", PROXY),
    _setting("permissions", PROXY, metavar="RESOURCE=ACCESS"),
    _setting("ui", PROXY, type=_FOLDER, metavar="FOLDER"),
    _setting("upstream", PROXY, metavar="URL"),
    _setting("upstream_paths", PROXY, metavar="PATTERN"),
    _setting("upstream_ca", PROXY, type=READABLE, metavar="FILE"),
    _setting("upstream_insecure", PROXY),
    Option(["--log-level"], LOGGING, default="info", type=click.Choice(["debug", "info", "warning", "error"]),
           help="Log messages of this level and above."),
    Option(["--log-format"], LOGGING, default=FORMATS[0], type=click.Choice(FORMATS), help="Format of the log lines."),
)  # fmt: skip
"""In the order of the help."""


def settings_of(context: click.Context) -> Settings:
    """Return the settings of the options.

    Raises:
        click.UsageError: a value is invalid; the text names the option and the source of the value.
    """
    options = {each.field: each for each in _options(context.command)}
    chosen = {each.field: context.params[str(each.name)] for each in options.values() if each.name in context.params}
    load, save, token_file = chosen["load"], chosen["save"], chosen["control_token_file"]
    username, password = chosen["basic"]
    try:
        if load and (chosen["empty"] or chosen["scenario"] != scenarios.DEFAULT):
            other = "--empty" if chosen["empty"] else f"--scenario {chosen['scenario']}"
            raise ValueError(f"load: {load} cannot be combined with {other}; choose one of them")
        return Settings(
            **_fields(Settings, chosen)
            | {
                "credentials": Credentials(**_fields(Credentials, chosen), username=username, password=password),
                "registry_tests": (*chosen["registry_tests"], *DEFAULT_RULES),
                "control_token": token_in(token_file) if token_file else None,
                # A store in memory continues from the saved file, which is not its initial state.
                "load": load or (save if chosen["store"] != MEMORY and save is not None and save.exists() else None),
            }
        )
    except ValueError as error:
        name, colon, rest = str(error).partition(": ")
        option = options.get(name)
        if option is None or not colon:
            raise click.UsageError(str(error)) from None
        raise click.UsageError(f"{option.opts[0]}: {rest}{place_of(context, option)}") from None


def _fields(of: type[Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    return {each.name: chosen[each.name] for each in dataclasses.fields(of) if each.name in chosen}
