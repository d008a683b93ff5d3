"""Phrases that cost every reader time stay out of code, messages and docs."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUFFIXES = (".py", ".js", ".yaml", ".toml", ".md", ".html")
EXEMPT = re.compile(
    r"^(fixtures/|CHANGELOG\.md|mock_server/tests/(data|reference|frozen)/|mock_server/tests/test_words\.py)"
)
RIDDLES = {
    r"\b(is|are) told\b": "say who reports or answers it",
    r"\bseen to\b": "say who checks or ensures it",
    r"\b[Ss]ee that\b": "write check that, or raise",
    r"\b[Tt]ell whether\b": "write return whether",
    r'"""Give ': "write Return",
    r"\bas was asked for\b": "say what was injected or configured",
}


def files() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout of git")
    return [name for name in listed.stdout.split() if name.endswith(SUFFIXES) and not EXEMPT.match(name)]


@pytest.mark.parametrize(("phrase", "better"), RIDDLES.items())
def test_no_text_has_a_phrase_that_readers_stumble_over(phrase, better):
    found = [
        f"{name}:{number}: {line.strip()}"
        for name in files()
        for number, line in enumerate((ROOT / name).read_text("utf-8").splitlines(), start=1)
        if re.search(phrase, line)
    ]
    assert found == [], f"{better}: {found}"
