"""Run the whole harness against every planted fault and write down what it finds.

    python -m contract_tests.meta_tests.detection --profile default -o docs/detection.md

With ``--schemathesis`` plain ``schemathesis run openapi.yaml`` is put beside it. Results are kept in a
file as they come, so that a run can be stopped and continued; remove the file to begin again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from contract_tests.meta_tests.planted import hurried, judged
from contract_tests.options import PROFILES
from mock_server import contract as contracts
from mock_server.auth import Credentials
from mock_server.faults import KINDS, Fault, all_faults, find
from mock_server.server import running
from mock_server.settings import Settings

HARNESS, SCHEMATHESIS = "harness", "schemathesis"

_SECONDS = 60
"""What schemathesis is given for one fault."""

_EXCLUDED = ("positive_data_acceptance", "negative_data_rejection", "unsupported_method")
"""Checks of schemathesis that call Central's own ways faults: a reader that takes much, 501 for a wrong method."""


def by_harness(name: str, profile: str) -> dict[str, Any]:
    """Run the harness against one fault."""
    fault = find(name)
    try:
        with hurried(fault) as options:
            verdict = judged(fault, profile=profile, seed=1, **options)
    except Exception as error:  # noqa: BLE001 (a table with a gap is better than none)
        return {"named": False, "others": [], "touched": [], "requests": 0, "seconds": 0, "errors": [repr(error)]}
    return asdict(verdict)


def by_schemathesis(name: str, baseline: str) -> dict[str, Any]:
    """Run schemathesis against one fault; red is what it does not say of a healthy mock."""
    fault = find(name)
    with running(Settings(seed=1, faults=(name,), **{**fault.settings, "auth": True})) as mock:
        return _schemathesis(mock.url, Path(baseline))


def _schemathesis(url: str, baseline: Path, *more: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        command = (
            *(sys.executable, "-m", "schemathesis.cli", "run", str(contracts.find("openapi.yaml"))),
            *("--url", url, "-H", f"Authorization: Bearer {Credentials().admin_token}"),
            *("--checks", "all", "--exclude-checks", ",".join(_EXCLUDED), "--baseline", str(baseline)),
            *("--max-response-time", "5", "--max-examples", "30", "--seed", "1", "--generation-database", "none"),
            *("--max-time", str(_SECONDS), "--no-color", *(more or ("--max-failures", "1"))),
        )
        started = time.monotonic()
        try:
            done = subprocess.run(  # noqa: S603 (a command of ours)
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
    """Let schemathesis write down what it says of a healthy mock."""
    with running(Settings(seed=1, auth=True)) as mock:
        _schemathesis(mock.url, path, "--baseline-update")


# -- the table ---------------------------------------------------------------------------------------


def table(faults: Iterable[Fault], results: dict[str, Any], profile: str) -> str:
    """Write the results as Markdown."""
    faults = list(faults)
    harness, other = results.get(f"{HARNESS} {profile}", {}), results.get(SCHEMATHESIS, {})
    lines = [
        "# What the harness finds",
        "",
        f"Every planted fault, the profile `{profile}`, seed 1, one run each. *Also red* are further checks that",
        "failed in the same run. Seconds of faults that only wait are a thirtieth of a second here, and the limit of",
        "the run with them. Made by `python -m contract_tests.meta_tests.detection`; do not edit.",
        "",
        *_totals(faults, harness, other),
        "",
        "| fault | kind | found by | also red | requests | seconds |" + (" schemathesis |" if other else ""),
        "|---|---|---|---|---|---|" + ("---|" if other else ""),
    ]
    for fault in faults:
        seen = harness.get(fault.name)
        if seen is None:
            continue
        red = [*seen["touched"], *seen["others"]]
        named = f"`{fault.check}`" if seen["named"] else "other checks only" if red else "**not found**"
        cells = [f"`{fault.name}`", fault.kind, named, _shortened(red), str(seen["requests"]), f"{seen['seconds']:.1f}"]
        if other:
            cells.append(other.get(fault.name, {}).get("what", "") if other.get(fault.name, {}).get("found") else "-")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _shortened(checks: list[str]) -> str:
    more = f" and {len(checks) - 3} more" if len(checks) > 3 else ""
    return ", ".join(f"`{each}`" for each in checks[:3]) + more


def _totals(faults: list[Fault], harness: dict[str, Any], other: dict[str, Any]) -> Iterable[str]:
    columns = ["faults", "found", "by the check that names it", *(["schemathesis"] if other else [])]
    yield f"| kind | {' | '.join(columns)} |"
    yield "|---|" + "---|" * len(columns)
    for kind in (*KINDS, "all"):
        some = [each for each in faults if kind in (each.kind, "all") and each.name in harness]
        counts = [
            len(some),
            sum(any(harness[each.name][key] for key in ("named", "others", "touched")) for each in some),
            sum(harness[each.name]["named"] for each in some),
            *([sum(other.get(each.name, {}).get("found", False) for each in some)] if other else []),
        ]
        yield f"| {kind} | {' | '.join(map(str, counts))} |"


# -- the command -------------------------------------------------------------------------------------


@click.command()
@click.option("--profile", default="default", type=click.Choice(PROFILES), show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Markdown file to write.")
@click.option("--schemathesis", is_flag=True, help="Run schemathesis against the same faults too.")
@click.option("--fault", "names", multiple=True, help="Only these faults, again.")
@click.option("--workers", default=2, show_default=True, help="Faults tried at the same time.")
@click.option(
    "--cache",
    default=Path(".detection.json"),
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where results are kept.",
)
def main(
    profile: str, output: Path | None, *, schemathesis: bool, names: tuple[str, ...], workers: int, cache: Path
) -> None:
    """Run the whole harness against every planted fault."""
    results: dict[str, Any] = json.loads(cache.read_text("utf-8")) if cache.exists() else {}
    faults = [find(name) for name in names] if names else list(all_faults().values())
    _fill(
        results, f"{HARNESS} {profile}", faults, partial(by_harness, profile=profile), workers, cache, again=bool(names)
    )
    if schemathesis:
        baseline = cache.with_suffix(".baseline.json").absolute()
        if not baseline.exists():
            _baseline(baseline)
        _fill(
            results, SCHEMATHESIS, faults, partial(by_schemathesis, baseline=str(baseline)), workers, cache, again=False
        )
    text = table(all_faults().values(), results, profile)
    if output:
        output.write_text(text, "utf-8")
    else:
        click.echo(text)


def _fill(
    results: dict[str, Any],
    tool: str,
    faults: list[Fault],
    run: Callable[[str], dict[str, Any]],
    workers: int,
    cache: Path,
    *,
    again: bool,
) -> None:
    """Run what is not in the results yet, and keep each as it comes."""
    kept = results.setdefault(tool, {})
    missing = [each.name for each in faults if again or kept.get(each.name, {"errors": True}).get("errors")]
    with ProcessPoolExecutor(workers) as pool:
        futures = {pool.submit(run, name): name for name in missing}
        for count, future in enumerate(as_completed(futures), 1):
            name = futures[future]
            kept[name] = future.result()
            cache.write_text(json.dumps(results, indent=1), "utf-8")
            click.echo(f"{tool} {count}/{len(missing)} {name}: {_told(kept[name])}", err=True)


def _told(result: dict[str, Any]) -> str:
    if "found" in result:
        return f"{'found' if result['found'] else 'not found'} {result['what']}"
    state = "named" if result["named"] else "NOT NAMED"
    return f"{state} {result['others'] or ''} {result['errors'] or ''} {result['seconds']}s"


if __name__ == "__main__":
    main()
