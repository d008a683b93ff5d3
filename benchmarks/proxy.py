"""What `central-contract proxy` costs: CPU a request, time to the first piece of a stream, memory with long bodies.

python -m benchmarks.proxy
"""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from benchmarks.process import Process, serving
from benchmarks.servers import LIST

REQUESTS = 200
ROUNDS = 3
LONG = 50 * 2**20
PAUSE = 0.3
"""Seconds between the two pieces of a stream."""


class _Upstream(BaseHTTPRequestHandler):
    """A minimal upstream: one list, a stream in two pieces, and a path for long bodies."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    listed = b""

    def do_GET(self) -> None:
        if self.path == "/stream":
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"1")
            time.sleep(PAUSE)
            self.wfile.write(b"2")
            return
        body = self.listed if self.path == LIST else b"x" * 2**20
        times = 1 if self.path == LIST else LONG // 2**20
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "no-store, no-cache")
        self.send_header("Content-Length", str(len(body) * times))
        self.end_headers()
        for _ in range(times):
            self.wfile.write(body)

    def do_POST(self) -> None:
        left = int(self.headers["Content-Length"])
        while left > 0:
            left -= len(self.rfile.read(min(left, 2**16)))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def upstream() -> Iterator[str]:
    from mock_server.serving.server import serving as mocking

    with mocking() as mock:
        _Upstream.listed = requests.get(mock.url + LIST, timeout=10).content
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def cpu(proxy: Process, path: str) -> float:
    """Return the milliseconds of CPU that the proxy takes for a request."""
    session = requests.Session()
    url = f"http://127.0.0.1:{proxy.port}{path}"
    session.get(url, timeout=10)
    before = proxy.cpu()
    for _ in range(REQUESTS):
        session.get(url, timeout=10)
    time.sleep(0.2)  # the verdict on the last ones
    return (proxy.cpu() - before) / REQUESTS * 1000


def first_piece(proxy: Process) -> float:
    """Return the seconds until the first piece of a stream has come."""
    started = time.monotonic()
    with requests.get(f"http://127.0.0.1:{proxy.port}/stream", stream=True, timeout=10) as answer:
        answer.raw.read(1)
        return time.monotonic() - started


def growth(proxy: Process) -> tuple[float, float]:
    """Return by how many MiB the proxy has grown after long answers, and after long requests."""
    url = f"http://127.0.0.1:{proxy.port}"
    start = proxy.memory()
    for _ in range(3):
        with requests.get(f"{url}{LIST}/long", stream=True, timeout=60) as answer:
            for _ in answer.iter_content(2**16):
                pass
    after_answers = proxy.memory()
    body = b"x" * LONG
    for _ in range(3):
        requests.post(f"{url}{LIST}/test", data=body, timeout=60)
    return after_answers - start, proxy.memory() - after_answers


def main() -> None:
    with upstream() as url:
        command = [sys.executable, "-m", "contract_tests", "proxy", url, "--port", "PORT"]
        with serving("proxy", command, LIST) as proxy:
            judged = statistics.median(cpu(proxy, LIST) for _ in range(ROUNDS))
            pieces = statistics.median(first_piece(proxy) for _ in range(ROUNDS))
            answers, bodies = growth(proxy)
    found = {
        "ms of CPU for a list of 12, judged": round(judged, 2),
        "seconds to the first piece of a stream": round(pieces, 3),
        "MiB more after three answers of 50 MB": round(answers, 1),
        "MiB more after three requests of 50 MB": round(bodies, 1),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
