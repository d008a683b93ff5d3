"""The site has all pages of the repository, with working links. `make docs` builds it."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_SPEC = importlib.util.spec_from_file_location("site_of_docs", ROOT / "docs/site.py")
site = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(site)


@pytest.fixture
def pages(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "PAGES", tmp_path)
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    site.gather()
    return tmp_path


def test_every_page_is_in_the_navigation_and_the_navigation_has_no_others(pages):
    assert site.not_in_the_navigation() == []
    (pages / "lost.md").touch()
    assert site.not_in_the_navigation() == ["lost.md"]


def test_pages_link_to_pages_of_the_site(pages):
    for page in pages.rglob("*.md"):
        text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)]+)\)", text):
            path = target.partition("#")[0]
            assert "://" in target or not path or (page.parent / path).is_file(), f"{page.name} links to {target}"


@pytest.mark.parametrize(
    ("target", "page", "there"),
    [
        ("docs/how-to/pytest.md#pytest", "README.md", "how-to/pytest.md#pytest"),
        ("../../CHANGELOG.md", "docs/how-to/pytest.md", "../changelog.md"),
        ("../../README.md#start", "docs/how-to/pytest.md", "../index.md#start"),
        ("README.md", "fixtures/README.md", "fixture-files.md"),
        ("#start", "README.md", "#start"),
        ("https://example.com/a.md", "README.md", "https://example.com/a.md"),
        ("../../openapi.yaml", "docs/reference/rules.md", None),
    ],
)
def test_links_are_those_of_the_site(target, page, there, monkeypatch):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    assert site.link(target, page) == there


def test_links_to_other_files_lead_to_the_code_host(monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    assert (
        site.link("../../openapi.yaml", "docs/reference/rules.md")
        == "https://github.com/owner/name/blob/main/openapi.yaml"
    )
    assert site.link("fixtures/", "README.md") == "https://github.com/owner/name/tree/main/fixtures"


def test_pages_load_nothing_from_other_sites():
    override = (ROOT / "docs/theme/main.html").read_text("utf-8")
    assert "//" not in override
    assert "assets/iframe-worker.js" in override
    assert "font: false" in (ROOT / "mkdocs.yml").read_text("utf-8")
