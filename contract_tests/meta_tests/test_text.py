"""Text from a target is harmless wherever it is shown: terminal, CI log, web page, summary."""

import json

import pytest

from contract_tests.engine.text import changed, clean, harmless_json, markdown, one_line, printable, without_values


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("a\r\nb", "a\\x0d\nb"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202eabc\u200b", r"\u202eabc\u200b"),
        ("\ud800", r"\ud800"),
        ("::error::x", r"\x3a:error::x"),
        ("a\n \t ::stop-commands::x", "a\n \t \\x3a:stop-commands::x"),
        ("a ::error::x", "a ::error::x"),
        ("a ##[error]x ##vso[task]y ##teamcity[z]", r"a \x23#[error]x \x23#vso[task]y \x23#teamcity[z]"),
        ("## heading", "## heading"),
    ],
)
def test_only_active_text_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_message_stays_on_one_line() -> None:
    assert one_line("a\n::error::b\tc") == "a\\n::error::b c"
    assert len(one_line("x" * 10_000)) < 600


@pytest.mark.parametrize(
    "text", ["<img src=x>", "[a](http://b)", "**b**", "@all", "`x`", "# h", "| a |", "~~~", "&lt;"]
)
def test_markdown_escapes_all_markup(text: str) -> None:
    import html

    shown = markdown(text)
    assert not set(shown) & set("<>[]*@`|~_")
    assert html.unescape(shown) == text


def test_json_keeps_its_value_without_control_characters() -> None:
    value = {"a\x1b\u202e": ["\x9b31m\n", "日本", "\ud800"], "b": ["##[x]"]}
    text = harmless_json(json.dumps(value, indent=2, ensure_ascii=False))
    assert text.replace("\n", "").isprintable()
    assert json.loads(text) == value
    assert "##[" not in text
    assert clean(value) == {r"a\x1b\u202e": ["\\x9b31m\n", "日本", r"\ud800"], "b": [r"\x23#[x]"]}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('"name": "AWS"', '"name": …'),
        ('"name": "a \\" b", "id": 7', '"name": …, "id": …'),
        ('no registry "x" of 12', "no registry … of …"),
        ('["a", "b"]', "[…, …]"),
    ],
)
def test_symptom_has_keys_but_no_values(text: str, left: str) -> None:
    assert without_values(text) == left


def test_symptom_ignores_the_position_of_a_field() -> None:
    assert changed(['- "name": "a",', '  "type": "docker"']) == changed(['- "name": "b"'])
