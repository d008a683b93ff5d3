"""A server under measurement: its start, its CPU time and its memory, children included."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks import load

ROOT = Path(__file__).parent.parent
_TICK = os.sysconf("SC_CLK_TCK")


class Process:
    """A running server."""

    def __init__(self, name: str, port: int, pid: int) -> None:
        self.name = name
        self.port = port
        self.pid = pid
        self.first_answer = self.cpu()
        """CPU seconds from the command to the first answer."""

    def tree(self) -> list[int]:
        """List the process and its descendants."""
        found = [self.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").iterdir():
                with suppress(FileNotFoundError, ProcessLookupError):  # threads end
                    found += map(int, (task / "children").read_text().split())
        return found

    def cpu(self) -> float:
        """Return the CPU seconds that the tree has used."""
        ticks = 0
        for pid in self.tree():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])  # utime, stime
        return ticks / _TICK

    def memory(self) -> float:
        """Return the memory of the tree in MiB; what processes share is counted once."""
        kibibytes = 0
        for pid in self.tree():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    kibibytes += int(line.split()[1])
        return kibibytes / 1024

    def reset(self) -> None:
        """Empty the store."""
        load.once(self.port, load.request("POST", "/__admin/reset", b"{}"))

    def descriptors(self) -> int:
        """Count the files and sockets that the tree holds open."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.tree())  # noqa: PTH208  # no look at each


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


@contextmanager
def serving(name: str, command: Sequence[str], ready: str) -> Iterator[Process]:
    """Run a command while the block runs.

    ``PORT`` in it is put in place; `ready` is a path that answers 200. What it prints goes to a file, as it does
    where a server is left to run.
    """
    port = free_port()
    printed = tempfile.TemporaryFile()  # noqa: SIM115  # closed when the server has ended
    child = subprocess.Popen(
        [word.replace("PORT", str(port)) for word in command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=printed,
        stderr=printed,
    )
    try:
        _wait(port, ready, child)
        yield Process(name, port, child.pid)
    finally:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        printed.close()


def _wait(port: int, ready: str, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            load.once(port, load.request("GET", ready))
        except (OSError, load.LoadError):
            if child.poll() is not None:
                raise RuntimeError(f"the server ended with status {child.returncode}") from None
            time.sleep(0.002)
        else:
            return
    raise TimeoutError("no answer within a minute")
