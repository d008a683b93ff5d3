"""The command `central-contract fixtures`."""

from __future__ import annotations

import difflib
import gc
import json
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.core import ParameterSource

from contract_tests.cli.interruption import interruptible
from contract_tests.engine.failures import HarnessError
from contract_tests.engine.text import printable
from contract_tests.fixtures.formats import FILES, FOLDERS, write
from contract_tests.runner.arguments import ACCESS, access_options, options_of, state_option
from mock_server.cli.release import RELEASE, newest

if TYPE_CHECKING:
    from contract_tests.engine.options import Options
    from contract_tests.fixtures.generate import Wish
    from contract_tests.fixtures.record import Fixture

_OF_SERVER = (*ACCESS, "allow_writes", "state_dir")
"""Parameters for a server at a URL."""
_MODES = {
    "everything": {"output", "seed", "as_deployed"},
    "coverage": {"mutants"},
    "replay": {"at", "version", *_OF_SERVER},
    "changes": {"output"},
}
"""Parameters that choose what to do instead of making some fixtures, and those that they can be combined with."""
_IGNORED = {
    "listed": {"formats", "coverage"},
    "coverage": {"formats", "output"},
    "from_url": {"form", "allow_writes", "state_dir"},
}
"""Parameters, and those that would have no effect with them."""
_THIS_RUN = "-"
"""Value of --coverage without DIR: the fixtures that this command would generate."""
_MOST = 5000
"""Maximum number of integrations that --from-url reads."""
_MOST_FIXTURES = 1_000_000
"""Maximum of --count."""
_LONG = 2000
"""Smallest number of fixtures with a progress bar."""


@click.command(
    context_settings={"show_default": True},
    short_help="Generate requests with Central's answers.",
    epilog="""\b
Exit status: 0 success, 1 something is not covered (--coverage)
or an answer differs (--replay), 2 the command failed.
\b
Examples:
  central-contract fixtures --list --type quay
  central-contract fixtures --name conversation/life-quay
  central-contract fixtures --type quay --minimal
  central-contract fixtures --rule name-unique --format curl
  central-contract fixtures --list --operation PutImageIntegration --status 500 --why token
  central-contract fixtures --invalid --count 500 --seed 7 -o refused.jsonl
  central-contract fixtures --all -o fixtures
  central-contract fixtures --coverage fixtures
  central-contract fixtures --changes v1/fixtures v2/fixtures
  central-contract fixtures --replay fixtures --at http://127.0.0.1:8080
""",
)
@click.option("--all", "everything", is_flag=True, help="Make the complete set: every format and every release.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only fixtures of this type; can be repeated.")
@click.option(
    "--rule", "rules", multiple=True, metavar="RULE", help="Only fixtures decided by this rule; can be repeated."
)
@click.option("--name", "names", multiple=True, metavar="NAME",
              help="Only fixtures with this name or shell pattern (see --list); can be repeated.")  # fmt: skip
@click.option("--operation", "operations", multiple=True, metavar="OPERATION",
              help="Only fixtures whose last request is this operation, such as PutImageIntegration.")  # fmt: skip
@click.option("--status", "statuses", type=int, multiple=True, metavar="STATUS",
              help="Only fixtures whose last answer has this status; can be repeated.")  # fmt: skip
@click.option("--why", metavar="TEXT", default="", help="Only fixtures whose `why` contains this text; ignores case.")
@click.option("--list", "listed", is_flag=True, help="Only list name, type, request, status, rule and why.")
@click.option("--valid/--invalid", "verdict", default=None, help="Only accepted requests, or only refused ones.")
@click.option("--count", type=click.IntRange(1, _MOST_FIXTURES), help="Number of fixtures  [default: each case once]")
@click.option("--seed", type=int, default=0, help="Seed of the generated values.")
@click.option("--minimal", "form", flag_value="minimal", help="Send only the fields that Central requires.")
@click.option("--full", "form", flag_value="full", help="Send every field.")
@click.option("--format", "formats", type=click.Choice(list(FILES)), multiple=True,
              help="Format to write; can be repeated  [default: jsonl]")  # fmt: skip
@click.option("-o", "--output", type=click.Path(), help="File or folder  [default: standard output]")
@click.option("--central-version", "version", type=RELEASE, default=newest, show_default="the newest",
              help="Release of Central that gives the answers.")  # fmt: skip
@click.option("--as-deployed", is_flag=True, help="Answer as deployed Central does where it differs from the document.")
@click.option("--coverage", is_flag=False, flag_value=_THIS_RUN, metavar="[DIR]",
              help="Report what the fixtures in DIR, or those selected, cover and miss.")  # fmt: skip
@click.option("--mutants", is_flag=True,
              help="Also count the mutants that the fixtures of --coverage DIR find (minutes).")  # fmt: skip
@click.option("--replay", metavar="DIR",
              help="Send the fixtures in DIR to a mock, or to --at URL, and report answers that differ.")  # fmt: skip
@click.option("--changes", nargs=2, type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="OLD NEW",
              help="Print the changes from the fixtures in OLD to those in NEW, as Markdown.")  # fmt: skip
@click.option("--at", metavar="URL", help="Record the answers of the server at URL instead of a mock.")
@click.option("--from-url", metavar="URL", help="Make sanitised fixtures from the integrations of the Central at URL.")
@access_options
@click.option(
    "--allow-writes", is_flag=True, help="Allow --at to write to a server that is not on loopback, or cannot be reset."
)
@state_option
def fixtures(
    *,
    everything: bool,
    formats: tuple[str, ...],
    output: str | None,
    coverage: str | None,
    mutants: bool,
    replay: str | None,
    changes: tuple[Path, Path] | None,
    listed: bool,
    at: str | None,
    from_url: str | None,
    **chosen: Any,
) -> None:
    """Generate requests with Central's answers, for Jest, Cypress, Go, pytest or Postman."""
    _check_combination(click.get_current_context())
    # Fixtures have no reference cycles; the default, a search for them every 700 objects, takes an eighth of the time.
    gc.set_threshold(100_000)
    formats = formats or ("jsonl",)
    access = {name: chosen.pop(name) for name in _OF_SERVER}
    wish = _wish(**chosen)
    if coverage not in (None, _THIS_RUN):
        _report_coverage(Path(str(coverage)), mutants=mutants)
    if mutants:
        raise click.UsageError("--mutants needs a folder of fixtures: --coverage DIR")
    if replay is not None:
        _replay(Path(replay), wish.version, at, access)
    if changes is not None:
        _print_changes(*changes, output)
    if everything:
        _write_whole_set(wish, output)
        return
    if output is None and not coverage and not listed and (len({*formats}) > 1 or formats[0] in FOLDERS):
        raise click.UsageError(
            f"--format {' --format '.join(formats)}: this writes several files; give their folder with -o DIR"
        )
    with _generated(wish, at, from_url, access) as generated, _progress(wish.count) as track:
        selected = list(track(islice(generated, wish.count), "fixtures"))
    if not selected:
        raise HarnessError(_nothing(wish))
    if listed:
        _write_list(selected, output)
        return
    if coverage:
        _print_coverage(_coverage_of(selected, wish.version))
    _write(selected, formats, output)


@contextmanager
def _generated(wish: Wish, at: str | None, from_url: str | None, access: dict[str, Any]) -> Iterator[Iterator[Fixture]]:
    """Yield the selected fixtures, with answers from a mock, the server `at`, or the integrations at `from_url`."""
    from contract_tests.fixtures.generate import generate

    if at is not None and from_url is not None:
        raise click.UsageError("--at and --from-url: use only one of them")
    if at is not None:
        with _server(at, access) as server:
            yield generate(wish, {None: server}, resets=server.resets)
    else:
        yield generate(wish) if from_url is None else _from_url(wish, from_url, access)


def _check_combination(context: click.Context) -> None:
    """Refuse options that the chosen mode would ignore."""
    option_of: dict[str, str] = {}
    for each in context.command.params:
        option_of[str(each.name)] = "/".join(filter(None, (option_of.get(str(each.name)), each.opts[0])))
    given = {name for name in option_of if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    ignored = {mode: given & names for mode, names in _IGNORED.items()}
    ignored |= {mode: given - names - {mode} for mode, names in _MODES.items() if context.params[mode] != _THIS_RUN}
    for mode in given & ignored.keys():
        if words := ", ".join(option for name, option in option_of.items() if name in ignored[mode]):
            raise click.UsageError(f"{option_of[mode]} cannot be combined with {words}, which it would ignore")
    of_server = [option for name, option in option_of.items() if name in given & {*_OF_SERVER}]
    if of_server and not given & {"at", "from_url"}:
        raise click.UsageError(f"{', '.join(of_server)}: needs --at URL or --from-url URL")
    if given >= {"replay", "version"} and "at" not in given:
        raise click.UsageError("--replay starts mocks of the releases in DIR; use --central-version only with --at URL")


def _nothing(wish: Wish) -> str:
    """Return the error message if no fixture matches the filters."""
    from contract_tests.fixtures.cases import similar

    filters: tuple[tuple[str, Iterable[Any]], ...] = (
        ("--type", wish.types),
        ("--rule", wish.rules),
        ("--name", wish.names),
        ("--operation", wish.operations),
        ("--status", wish.statuses),
        ("--why", filter(None, [wish.why])),
    )
    words = [f"{option} {shlex.quote(str(value))}" for option, values in filters for value in values]
    words += [] if wish.verdict is None else ["--valid" if wish.verdict else "--invalid"]
    close = [near for name in wish.names for near in similar(name)]
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    return (
        f"no fixture for Central {wish.version} matches {' '.join(words)}{hint} "
        "(`central-contract fixtures --list` lists all)"
    )


def _wish(**chosen: Any) -> Wish:
    from contract_tests.fixtures.generate import Wish
    from mock_server.contract import tables as contracts

    contract = contracts.load()
    for option, names, known in (
        ("--type", chosen["types"], contract.at(chosen["version"]).types),
        ("--rule", chosen["rules"], contract.history),
        ("--operation", chosen["operations"], contract.at(chosen["version"]).operations),
    ):
        for name in names:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=3)
                hint = f"; did you mean {' or '.join(close)}?" if close else f"; known: {', '.join(known)}"
                raise click.UsageError(f"{option}: there is no {option[2:]} {name!r}{hint}")
    for name in chosen["rules"]:
        if name not in contract.at(chosen["version"]).rules:
            raise click.UsageError(
                f"--rule: Central {chosen['version']} does not have {name!r}, only releases "
                f"{contract.history[name].releases}; choose another --central-version"
            )
    return Wish(**chosen)


# -- sources of answers -----------------------------------------------------------------------------------


def _replay(folder: Path, version: str, at: str | None, access: dict[str, Any]) -> NoReturn:
    """Replay the fixtures in a folder: those of one release at the server `at`, or all at mocks of their releases."""
    from contract_tests.fixtures.lines import lines_of
    from contract_tests.fixtures.record import mocks
    from contract_tests.fixtures.replay import replayed

    lines = lines_of(folder)
    answers: list[Any] = []
    if at is not None:
        with _server(at, access) as server:
            answers += _replayed_at(server, lines, folder, version, at)
    else:
        for release in dict.fromkeys(each["central"] for each in lines):
            answers += replayed((each for each in lines if each["central"] == release), mocks(release))
    wrong = [each for each in answers if each]
    for each in wrong:
        click.echo(printable(str(each)))
    click.echo(f"{len(answers) - len(wrong)} of {len(answers)} fixtures match")
    sys.exit(1 if wrong or not answers else 0)


def _replayed_at(server: Any, lines: Sequence[Any], folder: Path, version: str, at: str) -> list[Any]:
    from contract_tests.fixtures.lines import switch_of
    from contract_tests.fixtures.replay import needs_fresh_server, replayed

    fitting = [
        each
        for each in lines
        if each["central"] == version and switch_of(each) is None and (server.resets or not needs_fresh_server(each))
    ]
    if not fitting:
        releases = ", ".join(sorted({each["central"] for each in lines}))
        raise HarnessError(
            f"{folder} has no fixtures for {at} as Central {version}: they are for {releases}, or need --auth, "
            "--managed or a fresh server; without --at, mocks answer them"
        )
    if left := len(lines) - len(fitting):
        click.echo(f"skipped {left} fixtures for other releases or server options", err=True)
    return list(replayed(fitting, {None: server}))


@contextmanager
def _server(url: str, access: dict[str, Any]) -> Iterator[Any]:
    """Yield the server at a URL, and restore it at the end: by a reset, or by deleting what the fixtures created.

    Raises:
        HarnessError: the server may not be written to, or does not delete what the fixtures created.
    """
    from contract_tests.engine.ledger import Ledger
    from contract_tests.engine.ownership import new_run_id
    from contract_tests.fixtures.servers import Resettable, Shared
    from contract_tests.runner.leftovers import remove_owned

    options = replace(options_of(url, **access), time_budget=None)
    if not options.may_write:
        raise HarnessError(f"{url} is not on this machine; --allow-writes lets fixtures write to it, or reset a mock")
    mock = Resettable(options)
    if mock.reset():
        _require_list(mock, options)
        try:
            yield mock
        finally:
            mock.reset()
        return
    if not options.allow_writes:
        raise HarnessError(f"{url} cannot be reset, so it is not a mock; --allow-writes lets fixtures write to it")
    ledger = Ledger(options.state_dir, new_run_id(), options.base, exact=True)
    server = Shared(options, ledger)
    left: list[str] | None = None
    with interruptible():
        try:
            _require_list(server, options)
            yield server
        finally:
            try:
                left = remove_owned(server.transport)
            finally:
                ledger.close(keep=left != [])
            if left:
                click.echo(f"{url} still has what the fixtures created; look there for {', '.join(left)}", err=True)
    if left:
        raise HarnessError("not everything that the fixtures created was deleted")


def _require_list(server: Any, options: Options) -> None:
    """Raise HarnessError if a server does not return its list: then no answer says anything about a Central."""
    from contract_tests.engine.exchange import COLLECTION
    from contract_tests.engine.http import credentials_refused
    from contract_tests.fixtures.record import caller

    answer = server.ask("GET", COLLECTION, None, {"Authorization": caller("Bearer {{ADMIN}}")} if server.resets else {})
    if answer.status in (401, 403):
        raise HarnessError(f"{options.url} {credentials_refused(options.credentials)}: {answer.status}")
    if not isinstance(answer.json, dict) or not isinstance(answer.json.get("integrations"), list):
        raise HarnessError(f"{options.url} answered {answer.status}, not with a list of integrations")


def _from_url(wish: Wish, url: str, access: dict[str, Any]) -> Iterator[Fixture]:
    from contract_tests.engine.exchange import COLLECTION
    from contract_tests.engine.http import credentials_refused, fetch
    from contract_tests.fixtures.generate import drawn
    from contract_tests.fixtures.record import mocks
    from contract_tests.fixtures.sanitise import cases
    from mock_server.contract import tables as contracts

    options = options_of(url, **access)
    reply = fetch(options, COLLECTION)
    if reply.status in (401, 403):
        raise HarnessError(f"{url} {credentials_refused(options.credentials)}: {reply.status}")
    read = _integrations(url, reply.status, reply.object.get("integrations"))
    targets = mocks(wish.version, as_deployed=wish.as_deployed)
    for case, note in cases(read, wish.seed, contracts.load().at(wish.version)):
        if wish.chooses(case):
            fixture = replace(drawn(case, wish, targets), note=note)
            if wish.fits(fixture):
                yield fixture


def _integrations(url: str, status: int, items: Any) -> list[dict[str, Any]]:
    """Return the integrations in the answer to a list.

    Raises:
        HarnessError: it is not a list of integrations, or too long.
    """
    from mock_server.contract import tables as contracts
    from mock_server.contract import validator as validators

    if not isinstance(items, list):
        raise HarnessError(f"{url} answered {status}, not with a list of integrations")
    if len(items) > _MOST:
        raise HarnessError(f"{url} lists {len(items)} integrations; --from-url reads at most {_MOST}")
    validator = validators.shared()
    if not all(validator.accepts("StorageImageIntegration", item, answer=True) for item in items):
        operation = contracts.load().operations["GetImageIntegrations"]
        content = json.dumps({"integrations": items}).encode()
        for violation in validator.answer_violations(operation, 200, content):
            if not violation.reason.startswith(validators.UNKNOWN_FIELD):  # a newer Central may have more fields
                raise HarnessError(f"{url} did not answer with a list of integrations: {violation}")
    return items


# -- output -------------------------------------------------------------------------------------------------


def _report_coverage(folder: Path, *, mutants: bool) -> NoReturn:
    """Print the coverage of the fixtures in a folder and exit."""
    from contract_tests.fixtures.coverage import coverage, covered_by_line, universe
    from contract_tests.fixtures.lines import lines_of

    if not (folder.is_file() or any(folder.rglob("*.jsonl"))):
        raise HarnessError(
            f"{folder}: there is no JSON Lines file; `central-contract fixtures -o {folder}/all.jsonl` makes one"
        )
    if mutants:
        _print_mutants(folder)
    _print_coverage(coverage(set().union(*map(covered_by_line, lines_of(folder))), universe()))


def _coverage_of(selected: Sequence[Fixture], version: str) -> Any:
    from contract_tests.fixtures.coverage import coverage, covered_by_line, universe
    from contract_tests.fixtures.formats.jsonl import line

    return coverage(set().union(*(covered_by_line(line(fixture)) for fixture in selected)), universe(version))


def _print_mutants(folder: Path) -> None:
    from contract_tests.fixtures.lines import lines_of
    from contract_tests.fixtures.mutation import mutants, survivors
    from mock_server.contract import tables as contracts

    newest = contracts.load().releases.newest.line
    chosen = mutants()
    alive = list(survivors([line for line in lines_of(folder) if line["central"] == newest], chosen))
    click.echo(f"{'mutant':<16}{len(chosen) - len(alive):>5} of {len(chosen)}")
    for each in alive:
        click.echo(f"  not found: {each.name} ({each.summary})")


def _print_coverage(coverage: Any) -> NoReturn:
    click.echo(coverage.text(), nl=False)
    sys.exit(0 if coverage.complete else 1)


def _write_whole_set(wish: Wish, output: str | None) -> None:
    from contract_tests.fixtures.shipped import whole_set

    if output is None:
        raise click.UsageError("--all writes many files; give their folder with -o DIR")
    with _progress(None) as track:
        files = whole_set(wish, track)
    _write_files(files, Path(output), whole=True)


def _write(selected: Sequence[Fixture], formats: tuple[str, ...], output: str | None) -> None:
    texts = {path: text for form in dict.fromkeys(formats) for path, text in write(form, selected).items()}
    if output is not None and (formats[0] in FOLDERS or len(texts) > 1 or _is_folder(output)):
        _write_files(texts, Path(output))
    else:
        _write_text("".join(texts.values()), output)


def _write_files(texts: dict[str, str], folder: Path, *, whole: bool = False) -> None:
    from contract_tests.fixtures.writing import write_files

    write_files(texts, folder, whole=whole)
    what = f"{folder / next(iter(texts))}" if len(texts) == 1 else f"{len(texts)} files in {folder}"
    click.echo(f"{what}: {sum(map(len, texts.values())) / 1e3:,.0f} kB", err=True)


def _print_changes(old: Path, new: Path, output: str | None) -> NoReturn:
    from contract_tests.fixtures import manifest
    from contract_tests.fixtures.lines import lines_of

    text = manifest.changes(lines_of(old), lines_of(new), manifest.title(old), manifest.title(new))
    _write_text(text, output)
    sys.exit(0)


def _is_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or Path(output).is_dir()


def _write_text(text: str, output: str | None) -> None:
    """Write to a file or to standard output.

    Raises:
        HarnessError: the output is a folder, or cannot be written.
    """
    if output is None:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
    elif _is_folder(output):
        raise HarnessError(f"cannot write {output}: this is a folder; give a file")
    else:
        _write_files({Path(output).name: text}, Path(output).parent)


def _write_list(selected: Sequence[Fixture], output: str | None) -> None:
    rows = [("name", "type", "request", "status", "rule", "why")]
    for fixture in selected:
        step = fixture.exchanges[-1].step
        request, status = f"{step.method} {step.path}", str(fixture.answer.status)
        rows.append((fixture.id, fixture.case.type or "", request, status, fixture.rule or "", fixture.why))
    text = "".join("\t".join(row) + "\n" for row in rows)
    _write_text(text, output)


@contextmanager
def _progress(count: int | None) -> Iterator[Any]:
    """Show a progress bar for long work if standard error is a terminal."""
    if not sys.stderr.isatty() or (count is not None and count < _LONG):
        yield lambda generated, _: generated
        return
    from rich.console import Console
    from rich.progress import Progress

    from contract_tests.fixtures.cases import catalogue

    with Progress(console=Console(stderr=True), transient=True) as progress:

        def track(generated: Iterable[Fixture], what: str) -> Iterable[Fixture]:
            return progress.track(generated, total=count or len(catalogue()), description=what)

        yield track
