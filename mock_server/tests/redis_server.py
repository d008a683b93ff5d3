"""A Redis server of Debian's package, on a free loopback port."""

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path


def missing() -> str:
    """Say why there is none, where there is none."""
    return "" if shutil.which("redis-server") else "redis-server is not on PATH (Debian: apt-get install redis-server)"


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(5) in (b"+PONG", b"-NOAU")  # the latter asks for a password
    except OSError:
        return False


class RedisServer:
    """Runs while the block runs."""

    def __init__(self, *options: str) -> None:
        """Without options it keeps nothing on disk."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._options = options or ("--save", "", "--appendonly", "no")
        self._folder = tempfile.TemporaryDirectory(prefix="mock-central-redis-")

    def start(self) -> None:
        words = [*self._options, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._folder.name]
        log = Path(self._folder.name, "log")
        self._process = subprocess.Popen(["redis-server", *words, "--logfile", str(log)])
        until = time.monotonic() + 10
        while not _answers(self.port):
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < until, "redis-server does not answer"
            time.sleep(0.01)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
        self._folder.cleanup()
