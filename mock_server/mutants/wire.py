"""Problems of HTTP and JSON."""

from __future__ import annotations

import gzip
import itertools
import json
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from mock_server.central import protojson
from mock_server.contract.tables import Field
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.instance import Instance
from mock_server.gateway.messages import Request, Response
from mock_server.gateway.paths import clean_path
from mock_server.mutants import mutant, tools
from mock_server.mutants.tools import CREATE, GET, LIST, PATCH, PUT, TEST, TEST_UPDATED, Original

HTML = b"<!doctype html><html><title>Error</title><h1>Something went wrong</h1></html>"


_wire = partial(mutant, kind="wire")


# -- answers ---------------------------------------------------------------------------------------------


def _typed(response: Response, content_type: str) -> Response:
    return response.without_header("Content-Type").with_header("Content-Type", content_type)


def _body(mock: Instance, change: Callable[[bytes], bytes]) -> None:
    tools.requests(mock, lambda request: tools.without(request, "accept-encoding"))
    tools.responses(mock, lambda response: response._replace(body=change(response.bytes)))


def _plain_bodies(mock: Instance, change: Callable[[bytes], bytes]) -> None:
    def changed(response: Response) -> Response:
        return response if response.header("Content-Encoding") else response._replace(body=change(response.bytes))

    tools.responses(mock, changed)


def _html_where(mock: Instance, matches: Callable[[Response], bool]) -> None:
    def changed(response: Response) -> Response:
        if not matches(response):
            return response
        return _typed(response, "text/html; charset=utf-8").without_header("Content-Encoding")._replace(body=HTML)

    tools.responses(mock, changed)


_wire("html-404", "An unknown path answers with an HTML page", "answer-media-type", also=("unknown-route",))(
    _html_where, lambda response: response.header("Mock-Central-Rule") == "unknown-route"
)
_wire("html-501", "A wrong method answers with an HTML page", "answer-media-type", also=("method-not-allowed",))(
    _html_where, lambda response: response.status == 501
)
_wire("html-400", "A body that is not JSON answers with an HTML page", "answer-media-type", also=("body-syntax",))(
    _html_where, lambda response: response.header("Mock-Central-Rule") == "body-syntax"
)
_wire("html-500", "A server error answers with an HTML page", "answer-media-type")(
    _html_where, lambda response: response.status == 500
)
_wire("answer-media-type", "Answers have the content type text/plain")(
    tools.responses, lambda response: _typed(response, "text/plain; charset=utf-8")
)
_wire("problem-json", "Errors have the content type application/problem+json", "answer-media-type")(
    tools.responses,
    lambda response: _typed(response, "application/problem+json") if response.status >= 400 else response,
)
_wire("latin-1", "Answers are encoded as latin-1", "answer-media-type", also=("read-after-create",))(
    _plain_bodies, lambda body: body.decode("utf-8", "replace").encode("latin-1", "replace")
)


@_wire("gzip-broken", "Answers claim to be gzip, but are not compressed", "every-request-answered", also=("gzip",))
@tools.given_to(tools.responses)
def gzip_broken(response: Response) -> Response:
    if response.header("Content-Encoding") != "gzip":
        return response
    return response._replace(body=gzip.decompress(response.bytes))


_wire("gzip", "Compresses answers for clients that do not accept gzip")(
    tools.requests, lambda request: request._replace(headers={**request.headers, "accept-encoding": "gzip"})
)


@_wire("length-missing", "Answers have no Content-Length", "answer-headers")
@tools.given_to(tools.responses)
def length_missing(response: Response) -> Response:
    unsized = response.without_header("Content-Length").with_header("Connection", "close")
    return unsized._replace(body=iter([response.bytes]))


_wire("end-cut", "Answers lack their last two bytes", "answer-media-type")(
    tools.responses, lambda response: response._replace(body=response.bytes[:-2])
)
_wire("long-cut", "Answers are truncated to 4 kB", "answer-media-type")(_body, lambda body: body[:4096])


@_wire("every-request-answered", "Every tenth connection is closed without an answer")
def connection_dropped(mock: Instance) -> None:
    serial = itertools.count(1)

    def changed(response: Response) -> Response:
        if next(serial) % 10:
            return response
        promised = response.without_header("Content-Length").with_header("Content-Length", str(len(response.bytes) + 1))
        return promised.with_header("Connection", "close")._replace(body=iter([b""]))

    tools.responses(mock, changed)


_wire("prefix", "Answers begin with )]}',", "answer-media-type")(_body, lambda body: b")]}',\n" + body)
_wire("byte-order-mark", "Answers begin with a byte order mark", "answer-media-type")(
    _body, lambda body: b"\xef\xbb\xbf" + body
)
_wire("trailing-text", "Answers end with a comment", "answer-media-type")(_body, lambda body: body + b"\n<!-- 3 ms -->")
_wire("not-a-number", "Shows `numConcurrentScans` 0 as NaN", "answer-media-type", also=("answer-schema",))(
    _body, lambda body: body.replace(b'"numConcurrentScans":0', b'"numConcurrentScans":NaN')
)


_wire("cached", "Answers may be cached for a minute", "answer-headers")(
    tools.responses,
    lambda response: response.without_header("Cache-Control").with_header("Cache-Control", "max-age=60"),
)
_wire("vary-missing", "Answers lack `Vary: Accept-Encoding`", "answer-headers")(
    tools.responses, lambda response: response.without_header("Vary")
)


# -- requests --------------------------------------------------------------------------------------------


@_wire("case-insensitive-fields", "Ignores the case of field names", "unknown-field-dropped")
def case_insensitive_fields(mock: Instance) -> None:
    names = {field.name.lower(): field.name for field in mock.central.contract.integration.fields}

    class Reading(protojson.Reading):
        def text(self, token: Any) -> str:
            text = super().text(token)
            key = self.data[token.start + len(token.raw) :].lstrip()[:1] == b":"
            return names.get(text.lower(), text) if key else text

    tools.readings(mock, Reading)


@_wire("case-insensitive-categories", "Ignores the case of category names", "unknown-category-dropped")
@tools.reader
class _CaseInsensitiveCategories(protojson.Reading):
    def scalar(self, field: Field) -> Any:
        token = self.peek()
        item = super().scalar(field)
        name = token.raw.strip(b'"').decode().upper()
        return name if item is None and name in self.decoder.contract.categories else item


@_wire("number-refused", "Refuses an unknown category number", "category-implemented")
@tools.reader
class _NumberRefused(protojson.Reading):
    def scalar(self, field: Field) -> Any:
        token = self.peek()
        item = super().scalar(field)
        if field.kind == "enum" and isinstance(item, int):
            raise self.unexpected(token)
        return item


@_wire("nested-unknown-refused", "Refuses unknown fields of a config", "unknown-field-dropped")
@tools.reader
class _NestedUnknownRefused(protojson.Reading):
    def skip(self) -> None:
        if self.path:
            raise tools.refused(400, "unknown field")
        super().skip()


_wire("null-message-refused", "Refuses null for `source`", "null-is-absent")(
    tools.bodies_refused,
    lambda body: re.search(rb'"source"\s*:\s*null', body),
    tools.refused(400, "source must be an object"),
)


@_wire(
    "unicode-500",
    "Characters beyond 16 bits in a create answer 500",
    "unicode-kept",
    also=("read-after-create", "no-server-error"),
)
@tools.instead_of("central.store.put")
def unicode_500(mock: Instance, original: Original, integration: Any) -> Any:
    if any(ord(each) > 0xFFFF for each in integration["name"]):
        raise tools.refused(500, "Incorrect string value", 13)
    return original(integration)


_wire("body-64k", "Refuses bodies of more than 64 kB with 413", "long-values-kept")(
    tools.bodies_refused, lambda body: len(body) > 65536, tools.refused(413, "Request Entity Too Large")
)


_wire("nesting-100", "Refuses bodies nested more than 100 levels deep", "nesting-depth")(
    tools.bodies_refused, lambda body: max(body.count(b"["), body.count(b"{")) > 100, tools.refused(400, "too deep")
)


def _fields(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.query, keep_blank_values=True))


_wire("accept-406", "An Accept header without JSON answers 406", "answer-headers")(
    tools.refused_where,
    (LIST, GET, CREATE),
    lambda exchange: exchange.request.headers.get("accept", "").startswith("text/"),
    tools.refused(406, "Not Acceptable"),
)
_wire("chunked-body", "Refuses a chunked body with 411")(
    tools.refused_where,
    (CREATE, PUT, PATCH, TEST, TEST_UPDATED),
    lambda exchange: "transfer-encoding" in exchange.request.headers,
    tools.refused(411, "Length Required"),
)
_wire("unknown-query-ignored", "Refuses unknown query keys")(
    tools.refused_where,
    (LIST, GET, CREATE),
    lambda exchange: bool(_fields(exchange.request).keys() - {"name", "cluster", "pretty"}),
    tools.refused(400, "unknown parameter"),
)


@_wire("query-on-write-ignored", "Reads query parameters of a create as fields of the body")
@tools.answering(CREATE)
def query_as_body(proceed: Proceed, exchange: Exchange) -> Response:
    request = exchange.request
    with suppress(ValueError, TypeError, RecursionError):
        merged = json.dumps(json.loads(request.body.read()) | _fields(request)).encode()
        exchange.body = merged
    return proceed(exchange)


@_wire("path-escapes", "Does not decode escapes in the id of a path")
@tools.answering(GET)
def escape_kept(proceed: Proceed, exchange: Exchange) -> Response:
    request = exchange.request
    exchange.id = (request.target or request.path).partition("?")[0].rpartition("/")[2]
    return proceed(exchange)


@_wire("verb-cut", "Treats a colon as the end of the id in a path", "path-escapes")
@tools.answering(GET)
def verb_cut(proceed: Proceed, exchange: Exchange) -> Response:
    exchange.id = exchange.id.partition(":")[0]
    return proceed(exchange)


@_wire("path-any-case", "Ignores the case of paths", "unknown-route")
def path_any_case(mock: Instance) -> None:
    collection = mock.routes.collection

    def folded(request: Request) -> Request:
        return request._replace(path=collection) if request.path.lower() == collection else request

    tools.requests(mock, folded)


@_wire("override-always", "Accepts X-HTTP-Method-Override with any content type", "method-override")
@tools.given_to(tools.requests)
def override_always(request: Request) -> Request:
    method = request.headers.get("x-http-method-override")
    return tools.without(request, "x-http-method-override")._replace(method=method) if method else request


_wire("list-by-odd-name", "Does not decode a plus sign in the query")(
    tools.requests, lambda request: request._replace(query=request.query.replace("+", "%2B"))
)


@_wire("pretty-wrong-type", "Indented answers have the content type text/plain", "answer-media-type")
@tools.given_to(tools.wrapped, behind=clean_path)
def pretty_wrong_type(proceed: Proceed, exchange: Exchange) -> Response:
    response = proceed(exchange)
    return _typed(response, "text/plain") if "pretty" in _fields(exchange.request) else response


_wire("empty-object-refused", "Refuses an empty config member", "update-replaces")(
    tools.bodies_refused,
    lambda body: re.search(rb'"docker"\s*:\s*\{\s*\}', body),
    tools.refused(400, "docker must not be empty"),
)
