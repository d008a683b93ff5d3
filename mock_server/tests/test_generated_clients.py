import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mock_server.contract.tables import find, load
from mock_server.tests.npm import installed

pytestmark = pytest.mark.served

TYPESCRIPT = Path(__file__).parent / "typescript"
OPERATIONS = tuple(load().operations)


@pytest.mark.slow
def test_openapi_typescript_finds_every_operation(tmp_path):
    program = installed(TYPESCRIPT) / ".bin" / "openapi-typescript"
    target = tmp_path / "schema.d.ts"
    command = [str(program), str(find()), "-o", str(target)]
    subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=tmp_path)
    text = target.read_text("utf-8")
    assert all(f'operations["{name}"]' in text for name in OPERATIONS)
    assert '"config.id"' not in text


@pytest.fixture(scope="module")
def client_package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("client")
    source = folder / "openapi.json"
    source.write_text(json.dumps(yaml.safe_load(find().read_bytes())))
    bin = str(Path(sys.executable).parent)
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(source), "--meta", "none"]
    command += ["--output-path", str(folder / "central_client"), "--fail-on-warning"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": f"{bin}:/usr/bin:/bin", "HOME": str(folder)},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield importlib.import_module("central_client")
    sys.path.remove(str(folder))


def test_a_generated_python_client_lives_a_life(client_package, mock_central):
    api = {
        name: importlib.import_module(
            f"central_client.api.image_integration_service.{re.sub('(?<!^)(?=[A-Z])', '_', name).lower()}"
        )
        for name in OPERATIONS
    }
    models = importlib.import_module("central_client.models")
    client = client_package.Client(base_url=mock_central.url)

    def call(name, *args, **kwargs):
        answer = api[name].sync_detailed(*args, client=client, **kwargs)
        assert answer.status_code == 200, answer.content
        return answer.parsed

    def integration(**more):
        body = {"name": "acme", "type": "docker", "categories": ["REGISTRY"], "skipTestIntegration": True}
        body["docker"] = {"endpoint": "registry.example.com", "username": "u", "password": "not-a-real-password"}
        return models.StorageImageIntegration.from_dict(body | more)

    created = call("PostImageIntegration", body=integration())
    assert created.docker.password == "******"
    assert call("GetImageIntegration", created.id).source is None
    assert created.id in [each.id for each in call("GetImageIntegrations").integrations]
    call("PutImageIntegration", created.id, body=integration(name="renamed"))
    kept = created.to_dict() | {"name": "kept"}
    request = models.V1UpdateImageIntegrationRequest.from_dict({"config": kept, "updatePassword": False})
    call("UpdateImageIntegration", created.id, body=request)
    call("TestImageIntegration", body=integration(name="tested"))
    request = models.V1UpdateImageIntegrationRequest.from_dict({"config": kept, "updatePassword": False})
    call("TestUpdatedImageIntegration", body=request)
    call("DeleteImageIntegration", created.id)
