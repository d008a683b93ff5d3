import importlib.util
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from mock_server.serving.server import serving

ROOT = Path(__file__).parents[2]
_SPEC = importlib.util.spec_from_file_location("generate_docs", ROOT / "docs/generate.py")
generate = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(generate)

PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("fixtures/*.md")})


@pytest.mark.parametrize("name", generate.FILES)
def test_generated_tables_are_true(name):
    text = (ROOT / name).read_text("utf-8")
    assert generate.generated(text) == text, f"{name} is stale: make format"


def named(page):
    return str(page.relative_to(ROOT))


def anchors(page):
    """Return GitHub's anchors of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_no_page_but_reference_is_long():
    pages = [page for page in PAGES if page.is_relative_to(ROOT / "docs") and page.parent.name != "reference"]
    assert [
        named(page) for page in [*pages, ROOT / "README.md"] if len(page.read_text("utf-8").splitlines()) > 150
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_inside_the_project_have_targets(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(there), f"{page.name} links to {target}"


@pytest.mark.parametrize("folder", ["quick-start", "how-to", "explanation"])
def test_a_page_that_is_read_from_the_beginning_is_short(folder):
    pages = [*ROOT.glob(f"docs/{folder}/*.md")]
    assert pages
    assert [named(page) for page in pages if len(page.read_text("utf-8").splitlines()) > 150] == []


def compared(text):
    """Return an answer without its variable parts; granian sends header names in lower case."""
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text).strip().lower()


@pytest.mark.served
def test_the_tour_of_the_quick_start_works_when_pasted():
    """All blocks run in order in one shell, as if pasted."""
    text = (ROOT / "docs/quick-start/stub.md").read_text("utf-8")
    tour = re.search(r"^## Five minutes\n.*?(?=^## )", text, re.DOTALL | re.MULTILINE)[0]
    blocks = re.findall(r"```(sh|json|text)\n(.*?)```", tour, re.DOTALL)
    assert [kind == "sh" for kind, _ in blocks] == [True, False] * (len(blocks) // 2)
    assert len(blocks) >= 12
    mark = "-- end of a block --"
    script = "".join(f"{block}echo; echo '{mark}'\n" for kind, block in blocks if kind == "sh")
    with serving() as mock:
        script = script.replace("http://127.0.0.1:8080", mock.url)
        done = subprocess.run(["sh"], input=script, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    shown = [block for kind, block in blocks if kind != "sh"]
    assert [*map(compared, done.stdout.split(mark)[:-1])] == [*map(compared, shown)]


def console(page):
    """Yield the commands of a page that call a mock, with the output that the page shows."""
    for block in re.findall(r"```console\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        for command, shown in re.findall(r"\$ (.*)\n((?:(?!\$ ).*\n)*)", block):
            if "http://127.0.0.1:8080" in command and command.startswith("curl"):
                yield command, shown


@pytest.mark.served
def test_the_commands_of_a_page_show_what_the_mock_answers():
    """Each page starts with a fresh mock."""
    pages = [page for page in PAGES if [*console(page)]]
    assert sum(len([*console(page)]) for page in pages) >= 5
    with serving() as mock:
        for page in pages:
            for command, shown in console(page):
                line = command.replace("http://127.0.0.1:8080", mock.url)
                done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30, check=True)
                assert compared(done.stdout) == compared(shown), f"{named(page)}: {command}"
            assert not [request["path"] for request in mock.journal() if request["warnings"]], named(page)
            mock.reset()


def test_requests_in_the_docs_have_a_content_type():
    lines = [
        line
        for page in PAGES
        for line in re.findall(r"^.*curl .*$", page.read_text("utf-8"), re.MULTILINE)
        if " -d " in line and ("/v1/" in line or "$CENTRAL" in line)
    ]
    assert lines
    assert [x for x in lines if "Content-Type: application/json" not in x and '-H "$JSON"' not in x] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_names_real_commands_and_options(page):
    from contract_tests.cli.main import main as contract
    from mock_server.cli.main import main as mock

    text = page.read_text("utf-8").replace("\\\n", " ")
    for program, commands in (("mock-central", mock.commands), ("central-contract", contract.commands)):
        for command, words in re.findall(rf"(?:^|[ `/]){program} ([a-z]+)((?: [^`|\n]*)?)", text, re.MULTILINE):
            if command not in commands and not words.startswith(" -"):
                continue  # prose
            params = commands[command].params
            known = {name for each in params for name in (*each.opts, *each.secondary_opts)} | {"--help"}
            for word in shlex.split(words, comments=True):
                assert not word.startswith("--") or word.partition("=")[0] in known, f"{program} {command} {word}"


def test_the_figures_of_detection_are_those_of_the_table():
    table = (ROOT / "docs/reference/detection.md").read_text("utf-8")
    text = (ROOT / "docs/explanation/detection.md").read_text("utf-8").replace(",", "")
    every, found, named, share = re.search(
        r"^\| all \| (\d+) \| (\d+), (\d+) of \d+ \((.*?)\)", table, re.MULTILINE
    ).groups()
    for figure in (f"{found} of {every}", f"{named} of {every} ({share})"):
        assert figure in text
    for requests in re.findall(r"(\d+ requests \d+\.\d s)", table.replace(",", "")):
        assert requests in text


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
    text = (ROOT / "docs/explanation/asks.md").read_text("utf-8")
    rows = re.findall(r"^\| ([0-9]+) \| (.+?) \| (.+) \|$", text, re.MULTILINE)
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
    text = (ROOT / "docs/explanation/asks.md").read_text("utf-8")
    used = {word for code in re.findall(r"`([^`]+)`", text) for word in code.split() if word.startswith("--")}
    assert used - known == set()
    for path in re.findall(r"/__admin(/[a-z]+)", text):
        assert path in control.document()["paths"], path
