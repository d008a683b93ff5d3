"""HTTP and JSON that clients stumble over."""

from __future__ import annotations

import gzip
import itertools
import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flask import Response, request

from mock_server.central import protojson
from mock_server.contract.tables import Field
from mock_server.mutants import Mutate, mutant
from mock_server.mutants.tools import (
    CREATE,
    GET,
    LIST,
    after,
    around,
    bodies,
    environs,
    handled,
    readings,
    refused,
)

if TYPE_CHECKING:
    from mock_server.gateway.operations import Call, Handler
    from mock_server.sandboxes.central import Central
    from mock_server.web.app import MockCentral

HTML = b"<!doctype html><html><title>Error</title><h1>Something went wrong</h1></html>"


def _wire(
    name: str, summary: str, check: str, also: tuple[str, ...] = (), **settings: Any
) -> Callable[[Mutate], Mutate]:
    return mutant(name, kind="wire", check=check, summary=summary, also=also, **settings)


# -- answers ---------------------------------------------------------------------------------------------


def _as_html(response: Response) -> None:
    response.set_data(HTML)
    response.headers["Content-Type"] = "text/html; charset=utf-8"
    response.headers.pop("Content-Encoding", None)


def _html_where(app: MockCentral, matches: Callable[[Response], bool]) -> None:
    after(app, lambda response: _as_html(response) if matches(response) else None)


@_wire("html-404", "An unknown path answers an HTML page", "answer-media-type", also=("unknown-route",))
def html_404(app: MockCentral) -> None:
    """Answer as frameworks do."""
    _html_where(app, lambda response: response.headers.get("Mock-Central-Rule") == "unknown-route")


@_wire("html-501", "A wrong method answers an HTML page", "answer-media-type", also=("method-not-allowed",))
def html_501(app: MockCentral) -> None:
    """Answer as frameworks do."""
    _html_where(app, lambda response: response.status_code == 501)


@_wire("html-400", "A body that is no JSON answers an HTML page", "answer-media-type", also=("body-syntax",))
def html_400(app: MockCentral) -> None:
    """Answer as frameworks do."""
    _html_where(app, lambda response: response.headers.get("Mock-Central-Rule") == "body-syntax")


@_wire("html-500", "A failure answers an HTML page", "answer-media-type")
def html_500(app: MockCentral) -> None:
    """Answer as frameworks do."""
    _html_where(app, lambda response: response.status_code == 500)


@_wire("text-plain", "Answers are called text/plain", "answer-media-type")
def text_plain(app: MockCentral) -> None:
    """Forget the content type."""
    after(app, lambda response: response.headers.set("Content-Type", "text/plain; charset=utf-8"))


@_wire("problem-json", "Errors are called application/problem+json", "answer-media-type")
def problem_json(app: MockCentral) -> None:
    """Name another shape."""

    def changed(response: Response) -> None:
        if response.status_code >= 400:
            response.headers["Content-Type"] = "application/problem+json"

    after(app, changed)


@_wire("latin-1", "Answers are written in latin-1", "answer-media-type", also=("read-after-create",))
def latin_1(app: MockCentral) -> None:
    """Write the wrong bytes."""
    after(app, lambda response: response.set_data(_latin(response)))


def _latin(response: Response) -> bytes:
    if "Content-Encoding" in response.headers:
        return response.get_data()
    return response.get_data().decode("utf-8", "replace").encode("latin-1", "replace")


@_wire("gzip-broken", "Compressed answers are not compressed", "every-request-answered", also=("gzip",))
def gzip_broken(app: MockCentral) -> None:
    """Send the header without the bytes."""

    def changed(response: Response) -> None:
        if response.headers.get("Content-Encoding") == "gzip":
            response.set_data(gzip.decompress(response.get_data()))

    after(app, changed)


@_wire("gzip-always", "Answers are compressed whether asked for or not", "gzip")
def gzip_always(app: MockCentral) -> None:
    """Compress all that is long."""
    environs(app, lambda environ: environ.update(HTTP_ACCEPT_ENCODING="gzip"))


@_wire("length-missing", "Answers have no Content-Length", "answer-headers")
def length_missing(app: MockCentral) -> None:
    """End answers by closing the connection."""

    def changed(response: Response) -> None:
        response.headers.pop("Content-Length", None)
        response.automatically_set_content_length = False
        response.headers["Connection"] = "close"

    after(app, changed)


@_wire("end-cut", "Answers lack their last two bytes", "answer-media-type")
def end_cut(app: MockCentral) -> None:
    """Lose the end."""
    after(app, lambda response: response.set_data(response.get_data()[:-2]))


@_wire("long-cut", "Answers are cut after 4 kB", "answer-media-type")
def long_cut(app: MockCentral) -> None:
    """Send what fits a buffer."""

    def changed(response: Response) -> None:
        if "Content-Encoding" not in response.headers:
            response.set_data(response.get_data()[:4096])

    environs(app, lambda environ: environ.pop("HTTP_ACCEPT_ENCODING", None))
    after(app, changed)


@_wire("connection-dropped", "Every tenth connection is closed without an answer", "every-request-answered")
def connection_dropped(app: MockCentral) -> None:
    """Promise a length and send nothing."""
    serial = itertools.count(1)

    def changed(response: Response) -> None:
        if next(serial) % 10 == 0:
            length = len(response.get_data())
            response.automatically_set_content_length = False
            response.response = [b""]
            response.headers["Content-Length"] = str(length + 1)
            response.headers["Connection"] = "close"

    after(app, changed)


@_wire("prefix", "Answers begin with )]}',", "answer-media-type")
def prefix(app: MockCentral) -> None:
    """Keep scripts from reading the answer."""
    _body(app, lambda body: b")]}',\n" + body)


@_wire("byte-order-mark", "Answers begin with a byte order mark", "answer-media-type")
def byte_order_mark(app: MockCentral) -> None:
    """Write what some libraries write."""
    _body(app, lambda body: b"\xef\xbb\xbf" + body)


@_wire("trailing-text", "Answers end with a comment", "answer-media-type")
def trailing_text(app: MockCentral) -> None:
    """Write behind the end."""
    _body(app, lambda body: body + b"\n<!-- 3 ms -->")


@_wire("not-a-number", "numConcurrentScans 0 reads as NaN", "answer-media-type", also=("answer-schema",))
def not_a_number(app: MockCentral) -> None:
    """Write what JSON does not have."""
    _body(app, lambda body: body.replace(b'"numConcurrentScans":0', b'"numConcurrentScans":NaN'))


def _body(app: MockCentral, change: Callable[[bytes], bytes]) -> None:
    environs(app, lambda environ: environ.pop("HTTP_ACCEPT_ENCODING", None))
    after(app, lambda response: response.set_data(change(response.get_data())))


@_wire("cached", "Answers may be cached for a minute", "answer-headers")
def cached(app: MockCentral) -> None:
    """Allow caches."""
    after(app, lambda response: response.headers.set("Cache-Control", "max-age=60"))


@_wire("vary-missing", "Answers do not vary by Accept-Encoding", "answer-headers")
def vary_missing(app: MockCentral) -> None:
    """Forget a header."""
    after(app, lambda response: response.headers.pop("Vary", None))


# -- requests --------------------------------------------------------------------------------------------


@_wire("case-insensitive-fields", "Field names are read in any case", "unknown-field-dropped")
def case_insensitive_fields(app: MockCentral) -> None:
    """Fold names."""
    names = {field.name.lower(): field.name for field in app.central.contract.integration.fields}

    class Reading(protojson.Reading):
        def text(self, token: Any) -> str:
            text = super().text(token)
            key = self.data[token.start + len(token.raw) :].lstrip()[:1] == b":"
            return names.get(text.lower(), text) if key else text

    readings(app, Reading)


@_wire("case-insensitive-categories", "Category names are read in any case", "unknown-category-dropped")
def case_insensitive_categories(app: MockCentral) -> None:
    """Fold names."""

    class Reading(protojson.Reading):
        def scalar(self, field: Field) -> Any:
            token = self.peek()
            item = super().scalar(field)
            name = token.raw.strip(b'"').decode().upper()
            return name if item is None and name in self.decoder.contract.categories else item

    readings(app, Reading)


@_wire("number-refused", "A category number that is not known is refused", "category-implemented")
def number_refused(app: MockCentral) -> None:
    """Know three numbers."""

    class Reading(protojson.Reading):
        def scalar(self, field: Field) -> Any:
            token = self.peek()
            item = super().scalar(field)
            if field.kind == "enum" and isinstance(item, int):
                raise self.unexpected(token)
            return item

    readings(app, Reading)


@_wire("nested-unknown-refused", "A field that is not known inside a config is refused", "unknown-field-dropped")
def nested_unknown_refused(app: MockCentral) -> None:
    """Be strict inside."""

    class Reading(protojson.Reading):
        def skip(self) -> None:
            if self.path:
                raise refused(400, "unknown field")
            super().skip()

    readings(app, Reading)


@_wire("null-message-refused", "null for `source` is refused", "null-is-absent")
def null_message_refused(app: MockCentral) -> None:
    """Refuse what reads answer."""

    def looked_at(body: bytes) -> bytes:
        if re.search(rb'"source"\s*:\s*null', body):
            raise refused(400, "source must be an object")
        return body

    bodies(app, looked_at)


@_wire(
    "unicode-500", "Characters beyond 16 bits answer 500", "unicode-kept", also=("read-after-create", "no-server-error")
)
def unicode_500(app: MockCentral) -> None:
    """Fail as an old database does."""

    def put(original: Callable[..., Any], integration: Any) -> Any:
        if any(ord(each) > 0xFFFF for each in integration["name"]):
            raise refused(500, "Incorrect string value", 13)
        return original(integration)

    around(app.central.store, "put", put)


@_wire("body-64k", "Bodies of more than 64 kB are refused with 413", "long-values-kept")
def body_64k(app: MockCentral) -> None:
    """Refuse what is long."""

    def looked_at(body: bytes) -> bytes:
        if len(body) > 65536:
            raise refused(413, "Request Entity Too Large")
        return body

    bodies(app, looked_at)


@_wire("nesting-100", "Bodies that nest deeper than 100 are refused", "nesting-depth")
def nesting_100(app: MockCentral) -> None:
    """Refuse what is deep."""

    def looked_at(body: bytes) -> bytes:
        if max(body.count(b"["), body.count(b"{")) > 100:
            raise refused(400, "too deep")
        return body

    bodies(app, looked_at)


@_wire("accept-406", "Accept without JSON answers 406", "answer-headers")
def accept_406(app: MockCentral) -> None:
    """Negotiate."""
    _before(app, lambda: request.headers.get("Accept", "*/*").startswith("text/"), 406, "Not Acceptable")


@_wire("query-unknown-refused", "A query key that is not known is refused", "unknown-query-ignored")
def query_unknown_refused(app: MockCentral) -> None:
    """Be strict."""
    _before(app, lambda: bool(set(request.args) - {"name", "cluster", "pretty"}), 400, "unknown parameter")


def _before(app: MockCentral, wrong: Callable[[], bool], status: int, text: str) -> None:
    def looked_at(handler: Handler, central: Central, call: Call) -> bytes:
        if wrong():
            raise refused(status, text)
        return handler(central, call)

    handled(app, (LIST, GET, CREATE), looked_at)


@_wire("query-as-body", "Query parameters of a create count as fields", "query-on-write-ignored")
def query_as_body(app: MockCentral) -> None:
    """Merge what was sent."""

    def merged(handler: Handler, central: Central, call: Call) -> bytes:
        with suppress(ValueError, TypeError):
            call.body = json.dumps(json.loads(call.body) | request.args.to_dict()).encode()
        return handler(central, call)

    handled(app, (CREATE,), merged)


@_wire("escape-kept", "Escapes in the id of a path are not decoded", "path-escapes")
def escape_kept(app: MockCentral) -> None:
    """Take the path as it is sent."""

    def kept(handler: Handler, central: Central, call: Call) -> bytes:
        raw = str(request.environ.get("REQUEST_URI") or request.environ.get("RAW_URI") or request.path)
        call.id = raw.partition("?")[0].rpartition("/")[2]
        return handler(central, call)

    handled(app, (GET,), kept)


@_wire("verb-cut", "A colon ends the id of a path", "path-escapes")
def verb_cut(app: MockCentral) -> None:
    """Read custom verbs."""

    def cut(handler: Handler, central: Central, call: Call) -> bytes:
        call.id = call.id.partition(":")[0]
        return handler(central, call)

    handled(app, (GET,), cut)


@_wire("path-any-case", "Paths are matched in any case", "unknown-route")
def path_any_case(app: MockCentral) -> None:
    """Fold the path."""

    def fold(environ: dict[str, Any]) -> None:
        if environ["PATH_INFO"].lower() == "/v1/imageintegrations":
            environ["PATH_INFO"] = "/v1/imageintegrations"

    environs(app, fold)


@_wire("override-always", "X-HTTP-Method-Override counts with any content type", "method-override")
def override_always(app: MockCentral) -> None:
    """Trust a header."""

    def override(environ: dict[str, Any]) -> None:
        if method := environ.pop("HTTP_X_HTTP_METHOD_OVERRIDE", None):
            environ["REQUEST_METHOD"] = method

    environs(app, override)


@_wire("plus-kept", "A plus sign in the query stands for itself", "list-by-odd-name")
def plus_kept(app: MockCentral) -> None:
    """Decode as a path."""
    environs(app, lambda environ: environ.update(QUERY_STRING=environ["QUERY_STRING"].replace("+", "%2B")))


@_wire("pretty-wrong-type", "Indented answers are called text/plain", "answer-media-type", also=("answer-media-type",))
def pretty_wrong_type(app: MockCentral) -> None:
    """Take them for people's."""

    def changed(response: Response) -> None:
        if "pretty" in request.args:
            response.headers["Content-Type"] = "text/plain"

    after(app, changed)


@_wire("empty-object-refused", "An empty config member is refused", "update-replaces")
def empty_object_refused(app: MockCentral) -> None:
    """Take empty for absent."""

    def looked_at(body: bytes) -> bytes:
        if re.search(rb'"docker"\s*:\s*\{\s*\}', body):
            raise refused(400, "docker must not be empty")
        return body

    bodies(app, looked_at)
