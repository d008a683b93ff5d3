"""The shipped set replayed: it holds however a client writes JSON, and a server that errs does not pass."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from contract_tests.cli.main import main
from contract_tests.fixtures.coverage import universe
from contract_tests.fixtures.lines import lines_of
from contract_tests.fixtures.record import Mock, mocks
from contract_tests.fixtures.replay import replayed
from mock_server.serving.server import serving

SHIPPED = Path(__file__).parents[2] / "fixtures"
NODE = """
const lines = require("fs").readFileSync(0, "utf8").trim().split("\\n");
for (const line of lines) console.log(JSON.stringify(JSON.stringify(JSON.parse(line))));
"""


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reordered(value[name]) for name in reversed(value)}
    return [reordered(each) for each in value] if isinstance(value, list) else value


WRITERS: dict[str, Callable[[Any], str]] = {
    "compact": lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
    # As PHP escapes, with the line ends of Windows.
    "pretty and reordered": lambda value: (
        json.dumps(reordered(value), indent="\t").replace("\n", "\r\n").replace("/", "\\/")
    ),
}


def differing(write: Callable[[Any], str]) -> list[str]:
    """Replay what has a JSON body on mocks of each release."""
    lines = [line for line in lines_of(SHIPPED) if '"body":' in json.dumps(line, separators=(",", ":"))]
    releases = dict.fromkeys(line["central"] for line in lines)
    return [
        str(found)
        for release in releases
        for found in replayed((line for line in lines if line["central"] == release), mocks(release), write)
        if found
    ]


@pytest.mark.heavy
def test_the_shipped_set_holds_for_any_formatting_of_json() -> None:
    assert differing(WRITERS["pretty and reordered"]) == []


def sent() -> Iterator[str]:
    for line in lines_of(SHIPPED):
        for request in line.get("steps") or [line["request"]]:
            if "body" in request:
                yield json.dumps(request["body"])


@pytest.mark.heavy
@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not here")
def test_the_shipped_set_holds_as_node_writes_json() -> None:
    bodies = list(dict.fromkeys(sent()))
    done = subprocess.run(
        ["node", "-e", NODE], input="\n".join(bodies), capture_output=True, text=True, timeout=60, check=True
    )
    written = dict(zip(bodies, map(json.loads, done.stdout.splitlines()), strict=True))
    # A body with an id that Central has just chosen is not among them; it is written as Node would.
    assert differing(lambda value: written.get(json.dumps(value)) or WRITERS["compact"](value)) == []
    assert all(WRITERS["compact"](json.loads(text)) == text for text in written.values())


# -- the command --------------------------------------------------------------------------------------


def replay(*words: str) -> Result:
    return CliRunner().invoke(main, ["fixtures", "--replay", *words])


@pytest.mark.heavy
def test_the_command_replays_the_set_at_our_mocks() -> None:
    result = replay(str(SHIPPED))
    assert result.exit_code == 0, result.output
    count = len(lines_of(SHIPPED))
    assert result.output == f"{count} of {count} fixtures match\n"


def test_a_different_answer_is_reported_with_the_fixture(tmp_path: Path) -> None:
    (line,) = (each for each in lines_of(SHIPPED) if each["id"] == "error-shape/missing")
    line["expect"] |= {"status": 418, "keys": ["code"], "message_has": "teapot"}
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n", "utf-8")
    result = replay(str(tmp_path))
    assert result.exit_code == 1
    assert "error-shape/missing: status 404, not 418; keys " in result.output
    assert "lacks 'teapot'" in result.output
    assert "0 of 1 fixtures match" in result.output


LINE: dict[str, Any] = {
    "id": "a", "group": "taken", "rule": None, "type": None, "why": "The list.", "central": "5.0", "setup": [],
    "request": {"method": "GET", "path": "/v1/imageintegrations"}, "expect": {"status": 200},
}  # fmt: skip
STEPS = {key: value for key, value in LINE.items() if key not in ("setup", "request")} | {
    "steps": [{"request": "GET /v1/imageintegrations"}] * 3,
    "expect": [{"status": 200}] * 2,
}


def with_line(folder: Path, content: bytes) -> str:
    (folder / "a.jsonl").write_bytes(content)
    return str(folder / "a.jsonl")


@pytest.mark.parametrize("how", ["--replay", "--coverage"])
@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"x", "line 1 is not a fixture: Expecting value"),
        (b"\n[]", "line 2 is not a fixture: $: "),
        (b"\xff", "cannot be read: 'utf-8' codec can't decode byte 0xff"),
        (b"[" * 100_000, "line 1 is not a fixture: maximum recursion depth"),
        (b" \n\n", "has no fixtures; make some with"),
        (LINE | {"expect": {}}, '$.expect: "status" is a required property'),
        (LINE | {"expect": {"statos": 200}}, "'statos' was unexpected"),
        (LINE | {"expect": {"status": 200, "text_regex": "("}}, "$.expect.text_regex: "),
        (LINE | {"request": {"path": "/"}}, '$.request: "method" is a required property'),
        (LINE | {"request": {"method": "PUT", "path": "/", "raw_base64": "%"}}, "$.request.raw_base64: "),
        (LINE | {"request": {"method": "PUT", "path": "/", "raw_base64": "abc"}}, "Incorrect padding"),
        (LINE | {"request": {"method": "GET", "path": "/", "headers": {"X": 5}}}, "$.request.headers.X: "),
        (LINE | {"central": "3.74"}, "'3.74' is not a release of Central"),
        (LINE | {"central": None}, "$.central: "),
        (STEPS, "$.expect has 2 answers for 3 steps"),
        (STEPS | {"expect": {"status": 200}}, "$.expect: "),
        (STEPS | {"request": LINE["request"]}, "$.request: "),
    ],
    ids=str,
)
def test_an_invalid_line_is_reported_with_its_place(tmp_path: Path, how: str, content: object, named: str) -> None:
    written = content if isinstance(content, bytes) else json.dumps(content).encode()
    result = CliRunner().invoke(main, ["fixtures", how, with_line(tmp_path, written)])
    assert (result.exit_code, result.output.count("\n")) == (2, 1), result.output
    assert "a.jsonl" in result.output
    assert named in result.output


def test_windows_line_ends_and_byte_order_marks_are_accepted(tmp_path: Path) -> None:
    file = with_line(tmp_path, b"\xef\xbb\xbf" + json.dumps(LINE).encode() + b"\r\n\r\n")
    assert replay(file).output == "1 of 1 fixtures match\n"


def test_a_set_of_a_patch_release_is_complete() -> None:
    wanted = [item for item in universe("4.11.1") if item.kind == "pair"]
    assert wanted == [item for item in universe("4.11") if item.kind == "pair"]


@pytest.mark.served
def test_replay_skips_lines_that_a_server_cannot_answer(tmp_path: Path) -> None:
    lines = [each for each in lines_of(SHIPPED) if each["id"].startswith(("conversation/life-", "basic-invalid/"))]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines), "utf-8")
    with serving() as mock:
        result = replay(str(tmp_path), "--at", mock.url)
    assert result.exit_code == 0, result.output
    asked = sum("auth" not in each.get("env", {}) for each in lines)
    assert f"{asked} of {asked} fixtures match" in result.stdout
    assert f"skipped {len(lines) - asked} fixtures for other releases" in result.stderr


@pytest.mark.served
@pytest.mark.parametrize("words", [(), ("--central-version", "4.9")])
def test_a_set_without_a_line_for_a_server_is_an_error(words: tuple[str, ...]) -> None:
    with serving() as mock:
        result = replay(str(SHIPPED / "auth.jsonl"), "--at", mock.url, *words)
    assert result.exit_code == 2
    assert "has no fixtures for" in result.output
    assert "without --at, mocks answer them" in result.output


@pytest.mark.parametrize("mutant", ["name-unique", "credentials-masked", "answer-headers", "list-by-name"])
def test_replay_detects_a_mutant(mutant: str) -> None:
    lines = (each for each in lines_of(SHIPPED) if each["rule"] == mutant)
    assert any(replayed(lines, {None: Mock(mutants=(mutant,))}))


@pytest.mark.parametrize(("mutants", "wrong"), [((), 0), (("gzip-broken",), 1), (("leak-in-header",), 1)])
def test_compression_and_leaks_in_headers_are_checked_without_a_key(mutants: tuple[str, ...], wrong: int) -> None:
    texts = (SHIPPED / "taken.jsonl").read_text("utf-8").splitlines()
    lines = [json.loads(text) for text in texts if text.startswith('{"id":"answer-headers/compressed"')]
    assert len(lines) == 1
    assert sum(map(bool, replayed(lines, {None: Mock(mutants=mutants)}))) == wrong


def test_a_client_need_not_unpack_what_it_asked_for_compressed() -> None:
    """Go's client unpacks only what it compressed by itself, and http.client nothing."""
    asked = [
        expect
        for line in lines_of(SHIPPED)
        for step, expect in zip(line.get("steps", ()), line["expect"] if "steps" in line else (), strict=True)
        if "Accept-Encoding" in step.get("headers", {})
    ]
    assert asked
    assert all(expect.keys() == {"status", "headers"} for expect in asked)
