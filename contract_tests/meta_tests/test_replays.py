"""A replayed failure of a mutant fails on the mutant and passes on the healthy mock; its script works.

A few here; `python -m contract_tests.meta_tests.replays` does so for all of them.
"""

import pytest

from contract_tests.meta_tests.replays import Outcome, replayed
from contract_tests.runner.replay import GONE, SHOWS

SAMPLE = (
    "name-unique",  # a rule
    "get-in-clear",  # seen by an observer on what another check created
    "list-extra-field",  # by an observer in a list
    "ghcr-without-config",  # reported by another check
    "html-404",
    "test-stores-nothing",
    "delete-all",  # on what was there before
    "creates-at-once",  # at the same moment
    "every-20th-text",  # now and then
    "write-403",  # with tokens
    pytest.param("slow-list", marks=pytest.mark.slow),
)


@pytest.mark.heavy
@pytest.mark.parametrize("mutant", SAMPLE)
def test_replay_distinguishes_the_mutant_from_the_healthy_mock(mutant: str) -> None:
    assert replayed(mutant) == Outcome(mutant, SHOWS, GONE, "")
