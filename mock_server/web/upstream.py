"""Forward requests for all other paths to a real Central or another stub.

Bodies are streamed and stay compressed. Redirects are left to the client.
"""

from __future__ import annotations

import http.client
import logging
import re
import time
import urllib.request
import uuid
from collections.abc import Container, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import urllib3
from flask import Blueprint, Response, request
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, InsecureRequestWarning, ProtocolError, SSLError
from urllib3.util import SKIP_HEADER, Timeout, make_headers
from werkzeug import Request

from mock_server.central.errors import Refusal
from mock_server.contract.routes import Routes
from mock_server.gateway.sandbox import CONTROL
from mock_server.settings import DEFAULT_PORTS, Settings
from mock_server.web import threads
from mock_server.web.edge import current

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from urllib3 import BaseHTTPResponse

log = logging.getLogger("mock_central")
access_log = logging.getLogger("mock_central.access")

TIMEOUT = Timeout(connect=5, read=180)
"""Timeout in seconds; the web UI waits 180 for its slowest queries."""

_CONNECTIONS = 32
"""Number of connections that are kept open for further requests."""

_PIECE = 64 * 1024
_UNKNOWN_THERE = (404, 501)
"""Statuses of answers to an unknown path or method."""
_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade")
)  # fmt: skip
"""Headers that concern a single connection (RFC 9110, 7.6.1), like those that `Connection` names."""
_FORWARDING = re.compile(r"forwarded|x-forwarded-.*|x-real-ip", re.IGNORECASE)
"""Headers that servers trust if a proxy sets them. Not forwarded: granian also reads `X_Forwarded_For` as one."""


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True


# A warning about malformed headers needs only one line.
logging.getLogger("urllib3.connection").addFilter(_without_traceback)

_SAFE = "/:@!$&'()*+,;=-._~"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FOLD = re.compile(r"[ \t]*\r?\n[ \t]*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class NoAnswerError(Refusal):
    """The upstream does not answer, or cannot be reached."""


class _Answer(http.client.HTTPResponse):
    """An answer that skips every interim response (1xx), not only `100 Continue`."""

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        is_interim = 100 < status < 200 and status != 101
        return version, 100 if is_interim else status, reason


class _Connection(HTTPConnection):
    response_class = _Answer


class _SecureConnection(HTTPSConnection):
    response_class = _Answer


class _Passed(Response):
    """An answer whose headers are sent unchanged."""

    def get_wsgi_headers(self, _environ: WSGIEnvironment) -> Any:
        """Return the headers; werkzeug would rewrite some of them, and fail on an invalid `Location`."""
        return self.headers


def blueprint(settings: Settings, routes: Routes, companions: Container[tuple[str, str]]) -> Blueprint:
    """Return the blueprint that forwards requests which the mock does not answer.

    `companions`: methods and paths that the mock can answer if the upstream cannot.
    """
    made = Blueprint("upstream", __name__)
    upstream = Upstream(settings, (routes.collection, CONTROL.rstrip("/")), companions)
    made.before_app_request(lambda: upstream.answer(request))
    return made


class Upstream:
    """The server that gets all requests for paths that the mock lacks."""

    def __init__(
        self,
        settings: Settings,
        ours: tuple[str, ...] = (),
        companions: Container[tuple[str, str]] = (),
        most: int = threads.UPSTREAM,
    ) -> None:
        """`most`: number of requests that may wait for it at once."""
        assert settings.upstream is not None
        self.url = settings.upstream.rstrip("/")
        self.ours = ours
        self.patterns = settings.upstream_paths
        self.companions = companions
        self.name = f"mock-central-{uuid.uuid4().hex}"
        """The mock's entry in the header `Via`, by which it recognises a request that comes back."""
        parts = urlsplit(self.url)
        self._prefix = parts.path
        self._origin = _origin(parts.scheme, parts.netloc)
        self._places = threads.Places[object](most)
        if settings.upstream_insecure:
            urllib3.disable_warnings(InsecureRequestWarning)  # as the option says
        proxy = _proxy(parts.scheme, parts.netloc)
        options: dict[str, Any] = {
            "maxsize": _CONNECTIONS,
            "timeout": TIMEOUT,
            "cert_reqs": "CERT_NONE" if settings.upstream_insecure else "CERT_REQUIRED",
            "ca_certs": str(settings.upstream_ca) if settings.upstream_ca else None,
        }
        manager = _manager(proxy, options) if proxy else urllib3.PoolManager(**options)
        self._pool = manager.connection_from_url(self.url)
        self._pool.ConnectionCls = _SecureConnection if self._pool.scheme == "https" else _Connection
        # A proxy gets the whole URL; for TLS it only forwards the connection.
        self._before_path = f"{parts.scheme}://{parts.netloc}" if proxy and parts.scheme == "http" else ""

    def is_ours(self, path: str) -> bool:
        """Return whether the mock answers this path itself."""
        if self.patterns and not any(fnmatchcase(path, each) for each in self.patterns):
            return True
        return any(path == each or path.startswith(f"{each}/") for each in self.ours)

    def answer(self, request: Request) -> Response | None:
        """Forward the request and return the answer, or None to leave it to the mock.

        Raises:
            NoAnswerError: 502, or 503 if too many requests wait.
        """
        path = request.path
        if self.is_ours(path):
            return None
        holder = object()
        if not self._places.take(holder):
            text = f"{self._places.most} requests, the maximum, already wait for the upstream {self.url}; retry later"
            raise NoAnswerError("upstream", 503, 14, text)
        response: Response | None = None
        try:
            response = self._answer(request)
        finally:
            if response is None:
                self._places.release(holder)
        if response is not None:
            response.call_on_close(lambda: self._places.release(holder))
        return response

    def _answer(self, request: Request) -> Response | None:
        started = time.perf_counter()
        path = request.path
        has_companion = (request.method, path) in self.companions
        if has_companion:
            current().request.body.read()  # the companion may need the body, too
        self._let_stream(True)
        try:
            answer = self._asked_again_if_closed(request)
        except HTTPError as error:
            raise self._unreachable(request, _reason(error), error) from None
        if answer.status == 101:
            answer.close()
            raise self._unreachable(request, "it switched to another protocol unasked")
        milliseconds = (time.perf_counter() - started) * 1000
        access_log.info("%s %s %s %.1fms from %s", request.method, path, answer.status, milliseconds, self.url)
        if has_companion and answer.status in _UNKNOWN_THERE:
            answer.drain_conn()
            self._let_stream(False)
            return None
        return self._passed_back(request, answer)

    def _asked_again_if_closed(self, request: Request) -> BaseHTTPResponse:
        """Send a request; retry a read if a reused connection ends, which may happen at any time (RFC 9110, 9.2.2)."""
        try:
            return self._asked(request)
        except ProtocolError:
            if request.method not in ("GET", "HEAD") or _has_body(request):
                raise
            return self._asked(request)

    def _asked(self, request: Request) -> BaseHTTPResponse:
        if self.name in request.headers.get("Via", ""):
            text = f"the upstream {self.url} leads back to this mock; give --upstream the address of another server"
            raise NoAnswerError("upstream-loop", 502, 14, text)
        request.max_content_length = None
        return self._pool.urlopen(
            request.method,
            self._before_path + self._prefix + self._target(request),
            body=self._body(request) if _has_body(request) else None,
            headers=self._request_headers(request),
            retries=False,
            redirect=False,
            assert_same_host=not self._before_path,  # the upstream connection is one to the proxy
            preload_content=False,
            decode_content=False,
        )

    def _target(self, request: Request) -> str:
        """Return the path and the query to request."""
        environ = request.environ
        path = quote(environ["PATH_INFO"].encode("latin-1"), safe=_SAFE)
        return f"{path}?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else path

    def _let_stream(self, streams: bool) -> None:
        """Make the edge stream the answer."""
        current().is_streamed = streams

    def _body(self, request: Request) -> Any:
        """Return the body to send, complete if it was already read."""
        body = current().request.body
        return body.read() if body.is_read else request.stream

    def _request_headers(self, request: Request) -> dict[str, str]:
        passed = {
            name: value
            for name, value in _end_to_end(request.headers.items())
            if name.lower() not in ("host", "expect") and not _FORWARDING.fullmatch(name)
        }
        passed.setdefault("User-Agent", SKIP_HEADER)  # otherwise urllib3 adds its own
        passed["Via"] = ", ".join(filter(None, (request.headers.get("Via"), f"1.1 {self.name}")))
        return passed

    def _passed_back(self, request: Request, answer: BaseHTTPResponse) -> Response:
        is_utf8 = request.environ.get("SERVER_SOFTWARE") == "Granian"
        response = _Passed(self._pieces(request, answer), f"{answer.status} {answer.reason or ''}".strip())
        response.headers.clear()
        for name, value in _end_to_end(answer.headers.items()):
            if not _NAME.fullmatch(name):
                continue
            if name.lower() == "content-length" and (
                getattr(answer, "chunked", False) or not re.fullmatch("[0-9]+", value)
            ):
                continue
            text = _CONTROL.sub("", _FOLD.sub(" ", value))
            text = self._here(text) if name.lower() == "location" else text
            # The server encodes non-ASCII headers: granian as UTF-8, others as latin-1.
            response.headers.add(name, text.encode("latin-1").decode("utf-8", "replace") if is_utf8 else text)
        response.call_on_close(answer.close)
        return response

    def _here(self, location: str) -> str:
        """Return a redirect within the upstream as one within this server."""
        try:
            scheme, netloc, path, query, fragment = urlsplit(location)
            is_there = _origin(scheme or self._origin[0], netloc) == self._origin if netloc else not scheme
        except ValueError:  # it is not a valid URL
            return location
        if not is_there or not (netloc or self._prefix) or not f"{path or '/'}/".startswith(f"{self._prefix}/"):
            return location
        rest = path[len(self._prefix) :] or "/"
        # Two slashes, or anything that browsers treat as such, would lead to another host.
        return urlunsplit(("", "", f"/.{rest}" if rest[1:2] in ("/", "\\") else rest, query, fragment))

    def _pieces(self, _request: Request, answer: BaseHTTPResponse) -> Iterator[bytes]:
        try:
            while piece := answer.read1(_PIECE, decode_content=False):
                yield piece
        except HTTPError as error:
            log.warning("the answer of the upstream %s broke off: %s", self.url, _reason(error))
            raise

    def _unreachable(self, _request: Request, reason: str, error: HTTPError | None = None) -> NoAnswerError:
        hint = "; --upstream-ca trusts its certificate, --upstream-insecure any" if isinstance(error, SSLError) else ""
        return NoAnswerError("upstream", 502, 14, f"the upstream {self.url} does not answer: {reason}{hint}")


def _has_body(request: Request) -> bool:
    return bool(request.content_length) or "Transfer-Encoding" in request.headers


def _origin(scheme: str, netloc: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port in a normalised form.

    Raises:
        ValueError: the port is invalid.
    """
    parts = urlsplit(f"//{netloc}")
    scheme = scheme.lower()
    return scheme, (parts.hostname or "").rstrip("."), parts.port or DEFAULT_PORTS.get(scheme)


def _proxy(scheme: str, netloc: str) -> str | None:
    """Return the proxy for a server, from `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`."""
    found = urllib.request.getproxies()
    proxy = found.get(scheme) or found.get("all")
    if not proxy or urllib.request.proxy_bypass(netloc):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _manager(proxy: str, options: dict[str, Any]) -> urllib3.ProxyManager:
    parts = urlsplit(proxy)
    credentials = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}" if parts.username else None
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    headers = make_headers(proxy_basic_auth=credentials) if credentials else None
    return urllib3.ProxyManager(address, proxy_headers=headers, **options)


def _end_to_end(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Return the end-to-end headers."""
    found = list(headers)
    named = {part.strip().lower() for name, value in found if name.lower() == "connection" for part in value.split(",")}
    return ((name, value) for name, value in found if name.lower() not in _HOP_BY_HOP | named)


def _reason(error: HTTPError) -> str:
    """Return the message of an error, without the connection object that urllib3 puts in front."""
    cause: Any = error.args[-1] if isinstance(error, ProtocolError) and error.args else error
    return re.sub(r"^(<.*>|\S*Connection\(.*?\)): ", "", str(cause)) or type(cause).__name__
