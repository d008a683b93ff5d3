"""The Flask application: HTTP as Central's gateway speaks it (pkg/grpc/server.go, grpc-gateway).

Flask routes by the paths of the contract; none of its courtesies (HTML errors, redirects,
automatic OPTIONS and HEAD) reaches a client.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import logging
import posixpath
import re
import time
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote as percent_encoded

from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import Rule as Route

from mock_server.central import protojson
from mock_server.central.errors import Refusal, refuse
from mock_server.contract.tables import Contract, Operation
from mock_server.gateway.gateway import CONTROL, Gateway, is_preflight
from mock_server.gateway.operations import HANDLERS, Call, Handler, check_complete
from mock_server.gateway.shortcut import Found, Shortcut
from mock_server.sandboxes.central import MAX_MESSAGE, AnswerContractError, Central
from mock_server.serving.body_timeouts import overdue
from mock_server.settings import Settings
from mock_server.web import console
from mock_server.web.access_log import Line
from mock_server.web.companions import COMPANIONS, Companion
from mock_server.web.control import Control

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask.typing import ResponseReturnValue

    from mock_server.web.upstream import Upstream

log = logging.getLogger("mock_central")
access_log = logging.getLogger("mock_central.access")

RULE_HEADER = "Mock-Central-Rule"
WARNING_HEADER = "Mock-Central-Warning"

GZIP_FROM = 1400
"""Bytes from which an answer is compressed (the default of Central's gzip handler)."""

_SHORT_BODY = 64 * 1024
_LONGEST_HEADER = 2000
_GRPC = "application/grpc"
_GRPC_TYPE = re.compile(r"application/grpc(?:-web)?(?:\+.*)?")
"""Central hands these content types to gRPC, which over HTTP/1 has nothing for them (go-grpc-http1)."""
_FORM = "application/x-www-form-urlencoded"
_Headers = list[tuple[str, str]]
_Told = tuple[bytes, int, _Headers]
"""The body, the status and the headers of an answer."""
_JSON_HEADERS = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store, no-cache"),
    ("Vary", "Accept-Encoding"),
)
_TEXT_HEADERS = (("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"))
"""Those of Go's http.Error."""
_GATEWAY_HEADER = ("Grpc-Metadata-Content-Type", "application/grpc")


def create_app(settings: Settings | None = None, contract: Contract | None = None) -> MockCentral:
    """Make an app of its own, with its own state; `contract` is another one than the shipped one.

    Raises:
        ValueError: document and handlers differ, a mutant of the settings is unknown, or its state cannot be read.
    """
    app = MockCentral(settings or Settings(), contract)
    for fault in app.settings.faults:
        app.gateway.see_to_operation(fault)
    if app.settings.mutants:
        from mock_server import mutants

        mutants.mutate(app, app.settings.mutants)
    return app


class MockCentral(Flask):
    """A Flask app that answers as Central does; `central` holds its parts."""

    def __init__(self, settings: Settings, contract: Contract | None = None) -> None:
        """Make the parts and bind each operation of the contract to its handler."""
        super().__init__("mock_server", static_folder=None)
        self.central = Central(settings, contract)
        self.settings = settings
        self.upstream: Upstream | None = None
        self.config["MAX_CONTENT_LENGTH"] = 10 * MAX_MESSAGE
        self.config["PROPAGATE_EXCEPTIONS"] = settings.fatal_answers
        self.url_map.merge_slashes = False
        check_complete(self.central.contract, HANDLERS)
        for operation in self.central.contract.operations.values():
            self._bind(operation, HANDLERS[operation.id])
        for control in Control(self).routes():
            self._route(*control)
        for page in console.routes(self):
            self._route(*page)
        if settings.cors is not None:
            self.after_request(partial(_allow_origin, settings.cors))
        if settings.companions:
            for companion in COMPANIONS:
                self._route(companion.path, companion.method, companion.id, partial(self.serve_companion, companion))
        if settings.ui is not None:
            from mock_server.web.ui import Ui

            self.before_request(Ui(settings.ui).answer)
        if settings.upstream is not None:
            from mock_server.web.upstream import Upstream

            collection = self.central.contract.operations["GetImageIntegrations"].path
            self.upstream = Upstream(settings, ours=(collection, CONTROL.rstrip("/")))
            self.before_request(self.upstream.answer)
        self.gateway = Gateway(self, create_app)
        self.register_error_handler(Exception, self.failed)
        # Mutants change how Flask answers, and a full validation reads its request.
        needs_flask = settings.mutants or settings.validation == "full"
        self._shortcut = None if needs_flask else Shortcut(self.central.contract, HANDLERS)

    def _bind(self, operation: Operation, handler: Handler) -> None:
        view = partial(self.answer, operation, handler)
        path = operation.path.replace("{id}", "<id>")
        self._route(path, operation.method, operation.id, view)
        if path.endswith("/<id>"):
            # A trailing slash is an item with an empty id, never the collection.
            collection = path.removesuffix("<id>")
            self.url_map.add(Route(collection, methods=[operation.method], endpoint=operation.id, defaults={"id": ""}))

    def _route(self, path: str, method: str, endpoint: str, view: console.View) -> None:
        self.url_map.add(Route(path, methods=[method], endpoint=endpoint))
        self.view_functions[endpoint] = view

    # -- one request ------------------------------------------------------------------------------

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Let one request in."""
        return self.gateway(environ, start_response)

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; the body is given whole, which servers send in one piece."""
        if self._shortcut is not None and not self._is_hooked and (found := self._shortcut(environ)) is not None:
            return self._answer_directly(found, environ, start_response)
        _take_short_body(environ)
        if (clean := _clean_path(environ["PATH_INFO"])) is not None:
            return self._redirect(clean, environ, start_response)
        _override_method(environ)
        answer = super().wsgi_app(environ, start_response)
        if "mock_central.stream" in environ:
            return answer
        if self.upstream is not None and not self.upstream.is_ours(environ["PATH_INFO"]):
            return answer  # piece by piece, as it comes
        try:
            return list(answer)
        finally:
            close = getattr(answer, "close", None)
            if close is not None:
                close()

    def _redirect(self, path: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send a client to the path as Go's mux writes it; the method stays what it is."""
        query = environ["QUERY_STRING"]
        target = percent_encoded((environ.get("SCRIPT_NAME", "") + path).encode("latin-1"), safe=_PATH_SAFE)
        headers = [("Location", f"{target}?{query}" if query else target), ("Content-Length", "0")]
        if access_log.isEnabledFor(logging.INFO):
            access_log.info("%s", Line.of(environ, environ["REQUEST_METHOD"], environ["PATH_INFO"], 307, ""))
        start_response("307 TEMPORARY REDIRECT", headers)
        return [b""]

    @property
    def _is_hooked(self) -> bool:
        """Something is bound to Flask that is to see each request, perhaps by who embeds the app."""
        return bool(self.before_request_funcs or self.after_request_funcs or self.teardown_request_funcs)

    def preprocess_request(self) -> ResponseReturnValue | None:
        """Answer a preflight, and refuse what was refused on the way in, before anything is done."""
        if self.settings.cors is not None and is_preflight(request.environ) and _is_open_to(self.settings.cors):
            self._log_beside(request.environ, "OPTIONS", request.path, 204)
            return _preflight()
        refusal = request.environ.get("mock_central.refusal")
        if refusal is not None:
            operation = self.central.contract.operations.get(request.endpoint or "")
            if operation is not None:  # for the journal
                call = Call(operation, body=_body(request.environ), query=request.environ["QUERY_STRING"])
                request.environ["mock_central.call"] = call
            raise refusal
        return super().preprocess_request()

    def raise_routing_exception(self, request: Request) -> NoReturn:
        """Tell a wrong path from a wrong method; a redirect means a path that only looks known."""
        rules = self.central.contract.rules
        if isinstance(request.routing_exception, NotFound):
            raise refuse(rules["unknown-route"])
        raise refuse(rules["method-not-allowed"])

    def _answer_directly(
        self, found: Found, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer as Flask would after it had found the operation."""
        try:
            body, status, headers = self._run(environ, *found)
        except AnswerContractError:
            raise
        except Exception as error:  # noqa: BLE001  # nobody above answers for it
            body, status, headers = _finished(environ, *self._refused(_panic(environ, error)))
        headers.append(("Content-Length", str(len(body))))
        start_response(f"{status} {HTTP_STATUS_CODES.get(status, 'Unknown').upper()}", headers)
        return [body]

    def answer(self, operation: Operation, handler: Handler, id: str = "") -> Response:
        """Run an operation and answer in Central's way."""
        return Response(*self._run(request.environ, operation, handler, id))

    def _run(self, environ: WSGIEnvironment, operation: Operation, handler: Handler, id: str) -> _Told:
        started = time.perf_counter()
        central = environ.get("mock_central.central") or self.central
        call = environ["mock_central.call"] = Call(
            operation,
            id,
            environ["QUERY_STRING"],
            authorization=environ.get("HTTP_AUTHORIZATION"),
        )
        self._require_method(environ, operation.method)
        try:
            if environ.get("CONTENT_TYPE", "").startswith(_GRPC) and _GRPC_TYPE.fullmatch(environ["CONTENT_TYPE"]):
                raise Refusal("no-grpc", 500, 13, "Method cannot be downgraded")
            if operation.request is not None:
                call.body = _body(environ)
                call.content_type = environ.get("CONTENT_TYPE", "")
            body, status, headers = handler(central, call), 200, [*_JSON_HEADERS, _GATEWAY_HEADER]
            rule = ""
        except Refusal as refusal:
            environ["mock_central.rule"] = rule = refusal.rule
            body, status, headers = self._refused(refusal)
        if self.settings.validation == "full":
            self._validate_fully(call, status, body)
        if call.violations:
            headers.append((WARNING_HEADER, _header_text("; ".join(map(str, call.violations)))))
        self._log(environ, call, status, rule, started)
        return _finished(environ, body, status, headers)

    def _require_method(self, environ: WSGIEnvironment, method: str) -> None:
        """Refuse HEAD, routed as GET by werkzeug, and methods in lower case: Central knows neither."""
        if environ["REQUEST_METHOD"] != method:
            raise refuse(self.central.contract.rules["method-not-allowed"])

    def serve_companion(self, companion: Companion) -> Response:
        """Answer a path beside the image integrations."""
        environ = request.environ
        self._require_method(environ, companion.method)
        started = time.perf_counter()
        central = environ.get("mock_central.central") or self.central
        authorization = environ.get("HTTP_AUTHORIZATION")
        found = companion.answered(central, authorization, environ["QUERY_STRING"], _body(environ))
        headers = [*_JSON_HEADERS, _GATEWAY_HEADER] if companion.gateway else [*_JSON_HEADERS]
        seconds = time.perf_counter() - started
        self._log_beside(environ, companion.method, companion.path, companion.status, seconds=seconds)
        body = b"" if found is None else protojson.render(found)
        return Response(*_finished(environ, body, companion.status, headers))

    def _validate_fully(self, call: Call, status: int, body: bytes) -> None:
        validator, operation = self.central.validator, call.operation
        if operation.request is None and status == 200:
            known = {"name": request.args.getlist("name"), "cluster": request.args.getlist("cluster")}
            query = {name: values for name, values in known.items() if values and values != [""]}
            call.violations += validator.request_violations(operation, operation.path, query, b"", "")
        if found := validator.answer_violations(operation, operation.path, status, body):
            self.central.answer_broken(found)

    def _refused(self, refusal: Refusal) -> _Told:
        headers = [*(_TEXT_HEADERS if refusal.form == "text" else _JSON_HEADERS), (RULE_HEADER, refusal.rule)]
        if refusal.status == 401:
            headers.append(("WWW-Authenticate", _header_text(refusal.message)))
        return self.central.error_answer(refusal), refusal.status, headers

    def failed(self, error: Exception) -> Response:
        """Answer what no operation answered, in Central's error shape (pkg/grpc/recovery.go)."""
        if isinstance(error, AnswerContractError):
            raise error
        if isinstance(error, RequestEntityTooLarge):
            error = refuse(self.central.contract.rules["message-size"], size=request.content_length)
        elif isinstance(error, HTTPException):
            error = Refusal("http", error.code or 400, 3, error.description or error.name)
        elif not isinstance(error, Refusal):
            error = _panic(request.environ, error)
        assert isinstance(error, Refusal)
        request.environ["mock_central.rule"] = error.rule
        if self.settings.cors is None and is_preflight(request.environ):
            log.warning(
                "a browser asked whether a page of %s may call, and was told no; --cors %s lets it in",
                *2 * (_header_text(request.headers.get("Origin", "another origin")),),
            )
        self._log_beside(request.environ, request.method, request.path, error.status, error.rule)
        return Response(*_finished(request.environ, *self._refused(error)))

    def _log_beside(
        self,
        environ: WSGIEnvironment,
        method: str,
        path: str,
        status: int,
        rule: str = "",
        seconds: float | None = None,
    ) -> None:
        """Log an answer that is no operation's."""
        if access_log.isEnabledFor(logging.INFO):
            access_log.info("%s", Line.of(environ, method, path, status, rule, seconds))

    def _log(self, environ: WSGIEnvironment, call: Call, status: int, rule: str, started: float) -> None:
        if not access_log.isEnabledFor(logging.INFO):
            return
        path = call.operation.path.replace("{id}", call.id)
        seconds = time.perf_counter() - started
        line = Line.of(environ, call.operation.method, path, status, rule, seconds, call.violations)
        access_log.log(logging.WARNING if call.violations else logging.INFO, "%s", line)

    def answer_json(self, value: object) -> Response:
        """Answer a control call."""
        return Response(*_finished(request.environ, protojson.render(value), 200, [*_JSON_HEADERS]))


def _panic(environ: WSGIEnvironment, error: Exception) -> Refusal:
    log.error("the mock failed on %s %s", environ["REQUEST_METHOD"], environ["PATH_INFO"], exc_info=error)
    return Refusal("panic", 500, 13, "the mock failed; its log says why")


def _body(environ: WSGIEnvironment) -> bytes:
    """Read the body; one of a known length without the stream that Flask would put around it.

    Raises:
        Refusal: the client left before it was whole, even if what came is JSON, or it took too long.
    """
    length = environ.get("CONTENT_LENGTH", "")
    if length.isdigit() and int(length) <= MAX_MESSAGE:
        body: bytes = environ["wsgi.input"].read(int(length))
        if len(body) < int(length):
            text = f"the body ended after {len(body)} of {length} bytes"
            raise overdue(environ) or Refusal("http", 400, 3, text)
        return body
    body = request.get_data(cache=False)
    if refusal := overdue(environ):
        raise refusal
    return body


def _take_short_body(environ: WSGIEnvironment) -> None:
    """Read a body that perhaps nobody asks for: left unread it ends the connection, or is read as the next request."""
    length = environ.get("CONTENT_LENGTH", "")
    if length.isdigit() and 0 < int(length) <= _SHORT_BODY:
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(length)))


_UNCLEAN = re.compile(r"//|/\.\.?(?:/|$)")
_PATH_SAFE = "/$&+,:;=@!'()*~"


def _clean_path(path: str) -> str | None:
    """Return a path below /v1/ without its doubled slashes and dots; None where it has none (Go net/http: ServeMux)."""
    if _UNCLEAN.search(path) is None:
        return None
    clean = posixpath.normpath("/" + path.lstrip("/"))
    if path.endswith("/") and clean != "/":
        clean += "/"
    return clean if clean.startswith("/v1/") else None


def _override_method(environ: WSGIEnvironment) -> None:
    """Run the method that a form POST names in a header; its fields become the query (grpc-gateway)."""
    override = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE")
    if not override or environ["REQUEST_METHOD"] != "POST" or environ.get("CONTENT_TYPE") != _FORM:
        return
    form = Request(environ).get_data(cache=False).decode("latin-1")
    environ["REQUEST_METHOD"] = override.upper()
    environ["QUERY_STRING"] = "&".join(part for part in (form, environ.get("QUERY_STRING", "")) if part)
    environ["CONTENT_LENGTH"] = "0"
    environ.pop("werkzeug.request", None)


_PRETTY_KEY = re.compile(r"(?:^|&)pretty(?:=|&|$)")


def _finished(environ: WSGIEnvironment, body: bytes, status: int, headers: _Headers) -> _Told:
    """Write a body in the form that was asked for: indented, compressed."""
    if environ.get("HTTP_ACCEPT") == "application/json+pretty" or _PRETTY_KEY.search(environ["QUERY_STRING"]):
        body = protojson.indented(body)
    if len(body) >= GZIP_FROM and _accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
        body = gzip.compress(body, compresslevel=1)
        headers.append(("Content-Encoding", "gzip"))
    return body, status, headers


def _accepts_gzip(header: str) -> bool:
    """Return whether gzip has a weight above zero, as Central's gzip handler reads it."""
    weight = 0.0
    for each in header.split(",") if header else ():
        coding, *parameters = (part.strip() for part in each.split(";"))
        if coding.lower() == "gzip":
            with contextlib.suppress(ValueError):  # what is no number does not count
                weight = next((float(part[2:]) for part in reversed(parameters) if part.startswith("q=")), 1.0)
    return weight > 0


def _header_text(text: str) -> str:
    """Make a text fit for a header: one line of printable ASCII, not too long."""
    safe = percent_encoded(text, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}~-._")
    return safe if len(safe) <= _LONGEST_HEADER else safe[:_LONGEST_HEADER] + "..."


def _is_open_to(origin: str) -> bool:
    """Return whether pages of `origin` may ask for this path: control calls show what is stored, not for every page."""
    return origin != "*" or not request.path.startswith(CONTROL)


def _preflight() -> Response:
    response = Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE"
    asked = request.headers.get("Access-Control-Request-Headers", "")
    response.headers["Access-Control-Allow-Headers"] = _header_text(asked)
    response.headers["Access-Control-Max-Age"] = "600"
    return response


def _allow_origin(origin: str, response: Response) -> Response:
    """Let a browser page of `origin` read the answer; Central itself never does."""
    if not _is_open_to(origin):
        return response
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = f"{RULE_HEADER}, {WARNING_HEADER}, Preference-Applied"
    if origin != "*":
        response.headers.add("Vary", "Origin")
    return response
