"""Run `fuzz_decoder` with inputs that atheris chooses by coverage; the arguments are those of libFuzzer."""

import random
import re
import sys

import atheris

with atheris.instrument_imports(include=["mock_server"]):
    from mock_server.tests.fuzz_decoder import Fuzzed, words

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[^\s"{}\[\]:,]+', re.DOTALL)
_WORDS = words()


def mutated(data: bytes, most: int, seed: int) -> bytes:
    """Change an input anywhere, or one token of its JSON, because changed bytes seldom stay valid JSON."""
    draw = random.Random(seed)
    tokens = list(_TOKEN.finditer(data, 1))
    if not tokens or draw.random() < 0.5:
        return atheris.Mutate(data, most)
    chosen = draw.choice(tokens)
    new = draw.choice(_WORDS) if draw.random() < 0.3 else atheris.Mutate(chosen.group(), 64)
    return (data[: chosen.start()] + new + data[chosen.end() :])[:most]


atheris.Setup(sys.argv, Fuzzed().check, custom_mutator=mutated)
atheris.Fuzz()
