"""Gather the pages of the site in build/pages: docs/, and the pages at the top of the repository.

There is one text of each page. A link to a file that is no page leads to the code host if GITHUB_REPOSITORY names the
repository, as it does in a workflow, and is plain text otherwise.
"""

import os
import posixpath
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "build/pages"
TOP = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "fixtures/README.md": "fixture-files.md",
}
SHOWN = (".md", ".js", ".png", ".svg")
_LINK = re.compile(
    r"(?P<text>\[(?P<label>[^\]\n]*)\])\((?P<target>[^)\s]+)\)|(?P<name>src|srcset|href)=\"(?P<value>[^\"]+)\""
)


def place(file: str) -> str | None:
    """Return the place of a file of the repository on the site, or None if the site does not have it."""
    if file.startswith("docs/") and not file.startswith("docs/theme/") and file.endswith(SHOWN):
        return file.removeprefix("docs/")
    return TOP.get(file)


def link(target: str, page: str) -> str | None:
    """Return the target of a link on the site, or None if the site does not have it."""
    path, mark, anchor = target.partition("#")
    if not path or ":" in path:
        return target
    file = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
    if there := place(file):
        return posixpath.relpath(there, posixpath.dirname(place(page) or "") or ".") + mark + anchor
    if repository := os.environ.get("GITHUB_REPOSITORY"):
        kind = "tree" if (ROOT / file).is_dir() else "blob"
        return f"https://github.com/{repository}/{kind}/main/{file}{mark}{anchor}"
    return None


def text(page: str) -> str:
    """Return the text of a page with the links of the site."""

    def replaced(match: re.Match[str]) -> str:
        target = link(match["target"] or match["value"], page)
        if match["name"]:
            return f'{match["name"]}="{target or match["value"]}"'
        return f"{match['text']}({target})" if target else match["label"]

    source = (ROOT / page).read_text("utf-8")
    # Code is left as it is.
    parts = re.split(r"(^```.*?^```$|`[^`\n]+`(?!\]))", source, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if part.startswith("`") else _LINK.sub(replaced, part) for part in parts)


def gather() -> None:
    """Write the pages, and copy their pictures."""
    shutil.rmtree(PAGES, ignore_errors=True)
    sources = [
        *TOP,
        *(file.relative_to(ROOT).as_posix() for file in sorted((ROOT / "docs").rglob("*")) if file.is_file()),
    ]
    for source in sources:
        if (there := place(source)) is None:
            continue
        (PAGES / there).parent.mkdir(parents=True, exist_ok=True)
        if source.endswith(".md"):
            (PAGES / there).write_text(text(source), "utf-8")
        else:
            shutil.copyfile(ROOT / source, PAGES / there)


def not_in_the_navigation() -> list[str]:
    """Return the pages that are missing in the navigation; zensical does not report them."""
    _, _, navigation = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")
    listed = re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", navigation, re.MULTILINE)
    return sorted({page.relative_to(PAGES).as_posix() for page in PAGES.rglob("*.md")} - {*listed})


if __name__ == "__main__":
    gather()
    if lost := not_in_the_navigation():
        sys.exit(f"mkdocs.yml: the navigation lacks {', '.join(lost)}")
