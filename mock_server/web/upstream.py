"""Passing on: what is not the mock's own goes to a real Central or another stub, as it came.

Bodies go through piece by piece and as they are compressed. Redirects are the client's matter.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import urllib3
from flask import Blueprint, Response, request
from urllib3.exceptions import HTTPError, InsecureRequestWarning, SSLError
from urllib3.util import SKIP_HEADER, Timeout

from mock_server.central.errors import Refusal
from mock_server.contract.routes import Routes
from mock_server.gateway.sandbox import CONTROL
from mock_server.settings import Settings
from mock_server.web.edge import current

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

log = logging.getLogger("mock_central")
access_log = logging.getLogger("mock_central.access")

TIMEOUT = Timeout(connect=5, read=180)
"""Seconds. The web UI waits 180 for its slowest queries."""

_CONNECTIONS = 32
"""How many connections stay open for the next request."""

_PIECE = 64 * 1024
_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
"""What concerns one connection only (RFC 9110, 7.6.1), as does what `Connection` names."""

_SAFE = "/:@!$&'()*+,;=-._~"


def blueprint(settings: Settings, routes: Routes) -> Blueprint:
    """Make the blueprint that passes on what the mock does not answer itself."""
    made = Blueprint("upstream", __name__)
    made.before_app_request(Upstream(settings, ours=(routes.collection, CONTROL.rstrip("/"))).answer)
    return made


class Upstream:
    """The server that everything goes to whose path is not one of ours."""

    def __init__(self, settings: Settings, *, ours: tuple[str, ...]) -> None:
        assert settings.upstream is not None
        self.url = settings.upstream.rstrip("/")
        self.ours = ours
        self.name = f"mock-central-{uuid.uuid4().hex}"
        """Ours in the header `Via`, by which a request that comes back is known."""
        self._prefix = urlsplit(self.url).path
        if settings.upstream_insecure:
            urllib3.disable_warnings(InsecureRequestWarning)  # it was asked for
        trust = {
            "cert_reqs": "CERT_NONE" if settings.upstream_insecure else "CERT_REQUIRED",
            "ca_certs": str(settings.upstream_ca) if settings.upstream_ca else None,
        }
        https = self.url.startswith("https:")
        self._pool = urllib3.connection_from_url(
            self.url, maxsize=_CONNECTIONS, timeout=TIMEOUT, **(trust if https else {})
        )

    def is_ours(self, path: str) -> bool:
        """Return whether the mock answers this path itself."""
        return any(path == each or path.startswith(f"{each}/") for each in self.ours)

    def answer(self) -> Response | None:
        """Pass the request on and its answer back; None leaves it to the mock.

        Raises:
            Refusal: 502, there is no answer.
        """
        path = request.path
        if self.is_ours(path):
            return None
        started = time.perf_counter()
        current().is_streamed = True  # piece by piece, as it comes
        try:
            answer = self._asked()
        except HTTPError as error:
            raise self._unreachable(error) from None
        milliseconds = (time.perf_counter() - started) * 1000
        access_log.info("%s %s %s %.1fms from %s", request.method, path, answer.status, milliseconds, self.url)
        return self._passed_back(answer)

    def _asked(self) -> BaseHTTPResponse:
        if self.name in request.headers.get("Via", ""):
            text = f"the upstream {self.url} leads back to this mock; give --upstream the address of another server"
            raise Refusal("upstream-loop", 502, 14, text)
        environ = request.environ
        target = self._prefix + quote(environ["PATH_INFO"].encode("latin-1"), safe=_SAFE)
        if environ["QUERY_STRING"]:
            target += f"?{environ['QUERY_STRING']}"
        request.max_content_length = None
        has_body = request.content_length or "Transfer-Encoding" in request.headers
        return self._pool.urlopen(
            request.method,
            target,
            body=request.stream if has_body else None,
            headers=self._request_headers(),
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )

    def _request_headers(self) -> dict[str, str]:
        passed = {
            name: value
            for name, value in _end_to_end(request.headers.items())
            if name.lower() not in ("host", "expect")
        }
        passed.setdefault("User-Agent", SKIP_HEADER)  # rather none than one of ours
        passed["Via"] = ", ".join(filter(None, (request.headers.get("Via"), f"1.1 {self.name}")))
        return passed

    def _passed_back(self, answer: BaseHTTPResponse) -> Response:
        response = Response(self._pieces(answer), f"{answer.status} {answer.reason or ''}".strip())
        response.headers.clear()
        for name, value in _end_to_end(answer.headers.items()):
            response.headers.add(name, self._here(value) if name.lower() == "location" else value)
        response.call_on_close(answer.close)
        return response

    def _here(self, location: str) -> str:
        """Make a redirect inside the upstream one inside this server, so that the client stays here."""
        inside = location.removeprefix(self.url)
        return inside if inside != location and inside.startswith("/") else location

    def _pieces(self, answer: BaseHTTPResponse) -> Iterator[bytes]:
        try:
            yield from answer.stream(_PIECE, decode_content=False)
        except HTTPError as error:
            log.warning("the answer of the upstream %s broke off: %s", self.url, _reason(error))
            raise

    def _unreachable(self, error: HTTPError) -> Refusal:
        hint = "; --upstream-ca trusts its certificate, --upstream-insecure any" if isinstance(error, SSLError) else ""
        return Refusal("upstream", 502, 14, f"the upstream {self.url} does not answer: {_reason(error)}{hint}")


def _end_to_end(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Return the headers that are meant for the other end."""
    found = list(headers)
    named = {part.strip().lower() for name, value in found if name.lower() == "connection" for part in value.split(",")}
    return ((name, value) for name, value in found if name.lower() not in _HOP_BY_HOP | named)


def _reason(error: HTTPError) -> str:
    """Return what went wrong, without the connection object that urllib3 puts in front."""
    return str(error).rpartition(">: ")[2] or type(error).__name__
