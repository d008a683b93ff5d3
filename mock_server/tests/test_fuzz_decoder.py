"""A short fuzz of the decoder, and a check that it can fail."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.central import decoding, protojson
from mock_server.golang import json as gojson
from mock_server.golang import timestamps
from mock_server.tests import fuzz_decoder
from mock_server.tests.conftest import more_examples
from mock_server.tests.fuzz_decoder import Fuzzed, WrongError, seeds, words

SEEDS = seeds()
WORDS = words()
FUZZED = Fuzzed()
ROOT = Path(__file__).parents[2]


def check(data):
    for each in data:
        FUZZED.check(each)


@st.composite
def inputs(draw):
    """Mutated seeds."""
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = at + draw(st.integers(0, 12))
        new = draw(st.sampled_from(WORDS) | st.binary(max_size=3) | st.just(data[at:end] * 2))
        data = data[:at] + new + data[end:]
    return data


@pytest.mark.heavy
def test_every_seed_is_decoded_correctly():
    assert len(SEEDS) > 4000
    check(SEEDS)


@pytest.mark.heavy
@more_examples(int(os.environ.get("TEST_FUZZ", "1500")) // 100)
@given(inputs())
def test_mutated_seeds_are_decoded_correctly(data):
    FUZZED.check(data)


def raises(*_):
    raise KeyError("applied")


WRONG = {
    "an exception that is no refusal": (protojson.Reading, "timestamp", raises, KeyError),
    "the ways differ": (protojson.Decoder, "first_value", lambda self, data: b"{}", WrongError),
    "a refusal of two lines": (protojson.Reading, "shown", lambda self, token: "a\nb", WrongError),
    "half a character": (protojson.Reading, "shown", lambda self, token: "\ud800", UnicodeEncodeError),
    "a place beyond the body": (protojson.Reading, "position", lambda self, token: "(line 99:1)", WrongError),
    "what is rendered is another": (timestamps, "normalise", lambda text: f"{text}0", WrongError),
    "the scanner takes all": (gojson, "check_document", lambda body: None, WrongError),
    "the scanner takes nothing": (gojson._Scanner, "number_end", lambda self, at, first: at, WrongError),
    "protobuf is longer than was thought": (decoding, "LARGEST_GROWTH", 0.1, WrongError),
}


@pytest.mark.parametrize(("where", "name", "wrong", "error"), WRONG.values(), ids=WRONG.keys())
def test_a_faulty_decoder_is_detected(monkeypatch, where, name, wrong, error):
    monkeypatch.setattr(where, name, wrong)
    with pytest.raises(error):
        check(SEEDS)


@pytest.mark.served
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="make fuzz installs atheris")
@pytest.mark.slow
def test_the_guided_fuzz_runs_and_reports_coverage():
    command = [sys.executable, "-m", "mock_server.tests.fuzz_decoder", "--inputs", "6000"]  # more than there are seeds
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "Done 6000 in" in done.stderr
    assert "6,000 inputs in" in done.stdout
    assert "mock_server/central/protojson.py" in done.stdout


def test_one_input_can_be_checked_again(tmp_path):
    (tmp_path / "input").write_bytes(SEEDS[0])
    assert fuzz_decoder.replay(tmp_path / "input") == 0
