"""Send ordinary traffic through the proxy to each mutant, and record which mutants it reveals.

    python -m contract_tests.meta_tests.traffic_detection -o docs/reference/traffic-detection.md
    python -m contract_tests.meta_tests.traffic_detection --sample 20

Results are kept as they come, so that a run can be stopped and continued; remove the file to begin again.
"""

from __future__ import annotations

import json
import multiprocessing
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from contract_tests.meta_tests.lying_targets import running
from contract_tests.meta_tests.traffic_journeys import travel
from contract_tests.traffic.judge import Judge
from contract_tests.traffic.proxy import Give, make_app
from mock_server.contract import tables as contracts
from mock_server.mutants import KINDS, Mutant, all_mutants, find
from mock_server.serving.server import serving
from mock_server.settings import Settings

JOURNEYS = 50
HEALTHY = "(healthy)"


@contextmanager
def proxying(settings: Settings, give: Give) -> Iterator[str]:
    """Forward requests from a thread of this process while the block runs; yield the URL."""

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log(self, type: str, message: str, *args: Any) -> None:
            """Log nothing."""

    with running(ThreadedWSGIServer("127.0.0.1", 0, make_app(settings, give), Handler)) as url:
        yield url


def judged(settings: Settings, journeys: int, seed: int = 1) -> Judge:
    """Return the proxy's judge after ordinary traffic to a mock."""
    contract = contracts.load()
    judge = Judge(settings.central_version or contract.releases.newest.line)

    def take(seen: Any, oldest: float) -> None:
        judge.add(seen)
        judge.settle(oldest)

    with serving(settings) as mock, proxying(Settings(upstream=mock.url), take) as url:
        travel(url, journeys, settings.credentials.admin_token, seed)
    judge.settle()
    return judge


def tried(name: str, journeys: int) -> tuple[str, dict[str, Any]]:
    """Return the checks that ordinary traffic to a mutant breaks."""
    mutant = None if name == HEALTHY else find(name)
    chosen: dict[str, Any] = {"seed": 1, "auth": True}
    if mutant is not None:
        chosen |= {**mutant.settings, "mutants": (name,)}
    try:
        judge = judged(Settings(**chosen), journeys)
    except Exception as error:  # noqa: BLE001 (a table with a gap is better than no table)
        return name, {"error": repr(error), "checks": [], "requests": 0}
    checks = list(dict.fromkeys(each.check for each in judge.findings.failures))
    return name, {"checks": checks, "requests": judge.judged}


def table(results: Mapping[str, Any], journeys: int) -> str:
    """Write the results as Markdown."""
    mutants = [each for each in all_mutants().values() if each.name in results]
    healthy = results.get(HEALTHY, {})
    lines = [
        "# What ordinary traffic shows",
        "",
        f"{journeys} journeys through `central-contract proxy` to each mutant: work in the web UI, typical mistakes,",
        "the tasks of the Ansible collection, an installer's script, an expired token. None is meant to find faults.",
        "*Named* means that the check for the mutant broke. Most of the others need a request that no client sends.",
        "",
        "Made by `python -m contract_tests.meta_tests.traffic_detection`; do not edit.",
        "",
        f"Tested: {len(mutants)} of {len(all_mutants())} mutants.",
        f"The healthy mock: {len(healthy.get('checks', []))} checks broken in {healthy.get('requests', 0)} requests.",
        "",
        "| kind | mutants | found | named |",
        "| --- | --- | --- | --- |",
        *(_total(kind, [each for each in mutants if kind in (each.kind, "all")], results) for kind in (*KINDS, "all")),
        "",
        "| mutant | kind | check | broken |",
        "| --- | --- | --- | --- |",
        *(f"| `{each.name}` | {each.kind} | `{each.check}` | {_broken(results[each.name])} |" for each in mutants),
    ]
    return "\n".join(lines) + "\n"


def _broken(result: Mapping[str, Any]) -> str:
    if "error" in result:
        return "?"
    more = f" and {len(result['checks']) - 3} more" if len(result["checks"]) > 3 else ""
    return ", ".join(f"`{each}`" for each in result["checks"][:3]) + more or "-"


def _total(kind: str, mutants: Iterable[Mutant], results: Mapping[str, Any]) -> str:
    some = list(mutants)
    shown = sum(bool(results[each.name]["checks"]) for each in some)
    named = sum(each.check in results[each.name]["checks"] for each in some)
    share = f" ({100 * shown / len(some):.0f} %)" if some else ""
    return f"| {kind} | {len(some)} | {shown}{share} | {named} |"


@click.command()
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Markdown file to write.")
@click.option("--sample", type=click.IntRange(1), help="Test only this many mutants, drawn with a fixed seed.")
@click.option("--mutant", "names", multiple=True, help="Run only this mutant again; can be repeated.")
@click.option("--journeys", default=JOURNEYS, show_default=True, help="Number of journeys for each mutant.")
@click.option("--workers", default=2, show_default=True, help="Number of mutants tested in parallel.")
@click.option(
    "--cache",
    default=Path(".traffic-detection.json"),
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for stored results.",
)
def main(
    output: Path | None, sample: int | None, names: tuple[str, ...], journeys: int, workers: int, cache: Path
) -> None:
    """Send ordinary traffic through the proxy to each mutant."""
    results: dict[str, Any] = json.loads(cache.read_text("utf-8")) if cache.exists() else {}
    wanted = [HEALTHY, *(names or all_mutants())]
    if sample:
        wanted = [HEALTHY, *sorted(random.Random(1).sample(wanted[1:], sample))]
    missing = [name for name in wanted if names or name not in results]
    with multiprocessing.Pool(workers, maxtasksperchild=25) as pool:
        for number, (name, result) in enumerate(pool.imap_unordered(partial(tried, journeys=journeys), missing), 1):
            results[name] = result
            cache.write_text(json.dumps(results, indent=1), "utf-8")
            click.echo(f"{number}/{len(missing)} {name}: {', '.join(result['checks']) or '-'}", err=True)
    text = table(results, journeys)
    if output:
        output.write_text(text, "utf-8")
    else:
        click.echo(text)


if __name__ == "__main__":
    main()
