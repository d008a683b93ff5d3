"""A replica with a shared store follows every rule that a mock with its own memory follows."""

from __future__ import annotations

import uuid

import pytest

from contract_tests.meta_tests.mutant_runs import report_on
from mock_server.settings import Settings
from mock_server.tests.redis_server import RedisServer, missing

pytestmark = pytest.mark.served


@pytest.mark.heavy
@pytest.mark.skipif(bool(missing()), reason=missing())
@pytest.mark.parametrize("as_deployed", [False, True], ids=["documented", "deployed"])
def test_checks_pass_with_a_shared_store(as_deployed: bool) -> None:
    with RedisServer() as server:
        settings = Settings(as_deployed=as_deployed, store=server.url, store_prefix=f"test-{uuid.uuid4()}")
        report = report_on(settings, profile="quick", seed=1)
    assert report.exit_code == 0, [(failure.check, failure.what) for failure in report.failures]
    assert len(report.results) > 100
