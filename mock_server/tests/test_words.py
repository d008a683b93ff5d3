"""No code, message or page contains a phrase of docs/words.toml."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUFFIXES = (".py", ".js", ".yaml", ".toml", ".md", ".html")
EXEMPT = re.compile(r"^(fixtures/|CHANGELOG\.md|mock_server/tests/(data|reference|frozen)/|docs/words\.toml)")
WORDS = tomllib.loads((ROOT / "docs/words.toml").read_text("utf-8"))


def files() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout of git")
    return [name for name in listed.stdout.split() if name.endswith(SUFFIXES) and not EXEMPT.match(name)]


@pytest.mark.parametrize(("phrase", "better"), WORDS["everywhere"].items())
def test_no_text_has_a_discouraged_phrase(phrase, better):
    found = [
        f"{name}:{number}: {line.strip()}"
        for name in files()
        for number, line in enumerate((ROOT / name).read_text("utf-8").splitlines(), start=1)
        if re.search(phrase, line)
    ]
    assert found == [], f"{better}: {found}"


@pytest.mark.parametrize("phrase", [*WORDS["everywhere"], *WORDS["pages"]])
def test_every_phrase_is_a_valid_pattern(phrase):
    assert re.compile(phrase)
    assert not re.search(phrase, "")
