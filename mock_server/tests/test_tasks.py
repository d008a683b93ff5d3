"""Every task is two clicks from the README, and its code works as pasted."""

import os
import re
import shlex
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from mock_server.serving.server import serving
from mock_server.settings import Settings

ROOT = Path(__file__).parents[2]
INDEX = ROOT / "docs/how-to/index.md"
TASKS = tomllib.loads((Path(__file__).parent / "data/tasks.toml").read_text("utf-8"))["task"]
PROGRAMS = {"mock-central": "mock_server", "central-contract": "contract_tests"}
SERVE = re.compile(r"^mock-central serve.*\n", re.MULTILINE)
LOCAL, REMOTE = "http://127.0.0.1:8080", "https://central.example.com"


class Block(NamedTuple):
    """A block of code."""

    kind: str
    code: str


def anchor(heading: str) -> str:
    """Return GitHub's anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def section(page: Path, name: str) -> str:
    """Return the text below a heading, or the whole page."""
    text = page.read_text("utf-8")
    if not name:
        return text
    code = [match.span() for match in re.finditer(r"^```.*?^```$", text, re.DOTALL | re.MULTILINE)]
    found = None
    for match in re.finditer(r"^(#+) (.+)$", text, re.MULTILINE):
        if any(start < match.start() < end for start, end in code):
            continue  # a comment of a shell
        if found and len(match[1]) <= len(found[1]):
            return text[found.end() : match.start()]
        if anchor(match[2]) == name:
            found = match
    assert found, f"{page.name} has no #{name}"
    return text[found.end() :]


def rows() -> dict[str, tuple[Path, str]]:
    """Return the link of each task in the index."""
    found = re.findall(r"^\| ([^|\n]+) \| \[[^\]]+\]\(([^)]+)\) \|$", INDEX.read_text("utf-8"), re.MULTILINE)
    links = {name: link.partition("#") for name, link in found}
    return {name: ((INDEX.parent / path).resolve(), part) for name, (path, _, part) in links.items()}


def test_the_readme_links_the_tasks():
    assert f"({INDEX.relative_to(ROOT).as_posix()})" in (ROOT / "README.md").read_text("utf-8")


def test_every_how_to_and_quick_start_is_a_task_of_the_index():
    pages = {*ROOT.glob("docs/how-to/*.md"), *ROOT.glob("docs/quick-start/*.md")} - {INDEX}
    assert pages - {page for page, _ in rows().values()} == set()


def test_every_row_of_the_index_links_to_a_section():
    for page, name in rows().values():
        assert section(page, name).strip()


@contextmanager
def served(command: str, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Run the `mock-central serve` of a page on another port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [*shlex.split(command, comments=True)[1:], "--port", str(port)]
    with subprocess.Popen([sys.executable, "-m", "mock_server", *words], cwd=folder, env=environment) as process:
        try:
            for _ in range(300):
                assert process.poll() is None, command
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/__admin/health", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def run(blocks: list[Block], url: str, folder: Path, environment: dict[str, str]) -> str:
    """Run blocks in order: shell blocks in one shell, Python as a pytest file or a script."""
    script = []
    for number, block in enumerate(blocks):
        code = block.code.replace(LOCAL, url).replace(REMOTE, url)
        if block.kind == "python":
            (folder / f"test_{number}.py").write_text(code, "utf-8")
            how = "-m pytest -q -p no:cacheprovider -p no:schemathesis" if "def test_" in code else ""
            script.append(f"python {how} test_{number}.py\n")
        elif block.kind == "console":
            script += [f"{line}\n" for line in re.findall(r"^\$ (.*)$", code, re.MULTILINE)]
        else:
            script.append(code)
    done = subprocess.run(
        ["bash"],
        input="".join(script),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stderr + done.stdout


@pytest.fixture
def environment(tmp_path):
    """Return a reader's environment: the installed commands, and a token in a file."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, module in PROGRAMS.items():
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        (tools / name).chmod(0o755)
    return {
        "PATH": f"{tools}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    } | {name: os.environ[name] for name in ("LANG", "LC_ALL") if name in os.environ}


def test_there_are_twenty_tasks():
    assert len({task["name"] for task in TASKS}) >= 20


@pytest.mark.heavy
@pytest.mark.served
@pytest.mark.parametrize(
    "task",
    [
        pytest.param(task, id=task["name"].replace(" ", "-"), marks=[pytest.mark.slow] if task.get("slow") else [])
        for task in TASKS
    ],
)
def test_a_task_works_as_pasted(task, tmp_path, environment):
    text = section(*rows()[task["name"]])
    blocks = [
        Block(*found) for found in re.findall(r"^```(sh|console|python)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]
    assert blocks
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "fixtures").symlink_to(ROOT / "fixtures")
    (folder / "token").write_text(Settings().credentials.admin_token)
    served_by = [line for block in blocks for line in SERVE.findall(block.code)]
    blocks = [Block(block.kind, SERVE.sub("", block.code)) for block in blocks]
    as_central = Settings(auth=any(REMOTE in block.code for block in blocks))
    with served(served_by[0], folder, environment) if served_by else serving(as_central) as mock:
        url = mock if isinstance(mock, str) else mock.url
        output = run(blocks, url, folder, environment)
        caller = {"Authorization": f"Bearer {as_central.credentials.admin_token}"}
        with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/imageintegrations", headers=caller)) as answer:
            assert b'"name":"central-contract-' not in answer.read()
    place = 0
    for pattern in task["shows"]:
        found = re.compile(pattern, re.MULTILINE).search(output, place)
        assert found, f"{pattern!r} is not in:\n{output}"
        place = found.end()
