"""Fuzz the decoder of bodies, guided by coverage.

`make fuzz` runs it. Inputs are one byte that chooses the message, and a body. The seeds are what Go's own decoder was
asked, the fixtures and the examples of the contract; the words of the dictionary come from the contract too.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mock_server.central import decoding, protojson
from mock_server.central.errors import Refusal
from mock_server.contract import tables as contracts
from mock_server.golang import json as gojson
from mock_server.sandboxes.central import Central
from mock_server.settings import Settings

FUZZED = ("protojson", "gojson", "timestamps", "gotext")
LONGEST = 4096
"""Bytes of an input: longer ones find nothing that shorter ones do not, and are slow."""
ROOT = Path(__file__).parents[2]
CONTRACT = contracts.load()
OPERATIONS = [CONTRACT.operations[each] for each in ("PostImageIntegration", "UpdateImageIntegration")]
_POSITION = re.compile(r"\(line (\d+):(\d+)\)")


class WrongError(AssertionError):
    """The decoder violates one of its properties."""


class Fuzzed:
    """A Central whose decoder is fuzzed."""

    def __init__(self) -> None:
        self.central = _decoding(Settings())
        self.showing = _decoding(Settings(as_deployed=True))

    def check(self, data: bytes) -> None:
        """Check that an input is decoded correctly.

        Raises:
            WrongError: it is not; any other exception is also a failure.
        """
        operation, body = OPERATIONS[data[0] % len(OPERATIONS)] if data else OPERATIONS[0], data[1:]
        message = CONTRACT.message(operation.request)
        self.check_scanner(body)
        exact = outcome(self.central.decoding.decoder.decode, message, body)
        see("both ways agree", outcome(self.fast, operation, body), exact)
        shown = outcome(self.showing.decoding.decoder.decode, message, body)
        if isinstance(exact, Refusal):
            assert isinstance(shown, Refusal)
            see("what is shown changes no rule", shown.rule, exact.rule)
            for each in (exact, shown):
                check_text(each, body)
                see(
                    "a refusal keeps the contract", self.central.validator.accepts("GooglerpcStatus", each.body()), True
                )
            return
        see("what is shown changes no value", shown, exact)
        rendered = protojson.render(exact)
        see("what is rendered decodes to the same", self.central.decoding.decoder.decode(message, rendered), exact)
        size = protojson.size(message, exact, CONTRACT.categories)
        if size > decoding.LARGEST_GROWTH * len(body):
            raise WrongError(f"{len(body)} bytes of JSON are {size} of protobuf")

    def fast(self, operation: contracts.Operation, body: bytes) -> dict[str, Any]:
        return self.central.decoding.body(operation, body, "application/json").message

    def check_scanner(self, body: bytes) -> None:
        """Check that the scanner accepts the same JSON as Python."""
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return
        try:
            json.loads(text, parse_constant=_no_constant, parse_int=str, parse_float=str)
        except ValueError:
            valid = False
        except RecursionError:
            return
        else:
            valid = True
        try:
            gojson.check_document(body)
        except gojson.JsonSyntaxError:
            see("the scanner refuses what is no JSON", valid, False)
        else:
            see("the scanner takes what is JSON", valid, True)


def _decoding(settings: Settings) -> Central:
    """Make a Central that skips the slow validator."""
    made = Central(settings)
    made.decoding.violations = lambda *_: []
    return made


def _no_constant(name: str) -> None:
    raise ValueError(name)


def outcome(decode: Any, *arguments: Any) -> Any:
    try:
        return decode(*arguments)
    except Refusal as refusal:
        return refusal


def see(what: str, got: Any, known: Any) -> None:
    if got != known or repr(got) != repr(known):  # True equals 1
        raise WrongError(f"{what}: {got!r} is not {known!r}")


def check_text(refusal: Refusal, body: bytes) -> None:
    """Check that a text is one line of UTF-8, and that a place in it exists in the JSON value."""
    text = refusal.message
    if "\n" in text or "\r" in text or "\0" in text:
        raise WrongError(f"more than a line: {text!r}")
    text.encode()
    if found := _POSITION.search(text):
        lines = body.lstrip(b" \t\r\n").split(b"\n")
        line, column = int(found[1]), int(found[2])
        if not 1 <= line <= len(lines) or not 1 <= column <= len(lines[line - 1]) + 1:
            raise WrongError(f"no place of the body: {text!r}")


# -- what it begins with -----------------------------------------------------------------------------


def seeds() -> list[bytes]:
    """List the initial inputs, each once."""
    from mock_server.tests.test_wire_reference import SCHEMAS, bytes_of, recorded  # it needs the libraries of the tests

    schemas = [each.request for each in OPERATIONS]
    found = [
        bytes([schemas.index(SCHEMAS[question["message"]])]) + bytes_of(question) for question, _ in recorded("wire")
    ]
    values: list[Any] = [each["value"] for each in CONTRACT.document["components"]["examples"].values()]
    for file in sorted((ROOT / "fixtures").glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            values += _bodies(json.loads(line))
    for value in values:
        raw = value.encode() if isinstance(value, str) else json.dumps(value, ensure_ascii=False).encode()
        found.append(bytes([isinstance(value, dict) and "config" in value]) + raw)
    return list(dict.fromkeys(each for each in found if len(each) <= LONGEST))


def _bodies(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _bodies(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key in ("body", "raw"):
                yield each
            else:
                yield from _bodies(each)


def words() -> list[bytes]:
    """List words for the dictionary."""
    names = {name for message in _messages(CONTRACT.message(OPERATIONS[1].request)) for name in message.by_name}
    texts = [json.dumps(each) for each in sorted(names | CONTRACT.categories.keys() | CONTRACT.proto_types.keys())]
    plain = [
        "null",
        "true",
        "false",
        "1e2",
        "-1",
        "2147483648",
        "5.50",
        '""',
        "[]",
        "{}",
        ":",
        ",",
        "\\ud83d",
        "\\ude00",
    ]
    times = ['"2026-01-02T03:04:05Z"', '"0001-01-01T00:00:00.000000001+00:00"', '"9999-12-31T24:59:60,9-24:60"']
    return [each.encode() for each in (*texts, *plain, *times)]


def _messages(message: contracts.Message) -> Iterator[contracts.Message]:
    yield message
    for field in message.fields:
        if field.message is not None:
            yield from _messages(field.message)


# -- the command -------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m mock_server.tests.fuzz_decoder", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="stop after so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="folder to begin with, and to keep what reached more")
    parser.add_argument("--replay", type=Path, help="only check the inputs of this folder, or this input")
    chosen = parser.parse_args()
    if chosen.replay:
        return replay(chosen.replay)
    with tempfile.TemporaryDirectory(prefix="mock-central-fuzz-") as name:
        return fuzz(chosen.corpus or Path(name, "corpus"), Path(name), chosen.inputs, chosen.seed)


def replay(path: Path) -> int:
    """Check the inputs in files."""
    fuzzed = Fuzzed()
    for each in sorted(path.iterdir()) if path.is_dir() else [path]:
        fuzzed.check(each.read_bytes())
    return 0


def fuzz(corpus: Path, folder: Path, inputs: int, seed: int) -> int:
    """Fuzz in another process, report coverage, and show a failing input."""
    corpus.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(seeds()):
        (corpus / f"seed-{number:04}").write_bytes(each)
    dictionary = folder / "words"
    dictionary.write_text("".join(f'"{_escaped(each)}"\n' for each in words()))
    options = [f"-atheris_runs={inputs}", f"-seed={seed}", f"-max_len={LONGEST}", f"-dict={dictionary}"]
    options += [f"-artifact_prefix={folder}{os.sep}", "-timeout=10", "-verbosity=0"]
    print(f"{inputs:,} inputs, 1,000 or more each second ...", flush=True)
    began, before = time.monotonic(), len(list(corpus.iterdir()))
    guided = [sys.executable, "-m", "mock_server.tests.fuzz_guided", *options, str(corpus)]
    failed = subprocess.run(guided, cwd=ROOT, check=False).returncode
    seconds, new = time.monotonic() - began, len(list(corpus.iterdir())) - before
    for each in [*folder.glob("crash-*"), *folder.glob("timeout-*")]:
        print(f"{each.name.partition('-')[0]}: {each.read_bytes()!r}")
    if failed:
        return 1
    print(f"{inputs:,} inputs in {seconds:.0f} seconds; {new:,} of them reached something new")
    return report(corpus, folder)


def report(corpus: Path, folder: Path) -> int:
    """Print the lines and branches that the inputs in a folder reach."""
    environment = os.environ | {"COVERAGE_FILE": str(folder / "coverage")}
    coverage = [sys.executable, "-m", "coverage"]
    measured = ["run", "--branch", f"--include={','.join(f'mock_server/{each}.py' for each in FUZZED)}"]
    again = ["-m", "mock_server.tests.fuzz_decoder", "--replay", str(corpus)]
    subprocess.run([*coverage, *measured, *again], cwd=ROOT, env=environment, check=True)
    return subprocess.run([*coverage, "report", "--show-missing"], cwd=ROOT, env=environment, check=False).returncode


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main())
