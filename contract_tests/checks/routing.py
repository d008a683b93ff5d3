"""Routing: the paths and methods of Central's API, and properties of every answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from contract_tests.checks.registry import SERVICE, check
from contract_tests.engine.central import Central, created_id
from contract_tests.engine.exchange import COLLECTION, Exchange, Reply
from contract_tests.engine.failures import PreconditionFailed
from contract_tests.engine.integrations import read_answer
from contract_tests.engine.options import is_loopback
from contract_tests.engine.ownership import OWN_ID
from contract_tests.oracle.steps import deleted, filtered
from contract_tests.oracle.variants import FORM

_NO_ROUTE = (
    f"{COLLECTION}/a/b",
    f"{COLLECTION}/a%2Fb",
    f"{COLLECTION}/test/",
    "/v1/imageintegration",
    "/v1/nothing",
)


_KEPT = (OWN_ID, "read-after-create", "delete-answer")
"""Checks of the integrations that a quick run keeps."""


def _empty_list_path(central: Central) -> str:
    return f"{COLLECTION}?name={central.name()}"


# -- paths and methods --------------------------------------------------------------------------------


@check("unknown-route", "rules", writes=False)
def unknown_route(central: Central) -> None:
    slash = f"{COLLECTION}/{central.unknown_id()}/"
    others = [central.random.choice(_NO_ROUTE), slash] if central.quick else (*_NO_ROUTE, slash)
    for path in central.cases(("/v1/ImageIntegrations", *others)):
        central.refused_by(central.send("GET", path), "unknown-route", f"GET {path}")
    if central.options.may_write and not central.quick:
        with central.case():
            reply = central.send("POST", "/v1/nothing", value=central.integration())
            central.refused_by(reply, "unknown-route", "POST /v1/nothing")


@check(
    "test-path-is-an-id",
    "rules",
    "GET of the path /test does not look up an integration with the id `test`",
    source="grpc-gateway runtime/mux.go",
    writes=False,
)
def test_path_is_an_id(central: Central) -> None:
    central.refused_by(central.get("test"), "get-missing", "GET of the id test", id="test")


@check("method-not-allowed", "rules", writes=False)
def method_not_allowed(central: Central) -> None:
    item = f"{COLLECTION}/{central.unknown_id()}"
    some = [item, COLLECTION] if central.random.random() < 0.5 or not central.quick else [COLLECTION, item]
    requests = [("GET", f"{COLLECTION}/test/updated"), ("OPTIONS", some[0]), ("HEAD", some[1])]
    if central.options.may_write:
        requests += [("PUT", COLLECTION), ("PATCH", COLLECTION), ("POST", item)]
    if not central.quick:
        requests += [("OPTIONS", COLLECTION), ("HEAD", item), ("OPTIONS", f"{COLLECTION}/test")]
        if central.options.may_write:
            requests += [("POST", f"{COLLECTION}/")]
    if is_loopback(central.transport.base) and not central.quick:
        # Proxies answer TRACE themselves, and a shared server must not get a DELETE of the collection.
        requests += [("TRACE", COLLECTION), ("DELETE", COLLECTION)]
    for method, path in central.cases(requests):
        body = central.integration() if method in ("PUT", "PATCH", "POST") else None
        reply = central.send(method, path, value=body)
        if method == "HEAD":
            central.same((reply.status, reply.content), (501, b""), f"status and body of HEAD {path}")
        else:
            central.refused_by(reply, "method-not-allowed", f"{method} {path}")


@check("method-override", "rules")
def method_override(central: Central) -> None:
    id, sent = central.claim("rhel") or central.created()
    path = f"{COLLECTION}/{id}"
    delete = {"X-HTTP-Method-Override": "DELETE"}
    reply = central.send("POST", path, body=b"{}", headers=delete)
    central.refused_by(reply, "method-not-allowed", "X-HTTP-Method-Override with a body that is not a form")
    if not central.quick:
        get = {"X-HTTP-Method-Override": "GET", "Content-Type": FORM}
        reply = central.send("POST", COLLECTION, body=f"name={quote(sent['name'])}".encode(), headers=get)
        central.ok(reply, "a form POST with X-HTTP-Method-Override: GET")
        found = [item.get("id") for item in reply.integrations or ()]
        central.same(found, [id], "the list by the form's fields as query")
    form = {**delete, "Content-Type": FORM}
    deleted(central, id, lambda id: central.send("POST", f"{COLLECTION}/{id}", body=b"", headers=form))
    central.same(central.get(id).status, 404, "GET after a form POST with X-HTTP-Method-Override: DELETE")


# -- properties of every answer -----------------------------------------------------------------------


@check("pretty-answer", "rules", needs=("list-by-name", *_KEPT), writes=False)
def pretty_answer(central: Central) -> None:
    asked: list[tuple[str, dict[str, str]]] = [("&pretty", {}), ("", {"Accept": "application/json+pretty"})]
    if not central.quick:
        asked += [("&pretty=false", {})]
    kept = central.shared.standing.get("docker") if central.quick else None
    if kept is not None:
        id, sent, creation = kept
        central.history.append(creation)
        expected = read_answer(central.contract, sent, id)
        _check_indented(central, f"{COLLECTION}/{id}?", expected, '\n    "endpoint":', asked[:1])
    more = [("&pretty=false", {}), asked[1]] if kept is not None else asked
    _check_indented(central, _empty_list_path(central), {"integrations": []}, '\n  "integrations":', more)
    if central.options.may_write and not central.quick:
        id, _ = central.created()
        plain = central.get(id)
        central.ok(plain, "GET of a new integration", need="read-after-create")
        _check_indented(central, f"{COLLECTION}/{id}?", plain.json, '\n    "endpoint":', asked)


def _check_indented(
    central: Central, path: str, plain: Any, line: str, asked: Sequence[tuple[str, dict[str, str]]]
) -> None:
    for query, headers in asked:
        reply = central.send("GET", path + query, headers=headers)
        what = f"GET with {headers or query}"
        central.ok(reply, what)
        central.same(reply.json, plain, f"the content of {what}")
        _check_content_type(central, reply, what)
        central.true(line in reply.text, f"{what} is not indented by two spaces", expected=line, got=reply.text[:300])


def _check_content_type(central: Central, reply: Reply, what: str) -> None:
    media_type = reply.headers.get("Content-Type", "")
    # A proxy may add the charset, which is JSON's default.
    known = ("application/json", "application/json;charset=utf-8")
    central.true(
        media_type.replace(" ", "").lower() in known,
        f"the content type of {what} is wrong",
        expected="application/json",
        got=media_type,
    )


def _check_common_headers(central: Central, reply: Reply, what: str) -> None:
    _check_content_type(central, reply, what)
    headers = reply.headers
    for name, wanted in (("Cache-Control", {"no-store", "no-cache"}), ("Vary", {"accept-encoding"})):
        found = {part.strip().lower() for part in headers.get(name, "").split(",")}
        central.true(found >= wanted, f"{name} of {what} is wrong", expected=sorted(wanted), got=headers.get(name))
    if "Content-Encoding" not in reply.headers:  # a proxy may compress an answer and send it in chunks
        length = reply.headers.get("Content-Length")
        central.same(length, str(len(reply.content)), f"Content-Length of {what}")


@check("answer-headers", "rules", needs=("list-by-name",), writes=False)
def answer_headers(central: Central) -> None:
    reply = central.send(
        "GET", _empty_list_path(central), headers={"Accept": "text/html", "Origin": "https://pages.example.com"}
    )
    central.ok(reply, "a list with another media type in Accept")
    _check_common_headers(central, reply, "a list")
    allowed = reply.headers.get("Access-Control-Allow-Origin")
    central.true(allowed is None, "pages of any origin can read the API", expected=None, got=allowed)
    _check_common_headers(central, central.get(central.unknown_id()), "a 404 error")
    if not central.options.may_write:
        return
    if central.quick and (sent := _sent_before(central)):
        for exchange in sent:
            central.history = [exchange]
            _check_common_headers(central, exchange.answer, f"the answer {exchange.status} to a {exchange.method}")
        return
    body = central.integration()
    reply = central.create(body)
    central.ok(reply, "creating", need="create")
    _check_common_headers(central, reply, "the answer to a create")
    id = created_id(reply)
    if not central.quick:
        _check_common_headers(central, central.create({}), "a 400 error")
        _check_common_headers(central, central.get(id), "an integration")
        _check_common_headers(central, central.put(id, body), "the answer to a PUT")
        _check_common_headers(central, central.patch(id, body, update_password=True), "the answer to a PATCH")
        _check_common_headers(central, central.test({}), "the answer to a test")
        _check_common_headers(central, central.send("PUT", COLLECTION, value=body), "a 501 error")
    # The DELETE may be answered 404 because it follows the create so soon.
    _check_common_headers(central, central.delete(id), "the answer to a DELETE")


def _sent_before(central: Central) -> list[Exchange]:
    """Return one earlier write of the run for each method and status, if they include a create."""
    kinds: dict[tuple[str, int], Exchange] = {}
    for each in central.transport.exchanges:
        if each.method in ("POST", "PUT", "PATCH", "DELETE") and each.path.startswith(COLLECTION):
            kinds.setdefault((each.method, each.status), each)
    return list(kinds.values()) if ("POST", 200) in kinds else []


@check(
    "gzip",
    "rules",
    "A gzip answer differs from the plain one, or is sent to a client that did not ask for gzip",
    source="pkg/grpc/server.go",
    writes=False,
)
def gzip(central: Central) -> None:
    # An error repeats the id, so a long id makes an answer worth compressing without a write.
    id = central.unknown_id() * 50
    plain, packed = (central.get(id, headers={"Accept-Encoding": encoding}) for encoding in ("identity", "gzip"))
    central.refused_by(plain, "get-missing", "GET of a long id", id=id)
    found = plain.headers.get("Content-Encoding", "identity")
    central.same(found, "identity", "the encoding of an answer to a request without gzip")
    found = packed.headers.get("Content-Encoding", "identity")
    central.true(found in ("identity", "gzip"), "wrong Content-Encoding with gzip", expected="gzip", got=found)
    central.same(packed.json, plain.json, "the decompressed answer")


@check(
    "path-escapes",
    "rules",
    "Percent escapes in the id of a path are not decoded, or a colon ends the id",
    source="grpc-gateway runtime/mux.go",
    writes=False,
)
def path_escapes(central: Central) -> None:
    # The error repeats the decoded id, so nothing has to be created.
    unknown = central.unknown_id()
    ids = {unknown.replace("-", "%2D"): unknown, f"{unknown}:verb": f"{unknown}:verb"}
    for path, id in central.cases(ids.items()):
        central.refused_by(central.get(path), "get-missing", f"GET of the id {path}", id=id)


_ODD = "<a>&'\"\u00e9"
_ODD_QUOTED = "<a>&'\\\"\u00e9"
"""The same text in Go's quoted form."""
_CONTROL, _CONTROL_QUOTED = "\x01", "\\x01"


@check(
    "texts-in-refusals",
    "rules",
    "An error that repeats a text changes its characters, or quotes them differently from Central",
    source=SERVICE,
    needs=("update-missing", "registry-type-known", "name-unique"),
)
def texts_in_refusals(central: Central) -> None:
    odd, quoted = _ODD, _ODD_QUOTED
    if is_loopback(central.transport.base):  # proxies answer a control character in a path themselves
        odd, quoted = odd + _CONTROL, quoted + _CONTROL_QUOTED
    unknown = central.unknown_id()
    id = unknown + odd
    central.transport.guard.invented.add(id)
    path = quote(id, safe="")
    with central.case():
        central.refused_by(central.get(path), "get-missing", "GET of an id with special characters", id=id)
    with central.case():
        shown = f'"{unknown}{quoted}"'
        central.refused_by(central.put(path, central.integration()), "update-missing", "PUT of such an id", id=shown)
    with central.case():
        text = central.text("registry-type-known", type=odd)
        central.refused(central.test(central.integration(type=odd)), "a test of an odd type", text=text)
    if central.quick:
        return
    with central.case():
        _, sent = central.created(name=central.name(odd))
        text = central.text("name-unique", name=f'"{sent["name"].removesuffix(odd)}{quoted}"')
        reply = central.create(central.integration(name=sent["name"]))
        central.refused(reply, "a create with a name with special characters that is in use", text=text)


_UNKNOWN_KEYS = (
    "bogus=1&bogus=2&Name=other&limit=1&offset=9&query=none&filter=none&type=none&id=none&categories=none&pageSize=1"
    "&pagination.limit=1&page=9&page_token=none"
)


@check(
    "unknown-query-ignored",
    "rules",
    "An unknown query key changes the list",
    source="grpc-gateway runtime/query.go",
    needs=("list-by-name", *_KEPT),
    writes=False,
)
def unknown_query_ignored(central: Central) -> None:
    what = "the list by name with unknown query keys"
    if central.options.may_write:
        ids = {central.standing(type)[0] for type in ("docker", "quay")}
        # A list by name has one item, so a limit would not show.
        found = set(filtered(central, f"?{_UNKNOWN_KEYS}&name="))
        if ids - found and ids - set(filtered(central, "")):
            raise PreconditionFailed("read-after-create", "an integration is also missing in the unfiltered list")
        central.same(sorted(ids - found), [], f"the integrations that are missing in {what}")
    else:
        reply = central.list(f"?{_UNKNOWN_KEYS}&name={central.name()}")
        central.ok(reply, what)
        central.same(reply.json, {"integrations": []}, what)
