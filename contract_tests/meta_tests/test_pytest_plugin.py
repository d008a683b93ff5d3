"""The harness as a pytest plugin, in a separate run of another project."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from contract_tests.plugins.pytest_plugin import CheckResult, _shared
from mock_server.serving.server import serving
from mock_server.settings import Settings

pytestmark = pytest.mark.served

CHOSEN = "name-unique or name-required or create-answer"


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rA", *words)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.heavy
@pytest.mark.parametrize("words", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_each_check_is_a_test(tmp_path: Path, words: tuple[str, ...]) -> None:
    with serving(Settings(mutants=("name-unique",))) as mock:
        done = run(
            tmp_path, "--pyargs", "contract_tests", "--central-url", mock.url,
            "--central-options=--quick --seed 5", "-k", CHOSEN, *words,
        )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "PASSED" in done.stdout
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED") and "::" in line]
    assert len(failed) == 1, done.stdout
    assert "test_check[name-unique]" in failed[0]
    assert "curl" in done.stdout  # the failure says how to see it


def requests_of(folder: Path, *words: str) -> int:
    with serving() as mock:
        chosen = ("--central-url", mock.url, "--central-options=--quick --seed 5")
        done = run(folder, "--pyargs", "contract_tests", *chosen, "-k", "create or name or docker", *words)
        with urllib.request.urlopen(f"{mock.url}/__admin/requests/count", timeout=10) as answer:
            count = json.load(answer)["count"]
    assert done.returncode == 0, done.stdout + done.stderr
    return int(count)


@pytest.mark.slow
def test_xdist_workers_share_one_run(tmp_path: Path) -> None:
    assert requests_of(tmp_path, "-n", "2") == requests_of(tmp_path)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "words", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)], ids=["one process", "two workers"]
)
def test_own_mock_ignores_the_token_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CENTRAL_TOKEN", "abc")
    done = run(tmp_path, "--pyargs", "contract_tests", "--central-options=--quick", "-k", "permission", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED" in done.stdout


@pytest.mark.heavy
def test_known_difference_is_an_expected_failure(tmp_path: Path) -> None:
    with serving(Settings(as_deployed=True)) as mock:
        done = run(
            tmp_path, "--pyargs", "contract_tests", "--central-url", mock.url,
            "--central-options=--quick", "-k", "create-answer-in-clear or name-required",
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "XFAIL" in done.stdout


@pytest.mark.heavy
def test_unreachable_server_ends_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, "--pyargs", "contract_tests", "--central-url", "http://127.0.0.1:1")
    assert done.returncode == 2
    assert "does not answer" in done.stdout + done.stderr


@pytest.mark.heavy
def test_exhausted_budget_ends_the_run(tmp_path: Path) -> None:
    with serving() as mock:
        done = run(tmp_path, "--pyargs", "contract_tests", "--central-url", mock.url,
                   "--central-options=--time-budget 0.001s", "-k", CHOSEN)  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert "the budget of 0.001 seconds was used up" in done.stdout + done.stderr


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("options", "words", "why"),
    [
        ("--quick --max-requests 30", (), "the budget of 30 requests was used up"),
        ("--quick --max-requests 30", ("-n", "2"), "the budget of 30 requests was used up"),
        ("--quick --skip name-unique", ("-k", "name-unique"), "no check ran"),
    ],
)
def test_run_with_missing_checks_is_incomplete(tmp_path: Path, options: str, words: tuple[str, ...], why: str) -> None:
    with serving() as mock:
        done = run(
            tmp_path, "--pyargs", "contract_tests", "--central-url", mock.url, f"--central-options={options}", *words
        )
    assert done.returncode == 3, done.stdout + done.stderr
    assert "Incomplete: " in done.stdout
    assert why in done.stdout


def test_workers_do_not_wait_for_a_failed_run(tmp_path: Path) -> None:
    def break_down() -> dict[str, CheckResult]:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        _shared(tmp_path, break_down)
    assert _shared(tmp_path, break_down) == {"": CheckResult("error", "the worker that ran the checks ended early")}


@pytest.mark.heavy
def test_wrong_option_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "--pyargs", "contract_tests", "--central-options=--quik", "-x")
    assert done.returncode != 0
    assert "No such option '--quik'" in done.stdout + done.stderr


@pytest.mark.heavy
def test_own_tests_can_use_the_fixture(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "def test_it(check_central, mock_central):\n"
        "    report = check_central(mock_central.url, '--only', 'create', '--only', 'name-unique')\n"
        "    assert report.requests > 10\n"
    )
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.heavy
def test_fixture_fails_with_the_verdict(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "import pytest\n\n\n"
        "@pytest.mark.mock_central(mutants=('name-unique',))\n"
        "def test_it(check_central, mock_central):\n"
        "    check_central(mock_central.url, '--only', 'create', '--only', 'name-unique')\n"
    )
    done = run(tmp_path)
    assert done.returncode == 1
    assert "FAILED name-unique" in done.stdout


@pytest.mark.heavy
def test_central_fixture_is_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "def test_it(central_fixture):\n"
        "    assert central_fixture('quay/minimal-registry').body['type'] == 'quay'\n"
        "    assert central_fixture('quay/minimal-registry').status == 200\n"
        "    refused = central_fixture('name-unique/create')\n"
        "    assert (refused.rule, refused.status) == ('name-unique', 400)\n"
        "    assert 'already exists' in refused.answer['message']\n"
        "    assert central_fixture('ecr/iam').body['ecr']['useIam'] is True\n"
        "    assert central_fixture('google/minimal-registry', central_version='4.11').status == 200\n"
        "\n"
        "def test_later(central_fixture):\n"
        "    central_fixture('endpoint-taken/ipv6-1')\n"
        "\n"
        "def test_no_release(central_fixture):\n"
        "    central_fixture('quay/read', central_version='3.74')\n"
        "\n"
        "def test_misspelled(central_fixture):\n"
        "    central_fixture('quay/minimal-registr')\n",
        "utf-8",
    )
    done = run(tmp_path, "test_mine.py")
    assert "3 failed, 1 passed" in done.stdout
    assert "Central 5.0 has no fixture 'endpoint-taken/ipv6-1'" in done.stdout
    assert "central_version='4.11'" in done.stdout
    assert "'3.74' is not a release of Central" in done.stdout
    assert "another exception occurred" not in done.stdout
    assert "there is no fixture 'quay/minimal-registr'" in done.stdout
    assert "did you mean quay/minimal-registry" in done.stdout


def test_unused_plugin_does_not_import_the_harness(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "import sys\n\n\n"
        "def test_it():\n"
        "    ours = [name for name in sys.modules if name.startswith(('contract_tests', 'mock_server'))]\n"
        "    assert set(ours) <= {'contract_tests', 'contract_tests.plugins', 'contract_tests.plugins.pytest_plugin',\n"
        "                         'mock_server', 'mock_server.pytest_plugin'}, ours\n"
        "    assert 'requests' not in sys.modules\n"
    )
    done = run(tmp_path, "-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:xdist")
    assert done.returncode == 0, done.stdout + done.stderr
