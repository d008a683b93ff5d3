"""The pictures of the docs exist in both themes, are small, and are up to date."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/pictures"
_SPEC = importlib.util.spec_from_file_location("make_pictures", FOLDER / "make.py")
make = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(make)

PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")})
SHOWN = [
    (page, picture)
    for page in PAGES
    for picture in re.findall(r'(?:src|srcset)="([^"]+)"', page.read_text("utf-8"))
    if "pictures/" in picture
]


@pytest.mark.parametrize(("page", "picture"), SHOWN, ids=lambda value: getattr(value, "name", value))
def test_a_page_shows_a_picture_that_exists_in_both_themes(page, picture):
    file = page.parent / picture
    assert file.is_file()
    if file.stem.endswith(make.SCHEMES):
        other = re.sub("(light|dark)$", lambda scheme: {"light": "dark", "dark": "light"}[scheme[0]], file.stem)
        assert (page, picture.replace(file.stem, other)) in SHOWN
    else:
        assert "prefers-color-scheme: dark" in file.read_text("utf-8")


def test_a_picture_has_an_alternative_text():
    for page in {page for page, _ in SHOWN}:
        for tag in re.findall(r"<img [^>]+>", page.read_text("utf-8")):
            assert re.search(r'alt="[^"]{20,}"', tag), tag


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.png")), ids=lambda file: file.name)
def test_a_screenshot_is_small(file):
    assert file.stat().st_size < 150_000


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.svg")), ids=lambda file: file.name)
def test_a_drawing_loads_no_resources(file):
    text = file.read_text("utf-8")
    assert not re.search(r"""<script|@import|url\(['"]?http|href=['"]http|<image|foreignObject""", text)


@pytest.mark.parametrize(("name", "page"), [("performance", "measurements"), ("detection", "detection")])
def test_a_chart_shows_the_numbers_of_its_page(name, page):
    page = (ROOT / f"docs/reference/{page}.md").read_text("utf-8")
    assert getattr(make, name)(page) == (FOLDER / f"{name}.svg").read_text("utf-8"), "make pictures ARGS=charts"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.mmd")), ids=lambda file: file.name)
def test_a_diagram_is_drawn_from_its_source(file):
    for scheme in make.SCHEMES:
        drawn = (FOLDER / f"{file.stem}-{scheme}.svg").read_text("utf-8")
        assert drawn.startswith(make.mark(file.read_text("utf-8"))), "make pictures ARGS=diagrams"
