"""How many seeded mutants of the code the tests kill: ``make mutation``.

A mutant is a module of the packages below with one thing changed in one function, as mutmut's operators change it. A
sample of them, drawn with a seed, is run against the fast tests. Each test file runs in a fork of its own that imports
the mutant in place of the module, so nothing is left that the module as it is computed at import or cached. The files
of which a test runs the changed lines come first, that of the module's name before all and then the quickest; then the
files that run them at import only.

A survivor is judged in `survivors.toml`, by its function and its change, and then counted without being run: it would
run every test. Ends with 1 if fewer than 95 of 100 are killed or a survivor is not judged.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import gc
import importlib.util
import multiprocessing
import os
import pickle
import random
import resource
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any, NamedTuple

import coverage

# What the forks need besides the code of the project, so that each starts quickly.
import flask
import granian
import hypothesis
import jsonschema_rs
import libcst
import openapi_core
import pytest
import redis
import requests
import rich
import schemathesis
import trustme
from mutmut.mutation.file_mutation import Mutation, create_mutations, deep_replace

from benchmarks import page

PRELOADED = (flask, granian, hypothesis, jsonschema_rs, openapi_core, redis, requests, rich, schemathesis, trustme)
ROOT = Path(__file__).parents[1]
TESTS = ROOT / "mock_server/tests"
JUDGED = TESTS / "survivors.toml"
PACKAGES = ("contract", "golang", "central", "state", "gateway")
WITH_SERVERS = {f"test_{name}.py" for name in ("redis_access", "redis_failures", "redis_store", "replicas", "store")}
"""Files whose tests may start a Redis, for mutants of its store: their code runs nowhere else."""
LOG = ROOT / "build/mutation.log"
GOAL = 0.95
PASSED, NOTHING_RAN = 0, 5
"""What pytest ends with."""
OPTIONS = (
    *("-x", "-q", "--assert=plain", "--disable-plugin-autoload", "--hypothesis-profile=mutants"),
    *("-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin", "-p", "mock_server.pytest_plugin"),
)
"""Of pytest. It rewrites no asserts: that would take most of the time, and import each module past `Changed`."""
PATIENCE = 2
"""How many times as long as without a mutant a test file may take, and how many seconds more."""


class Candidate(NamedTuple):
    """A change that can be made to a module."""

    path: Path
    tree: libcst.Module
    mutation: Mutation


class Mutant(NamedTuple):
    """A module with one thing changed."""

    path: Path
    source: str
    function: str
    """Its dotted name."""
    lines: range
    """Of the statement that changed, as the module has them."""
    change: str
    """The lines that go, with a minus, and those that come."""


class Run(NamedTuple):
    """The results of a test file without a mutant."""

    seconds: float
    tests: Mapping[str, float]
    """CPU seconds of each."""
    lines: Mapping[str, Mapping[int, list[str]]]
    """The tests that run each line of a module; an empty name is the import."""


# -- mutants -----------------------------------------------------------------------------------------


def candidates() -> Iterator[Candidate]:
    for package in PACKAGES:
        for path in sorted((ROOT / "mock_server" / package).glob("*.py")):
            tree, mutations, *_ = create_mutations(str(path), path.read_text("utf-8"))
            for each in mutations:
                if isinstance(each.contained_by_top_level_function, libcst.FunctionDef):
                    yield Candidate(path, tree, each)


def made(candidate: Candidate) -> Mutant:
    path, tree, mutation = candidate
    changed = deep_replace(tree, mutation.original_node, mutation.mutated_node)
    assert isinstance(changed, libcst.Module)
    before, after = tree.code.splitlines(), changed.code.splitlines()
    different = [
        each
        for each in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
        if each[0] != "equal"
    ]
    first, last = different[0][1] + 1, max(different[0][1] + 1, different[-1][2])
    around = [
        node
        for node in ast.walk(ast.parse(tree.code))
        if isinstance(node, ast.stmt) and node.lineno <= first and last <= (node.end_lineno or node.lineno)
    ]
    statement = around[-1]
    names = [node.name for node in around if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return Mutant(
        path=path,
        source=changed.code,
        function=".".join((module_of(path), *names)),
        lines=range(statement.lineno, (statement.end_lineno or statement.lineno) + 1),
        change="\n".join(
            f"{sign} {line.strip()}"
            for _, i, j, k, m in different
            for sign, lines in (("-", before[i:j]), ("+", after[k:m]))
            for line in lines
        ),
    )


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def package_of(path: Path) -> str:
    return path.parent.name


# -- tests -------------------------------------------------------------------------------------------


class Changed(SourceFileLoader):
    """Imports a mutant in place of its module."""

    def __init__(self, mutant: Mutant) -> None:
        super().__init__(module_of(mutant.path), str(mutant.path))
        self._code = compile(mutant.source, mutant.path, "exec")

    def find_spec(self, name: str, *_: object) -> object:
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, _: str) -> Any:
        return self._code


class First:
    """Runs some tests before the others."""

    def __init__(self, order: Mapping[str, float]) -> None:
        self._order = order

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: self._order.get(item.nodeid, float("inf")))


class Watch:
    """Records the CPU time and the lines of each test."""

    def __init__(self, lines: coverage.Coverage) -> None:
        self._coverage = lines
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        began = time.process_time()
        self._coverage.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self._coverage.switch_context("")
            self.seconds[item.nodeid] = time.process_time() - began


def run(file: Path, plugin: object, *, servers: bool) -> int:
    marks = "not slow and not timing" + ("" if servers and file.name in WITH_SERVERS else " and not served")
    return int(pytest.main([*OPTIONS, "-m", marks, str(file)], plugins=[plugin]))


def in_fork(work: Callable[[], int], seconds: float) -> int:
    """Do some work in a fork, limited to this CPU time and ten times the wall-clock time; return how it ended."""
    pid = os.fork()
    if pid:
        try:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        finally:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # servers that a killed one left
    code = 1
    try:
        os.setsid()
        with LOG.open("a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1,) * 2)
        signal.alarm(10 * (int(seconds) + 1))
        code = work()
    except Exception:  # noqa: BLE001 - the log tells it, and the code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def watched(file: Path) -> Run | None:
    """Run a test file against the unchanged code; return None if it has no fast tests."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "run")

        def work() -> int:
            sources = [str(ROOT / "mock_server" / package / "*") for package in PACKAGES]
            lines = coverage.Coverage(data_file=None, include=sources)
            lines.start()
            watch = Watch(lines)
            code = run(file, watch, servers=True)
            lines.stop()
            data = lines.get_data()
            by = {path: data.contexts_by_lineno(path) for path in data.measured_files()}
            kept.write_bytes(pickle.dumps(Run(time.process_time(), watch.seconds, by)))
            return code

        code = in_fork(work, 600)
        if code not in {PASSED, NOTHING_RAN}:
            raise RuntimeError(f"{file} fails without a mutant ({code})")  # an exit would leave the pool waiting
        return None if code == NOTHING_RAN else pickle.loads(kept.read_bytes())


RUNS: dict[Path, Run] = {}
"""Of every test file, for the forks."""


def killer(mutant: Mutant) -> Path | None:
    """Return the test file that kills a mutant, or None; judged mutants are not run."""
    servers = mutant.path.stem.startswith("redis")
    ranked = []
    if (mutant.function, mutant.change) in judged():
        return None
    for file, usual in RUNS.items():
        by_line = usual.lines.get(str(mutant.path), {})
        tests = {test for line in mutant.lines for test in by_line.get(line, ())}
        direct = {test: usual.tests[test] for test in tests if test}
        if tests:
            other = mutant.path.stem not in file.stem
            ranked.append((not direct, other, sum(direct.values()) or usual.seconds, file, direct))
    for *_, file, direct in sorted(ranked, key=lambda each: each[:4]):

        def work(file: Path = file, direct: Mapping[str, float] = direct) -> int:
            sys.meta_path.insert(0, Changed(mutant))  # type: ignore[arg-type]
            return run(file, First(direct), servers=servers)

        if in_fork(work, PATIENCE * (RUNS[file].seconds + 1)) not in {PASSED, NOTHING_RAN}:
            return file
    return None


# -- the figure --------------------------------------------------------------------------------------


@cache
def judged() -> set[tuple[str, str]]:
    """Return the functions and changes of the judged survivors."""
    entries = tomllib.loads(JUDGED.read_text("utf-8"))["survivor"]
    return {(each["function"], each["change"].strip()) for each in entries}


def share(drawn: int, survived: int) -> str:
    return f"{1 - survived / drawn:.1%}" if drawn else ""


def rows(sample: Sequence[Mutant], survivors: Sequence[Mutant]) -> Iterator[tuple[str, str, str, str]]:
    """Return the numbers of drawn and killed mutants of each package."""
    drawn, left = ([package_of(each.path) for each in mutants] for mutants in (sample, survivors))
    for package in PACKAGES:
        made, survived = drawn.count(package), left.count(package)
        yield package, str(made), str(made - survived), share(made, survived)
    yield "all", str(len(drawn)), str(len(drawn) - len(left)), share(len(drawn), len(left))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=400, help="how many to draw")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="how many to run at a time")
    parser.add_argument("--write", action="store_true", help="put the figure into CONTRIBUTING.md")
    chosen = parser.parse_args()

    os.chdir(ROOT)  # mutmut finds its settings from here
    LOG.parent.mkdir(exist_ok=True)
    population = list(candidates())
    sample = [made(each) for each in random.Random(chosen.seed).sample(population, chosen.mutants)]
    files = sorted(TESTS.glob("test_*.py"))
    survivors = []
    gc.freeze()  # forks share what is here
    fork = multiprocessing.get_context("fork")
    with fork.Pool(chosen.workers) as pool:
        RUNS.update({file: found for file, found in zip(files, pool.imap(watched, files), strict=True) if found})
    with fork.Pool(chosen.workers) as pool:
        for mutant, file in zip(sample, pool.imap(killer, sample), strict=True):
            print(f"{file.name if file else 'SURVIVED':30} {mutant.function}", flush=True)
            if not file:
                survivors.append(mutant)

    table = page.table(("package", "drawn", "killed", ""), rows(sample, survivors))
    text = f"{len(sample)} of {len(population):,} mutants, seed {chosen.seed}:\n\n{table}"
    print(text)
    if chosen.write:
        page.write("mutation", text, page=ROOT / "CONTRIBUTING.md", command="make mutation")
    new = [each for each in survivors if (each.function, each.change) not in judged()]
    for each in new:
        print(
            f"not judged:\n[[survivor]]\nfunction = {each.function!r}\nchange = '''\n{each.change}\n'''\nwhy = \"\"\n"
        )
    return 1 if new or len(survivors) > (1 - GOAL) * len(sample) else 0


if __name__ == "__main__":
    sys.exit(main())
