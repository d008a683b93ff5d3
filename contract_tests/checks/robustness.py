"""Requests that no client should send: the answer is an error in Central's shape, and the server survives.

Observers check the shape of each answer and report unexplained server errors (`no-server-error`).
"""

from __future__ import annotations

import json
from collections import ChainMap
from typing import Any

from contract_tests.checks.registry import LONGER, check
from contract_tests.checks.validation import reads_as
from contract_tests.checks.wire import INVALID_JSON, LIKELY, send_harmlessly
from contract_tests.engine.central import Central, brief, created_id
from contract_tests.engine.exchange import COLLECTION, Reply
from contract_tests.engine.failures import CheckFailed
from contract_tests.engine.integrations import Body
from contract_tests.engine.options import is_loopback
from contract_tests.oracle.steps import deleted

_BINARY = (b"\x00\xff\xfe\x00", b"\x89PNG\r\n\x1a\n", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03")
GARBAGE = (
    *_BINARY,
    b"some free text",
    b"<xml/>",
    b'{"name":"\xff"}',
    b"name=x&type=docker",
    b"--x\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--x--\r\n",
    b'{"docker":' + b"[" * 500 + b"]" * 500 + b"}",
    b"{" * 5_000,
    b'{"name":NaN}',
    b'{"name":"a"',
    b'{"name":"\x01"}',
    b"null",
    b'"text"',
    b"[]",
    b"5",
)
PATHS = (
    "/v1/imageintegrations/a%0Ab",
    "/v1/imageintegrations/a%2Fb",
    "/v1/imageintegrations/%22quoted%22",
    "/v1/imageintegrations/%27%20OR%201%3D1",
    "/v1/imageintegrations/%3Cscript%3E",
    "/v1/imageintegrations/a%3Fname%3Db",
    "/v1/imageintegrations/%25",
    "/v1/imageintegrations/;a=b",
    "/v1/imageintegrations/*",
    "/v1/imageintegrations/test",
    "/v1/imageintegrations/test/",
    "/v1/imageintegrations/" + "x" * 3000,
    "/v1/imageintegrations/a/b/c",
    "/v1/imageintegrations/%E6%97%A5%E6%9C%AC",
    "/v1/imageintegrations/%F0%9F%9A%80",
    "/v1/nosuchthing",
)
QUERIES = ("?&&", "?name", "?x=%00", "?x=" + "y" * 2000, "?cluster=&name=", "?x=%3Cscript%3E")
UNMATCHED = {"If-Match": '"1"'}
"""A precondition that no integration meets; Central ignores it."""
HEADERS: tuple[dict[str, str], ...] = (
    {"Accept": "application/xml"},
    {"Accept": "text/html,*/*;q=0.1"},
    {"Accept": ""},
    {"Accept": ";;;"},
    {"Accept-Encoding": "br;q=1.0, identity;q=0.5"},
    {"Accept-Encoding": "*;q=0"},
    {"Accept-Encoding": "x-unknown"},
    {"Accept-Language": "xx-klingon"},
    {"X-Forwarded-For": "x" * 2000},
    {"Content-Type": "application/xml"},
    UNMATCHED,
    {"If-None-Match": "*"},
    {"If-Modified-Since": "Wed, 21 Oct 2099 07:28:00 GMT"},
    {"Range": "bytes=0-1"},
    {"Origin": "null"},
    {"Cookie": "a=b; " * 100},
)


def check_client_error(reply: Reply, what: str, check: str | None = None) -> None:
    """Check that a request was answered with a client error; `check` names what is wrong if it was accepted."""
    if 400 <= reply.status < 500 and reply.message and not (check and reply.status == 404):
        return
    got = {"status": reply.status, "body": reply.text[:300]}
    if reply.json is None:
        check, what = "answer-media-type", f"an answer {reply.status} is not JSON"
    elif reply.status >= 500:
        check, what = "no-server-error", f"{what} is answered {reply.status}"
    raise CheckFailed(what, expected="a 4xx status with a message", got=got, check=check)


def check_answered(reply: Reply, what: str) -> None:
    """Check that a request was accepted or refused; observers check the reason of a 500."""
    if reply.status not in (200, 500) and not 400 <= reply.status < 500:
        raise CheckFailed(what, expected="200, 4xx, or 500 with an error of Central", got=brief(reply))


def check_alive(central: Central) -> None:
    """Check that the target still answers; in a quick run the next check shows that."""
    if central.quick:
        return
    central.ok(central.list(f"?name={central.name()}"), "a list after unusual requests")


@check(
    "garbage-refused",
    "robustness",
    "A malformed body is not refused with a client error",
    needs=("body-syntax", "unexpected-token", "field-value"),
)
def garbage_refused(central: Central) -> None:
    id = central.unknown_id()
    ways = [("POST", ""), ("PUT", f"/{id}"), ("PATCH", f"/{id}"), ("POST", "/test"), ("POST", "/test/updated")]
    if central.quick:  # another check sends creates that are not JSON; a flaw in a valid body finds more than garbage
        operations = ("PATCH", "test", "test/updated")
        for operation, flaw in central.cases(
            zip(operations, central.some(INVALID_JSON[LIKELY:], len(operations)), strict=True)
        ):
            check_client_error(
                send_harmlessly(central, operation, flaw), f"{operation} with {flaw.what}", "body-syntax"
            )
    for method, path in ways[1:2] if central.quick else ways:
        for body in central.cases(central.some(_BINARY if central.quick else GARBAGE, 1, 6)):
            reply = central.send(method, COLLECTION + path, body=body)
            check_client_error(reply, f"{method} {path} with {body[:30]!r}")
    check_alive(central)


@check(
    "odd-paths",
    "robustness",
    "An unusual path is not refused with an error in Central's format",
    needs=("unknown-route",),
    writes=False,
)
def odd_paths(central: Central) -> None:
    some = list(central.some(PATHS, 2))
    if is_loopback(central.transport.base):
        some.append("/v1/imageintegrations/%00")  # proxies answer this one themselves
    for path in central.cases(some):
        check_client_error(central.send("GET", path), f"GET {path[:60]}")
    check_alive(central)


@check(
    "odd-ids-written",
    "robustness",
    "PUT, PATCH or DELETE of an unusual id is not answered 404 with an error in Central's format",
)
def odd_ids_written(central: Central) -> None:
    for ending in central.some(('"', "'; --", "\u65e5", " ", "%", "\\", "<", "x" * 1000), 1):
        id = central.unknown_id() + ending
        central.transport.guard.invented.add(id)
        with central.case():
            body = central.integration()
            path = f"{COLLECTION}/{''.join(f'%{byte:02X}' for byte in id.encode())}"
            for method, value in (("PUT", body), ("PATCH", {"config": body, "updatePassword": True}), ("DELETE", None)):
                reply = central.send(method, path, value=value)
                central.refused(reply, f"{method} of an id that ends in {ending[:10]!r}", status=404, code=5)
    check_alive(central)


@check("odd-queries", "robustness", "An unusual but valid query is refused", writes=False)
def odd_queries(central: Central) -> None:
    for query in central.cases(central.some(QUERIES, 2)):
        reply = central.list(query)
        central.ok(reply, f"the list with the query {query[:40]}")
        central.true(reply.integrations is not None, f"the answer to {query[:40]} is not a list", got=brief(reply))


@check("odd-headers", "robustness", "An unusual header changes an answer", needs=("list-by-name",), writes=False)
def odd_headers(central: Central) -> None:
    rest = [dict(ChainMap(*HEADERS[2:]))] if central.quick else HEADERS[2:]  # a quick run sends them all at once
    for headers in central.cases([*HEADERS[:2], *rest]):
        what = f"the list with {', '.join(f'{name}: {value[:40]}' for name, value in headers.items())}"
        reply = central.list(f"?name={central.name()}", headers=headers)
        central.ok(reply, what)
        central.same(reply.json, {"integrations": []}, what)
    if central.quick or not central.options.may_write:
        return
    with central.case():
        id, sent = central.created()
        patch = {"config": sent, "updatePassword": True}
        for method, value in (("PUT", sent), ("PATCH", patch)):
            reply = central.send(method, f"{COLLECTION}/{id}", value=value, headers=UNMATCHED)
            central.ok(reply, f"{method} with If-Match, which Central ignores,")
        deleted(central, id, lambda id: central.send("DELETE", f"{COLLECTION}/{id}", headers=UNMATCHED))


@check("much-of-everything", "robustness", "Many unknown fields, many categories or a long text make the server fail")
def much_of_everything(central: Central) -> None:
    forms: list[tuple[str, Body]] = [
        ("a hundred unknown fields", {f"unknown{n}": {"n": [n]} for n in range(100)}),
        ("one category two hundred times", {"categories": ["REGISTRY"] * 200}),
        ("a thousand unknown categories", {"categories": ["UNKNOWN"] * 1000 + ["REGISTRY"]}),
    ]
    if central.quick:
        forms = [("many unknown fields", {**forms[0][1], "categories": ["UNKNOWN"] * 1000 + ["REGISTRY"] * 200})]
    for what, changes in central.cases(forms):
        _, reply = central.stored(central.integration() | changes)
        central.ok(reply, f"an integration with {what}")
    if central.quick:
        return
    with central.case():
        body = central.integration(docker={"username": "u" * 100_000})
        reply = central.create(body)
        central.ok(reply, "a create with a user name of 100,000 characters")
        reads_as(central, created_id(reply), body, "a user name of 100,000 characters")
    check_alive(central)


@check(
    "empty-texts", "robustness", "An integration in which every text is empty makes the server fail", profiles=LONGER
)
def empty_texts(central: Central) -> None:
    with central.case():
        empty = {field.name: "" for field in central.contract.integration.fields if field.kind == "string"}
        check_client_error(central.create(empty), "a create in which every value is an empty text")
    for type in central.cases(central.some(central.creatable_types, 1)):
        body = central.integration(type)
        member = next(name for name, value in body.items() if isinstance(value, dict))
        body[member] = {name: "" if isinstance(value, str) else value for name, value in body[member].items()}
        check_answered(central.create(body), f"a create of type {type} with empty texts")
    check_alive(central)


@check("control-characters", "robustness", "A NUL in a text makes the server fail, or is lost")
def control_characters(central: Central) -> None:
    fields = ["clusterId", "type", "username", "name"]
    for field in central.cases(central.some(fields, 1)):
        text = "a\x00b"
        changes: dict[str, Any] = {"docker": {"username": text}} if field == "username" else {field: text}
        if field == "name":
            changes = {field: f"{central.name()}{text}"}
        body = central.integration(**changes)
        reply = central.create(body=json.dumps(body).encode())
        check_answered(reply, f"a create with a NUL in {field}")
        if reply.status == 200:
            reads_as(central, created_id(reply), body, f"a NUL in {field}")
    check_alive(central)
