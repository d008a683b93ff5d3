"""A run that is killed leaves at most what `clean` removes. `MOCK_CENTRAL_KILLS=50` kills more often than CI."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests

from contract_tests.engine.options import Options
from contract_tests.engine.transport import COLLECTION
from contract_tests.runner.leftovers import Cleaned, clean_leftovers
from mock_server.serving.server import running

KILLS = int(os.environ.get("MOCK_CENTRAL_KILLS", "4"))


def listed(url: str) -> Any:
    return requests.get(url + COLLECTION, timeout=5).json()


def test_after_kills_at_random_moments_clean_leaves_the_list_as_it_was(tmp_path: Path) -> None:
    draw = random.Random(20261125)
    with running() as mock:
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
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 60
            while not list(tmp_path.glob("*.ledger")) and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(draw.uniform(0.1, 1.0))
            while not touched and process.poll() is None:  # one kill comes for sure when something is there
                touched = listed(mock.url) != before
            process.kill()
            process.wait()
            assert clean_leftovers(Options(url=mock.url, state_dir=tmp_path)) == Cleaned()
            assert listed(mock.url) == before
    assert touched
    assert not list(tmp_path.glob("*.ledger"))
