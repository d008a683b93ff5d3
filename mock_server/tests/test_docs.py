import importlib.util
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from mock_server.serving.server import running

ROOT = Path(__file__).parents[2]
_SPEC = importlib.util.spec_from_file_location("generate_docs", ROOT / "docs/generate.py")
generate = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(generate)

PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("fixtures/*.md")})


@pytest.mark.parametrize("name", generate.FILES)
def test_generated_tables_are_true(name):
    text = (ROOT / name).read_text("utf-8")
    assert generate.generated(text) == text, f"{name} is stale: make format"


def named(page):
    return str(page.relative_to(ROOT))


def anchors(page):
    """Return what GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_inside_the_project_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(there), f"{page.name} links to {target}"


def blocks(page):
    text = (ROOT / page).read_text("utf-8")
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        yield from re.findall(r"\$ (.*)\n((?:(?!\$ ).*\n)*)", block)


@pytest.mark.parametrize("page", ["README.md", "docs/stub.md"])
def test_the_commands_of_a_page_show_what_the_mock_answers(page):
    id = ""
    with running() as mock:
        commands = list(blocks(page))
        assert len(commands) >= 5
        for command, shown in commands:
            line = command.replace("http://127.0.0.1:8080", mock.url).replace("/ID", f"/{id}")
            done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30, check=True)
            found = re.search(r'"id":"([0-9a-f-]{36})"', done.stdout)
            id = found[1] if found else id
            # In its process the mock writes header names as it was given them; over granian in small letters.
            got = done.stdout.replace(id, "ID").strip() if id else done.stdout.strip()
            assert got.lower() == shown.strip().lower(), command


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_names_real_commands_and_options(page):
    from contract_tests.cli.main import main as contract
    from mock_server.cli.main import main as mock

    text = page.read_text("utf-8").replace("\\\n", " ")
    for program, commands in (("mock-central", mock.commands), ("central-contract", contract.commands)):
        for command, words in re.findall(rf"(?:^|[ `]){program} ([a-z]+)((?: [^`|\n]*)?)", text, re.MULTILINE):
            if command not in commands and not words.startswith(" -"):
                continue  # prose
            params = commands[command].params
            known = {name for each in params for name in (*each.opts, *each.secondary_opts)} | {"--help"}
            for word in shlex.split(words, comments=True):
                assert not word.startswith("--") or word.partition("=")[0] in known, f"{program} {command} {word}"


def test_the_ci_snippets_name_real_options():
    from contract_tests.cli.main import main

    known = {name for parameter in main.commands["check"].params for name in parameter.opts}
    for path in (ROOT / "action.yml", ROOT / "docs/gitlab-ci.yml"):
        text = path.read_text("utf-8")
        assert yaml.safe_load(text)
        used = set(re.findall(r"(--(?:report|allow)-[a-z-]+)", text))
        assert used
        assert used <= known


def test_every_ask_has_an_answer():
    rows = re.findall(r"^\| ([0-9]+) \| (.+?) \| (.+) \|$", (ROOT / "docs/asks.md").read_text("utf-8"), re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 63))
    assert all(len(answer) > 2 for _, _, answer in rows)


def test_the_asks_name_real_options_and_control_calls():
    from mock_server.cli.main import main
    from mock_server.web import control

    known = {
        option
        for command in ("serve", "record")
        for parameter in main.commands[command].params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    text = (ROOT / "docs/asks.md").read_text("utf-8")
    used = {word for code in re.findall(r"`([^`]+)`", text) for word in code.split() if word.startswith("--")}
    assert used - known == set()
    for path in re.findall(r"/__admin(/[a-z]+)", text):
        assert path in control.document()["paths"], path
