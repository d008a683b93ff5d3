import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.served

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return next(folder.glob("*.whl"))


def test_the_wheel_has_the_document_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "mock_server/openapi.yaml" in names
    assert {
        f"mock_server/web/console_pages/{each.name}" for each in (ROOT / "mock_server/web/console_pages").iterdir()
    } <= set(names)
    assert "contract_tests/runner/known_differences.toml" in names
    assert "contract_tests/reports/report.html.jinja" in names
    for name in ("line.schema.json", "formats/handlers.mjs", "formats/fixtures.go"):
        assert f"contract_tests/fixtures/{name}" in names
    assert not [name for name in names if "/tests/" in name or "meta_tests" in name]


@pytest.mark.heavy
def test_a_mock_installed_from_the_wheel_serves(wheel, tmp_path):
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path), str(wheel)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    code = (
        "import mock_server, urllib.request\n"
        "from mock_server.serving.server import serving\n"
        "with serving() as mock:\n"
        "    print(mock_server.__file__)\n"
        "    print(urllib.request.urlopen(mock.url + '/v1/imageintegrations').read().count(b'\"id\"'))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=60,
        check=True,
    )
    where, number = done.stdout.split()
    assert where.startswith(str(tmp_path)), done.stderr
    assert number == "12"
