"""Run the whole harness against every mutant and record what it finds.

    python -m contract_tests.meta_tests.detection --profile quick
    python -m contract_tests.meta_tests.detection --profile default --schemathesis 1 -o docs/reference/detection.md

With ``--schemathesis`` plain ``schemathesis run openapi.yaml`` is put beside it. Results are kept in a
file as they come, so that a run can be stopped and continued; remove the file to begin again.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from contract_tests.engine.options import PROFILES
from contract_tests.meta_tests.mutant_runs import hurried, verdict_on
from mock_server.contract import tables as contracts
from mock_server.mutants import KINDS, Mutant, all_mutants, find
from mock_server.serving.server import serving
from mock_server.settings import Settings

HARNESS, SCHEMATHESIS = "harness", "schemathesis"

_SECONDS = 60
"""Time limit of schemathesis for one mutant."""

MOST_DETAILED = 3
"""Maximum number of failures that a report should detail for one mutant."""

_SHARES = (50, 90)
"""Percentiles of the found mutants, for the table of requests and seconds."""

_EXCLUDED = ("positive_data_acceptance", "negative_data_rejection", "unsupported_method")
"""Checks of schemathesis that reject Central's normal behaviour: a lenient decoder, 501 for a wrong method."""


def by_harness(name: str, profile: str) -> dict[str, Any]:
    """Run the harness against one mutant."""
    mutant = find(name)
    try:
        with hurried(mutant) as options:
            verdict = verdict_on(mutant, profile=profile, seed=1, **options)
    except Exception as error:  # noqa: BLE001 (a table with a gap is better than no table)
        return {"named": False, "others": [], "touched": [], "requests": 0, "seconds": 0, "errors": [repr(error)]}
    return asdict(verdict)


def by_schemathesis(name: str, baseline: str) -> dict[str, Any]:
    """Run schemathesis against one mutant; only findings that a healthy mock does not have count."""
    mutant = find(name)
    with serving(Settings(seed=1, mutants=(name,), **{**mutant.settings, "auth": True})) as mock:
        return _schemathesis(mock.url, Path(baseline))


def _schemathesis(url: str, baseline: Path, *more: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        command = (
            *(sys.executable, "-m", "schemathesis.cli", "run", str(contracts.find())),
            *("--url", url, "-H", f"Authorization: Bearer {Settings().credentials.admin_token}"),
            *("--checks", "all", "--exclude-checks", ",".join(_EXCLUDED), "--baseline", str(baseline)),
            *("--max-response-time", "5", "--max-examples", "30", "--seed", "1", "--generation-database", "none"),
            *("--max-time", str(_SECONDS), "--no-color", *(more or ("--max-failures", "1"))),
        )
        started = time.monotonic()
        try:
            done = subprocess.run(  # noqa: S603 (a command of this project)
                command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS * 2, check=False
            )
        except subprocess.TimeoutExpired:
            return {"found": False, "seconds": _SECONDS * 2, "what": "did not end"}
    codes = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("❌ ST")]
    return {
        "found": done.returncode == 1,
        "seconds": round(time.monotonic() - started, 1),
        "what": "; ".join(each.removeprefix("❌ ").split()[0] for each in codes) or done.stderr[-200:],
    }


def _baseline(path: Path) -> None:
    """Record the findings of schemathesis on a healthy mock."""
    with serving(Settings(seed=1, auth=True)) as mock:
        _schemathesis(mock.url, path, "--baseline-update")


_OF_SCHEMATHESIS = (
    "`schemathesis run` leaves out the checks that take Central's normal behaviour for a fault; it counts if it",
    "reports more than for a healthy mock.",
)


# -- the table ---------------------------------------------------------------------------------------


def table(mutants: Iterable[Mutant], results: dict[str, Any]) -> str:
    """Write the results as Markdown."""
    mutants = list(mutants)
    runs = {profile: results[f"{HARNESS} {profile}"] for profile in PROFILES if f"{HARNESS} {profile}" in results}
    other = results.get(SCHEMATHESIS, {})
    last = [SCHEMATHESIS] if other else []
    lines = [
        "# What the harness finds",
        "",
        "A complete run of each profile, seed 1, checked each mutant. *Named* means that the check for the mutant",
        "failed. Requests and seconds count until the mutant was found, otherwise to the end of the run. *Also failed*",
        "lists other checks that failed in the last profile. Mutants that delay answers wait a thirtieth of their",
        "time here, and the limits of the run are scaled down with them. `?`: not tested.",
        *(_OF_SCHEMATHESIS if other else ()),
        "",
        f"Measured with mock-central {version('mock-central')}: `python -m contract_tests.meta_tests.detection`.",
        "",
        *_totals(mutants, runs, other),
        "",
        *_row("profile", *(f"{share} % of the named mutants within" for share in _SHARES)),
        *_row(*["---"] * (1 + len(_SHARES))),
        *(line for profile, run in runs.items() for line in _row(profile, *_within(run))),
        "",
        "*First* is the first reported failure; it is right if it is from the mutant's check. Failures with the same",
        "symptom are detailed once.",
        "",
        *_row("profile", "first is right", "detailed failures: median", "maximum"),
        *_row("---", "---", "---", "---"),
        *(line for profile, run in runs.items() for line in _row(profile, *_first(run))),
        "",
        *_row("mutant", "kind", "check", *(f"{each}: requests, seconds" for each in runs), "also failed", *last),
        *_row(*["---"] * (4 + len(runs) + len(last))),
    ]
    for mutant in mutants:
        seen = [run.get(mutant.name) for run in runs.values()]
        red = [*seen[-1]["touched"], *seen[-1]["others"]] if seen and seen[-1] else []
        cells = [f"`{mutant.name}`", mutant.kind, f"`{mutant.check}`", *map(_told_short, seen), _shortened(red)]
        lines += _row(*cells, *(_told_of(other.get(mutant.name)) for _ in last))
    return "\n".join(lines) + "\n"


def _told_of(theirs: dict[str, Any] | None) -> str:
    """Return the findings of schemathesis for a mutant."""
    if theirs is None:
        return "?"
    return (theirs["what"] or "red") if theirs["found"] else "-"


def _row(*cells: str) -> list[str]:
    return [f"| {' | '.join(cells)} |"]


def _told_short(seen: dict[str, Any] | None) -> str:
    if seen is None:
        return "?"
    cost = f"{seen['requests']}, {seen['seconds']:.1f}"
    return cost if seen["named"] else f"{cost}, by other checks" if _is_red(seen) else f"{cost}, **not found**"


def _is_red(seen: dict[str, Any]) -> bool:
    return any(seen[key] for key in ("named", "others", "touched"))


def _shortened(checks: list[str]) -> str:
    more = f" and {len(checks) - 3} more" if len(checks) > 3 else ""
    return ", ".join(f"`{each}`" for each in checks[:3]) + more


def _totals(mutants: list[Mutant], runs: dict[str, Any], other: dict[str, Any]) -> Iterable[str]:
    """Return a row for each kind of mutants, with counts of those that were tested."""
    last = [SCHEMATHESIS] if other else []
    yield from _row("kind", "mutants", *(f"{each}: found, named" for each in runs), *last)
    yield from _row(*["---"] * (2 + len(runs) + len(last)))
    for kind in (*KINDS, "all"):
        some = [each.name for each in mutants if kind in (each.kind, "all")]
        cells = [_share([run[name] for name in some if name in run]) for run in runs.values()]
        theirs = [other[name]["found"] for name in some if name in other]
        yield from _row(kind, str(len(some)), *cells, *(f"{sum(theirs)} of {len(theirs)}" for _ in last))


def _within(run: dict[str, Any]) -> list[str]:
    named = [each for each in run.values() if each["named"]]
    requests, seconds = (sorted(each[what] for each in named) for what in ("requests", "seconds"))
    places = [len(named) * share // 100 for share in _SHARES] if named else []
    return [f"{requests[at]} requests, {seconds[at]:.1f} s" for at in places]


def _first(run: dict[str, Any]) -> list[str]:
    known = all_mutants()
    detailed = {name: each["detailed"] for name, each in run.items() if each.get("detailed") and name in known}
    right = sum(each[0] == known[name].check for name, each in detailed.items())
    counts = sorted(len(each) for each in detailed.values()) or [0]
    share = f"{right} of {len(detailed)} ({100 * right / len(detailed):.1f} %)" if detailed else ""
    return [share, str(counts[len(counts) // 2]), str(counts[-1])]


def wrong_first(run: dict[str, Any]) -> Iterable[str]:
    """List each mutant whose first failure is another check's, or that has more than three failures in detail."""
    for name, mutant in all_mutants().items():
        detailed = run.get(name, {}).get("detailed", ())
        if detailed and (detailed[0] != mutant.check or len(detailed) > MOST_DETAILED):
            yield f"{name}: wanted {mutant.check}, detailed {', '.join(detailed)}"


def _share(seen: list[dict[str, Any]]) -> str:
    if not seen:
        return ""
    red, named = sum(map(_is_red, seen)), sum(each["named"] for each in seen)
    return f"{red}, {named} of {len(seen)} ({100 * named / len(seen):.1f} %)"


# -- the command -------------------------------------------------------------------------------------


@click.command()
@click.option("--profile", default="default", type=click.Choice(PROFILES), show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Markdown file to write.")
@click.option(
    "--schemathesis", "every", type=click.IntRange(1), help="Also run schemathesis against every n-th mutant."
)
@click.option("--only-write", is_flag=True, help="Only write the table from stored results.")
@click.option("--mutant", "names", multiple=True, help="Run only this mutant again; can be repeated.")
@click.option("--workers", default=2, show_default=True, help="Number of mutants tested in parallel.")
@click.option(
    "--cache",
    default=Path(".detection.json"),
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for stored results.",
)
def main(
    profile: str,
    output: Path | None,
    every: int | None,
    *,
    only_write: bool,
    names: tuple[str, ...],
    workers: int,
    cache: Path,
) -> None:
    """Run the whole harness against every mutant."""
    results: dict[str, Any] = json.loads(cache.read_text("utf-8")) if cache.exists() else {}
    try:
        mutants = [find(name) for name in names] if names else list(all_mutants().values())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--mutant") from None
    fill = partial(_fill, results, workers=workers, cache=cache)
    if not only_write:
        fill(f"{HARNESS} {profile}", mutants, partial(by_harness, profile=profile), again=bool(names))
    if every and not only_write:
        baseline = cache.with_suffix(".baseline.json").absolute()
        if not baseline.exists():
            _baseline(baseline)
        fill(SCHEMATHESIS, mutants[::every], partial(by_schemathesis, baseline=str(baseline)), again=False)
    for line in wrong_first(results.get(f"{HARNESS} {profile}", {})):
        click.echo(line, err=True)
    text = table(all_mutants().values(), results)
    if output:
        output.write_text(text, "utf-8")
    else:
        click.echo(text)


def _fill(
    results: dict[str, Any],
    tool: str,
    mutants: list[Mutant],
    run: Callable[[str], dict[str, Any]],
    *,
    workers: int,
    cache: Path,
    again: bool,
) -> None:
    """Test mutants without a stored result, and store each result at once."""
    kept = results.setdefault(tool, {})
    missing = [each.name for each in mutants if again or kept.get(each.name, {"errors": True}).get("errors")]
    # Each run leaks some memory, in hypothesis and its imports.
    with multiprocessing.Pool(workers, maxtasksperchild=25) as pool:
        for count, (name, result) in enumerate(pool.imap_unordered(partial(_named, run), missing), 1):
            kept[name] = result
            cache.write_text(json.dumps(results, indent=1), "utf-8")
            click.echo(f"{tool} {count}/{len(missing)} {name}: {_told(result)}", err=True)


def _named(run: Callable[[str], dict[str, Any]], name: str) -> tuple[str, dict[str, Any]]:
    return name, run(name)


def _told(result: dict[str, Any]) -> str:
    if "found" in result:
        return f"{'found' if result['found'] else 'not found'} {result['what']}"
    state = "named" if result["named"] else "NOT NAMED"
    return f"{state} {result['others'] or ''} {result['errors'] or ''} {result['seconds']}s"


if __name__ == "__main__":
    main()
