"""Clients generated from the exported contract compile and work with the mock."""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from mock_server.contract import export
from mock_server.contract.tables import load
from mock_server.serving.server import serving
from mock_server.settings import Settings
from mock_server.tests.maven import jar
from mock_server.tests.npm import installed

pytestmark = pytest.mark.served

DRIVERS = Path(__file__).parent / "generated_clients"
CONTRACT = load()
OPENAPI_GENERATOR = "org.openapitools:openapi-generator-cli:7.25.0"
OAPI_CODEGEN = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2"
TOKEN = "mock-admin-token"

EXPECTED = {
    "created": ["docker", "******", ["REGISTRY"], None],
    "found": True,
    "last": "patched",
    "expires": 1893553445,
    "invalid": [400, 3, "Validation error: integrations require a category: invalid arguments"],
    "deleted": {},
}
"""What every client reports, besides the length of the list and the error of an id that is gone."""


def run(folder: Path, *words: str | Path, **environment: str) -> str:
    """Run a program in a folder and return its output."""
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=600, check=False, env=os.environ | environment
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def need(*programs: str) -> None:
    for each in programs:
        if shutil.which(each) is None:
            pytest.skip(f"{each} is not here")


# -- each takes a folder with the contract, `central.json`, and gives the command that drives the client in it ---------


def openapi_generator(folder: Path, name: str, target: str, properties: Mapping[str, str], **more: str) -> None:
    settings = {"generatorName": name, "inputSpec": str(folder / "central.json"), "outputDir": str(folder / target)}
    settings |= {"additionalProperties": {**properties, "disallowAdditionalPropertiesIfNotPresent": "false"}, **more}
    (folder / "generator.json").write_text(json.dumps(settings), "utf-8")
    run(folder, "java", "-jar", jar(OPENAPI_GENERATOR, folder.parent), "generate", "-c", "generator.json")


def for_python(folder: Path) -> list[str | Path]:
    openapi_generator(folder, "python", ".", {"packageName": "central"})
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv/bin/python"
    run(folder, python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", "requirements.txt")
    return [python, shutil.copy(DRIVERS / "openapi_generator.py", folder)]


def for_java(folder: Path) -> list[str | Path]:
    packages = {"invokerPackage": "central", "apiPackage": "central.api", "modelPackage": "central.model"}
    openapi_generator(folder, "java", ".", packages, library="native")
    run(folder, "mvn", "-q", "-B", "compile", "dependency:build-classpath", "-Dmdep.outputFile=classpath")
    driver = shutil.copy(DRIVERS / "OpenapiGenerator.java", folder)
    return ["java", "-cp", "target/classes:" + (folder / "classpath").read_text("utf-8"), driver]


def copy_driver(name: str, folder: Path, target: str) -> None:
    """Copy a driver. Swagger 2.0 names a body `body`; for OpenAPI 3, openapi-generator uses the name of its schema."""
    text = (DRIVERS / name).read_text("utf-8")
    if "swagger" in json.loads((folder / "central.json").read_text("utf-8")):
        text = re.sub(r"\.(StorageImageIntegration|V1UpdateImageIntegrationRequest)\(", ".Body(", text)
        text = re.sub(r"\b(storageImageIntegration|v1UpdateImageIntegrationRequest):", "body:", text)
    (folder / target).write_text(text, "utf-8")


def compiled_by_go(folder: Path, driver: str) -> list[str | Path]:
    copy_driver(driver, folder, "main.go")
    run(folder, "go", "mod", "tidy")
    run(folder, "go", "vet", ".", "./central")
    run(folder, "go", "build", "-o", "drive", ".")
    return [folder / "drive"]


def for_go(folder: Path) -> list[str | Path]:
    need("go")
    openapi_generator(folder, "go", "central", {"packageName": "central", "withGoMod": "false"})
    shutil.rmtree(folder / "central/test")
    run(folder, "go", "mod", "init", "client")
    return compiled_by_go(folder, "openapi_generator.go")


def oapi_codegen(folder: Path) -> list[str | Path]:
    need("go")
    (folder / "central").mkdir()
    run(folder, "go", "mod", "init", "client")
    options = ("-generate", "types,client", "-package", "central", "-o", "central/central.go")
    run(folder, "go", "run", OAPI_CODEGEN, *options, "central.json")
    return compiled_by_go(folder, "oapi_codegen.go")


def compiled_by_tsc(folder: Path, driver: str, tools: Path) -> list[str | Path]:
    copy_driver(driver, folder, "drive.ts")
    (folder / "node_modules").symlink_to(installed(tools))
    options = ("--strict", "--target", "es2022", "--module", "commonjs", "--types", "node", "--outDir", "js")
    run(folder, "node_modules/.bin/tsc", *options, "drive.ts")
    return ["node", "js/drive.js"]


def for_typescript(folder: Path) -> list[str | Path]:
    need("node")
    openapi_generator(folder, "typescript-fetch", "central", {})
    return compiled_by_tsc(folder, "openapi_generator.ts", DRIVERS)


def orval(folder: Path) -> list[str | Path]:
    program = installed(DRIVERS / "orval") / ".bin/orval"
    run(folder, program, "--input", "central.json", "--output", "central.ts", "--client", "fetch")
    return compiled_by_tsc(folder, "orval.ts", DRIVERS / "orval")


def openapi_python_client(folder: Path) -> list[str | Path]:
    command = ("-m", "openapi_python_client", "generate", "--path", "central.json", "--meta", "none")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it calls ruff
    run(folder, sys.executable, *command, "--output-path", "central", "--fail-on-warning", PATH=path)
    return [sys.executable, shutil.copy(DRIVERS / "openapi_python_client.py", folder)]


class Generator(NamedTuple):
    make: Callable[[Path], list[str | Path]]
    forms: tuple[str, ...] = tuple(export.FORMS)
    """The forms of the contract that it reads."""
    slow: bool = True


GENERATORS = (
    Generator(for_python),
    Generator(for_java),
    Generator(for_go),
    Generator(for_typescript),
    Generator(orval),
    Generator(oapi_codegen, ("openapi-3.1", "openapi-3.0")),
    Generator(openapi_python_client, ("openapi-3.1",), slow=False),
)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("make", "form"),
    [
        pytest.param(each.make, form, marks=[pytest.mark.slow] * each.slow, id=f"{each.make.__name__}-{form}")
        for each in GENERATORS
        for form in each.forms
    ],
)
def test_a_generated_client_ignores_unknown_fields(make, form, tmp_path):
    folder = tmp_path / "client"
    folder.mkdir()
    (folder / "central.json").write_text(json.dumps(export.FORMS[form](CONTRACT)), "utf-8")
    command = make(folder)
    with serving(Settings(scenario="one-of-each", auth=True)) as server:
        for mutants in ((), ("list-extra-field", "create-extra-field", "config-extra-field")):
            server.reset()
            server.mutate(*mutants)
            length = len(server.app.central.store)
            said = json.loads(run(folder, *command, server.url, TOKEN))
            status, code, message = said.pop("gone")
            assert (status, code, "not found" in message) == (404, 5, True)
            assert said == EXPECTED | {"listed": length + 1}


@pytest.mark.slow
def test_openapi_typescript_finds_every_operation(tmp_path):
    program = installed(DRIVERS) / ".bin" / "openapi-typescript"
    (tmp_path / "central.json").write_text(json.dumps(CONTRACT.document), "utf-8")
    text = run(tmp_path, program, "central.json")
    assert all(f'operations["{name}"]' in text for name in CONTRACT.operations)
    assert '"config.id"' not in text
