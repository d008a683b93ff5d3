"""The first reported failure names the actual fault."""

import pytest

from contract_tests.checks.registry import all_checks
from contract_tests.meta_tests.detection import MOST_DETAILED
from contract_tests.meta_tests.mutant_runs import hurried, verdict_on
from mock_server.mutants import all_mutants, find
from mock_server.tests.sampling import one_in

pytestmark = pytest.mark.served

SAMPLE = list(all_mutants())[::29]

FIRST = {
    "update": "update",
    "delete-answer": "delete-answer",
    "get-deleted": "delete-answer",
    "list-by-name": "list-by-name",
    "get-missing-500": "get-missing",
    "delete-another": "delete-answer",
    "create-every-third-lost": "read-after-create",
    "create-answer-unnamed": "create-answer",
    "get-missing-code-404": "error-shape",
    "error-code-text": "error-shape",
    "error-shape": "error-shape",
    "errors-one-key": "error-shape",
    "errors-code-http": "error-shape",
    "errors-code-unknown": "error-shape",
    "errors-without-text": "error-shape",
    "update-replaces": "update-replaces",
    "test": "test",
}


@pytest.mark.parametrize(("name", "check"), FIRST.items())
def test_base_fault_is_reported_first_by_its_own_check(name: str, check: str) -> None:
    verdict = verdict_on(find(name), profile="quick", seed=1)
    assert verdict.first == check, verdict
    assert len(verdict.detailed) <= MOST_DETAILED, verdict


@pytest.mark.heavy
@pytest.mark.parametrize("name", one_in(4, SAMPLE))
def test_first_failure_of_a_mutant_is_from_its_check(name: str) -> None:
    """Test a sample; `python -m contract_tests.meta_tests.detection` tests all mutants."""
    mutant = find(name)
    with hurried(mutant) as options:
        verdict = verdict_on(mutant, profile="quick", seed=1, **options)
    assert verdict.first in (mutant.check, ""), verdict
    assert len(verdict.detailed) <= MOST_DETAILED, verdict


def test_prerequisites_run_first() -> None:
    seen: set[str] = set()
    for check in all_checks().values():
        assert set(check.needs) <= seen, check.id
        seen.add(check.id)
