"""Examples that one run stores in a real Redis, and another run tries first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner

from contract_tests.checks._machine import TO_SHRINK
from contract_tests.cli.main import main
from contract_tests.meta_tests.mutant_runs import report_on
from contract_tests.meta_tests.test_pytest_plugin import run
from contract_tests.runner.report import FAILED, PASSED
from mock_server.serving.server import serving
from mock_server.settings import Settings
from mock_server.tests.redis_server import RedisServer, missing

pytestmark = [pytest.mark.served, pytest.mark.skipif(bool(missing()), reason=missing())]

FOUND_LATE = [("lifecycle-machine", "name-unique"), ("generated-refused", "ibm-endpoint-required")]
"""Checks with mutants that they find only after some examples with seed 2."""


@pytest.fixture
def kept() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def checks_with_examples(server: RedisServer) -> set[str]:
    with redis.Redis.from_url(server.url) as client:
        return {key.split(b":")[2].decode() for key in client.keys("central-contract:*")}


@pytest.mark.heavy
@pytest.mark.parametrize(("check", "mutant"), FOUND_LATE, ids=[each[0] for each in FOUND_LATE])
def test_another_process_replays_found_examples_first(
    tmp_path: Path, kept: RedisServer, monkeypatch: pytest.MonkeyPatch, check: str, mutant: str
) -> None:
    monkeypatch.setitem(TO_SHRINK, "default", 2.0)
    settings = Settings(mutants=(mutant,))
    first = report_on(settings, only=(check,), seed=2, examples=kept.url)
    assert [each.outcome for each in first.results if each.check == check] == [FAILED]
    assert checks_with_examples(kept) == {check}
    report = tmp_path / "report.json"
    with serving(settings) as mock:
        words = ("check", mock.url, "--only", check, "--seed", "1", "--report-json", str(report))
        subprocess.run(
            (sys.executable, "-m", "contract_tests", *words, "--state-dir", str(tmp_path)),
            env={**os.environ, "CENTRAL_EXAMPLES": kept.url},
            capture_output=True, timeout=120, check=False,
        )  # fmt: skip
    second = json.loads(report.read_text())
    failures = {each["check"]: each["failures"] for each in second["results"] if each["outcome"] == FAILED}
    assert [each["check"] for each in failures[check]] == [failure.check for failure in first.failures]
    assert second["requests"] < first.requests  # nothing had to be drawn, nor made smaller


@pytest.mark.heavy
def test_passing_example_is_deleted(kept: RedisServer) -> None:
    check, mutant = FOUND_LATE[1]
    report_on(Settings(mutants=(mutant,)), only=(check,), seed=2, examples=kept.url)
    mended = report_on(Settings(), only=(check,), seed=2, examples=kept.url)
    assert [each.outcome for each in mended.results if each.check == check] == [PASSED]
    with redis.Redis.from_url(kept.url) as client:
        assert [key for key in client.keys("*") if not key.endswith(b".secondary")] == []


@pytest.mark.slow
def test_xdist_workers_store_examples(tmp_path: Path, kept: RedisServer) -> None:
    check, mutant = FOUND_LATE[1]
    with serving(Settings(mutants=(mutant,))) as mock:
        done = run(
            tmp_path, "--pyargs", "contract_tests", "--central-url", mock.url, "-n", "2",
            f"--central-options=--seed 2 --examples {kept.url}", "-k", f"{check} or generated-valid",
        )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert checks_with_examples(kept) == {check}


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cr3t@127.0.0.1:1/0",
        "redis://127.0.0.1:1/0?password=s3cr3t",
        "redis://:s3cr3t@x/?made_up=1",
        "http://:s3cr3t@x/",
        "redis://:s3cr3t?x@x/",
        "redis://[s3cr3t",
    ],
)
def test_unusable_example_store_is_reported_at_once(tmp_path: Path, url: str) -> None:
    with serving() as mock:
        done = CliRunner().invoke(main, ["check", mock.url, "--examples", url, "--state-dir", str(tmp_path)])
        assert mock.journal.count() == 0
    assert done.exit_code == 2
    assert "--examples" in done.output
    assert "s3cr3t" not in done.output


def test_missing_client_library_is_reported_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with serving() as mock:
        words = ["check", mock.url, "--examples", "redis://127.0.0.1:1/0", "--state-dir", str(tmp_path)]
        done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert "pip install '.[redis]'" in done.output
