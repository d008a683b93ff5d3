"""How many seeded mutants of the code the tests kill: ``make mutation`` (half an hour of CPU, so not in CI).

mutmut changes one thing in each copy of a function of the packages below. A sample of the copies, drawn with a seed,
is run against the fast tests: first in forks, against those tests that call the function; what survives is run once
more, against all of them in a process of its own, where what is computed at import or cached is computed by the copy.

A survivor is judged in `survivors.toml`, by its function and its change: mutmut's numbers move with the code. Ends with
1 if fewer than 95 of 100 are killed or a survivor is not judged.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mutmut.mutation.diff_apply import get_diff_for_mutant

ROOT = Path(__file__).parents[1]
WORK = ROOT / "mutants"
JUDGED = ROOT / "mock_server/tests/survivors.toml"
BIN = Path(sys.executable).parent
PACKAGES = ("contract", "golang", "central", "state", "gateway")
WARM_UP = "mock_server.golang.text.*"
"""Mutants that are always run: mutmut makes those of every package when it is asked for any."""
GOAL = 0.95
KILLED = {1, 3, 36, 24, -24, 152, 255, -11, -9}
"""Exit codes of mutmut's workers: a test fails, pytest fails, the time is up, a crash."""
MOST_SECONDS = 300
"""CPU time of all fast tests for one mutant."""
IN_PROCESS, WITH_SERVERS = "not served and not slow and not timing", "not slow and not timing"


def package(mutant: str) -> str:
    return mutant.split(".")[1]


def mutmut(workers: int, names: Iterable[str]) -> None:
    command = [BIN / "mutmut", "run", "--max-children", str(workers), *names]
    with (WORK.parent / "mutation.log").open("a") as log:
        subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, check=True)


def results() -> dict[str, int | None]:
    """Return mutmut's exit code of each mutant that there is; None for those that were not run."""
    found: dict[str, int | None] = {}
    for path in sorted(WORK.rglob("*.meta")):
        found |= json.loads(path.read_text("utf-8"))["exit_code_by_key"]
    return {name: code for name, code in found.items() if package(name) in PACKAGES}


def survives_every_test(mutant: str) -> bool:
    """Run all fast tests against a mutant, those of its module first; for the store in Redis those with servers."""
    module = mutant.split(".")[2]
    if module.startswith("redis"):
        marks, names = WITH_SERVERS, ("redis_*", "store", "service", "replicas")
    else:
        marks, names = IN_PROCESS, (f"{module}*", "*")
    files = [path for name in names for path in sorted(WORK.glob(f"mock_server/tests/test_{name}.py"))]
    command = [
        BIN / "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "--hypothesis-profile=mutants",
        "-m",
        marks,
        *dict.fromkeys(files),
    ]
    done = subprocess.run(
        command,
        cwd=WORK,
        env={**os.environ, "MUTANT_UNDER_TEST": mutant, "PYTHONPATH": str(WORK)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=10 * MOST_SECONDS,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS)),
    )
    return done.returncode == 0


def change_of(mutant: str) -> str:
    """Return the lines that a mutant takes out and puts in."""
    lines = get_diff_for_mutant(mutant).splitlines()[2:]
    return "\n".join(line[0] + " " + line[1:].strip() for line in lines if line[:1] in ("-", "+"))


def function_of(mutant: str) -> str:
    """Return the dotted name of the function that a mutant is a copy of."""
    module, _, name = mutant.partition(".x")
    return f"{module}.{name.rpartition('__mutmut')[0].strip('_ǁ').replace('ǁ', '.')}"


def judgements() -> dict[tuple[str, str], dict[str, Any]]:
    judged = tomllib.loads(JUDGED.read_text("utf-8"))["survivor"]
    return {(each["function"], each["change"].strip()): each for each in judged}


def unjudged(survivors: Iterable[str]) -> Iterator[str]:
    judged = judgements()
    for mutant in survivors:
        function, change = function_of(mutant), change_of(mutant)
        if (function, change) not in judged:
            yield f"{mutant}\n[[survivor]]\nfunction = {function!r}\nchange = '''\n{change}\n'''\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=400, help="how many to draw")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="how many to run at a time")
    chosen = parser.parse_args()

    os.chdir(ROOT)  # mutmut finds its work folder from here
    mutmut(chosen.workers, [WARM_UP])
    sample = random.Random(chosen.seed).sample(sorted(results()), chosen.mutants)
    mutmut(chosen.workers, sample)
    codes = results()
    survivors = [name for name in sample if codes[name] not in KILLED and survives_every_test(name)]

    drawn, left = Counter(map(package, sample)), Counter(map(package, survivors))
    for each in PACKAGES:
        print(f"{each:10} {drawn[each]:4} drawn {drawn[each] - left[each]:4} killed {left[each]:4} survived")
    killed = 1 - len(survivors) / len(sample)
    print(f"{len(sample)} of {len(codes)} mutants, seed {chosen.seed}: {killed:.1%} killed")
    new = list(unjudged(survivors))
    for each in new:
        print(f"not judged: {each}")
    return 1 if new or killed < GOAL else 0


if __name__ == "__main__":
    sys.exit(main())
