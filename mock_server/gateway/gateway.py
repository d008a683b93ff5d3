"""The way in: which sandbox a request is for, what fault it meets, and that the journal keeps it."""

from __future__ import annotations

import difflib
import io
import json
import logging
import random
import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

from werkzeug.exceptions import HTTPException

from mock_server.central.errors import Refusal
from mock_server.sandboxes.central import MAX_MESSAGE
from mock_server.sandboxes.sandboxes import PREFIX, MakeApp, Sandbox, Sandboxes
from mock_server.serving.connection_faults import refusal_of_reset, reset, truncated
from mock_server.simulation.faults import Fault, FaultError, RequestFacts, applied, drawn, preferences

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from mock_server.web.app import MockCentral

log = logging.getLogger("mock_central")

CONTROL = "/__admin/"
_SANDBOX_HEADER = "HTTP_MOCK_CENTRAL_SANDBOX"
_PIECES = 20
_SECONDS_SLOW = 2.0


class Answer(NamedTuple):
    """An answer that is not yet sent."""

    status: str
    headers: list[tuple[str, str]]
    body: Iterable[bytes]


class Gateway:
    """Every request of a server comes in here."""

    def __init__(self, app: MockCentral, make_app: MakeApp) -> None:
        self.app = app
        """Answers control calls, and requests of sandboxes that have no app of their own."""
        self.sandboxes = Sandboxes(app, make_app)

    def renew(self, app: MockCentral, *, keep_state: bool) -> None:
        """Let another app answer from now on; without `keep_state` each sandbox begins anew with its first state."""
        self.app = app
        self.sandboxes.renew(app, keep_state=keep_state)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if _SANDBOX_HEADER in environ or environ["PATH_INFO"].startswith("/__"):
            return self._named(environ, start_response)
        return self._enter(self.sandboxes.default, environ, start_response)

    def _named(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            sandbox = self._sandbox(environ)
        except Refusal as refusal:
            environ["mock_central.refusal"] = refusal
            return self.app.wsgi_app(environ, start_response)
        if f"{environ['PATH_INFO']}/".startswith(CONTROL):
            environ["mock_central.sandbox"] = sandbox
            return self.app.wsgi_app(environ, start_response)
        return self._enter(sandbox, environ, start_response)

    def _sandbox(self, environ: WSGIEnvironment) -> Sandbox:
        path = environ["PATH_INFO"]
        if path.startswith(PREFIX):
            name, slash, rest = path.removeprefix(PREFIX).partition("/")
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + PREFIX + name
            environ["PATH_INFO"] = slash + rest
            return self.sandboxes.get(name)
        if _SANDBOX_HEADER in environ:
            return self.sandboxes.get(environ[_SANDBOX_HEADER])
        return self.sandboxes.default

    def _enter(self, sandbox: Sandbox, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if sandbox.central is not sandbox.app.central:
            environ["mock_central.central"] = sandbox.central
            environ["mock_central.sandbox"] = sandbox
        if sandbox.faults.listed or "HTTP_PREFER" in environ:
            return self._faulted(sandbox, environ, start_response)
        if sandbox.journal is None:
            return sandbox.app.wsgi_app(environ, start_response)
        status, headers, body = self._answered(sandbox, environ, "")
        start_response(status, headers)
        return body

    def _answered(self, sandbox: Sandbox, environ: WSGIEnvironment, fault: str) -> Answer:
        started = time.perf_counter()
        seen: list[Any] = []

        def note(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> Any:
            seen[:] = status, headers

        body = sandbox.app.wsgi_app(environ, note)
        status, headers = seen
        if sandbox.journal is not None:
            whole = b"".join(body) if isinstance(body, list) else b""  # a stream passes by
            sandbox.journal.keep(environ, int(status[:3]), whole, time.perf_counter() - started, fault)
        return Answer(status, headers, body)

    # -- fault ----------------------------------------------------------------------------------

    def _faulted(self, sandbox: Sandbox, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            preferred = self._preferred(environ)
        except FaultError as error:
            preferred = None
            environ["mock_central.refusal"] = Refusal("prefer", 400, 3, f"Prefer: {error}")
        fault = preferred
        if fault is None and "mock_central.refusal" not in environ and not is_preflight(environ):
            try:
                fault = sandbox.faults.match(self._asked(sandbox, environ))
            except Refusal as unanswered:  # the name is looked up in a store that may fail
                environ["mock_central.refusal"] = unanswered
        text = environ["mock_central.fault"] = str(fault or "")
        if fault is not None:
            if fault.delay:
                time.sleep(drawn(fault.delay))
            if refusal := fault.refusal() or (refusal_of_reset(environ) if fault.fault == "reset" else None):
                environ["mock_central.refusal"] = refusal
        answer = self._answered(sandbox, environ, text)
        if preferred is not None:
            answer.headers.append(("Preference-Applied", applied(preferred)))
        if fault is not None and fault.fault and "mock_central.refusal" not in environ:
            return _spoilt(answer, fault.fault, environ, start_response)
        start_response(answer.status, answer.headers)
        return answer.body

    def _preferred(self, environ: WSGIEnvironment) -> Fault | None:
        header = environ.get("HTTP_PREFER")
        if not header:
            return None
        fault, unknown = preferences(header)
        if unknown:
            log.info("ignored what the mock does not know of Prefer: %s", ", ".join(unknown))
        return fault

    def _asked(self, sandbox: Sandbox, environ: WSGIEnvironment) -> RequestFacts:
        path = environ["PATH_INFO"]
        try:
            operation, values = self.app.url_map.bind("").match(path, environ["REQUEST_METHOD"])
        except HTTPException:
            operation, values = "", {}  # limits by path still count
        return RequestFacts(operation, path, partial(_name, sandbox, environ, str(values.get("id", ""))))

    def see_to_operation(self, fault: Fault) -> None:
        """See that the operation that a fault is limited to exists.

        Raises:
            FaultError: it does not; the text names those that are close.
        """
        known = [each for each in self.app.view_functions if not each.startswith(CONTROL)]
        if fault.operation and fault.operation not in known:
            close = difflib.get_close_matches(fault.operation, known, n=2)
            hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(sorted(known))}"
            raise FaultError(f"operation={fault.operation}: is no operation; {hint}")


def is_preflight(environ: WSGIEnvironment) -> bool:
    """Return whether a browser asks what it may ask."""
    return environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ


def _name(sandbox: Sandbox, environ: WSGIEnvironment, id: str) -> str:
    """Find the name of the integration that a request is about: the stored one, the sent one, the one looked for."""
    stored = sandbox.central.store.get(id)
    if stored is not None:
        return str(stored.integration["name"])
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isdigit() and int(length) > MAX_MESSAGE:
        return ""  # no integration that Central takes is so long
    body = environ["wsgi.input"].read(int(length)) if length.isdigit() else environ["wsgi.input"].read()
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
    try:
        sent = json.loads(body)
        found = sent.get("name") or sent["config"]["name"]
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError):
        found = parse_qs(environ["QUERY_STRING"]).get("name", [""])[0]
    return str(found)


def _spoilt(answer: Answer, fault: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Send an answer in one of the ways of `faults.ANSWER_FAULTS`."""
    status, headers, body = answer
    whole = b"".join(body)
    if fault == "empty":
        whole = b""
    elif fault == "garbage":
        whole = b"\xff" + random.randbytes(max(len(whole) - 1, 15))
    if fault == "reset":
        headers, cut = reset(environ)
        start_response("200 OK", headers)
        return cut
    changed = ("content-length", "content-encoding") if fault == "garbage" else ("content-length",)
    headers = [each for each in headers if each[0].lower() not in changed]
    start_response(status, [*headers, ("Content-Length", str(len(whole)))])
    if fault == "truncated":
        return truncated(environ, whole)
    return _slowly(whole) if fault == "slow" else [whole]


def _slowly(body: bytes) -> Iterator[bytes]:
    step = max(-(-len(body) // _PIECES), 1)
    for at in range(0, len(body), step):
        yield body[at : at + step]
        time.sleep(_SECONDS_SLOW / _PIECES)
