"""The command `central-contract fixtures`: finding one, and being told what is wrong."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from contract_tests.cli.main import main
from mock_server.serving.server import serving
from mock_server.settings import Settings


def fixtures(*words: str) -> Result:
    return CliRunner().invoke(main, ["fixtures", *words])


def test_a_fixture_is_found_in_the_list_and_made_by_its_name() -> None:
    head, *lines = fixtures("--list", "--rule", "name-unique", "--invalid").stdout.splitlines()
    assert head.split("\t") == ["name", "type", "status", "rule", "why"]
    assert lines
    for line in lines:
        name, _, status, rule, why = line.split("\t")
        assert (status, rule) == ("400", "name-unique")
        assert why
        (made,) = fixtures("--name", name).stdout.splitlines()
        assert json.loads(made)["id"] == name


def test_a_pattern_names_several() -> None:
    lines = fixtures("--list", "--name", "conversation/life-*").stdout.splitlines()[1:]
    assert len(lines) > 5
    assert all(line.startswith("conversation/life-") for line in lines)


def test_a_list_can_be_kept(tmp_path: Path) -> None:
    assert fixtures("--list", "--name", "conversation/life-quay", "-o", str(tmp_path / "list.tsv")).exit_code == 0
    assert (tmp_path / "list.tsv").read_text("utf-8").count("\n") == 2


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--type", "Quay"), "there is no type 'Quay'; did you mean quay?"),
        (("--rule", "name-uniqe"), "there is no rule 'name-uniqe'; did you mean name-unique?"),
        (("--rule", "google-not-created", "--central-version", "4.11"), "releases have it since 5.0"),
        (("--name", "nope"), "`central-contract fixtures --list`"),
        (("--name", "nope", "--count", "3"), "`central-contract fixtures --list`"),
        (("--all", "--name", "nope"), "--all makes everything"),
        (("--all",), "-o DIR"),
        (("--all", "--type", "quay", "-o", "x"), "--all makes everything"),
        (("--type", "clair", "--rule", "name-unique"), "narrow each other"),
        (("--format", "json"), "-o DIR"),
        (("--coverage", "no-such-folder"), "there is no JSON Lines file"),
        (("--from-url", "central"), "is not a URL"),
        (("--from-url", "http://127.0.0.1:9"), "http://127.0.0.1:9 does not answer: ConnectionRefusedError"),
        (("--at", "http://127.0.0.1:9"), "http://127.0.0.1:9 does not answer: ConnectionRefusedError"),
        (("--at", "http://127.0.0.1:9", "--timeout", "0"), "'0'"),
        (("--ca-file", __file__), "no certificates"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_made_is_one_clear_line(words: tuple[str, ...], named: str) -> None:
    result = fixtures(*words)
    assert result.exit_code == 2, result.output
    assert named in result.output.splitlines()[-1]
    assert "Traceback" not in result.output


@pytest.mark.served
def test_missing_credentials_are_asked_for() -> None:
    with serving(Settings(auth=True)) as mock:
        result = fixtures("--from-url", mock.url)
    assert result.exit_code == 2
    assert "asks for credentials (--token-file" in result.output
