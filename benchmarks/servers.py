"""The servers that are measured: the mock, the yardsticks, and the peers from npm.

The peers are pinned in ``benchmarks/peers`` and installed there when they are first asked for.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from mock_server.contract import tables as contract

LIST = "/v1/imageintegrations"
MOCK, QUIET, BARE, STOCK = "mock", "mock, its log off", "bare Flask", "openapi-core's decorator"
PRISM, QUIET_PRISM, BACKEND = "Prism", "Prism, its log off", "openapi-backend"
MOCKOON, JSON_SERVER = "Mockoon, CRUD", "json-server"

PEERS = Path(__file__).parent / "peers"
_BIN = PEERS / "node_modules/.bin"
_OURS = [sys.executable, "-m"]

SUPPORTED = {
    MOCK: [*_OURS, "mock_server", "serve", "--empty", "--port", "PORT"],
    QUIET: [*_OURS, "mock_server", "serve", "--empty", "--log-level", "warning", "--port", "PORT"],
    BARE: [*_OURS, "benchmarks.bare", "bare", "--port", "PORT"],
    STOCK: [*_OURS, "benchmarks.bare", "stock", "--port", "PORT"],
}
"""Commands by name; ``PORT`` stands for the port."""


class MissingError(Exception):
    """The peers cannot be installed; the text says why."""


def peers(folder: Path) -> dict[str, list[str]]:
    """Return the commands of the peers; what they read and write is put into `folder`.

    Raises:
        MissingError: there is no npm, or it cannot install.
    """
    _install()
    document = folder / "openapi.json"
    # Without credentials, as the mock is served by default.
    document.write_text(json.dumps({**contract.load().document, "security": [], "servers": [{"url": "/"}]}))
    mockoon = str(shutil.copy(PEERS / "mockoon.json", folder))  # it writes to its file
    prism = [str(_BIN / "prism"), "mock", "-h", "127.0.0.1", "-p", "PORT"]
    rewritten = ["--routes", str(PEERS / "json-server-routes.json"), str(folder / "db.json")]
    return {
        PRISM: [*prism, str(document)],
        QUIET_PRISM: [*prism, "-v", "error", str(document)],
        BACKEND: ["node", str(PEERS / "openapi-backend.mjs"), str(document), "PORT"],
        MOCKOON: [str(_BIN / "mockoon-cli"), "start", "-X", "-d", mockoon, "-p", "PORT", "-l", "127.0.0.1"],
        JSON_SERVER: [str(_BIN / "json-server"), "-q", "--host", "127.0.0.1", "--port", "PORT", *rewritten],
    }


def versions() -> Mapping[str, str]:
    """Return the pinned releases of the peers."""
    pinned: dict[str, str] = json.loads((PEERS / "package.json").read_text("utf-8"))["dependencies"]
    return pinned


def _install() -> None:
    if (_BIN / "prism").exists():
        return
    if shutil.which("npm") is None:
        raise MissingError("there is no npm here")
    print("Installing the peers ...", file=sys.stderr)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--omit=dev", "--loglevel=error"]
    done = subprocess.run(command, cwd=PEERS, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MissingError(f"npm ci ended with {done.returncode}: {done.stderr.strip()[-300:]}")
