"""`clean` removes everything that a killed run leaves. `TEST_KILLS=50` kills more often than CI."""

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from contract_tests.engine.exchange import COLLECTION
from contract_tests.engine.options import Options
from contract_tests.runner.leftovers import clean_leftovers
from mock_server.serving.server import serving

pytestmark = pytest.mark.served

KILLS = int(os.environ.get("TEST_KILLS", "4"))


def listed(url: str) -> Any:
    return requests.get(url + COLLECTION, timeout=5).json()


@pytest.mark.heavy
def test_clean_restores_the_list_after_killed_runs(tmp_path: Path) -> None:
    draw = random.Random(20261125)
    with serving() as mock:
        before = listed(mock.url)
        touched = False
        for _ in range(KILLS):
            command = [
                sys.executable,
                "-m",
                "contract_tests",
                "check",
                mock.url,
                "--quick",
                "--state-dir",
                str(tmp_path),
            ]
            mock.journal.clear()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            mock.journal.wait(draw.randrange(2, 400), timeout=60)
            process.kill()
            process.wait()
            more = len(listed(mock.url)["integrations"]) - len(before["integrations"])
            touched = touched or more > 0
            cleaned = clean_leftovers(Options(url=mock.url, state_dir=tmp_path))
            assert (cleaned.deleted, cleaned.left, cleaned.not_ours) == (more, [], [])
            assert listed(mock.url) == before
        assert touched or KILLS < 4, "no kill came at a moment when something was there"
    assert not list(tmp_path.glob("*.ledger"))
