"""Make the pictures of the docs from the real thing: `make pictures`, and names such as `charts` for some of them.

Terminal and browser show the programs of this checkout. Charts are drawn from the tables of the pages. Mermaid draws
the diagrams from the .mmd files; `npm ci` has put it into build/pictures.
"""

import hashlib
import json
import os
import pty
import re
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from io import StringIO
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, DIMMED_MONOKAI
from rich.text import Text

from mock_server.serving import serving
from mock_server.settings import Settings
from mock_server.tests.chromium import CHROMIUM

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MERMAID = ROOT / "build/pictures/node_modules/mermaid/dist/mermaid.min.js"
SCHEMES = ("light", "dark")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the Chromium of this machine."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


# -- terminal ----------------------------------------------------------------------------------------

_WIDTH = 108
_SERVE = "mock-central serve --mutant name-unique &"
_RUN = ("--quick", "--seed", "7", "--run-id", "example")
# Rich's own page of a terminal, without the font that it loads from another site.
_SVG = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def shown(command: list[str]) -> str:
    """Return what a command writes to a terminal, with its colors."""
    environment = {
        **os.environ,
        "COLUMNS": str(_WIDTH),
        "LINES": "60",
        "TERM": "xterm-256color",
        "PYTHONPATH": str(ROOT),
    }
    with tempfile.TemporaryDirectory() as folder:
        process, terminal = pty.fork()
        if process == 0:
            os.chdir(folder)
            os.execve(sys.executable, [sys.executable, *command], environment)  # noqa: S606
        written = b""
        while True:
            try:
                more = os.read(terminal, 1 << 16)
            except OSError:  # the command has ended
                break
            if not more:
                break
            written += more
        os.waitpid(process, 0)
    return written.decode().replace("\r\n", "\n")


def terminal() -> None:
    """Run the checks against a mock with a mutant, and draw what a terminal shows."""
    with serving(Settings(mutants=("name-unique",))) as mock:
        text = shown(["-m", "contract_tests", "check", mock.url, *_RUN])
        text = text.replace(mock.url, "http://127.0.0.1:8080")
    # Of the progress, which is erased, nothing stays.
    text = re.sub(r"[^\n]*\n[^\n]*\x1b\[1A", "", text)
    lines = [re.split(r"\r|\x1b\[2K", line)[-1] for line in text.split("\n")]
    for scheme, theme in zip(SCHEMES, (DEFAULT_TERMINAL_THEME, DIMMED_MONOKAI), strict=True):
        console = Console(record=True, width=_WIDTH, file=StringIO(), force_terminal=True)
        for command in (_SERVE, f"central-contract check http://127.0.0.1:8080 {' '.join(_RUN)}"):
            console.print(Text(f"$ {command}", style="bold"))
        for line in lines:
            console.print(Text.from_ansi(line), no_wrap=True, overflow="ellipsis", crop=True)
        svg = _SVG.sub("", console.export_svg(title="central-contract", theme=theme, unique_id=f"terminal-{scheme}"))
        (HERE / f"terminal-{scheme}.svg").write_text(svg.replace("Fira Code", "ui-monospace"), "utf-8")


# -- browser -----------------------------------------------------------------------------------------


def call(url: str, method: str = "GET", body: object = None, **headers: str) -> None:
    """Send one request; its answer is what the picture is for."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers}, method=method)  # noqa: S310
    try:
        urllib.request.urlopen(request).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()


def docker(name: str, **config: object) -> dict[str, object]:
    """Return the body of a create."""
    return {
        "name": name,
        "type": "docker",
        "categories": ["REGISTRY"],
        "docker": {"endpoint": "registry.example.com", **config},
        "skipTestIntegration": True,
    }


def console() -> None:
    """Open the console of a mock that a client has used."""
    with serving(Settings(scenario="one-of-each")) as mock, chromium() as browser:
        api = f"{mock.url}/v1/imageintegrations"
        call(api, "POST", docker("warm", user="robot"))  # loads what the first warning needs
        mock.reset()
        mock.fault("GetImageIntegration code=503 times=1")
        call(api)
        call(api, "POST", docker("acme"))
        call(api, "POST", docker("acme"))
        call(api, "POST", docker("other", user="robot"))
        call(f"{api}/nope")
        call(f"{api}/nope")
        call(f"{api}/test", "POST", docker("tested"))
        for scheme in SCHEMES:
            page = browser.new_page(viewport={"width": 1200, "height": 620}, color_scheme=scheme)
            page.goto(f"{mock.url}/__admin/")
            page.wait_for_selector("table tbody tr")
            page.wait_for_timeout(500)
            page.screenshot(path=HERE / f"console-{scheme}.png")


def report() -> None:
    """Open the HTML report of a run that has found something."""
    with (
        serving(Settings(mutants=("name-unique",))) as mock,
        tempfile.TemporaryDirectory() as folder,
        chromium() as browser,
    ):
        file = Path(folder) / "report.html"
        shown(["-m", "contract_tests", "check", mock.url, *_RUN, "--report-html", str(file)])
        for scheme in SCHEMES:
            page = browser.new_page(viewport={"width": 1200, "height": 760}, color_scheme=scheme)
            page.goto(file.as_uri())
            page.screenshot(path=HERE / f"report-{scheme}.png")


# -- charts ------------------------------------------------------------------------------------------

_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px }
  .note { fill: #59636e; font-size: 12px }
  .bar { fill: #9aa7b4 }
  .ours { fill: #3559c7 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .note { fill: #9198a1 }
    .bar { fill: #59636e }
    .ours { fill: #7c9cff }
  }
"""


def bars(title: str, note: str, rows: list[tuple[str, float, str, bool]], most: float) -> str:
    """Draw a bar for each row: a name, a number, its text, and whether it is the mock's."""
    height = 64 + 26 * len(rows)
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {height}" width="720" height="{height}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<text class="title" x="8" y="20">{escape(title)}</text>',
        f'<text class="note" x="8" y="40">{escape(note)}</text>',
    ]
    for number, (name, value, text, ours) in enumerate(rows):
        y = 56 + 26 * number
        width = max(1, round(420 * value / most))
        drawn += [
            f'<text x="200" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{"ours" if ours else "bar"}" x="210" y="{y}" width="{width}" height="18" rx="3"/>',
            f'<text x="{218 + width}" y="{y + 14}">{escape(text)}</text>',
        ]
    return "\n".join([*drawn, "</svg>", ""])


def table(text: str) -> list[list[str]]:
    """Return the rows of the first table of a text, without its heading."""
    lines = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)[0].splitlines()  # type: ignore[index]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def performance(page: str) -> str:
    """Draw the creates of docs/reference/measurements.md."""
    rows = table(page[page.index("<!-- measured: side-by-side -->") :])
    creates = [(row[0], float(row[3].replace(",", "")), row[3], row[0].startswith("mock")) for row in rows]
    creates.sort(key=lambda row: -row[1])
    return bars(
        "Creates for each CPU second", "More is better. python -m benchmarks.side_by_side", creates, creates[0][1]
    )


def detection(page: str) -> str:
    """Draw what a quick run names, for each kind of docs/reference/detection.md."""
    rows = []
    for kind, mutants, quick, *_ in table(page):
        named = int(quick.split(", ")[1].split()[0])
        rows.append((kind, named / int(mutants), f"{named} of {mutants}", kind == "all"))
    return bars(
        "Mutants that a quick run names",
        "By kind. python -m contract_tests.meta_tests.detection",
        rows,
        1,
    )


def charts() -> None:
    """Draw the numbers of the pages."""
    for name, page, draw in (("performance", "measurements", performance), ("detection", "detection", detection)):
        (HERE / f"{name}.svg").write_text(draw((ROOT / f"docs/reference/{page}.md").read_text("utf-8")), "utf-8")


# -- diagrams ----------------------------------------------------------------------------------------


def mark(source: str) -> str:
    """Return what says in a drawing which source it was made of."""
    return f"<!-- {hashlib.sha256(source.encode()).hexdigest()} -->\n"


def diagrams() -> None:
    """Draw the .mmd files with Mermaid; what it cannot read is an error."""
    settings = {
        "startOnLoad": False,
        "htmlLabels": False,
        "flowchart": {"htmlLabels": False, "wrappingWidth": 420, "rankSpacing": 32},
        "look": "classic",
        "fontFamily": "sans-serif",
    }
    with chromium() as browser:
        for file in sorted(HERE.glob("*.mmd")):
            source = file.read_text("utf-8")
            for scheme, theme in zip(SCHEMES, ("neutral", "dark"), strict=True):
                page = browser.new_page()
                page.add_script_tag(path=MERMAID)
                page.evaluate("settings => mermaid.initialize(settings)", {**settings, "theme": theme})
                svg = page.evaluate(
                    "async ([id, source]) => (await mermaid.render(id, source)).svg", [f"{file.stem}-{scheme}", source]
                )
                (HERE / f"{file.stem}-{scheme}.svg").write_text(mark(source) + svg + "\n", "utf-8")
                page.close()


MAKE: dict[str, Callable[[], None]] = {each.__name__: each for each in (terminal, console, report, charts, diagrams)}

if __name__ == "__main__":
    for name in sys.argv[1:] or MAKE:
        MAKE[name]()
