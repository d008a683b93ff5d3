"""The calls of the permission checks cover all operations."""

from pathlib import Path

import pytest

from contract_tests.checks.permissions import reads, writes
from contract_tests.engine.central import Central, Shared
from contract_tests.engine.ledger import Ledger
from contract_tests.engine.options import Options
from contract_tests.engine.transport import Transport
from contract_tests.oracle.observers import operation_of
from mock_server.contract import tables as contracts
from mock_server.serving.server import serving

pytestmark = pytest.mark.served


def test_every_operation_is_called_with_and_without_permission(tmp_path: Path) -> None:
    with serving() as mock:
        ledger = Ledger(tmp_path, "run", mock.url)
        transport = Transport(Options(url=mock.url, state_dir=tmp_path), "run", ledger)
        central = Central(transport, "permissions", Shared("run", str(contracts.load().release)))
        id, _ = central.created()
        called: dict[str, str] = {}
        for permission, calls in (("read", reads(central)), ("write", writes(central, id))):
            start = len(central.history)
            for _, call in calls:
                call()
            found = map(operation_of, central.history[start:])
            called |= {operation.id: permission for operation in found if operation is not None}
        ledger.close(keep=False)
    assert called == {each.id: each.permission for each in contracts.load().operations.values()}
