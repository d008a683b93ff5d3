"""The checks and the guard of the harness, loaded into `schemathesis run`."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
import requests

from contract_tests.engine.exchange import COLLECTION
from contract_tests.meta_tests.lying_targets import LIES, Target, answering
from contract_tests.oracle.observers import OBSERVED
from contract_tests.plugins.schemathesis_checks import NEEDS_A_RUN, _Created, _created, before_call
from mock_server.contract import tables as contract
from mock_server.serving.server import serving
from mock_server.settings import Settings

pytestmark = pytest.mark.served

CHECKS = ",".join(id.replace("-", "_") for id in OBSERVED if id not in NEEDS_A_RUN)


def schemathesis(url: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = (
        *(sys.executable, "-m", "schemathesis.cli", "run", str(contract.find()), "--url", url),
        *("--checks", CHECKS, "--max-examples", "5", "--seed", "1", "--generation-database", "none", "--no-color"),
        *words,
    )
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "contract_tests.plugins.schemathesis_checks"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=180, check=False
    )


@pytest.mark.heavy
def test_healthy_mock_passes_and_is_unchanged(tmp_path: Path) -> None:
    with serving() as mock:
        before = requests.get(f"{mock.url}/v1/imageintegrations", timeout=10).json()
        done = schemathesis(mock.url, tmp_path, "--phases", "fuzzing,stateful")
        after = requests.get(f"{mock.url}/v1/imageintegrations", timeout=10).json()
    assert done.returncode == 0, done.stdout + done.stderr
    assert after == before


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("mutant", "check"),
    [
        ("get-in-clear", "credentials_masked"),
        ("answer-media-type", "answer_media_type"),
        ("list-extra-field", "answer_schema"),
    ],
)
def test_mutant_is_reported_by_its_check(tmp_path: Path, mutant: str, check: str) -> None:
    with serving(Settings(mutants=(mutant,))) as mock:
        done = schemathesis(mock.url, tmp_path, "--phases", "fuzzing", "--max-failures", "1", "--include-method", "GET")
    assert done.returncode == 1, done.stdout + done.stderr
    assert check in done.stdout


@pytest.mark.parametrize(
    ("method", "path_parameters", "body"),
    [
        ("DELETE", {"id": "foreign"}, None),
        ("PUT", {"id": "foreign"}, {"id": "foreign", "name": "x"}),
        ("PATCH", {"id": "foreign"}, {"config": {"id": "foreign"}, "updatePassword": True}),
        ("POST", {}, {"config": {"id": "foreign"}}),
        ("POST", {}, {"id": "foreign"}),
    ],
)
def test_writes_contain_no_foreign_id(method: str, path_parameters: dict[str, str], body: Any) -> None:
    case = SimpleNamespace(method=method, path_parameters=path_parameters, body=body)
    before_call(SimpleNamespace(), case, {})
    assert "foreign" not in repr(case)


def test_id_in_a_read_stays() -> None:
    case = SimpleNamespace(method="GET", path_parameters={"id": "foreign"}, body=None)
    before_call(SimpleNamespace(), case, {})
    assert case.path_parameters == {"id": "foreign"}


def test_reused_id_is_not_written_to() -> None:
    with serving() as mock:
        body = {"name": "theirs", "type": "docker", "categories": ["REGISTRY"], "docker": {}}
        id = requests.post(f"{mock.url}{COLLECTION}", json=body | {"skipTestIntegration": True}, timeout=5).json()["id"]
        with patch.dict(_created, {id: _Created(f"{mock.url}{COLLECTION}/{id}", {}, {"ours"})}, clear=True):
            case = SimpleNamespace(method="DELETE", path_parameters={"id": id}, body=None)
            before_call(SimpleNamespace(), case, {})
    assert case.path_parameters["id"] != id


@pytest.mark.heavy
def test_redirect_leads_to_no_write(tmp_path: Path) -> None:
    target = Target(LIES["redirects to foreign ones"][0], seed=3, user=False)
    with answering(target) as url:
        schemathesis(url, tmp_path, "--phases", "fuzzing", "--include-method", "PUT", "--max-failures", "1")
    assert target.writes > 0
    assert target.damage() == []
