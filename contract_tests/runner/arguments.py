"""Options of a run, from the command line, files and the environment."""

from __future__ import annotations

import difflib
import os
import random
import re
import ssl
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from contract_tests.engine.options import PROFILES, Options, is_secret_header
from contract_tests.engine.text import printable, without_secrets
from contract_tests.runner.environment import CREDENTIAL_FILES, TOKENS, refuse_misspelt, take_credentials
from contract_tests.runner.known import SHIPPED
from contract_tests.runner.known import read as read_differences
from contract_tests.runner.own_mock import OwnMock
from mock_server.cli.release import RELEASE


class InputFile(click.Path):
    """A file to read, which is no device that never ends, such as /dev/zero."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        path = super().convert(value, param, ctx)
        if isinstance(path, Path) and str(path.resolve()) in _ENDLESS:
            self.fail(f"File {str(value)!r} is a device without an end.", param, ctx)
        return path


_ENDLESS = ("/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
FILE = InputFile(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)

_OWN_HEADERS = ("content-length", "transfer-encoding", "x-http-method-override")

_LONGEST = 24 * 60 * 60
"""Upper limit in seconds for every option that is a time."""

DEFAULT_BUDGET = 60.0
"""Time budget in seconds of the default profile."""


class Unable(click.ClickException):
    """The command cannot proceed; the text may quote a target, a server or a file."""

    exit_code = 2

    def format_message(self) -> str:
        """Return the text with unprintable parts escaped."""
        return printable(self.message)


# The types of options: functions that take a text of the command line, and raise click.BadParameter if it is invalid.


def per_second(value: str) -> float:
    """Parse a rate such as 20/s or 300/m; return requests per second."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(?:/(s|m))?", value)
    if match is None or float(match[1]) == 0:
        raise click.BadParameter(f"{value!r} is not a rate such as 20/s or 300/m")
    return float(match[1]) / (60 if match[2] == "m" else 1)


def _seconds(value: str) -> float:
    """Parse a time such as 0.5, 60s, 5m or 1h; return seconds."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(s|m|h)?", value)
    time = float(match[1]) * {"m": 60, "h": 3600}.get(match[2], 1) if match else 0.0
    if not 0.001 <= time <= _LONGEST:
        raise click.BadParameter(f"{value!r} is not a time such as 0.5s, 60s, 5m or 1h, up to a day")
    return time


def certificates(_context: click.Context, _parameter: click.Parameter, file: Path | None) -> Path | None:
    """Check that a file contains readable certificates (PEM)."""
    if file is not None:
        try:
            ssl.create_default_context(cafile=file)
        except OSError as error:
            raise click.BadParameter(f"{file}: contains no valid certificates (PEM): {error}") from None
    return file


def run_id(value: str) -> str:
    """Check the format of a run's name. A hyphen could make it a prefix of another run's."""
    if not re.fullmatch(r"[a-z0-9]{1,40}", value):
        raise click.BadParameter(f"{value!r} is not 1 to 40 lower-case letters and digits")
    return value


def _check_name(value: str) -> str:
    """Check that a check with this name exists."""
    if problem := unknown_check(value):
        raise click.BadParameter(problem)
    return value


def unknown_check(name: str) -> str:
    """Return an error with close matches if there is no check with this name, else ""."""
    from contract_tests.checks.registry import all_checks
    from contract_tests.oracle.observers import OBSERVED, UNTOUCHED

    known = [*all_checks(), *OBSERVED, UNTOUCHED]
    if name in known:
        return ""
    close = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "`central-contract list` lists them"
    return f"unknown check {name!r}; {hint}"


def complete_check(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Return the checks that begin with `begun`, for shell completion."""
    from contract_tests.checks.registry import all_checks

    return [name for name in all_checks() if name.startswith(begun)]


def _examples(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("redis", "rediss") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:  # the message leaves the value out, as it may contain a password
        raise click.BadParameter("is not a URL such as redis://redis.example.com:6379/0")
    return value


def _header(value: str) -> tuple[str, str]:
    """Parse a header such as `X-Route: blue`; errors leave the value out, as it may be a secret."""
    name, colon, text = value.partition(":")
    text = text.strip()
    is_value = text != "" and text.isascii() and text.isprintable()
    if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not is_value:
        raise click.BadParameter(f"{name!r} is not a header with a value, such as 'X-Route: blue'")
    if name.lower() == "authorization":
        raise click.BadParameter("pass credentials with --token-file or --basic-file")
    if name.lower() in _OWN_HEADERS:
        raise click.BadParameter(f"{name}: depends on the request, so the command sends it itself")
    return name, text


def _shipped_difference(value: str) -> str:
    """Check that this check has a shipped known difference."""
    names = ["all", *(each.check for each in read_differences([SHIPPED]))]
    if value not in names:
        raise click.BadParameter(f"{value!r} is not one of {', '.join(names)}{_close(value, names)}")
    return value


def _close(value: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(value, list(names), n=2)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _config(context: click.Context, _parameter: click.Parameter, file: Path | None) -> Path | None:
    """Read options that the command line does not set from a TOML file. Its paths are relative to its folder."""
    if file is None:
        return None
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise click.BadParameter(f"{file}: {error}") from None
    parameters = [each for each in context.command.params if each.name != "config"]
    known = {
        name.removeprefix("--").replace("_", "-"): each for each in parameters for name in (*each.opts, str(each.name))
    }
    context.default_map = {}
    for key, value in content.items():
        parameter = known.get(key.replace("_", "-"))
        if parameter is None:
            raise click.BadParameter(f"{file}: unknown key {key!r}{_close(key.replace('_', '-'), known)}")
        context.default_map[str(parameter.name)] = _from_file(file, key, value, parameter)
    return file


def _from_file(file: Path, key: str, value: Any, parameter: click.Parameter) -> Any:
    """Convert a value of a TOML file to its form on the command line."""
    if key == parameter.name == "profile":
        if value not in PROFILES:
            raise click.BadParameter(f"{file}: {key}: {value!r} is not one of {', '.join(PROFILES)}")
        return value
    switch = parameter if isinstance(parameter, click.Option) and parameter.is_flag else None
    if switch and isinstance(value, bool):
        is_named = isinstance(switch.flag_value, str)  # --quick is a value of `profile`
        return (switch.flag_value if value else None) if is_named else value
    if isinstance(value, list) != parameter.multiple or isinstance(value, (bool, dict)) or switch:
        kind = "a list" if parameter.multiple else "true or false" if switch else "a text or a number"
        raise click.BadParameter(f"{file}: {key}: {value!r} is not {kind}")
    values = [str(each) for each in (value if isinstance(value, list) else [value])]
    if isinstance(parameter.type, click.Path):
        values = [str(file.parent / each) for each in values]
    return values if parameter.multiple else values[0]


def time_option(name: str, help: str, default: str | None = None, **more: Any) -> Callable[[Any], Any]:
    """Return an option that is a time, such as 30s."""
    return click.option(name, default=default, type=_seconds, metavar="TIME", help=help, **more)


def check_option(name: str, help: str) -> Callable[[Any], Any]:
    """Return an option that names a check and can be repeated."""
    return click.option(
        name,
        multiple=True,
        metavar="CHECK",
        type=_check_name,
        shell_complete=complete_check,
        help=f"{help}; can be repeated.",
    )


def version_option(default: str) -> Callable[[Any], Any]:
    """Return the option for the release of Central; `default` describes the one used without it."""
    return click.option(
        "--central-version", type=RELEASE, help=f"Release of Central, such as 4.11 or 4.11.0  [default: {default}]"
    )


def _token_option(role: str, what: str) -> Callable[[Any], Any]:
    return click.option(f"--{role}-token-file", type=FILE, help=f"File with {what} [env: {TOKENS[role]}].")


def _group(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a decorator that adds options, or groups of them, to a command."""

    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


access_options = _group(
    click.option("--token-file", type=FILE, help="File with a bearer token [env: CENTRAL_TOKEN]."),
    click.option("--basic-file", type=FILE, help="File with USER:PASSWORD [env: CENTRAL_BASIC]."),
    click.option("--ca-file", type=FILE, callback=certificates, help="Certificate authorities to trust (PEM)."),
    click.option("--insecure", is_flag=True, help="Accept any certificate."),
    click.option("--client-cert", type=FILE, help="Certificate to present to the target (PEM)."),
    click.option("--client-key", type=FILE, help="Private key of --client-cert, unless that file contains it."),
    time_option("--timeout", "Time limit for each answer, such as 30s.", "30s", show_default=True),
)
"""Options for reading from a server."""
ACCESS = ("token_file", "basic_file", "ca_file", "insecure", "client_cert", "client_key", "timeout")
"""Names of the values of `access_options`."""

state_option = click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".central-contract"),
    show_default=True,
    help="Folder for ledgers, which record what runs create, and for last-report.json.",
)
"""Option for the folder of ledgers."""

target_options = _group(
    access_options,
    click.option(
        "--header",
        "headers",
        multiple=True,
        metavar="NAME:VALUE",
        type=_header,
        help="Header to send with every request; can be repeated.",
    ),
    click.option("--allow-writes", is_flag=True, help="Allow writes to a target that is not on loopback."),
    state_option,
)
"""Options for reaching a target that may be written to."""

credential_options = _group(
    _token_option("read-only", "a read-only token"),
    _token_option("no-access", "a token without access to integrations"),
    _token_option("no-role", "a token without a role"),
)
"""Options for credentials with fewer permissions."""

_CONFIG_FILE = click.option(
    "--config",
    type=FILE,
    is_eager=True,
    expose_value=False,
    callback=_config,
    help="TOML file with options, such as `quick = true`; the command line takes precedence.",
)
_SKIP = check_option("--skip", "Skip this check")
_KNOWN = _group(
    click.option(
        "--known", type=FILE, multiple=True, help="TOML file with known differences of your own; can be repeated."
    ),
    click.option(
        "--no-known",
        multiple=True,
        metavar="CHECK",
        type=_shipped_difference,
        help="Treat a shipped known difference as a failure (`all`: every one); can be repeated.",
    ),
)

data_report_options = _group(
    click.option("--report-json", type=NEW_FILE, help="Write a JSON report."),
    click.option("--report-junit", type=NEW_FILE, help="Write a JUnit XML report."),
    click.option("--report-markdown", type=NEW_FILE, help="Write a Markdown summary."),
)
"""Options for report files, except for the HTML page."""
report_options = _group(
    data_report_options, click.option("--report-html", type=NEW_FILE, help="Write one self-contained HTML page.")
)
"""Options for report files."""

traffic_options = _group(
    _CONFIG_FILE,
    version_option("from the traffic, or the newest"),
    _SKIP,
    _KNOWN,
    click.option(
        "--others-write",
        is_flag=True,
        help="Clients outside this traffic write to this Central, so do not judge rules that depend on stored state.",
    ),
    click.option("--client-fails", is_flag=True, help="Also fail if a request violates the contract."),
    report_options,
)
"""Options that control how traffic is judged."""

run_options = _group(
    credential_options,
    _CONFIG_FILE,
    click.option("--quick", "profile", flag_value="quick", help="Check every rule once, with a short lifecycle."),
    click.option("--deep", "profile", flag_value="deep", help="Try many more inputs, within the budget."),
    click.option("--managed", is_flag=True, help="The target is the managed service, where ECR cannot use IAM."),
    version_option("ask the target"),
    click.option("--seed", type=int, help="Seed of generated inputs, to repeat a run  [default: random, printed]"),
    check_option("--only", "Run only this check"),
    _SKIP,
    click.option("--strict", is_flag=True, help="Fail skipped checks, unless they do not apply to this Central."),
    click.option(
        "--require-rules",
        type=click.FloatRange(0, 100),
        default=0.0,
        show_default=False,
        metavar="PERCENT",
        help="Minimum share of the rules to cover; otherwise the run is incomplete.",
    ),
    click.option("--fail-fast", is_flag=True, help="Stop at the first failure that is not a known difference."),
    click.option("--rate", type=per_second, metavar="N/s", help="Maximum requests per second."),
    time_option(
        "--time-budget", "Time for the checks, such as 20s or 5m  [default: 60s; no limit with --quick or --deep]"
    ),
    click.option("--max-requests", type=click.IntRange(1), help="Maximum number of requests for the checks."),
    click.option(
        "--max-live", type=click.IntRange(10), default=150, help="Maximum number of integrations of a run at any time."
    ),
    time_option("--max-response-time", "Fail if an answer takes longer than this.", "5s"),
    click.option("--workers", type=click.IntRange(1, 16), default=1, help="Number of checks that run in parallel."),
    click.option(
        "--allow-registry-tests", is_flag=True, help="Let the target contact registries, at hosts that do not exist."
    ),
    click.option("--allow-load", is_flag=True, help="Also send a message of 25 MiB."),
    click.option(
        "--disposable",
        is_flag=True,
        help="The target may be damaged: also try to delete Scanner V4. Implies the two options above.",
    ),
    click.option(
        "--examples",
        envvar="CENTRAL_EXAMPLES",
        metavar="redis://…",
        type=_examples,
        help="Redis that shares failing inputs between runs [env: CENTRAL_EXAMPLES].",
    ),
    _KNOWN,
)
"""Options that control a run."""


def parsed(url: str, words: Sequence[str], mock: OwnMock | None = None) -> Options:
    """Return the options of a run against `url` from the arguments of a command line.

    Raises:
        click.UsageError: an option is unknown, or its value invalid.
    """
    command = run_options(target_options(click.command("check")(lambda **_: None)))
    with command.make_context("check", list(words)) as context:
        return options_of(url, mock, **context.params)


def options_of(url: str, mock: OwnMock | None = None, **chosen: Any) -> Options:
    """Return the options of a run. Secrets come from files or the environment, or from `mock` if there is one.

    Raises:
        click.UsageError: the URL or a secret is invalid, options exclude each other, or they leave no check to run.
    """
    refuse_misspelt(os.environ)
    check_url(url)
    if chosen.get("ca_file") and chosen.get("insecure"):
        raise click.UsageError("--ca-file and --insecure: use only one of them")
    _check_client_certificate(chosen.get("client_cert"), chosen.get("client_key"))
    chosen["target_words"] = _target_words(chosen)
    credentials = take_credentials(chosen)
    if mock is not None:
        credentials = mock.credentials
        chosen["own_mock"] = mock.settings
    if chosen.get("disposable"):
        chosen["allow_registry_tests"] = chosen["allow_load"] = True
    if chosen.get("seed") is None:
        chosen["seed"] = random.randrange(10**6)
    profile = chosen.pop("profile", None) or "default"
    if chosen.get("time_budget") is None and profile == "default":
        chosen["time_budget"] = DEFAULT_BUDGET
    _check_selection(profile, chosen.get("only", ()), chosen.get("skip", ()))
    return Options(url=url, profile=profile, credentials=credentials, **chosen)


def _target_words(chosen: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the arguments that reach the same target again, without headers that may be secret."""
    files = [*CREDENTIAL_FILES, "ca_file", "client_cert", "client_key"]
    words = [word for key in files if chosen.get(key) for word in (_option(key), str(chosen[key]))]
    words += [_option(key) for key in ("insecure", "allow_writes") if chosen.get(key)]
    for name, value in chosen.get("headers", ()):
        words += [] if is_secret_header(name, value) else ["--header", f"{name}: {value}"]
    return tuple(words)


def _option(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _check_client_certificate(certificate: Path | None, key: Path | None) -> None:
    if key and not certificate:
        raise click.UsageError("--client-key needs --client-cert")
    if certificate is None:
        return

    def no_password() -> str:
        raise ValueError("the key needs a password; use a key without one")

    try:
        ssl.create_default_context().load_cert_chain(certificate, key, no_password)
    except (OSError, ValueError) as error:
        raise click.UsageError(
            f"--client-cert {certificate}: cannot be used{f' with {key}' if key else ''}: {error}"
        ) from None


def check_url(url: str) -> None:
    """Raise click.UsageError unless `url` is the base URL of a server; the message hides possible secrets."""
    import requests

    safe_url = without_secrets(url)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
        if usable:
            str(parts.hostname).encode("idna")
            requests.Request("GET", url).prepare()
    except ValueError:
        usable = False
    if usable and "@" in parts.netloc:
        raise click.UsageError("the URL contains credentials; pass them with --basic-file FILE or in CENTRAL_BASIC")
    if not usable:
        raise click.UsageError(f"{safe_url!r} is not a URL such as https://central.example.com")
    before, version, _ = f"{parts.path}/".partition("/v1/")
    if version or parts.query or parts.fragment:
        base = f"{parts.scheme}://{parts.netloc}{before.rstrip('/')}"
        raise click.UsageError(f"{safe_url!r} is not the base URL of a server, which ends before /v1; use {base}")


def _check_selection(profile: str, only: Sequence[str], skip: Sequence[str]) -> None:
    from contract_tests.checks.registry import all_checks

    named = [each for each in all_checks().values() if not only or each.id in only]
    if not any(profile in each.profiles and each.id not in skip for each in named):
        raise click.UsageError(
            f"{' '.join(f'--only {name}' for name in only) or '--skip'}: no check is left to run: each is skipped, "
            f"not in the profile {profile}, or only observes the answers to other checks"
        )
