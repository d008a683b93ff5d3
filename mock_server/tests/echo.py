"""A server that echoes requests, as an upstream of the mock; some of its paths misbehave."""

import gzip
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote_to_bytes

ZIPPED = gzip.compress(b'{"zipped":true}')


class Echo(BaseHTTPRequestHandler):
    """Echoes each request; some paths misbehave."""

    protocol_version = "HTTP/1.1"

    def __getattr__(self, name):
        if name.startswith("do_"):  # all methods, even unknown ones
            return self.answer
        raise AttributeError(name)

    def answer(self):
        body = b"".join(self.body()).decode("latin-1")
        request = {"method": self.command, "target": self.path, "headers": self.headers.items(), "body": body}
        special = {"/v1/zip": "zipped", "/v1/slow": "slow", "/v1/cut": "cut", "/v1/unchunked": "unchunked"}
        special |= {"/v1/hang": "hang", "/v1/raw": "raw"}
        path = "/v1/raw" if self.path.startswith("/v1/raw/") else self.path.partition("?")[0]
        getattr(self, special.get(path, "echo"))(request)

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def reply(self, status, body, *headers):
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def echo(self, request):
        where = f"http://{self.headers['Host']}"
        found = {"/sso/here": "/main", "/sso/there": f"{where}/main", "/sso/away": "https://idp.example.com/x"}
        more = [("Location", found[self.path])] if self.path in found else []
        self.reply(
            302 if more else 418,
            json.dumps(request).encode(),
            ("Set-Cookie", "a=1; Path=/sso"),
            ("Set-Cookie", "b=2"),
            ("Connection", "keep-alive, X-Hop"),
            ("X-Hop", "gone"),
            ("Keep-Alive", "timeout=5"),
            ("X-Kept", "kept"),
            *more,
        )

    def zipped(self, _told):
        self.reply(200, ZIPPED, ("Content-Encoding", "gzip"), ("Content-Type", "application/json"))

    def slow(self, _told):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for _ in range(2):
            self.wfile.write(b"5\r\npiece\r\n")
            self.server.may_go_on.wait(20)
        self.wfile.write(b"0\r\n\r\n")

    def unchunked(self, _told):
        """Answer a stream that ends with the connection."""
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        for _ in range(2):
            self.wfile.write(b"piece")
            self.server.may_go_on.wait(20)

    def hang(self, request):
        self.server.may_go_on.wait(20)
        self.echo(request)

    def raw(self, _told):
        """Answer exactly the bytes in the query."""
        answer = unquote_to_bytes(self.path.partition("?")[2])
        self.wfile.write(answer)
        self.wfile.flush()
        self.close_connection = b"Connection: close" in answer

    def cut(self, _told):
        self.send_response(200)
        self.send_header("Content-Length", "8")
        self.end_headers()
        self.wfile.write(b"half")
        self.close_connection = True

    def log_message(self, *_):
        pass


@contextmanager
def echoing(context=None):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.may_go_on = threading.Event()
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.may_go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()


def address(server, scheme="http"):
    return f"{scheme}://127.0.0.1:{server.server_port}"
