"""Lint the prose of the pages: proselint's checks, and the words of docs/words.toml.

Code, links and comments of a page are skipped.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from proselint.checks import __register__
from proselint.config import DEFAULT
from proselint.registry import CheckRegistry
from proselint.tools import LintFile

ROOT = Path(__file__).parents[1]
# Central's own texts, and a list that scripts write.
NO_PROSE = {"docs/reference/rules.md", "docs/reference/checks.md"}
OFF = [
    "typography.symbols.curly_quotes",  # readers paste straight quotes
    "typography.symbols.ellipsis",  # three dots are what commands and GitHub's parameters show
    "typography.symbols.sentence_spacing",  # removed code leaves blanks
]
_CODE = re.compile(
    r"^```.*?^```$"  # a block
    r"|`[^`\n]+`"  # in a line
    r"|<!--.*?-->"
    r"|\]\([^)\n]+\)",  # where a link leads
    re.DOTALL | re.MULTILINE,
)


def prose(text: str) -> str:
    """Return the page with blanks for everything but prose, so that places stay."""
    return _CODE.sub(lambda match: re.sub(r"[^\n]", "§", match[0]), text)


def findings(name: str, text: str, words: dict[str, str]) -> Iterator[tuple[int, str]]:
    """Return the findings of proselint and of the word list."""
    config = {**DEFAULT, "checks": dict.fromkeys(OFF, False) | DEFAULT["checks"]}  # the first name that fits counts
    file = LintFile(name, prose(text))
    for result, (line, _) in file.lint(config):
        if "\n\n" in file.content[slice(*result.span)]:
            continue  # a heading and the first word below it repeat nothing
        yield line, f"{result.check_path}: {result.message}"
    for number, line in enumerate(prose(text).splitlines(), start=1):
        for phrase, better in words.items():
            if found := re.search(phrase, line):
                yield number, f"{found[0]!r}: {better}"


def main() -> int:
    """Print the findings; exit with 1 if there are any."""
    CheckRegistry().register_many(__register__)
    words = tomllib.loads((ROOT / "docs/words.toml").read_text("utf-8"))
    words = words["everywhere"] | words["pages"]
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("fixtures/*.md"), *ROOT.glob(".github/**/*.md")]
    wrong = 0
    for name in sorted({page.relative_to(ROOT).as_posix() for page in pages} - NO_PROSE):
        for line, message in sorted(findings(name, (ROOT / name).read_text("utf-8"), words)):
            print(f"{name}:{line}: {message}")
            wrong += 1
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
