"""Routing: the paths and methods of Central's API, and properties of every answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from contract_tests.checks.registry import check
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


def _list_of_nothing(central: Central) -> str:
    return f"{COLLECTION}?name={central.name()}"


# -- paths and methods --------------------------------------------------------------------------------


@check("unknown-route", "rules", needs=("list",), writes=False)
def unknown_route(central: Central) -> None:
    slash = f"{COLLECTION}/{central.unknown_id()}/"
    others = [central.random.choice(_NO_ROUTE), slash] if central.quick else (*_NO_ROUTE, slash)
    for path in ("/v1/ImageIntegrations", *others):
        with central.case():
            central.refused_by(central.send("GET", path), "unknown-route", f"GET {path}")
    if central.transport.may_write and not central.quick:
        with central.case():
            reply = central.send("POST", "/v1/nothing", value=central.integration())
            central.refused_by(reply, "unknown-route", "POST /v1/nothing")


@check(
    "test-path-is-an-id",
    "rules",
    title="GET of the path of a test does not look up the id `test`",
    source="grpc-gateway runtime/mux.go",
    needs=("list",),
    writes=False,
)
def test_path_is_an_id(central: Central) -> None:
    central.refused_by(central.get("test"), "get-missing", "GET of the id test", id="test")


@check("method-not-allowed", "rules", needs=("list",), writes=False)
def method_not_allowed(central: Central) -> None:
    item = f"{COLLECTION}/{central.unknown_id()}"
    some = [item, COLLECTION] if central.random.random() < 0.5 or not central.quick else [COLLECTION, item]
    requests = [("GET", f"{COLLECTION}/test/updated"), ("OPTIONS", some[0]), ("HEAD", some[1])]
    if central.transport.may_write:
        requests += [("PUT", COLLECTION), ("PATCH", COLLECTION), ("POST", item)]
    if not central.quick:
        requests += [("OPTIONS", COLLECTION), ("HEAD", item), ("OPTIONS", f"{COLLECTION}/test")]
        if central.transport.may_write:
            requests += [("POST", f"{COLLECTION}/")]
    if is_loopback(central.transport.base) and not central.quick:
        # Proxies answer TRACE themselves, and a shared server must not be asked to delete everything.
        requests += [("TRACE", COLLECTION), ("DELETE", COLLECTION)]
    for method, path in requests:
        with central.case():
            body = central.integration() if method in ("PUT", "PATCH", "POST") else None
            reply = central.send(method, path, value=body)
            if method == "HEAD":
                central.same((reply.status, reply.content), (501, b""), f"status and body of HEAD {path}")
            else:
                central.refused_by(reply, "method-not-allowed", f"{method} {path}")


@check("method-override", "rules", needs=("create",))
def method_override(central: Central) -> None:
    id, sent = central.claim("rhel") or central.created()
    path = f"{COLLECTION}/{id}"
    delete = {"X-HTTP-Method-Override": "DELETE"}
    reply = central.send("POST", path, body=b"{}", headers=delete)
    central.refused_by(reply, "method-not-allowed", "the header beside a body that is not a form")
    if not central.quick:
        get = {"X-HTTP-Method-Override": "GET", "Content-Type": FORM}
        reply = central.send("POST", COLLECTION, body=f"name={quote(sent['name'])}".encode(), headers=get)
        central.taken(reply, "a form POST that is a GET by its header")
        found = [item.get("id") for item in reply.integrations or ()]
        central.same(found, [id], "the fields of the form are the query of the GET")
    form = {**delete, "Content-Type": FORM}
    deleted(central, id, lambda id: central.send("POST", f"{COLLECTION}/{id}", body=b"", headers=form))
    central.same(central.get(id).status, 404, "what a form POST has deleted that is a DELETE by its header")


# -- properties of every answer -----------------------------------------------------------------------


@check("pretty-answer", "rules", needs=("list", "list-by-name", *_KEPT), writes=False)
def pretty_answer(central: Central) -> None:
    asked: list[tuple[str, dict[str, str]]] = [("&pretty", {}), ("", {"Accept": "application/json+pretty"})]
    if not central.quick:
        asked += [("&pretty=false", {})]
    kept = central.shared.standing.get("docker") if central.quick else None
    if kept is not None:
        id, sent, creation = kept
        central.history.append(creation)
        expected = read_answer(central.contract, sent, id)
        _is_indented(central, f"{COLLECTION}/{id}?", expected, '\n    "endpoint":', asked[:1])
    more = [("&pretty=false", {}), asked[1]] if kept is not None else asked
    _is_indented(central, _list_of_nothing(central), {"integrations": []}, '\n  "integrations":', more)
    if central.transport.may_write and not central.quick:
        id, _ = central.created()
        plain = central.get(id)
        central.taken(plain, "reading a new integration", need="read-after-create")
        _is_indented(central, f"{COLLECTION}/{id}?", plain.json, '\n    "endpoint":', asked)


def _is_indented(
    central: Central, path: str, plain: Any, line: str, asked: Sequence[tuple[str, dict[str, str]]]
) -> None:
    for query, headers in asked:
        reply = central.send("GET", path + query, headers=headers)
        what = f"GET with {headers or query}"
        central.taken(reply, what)
        central.same(reply.json, plain, f"{what} answers the same")
        _is_called_json(central, reply, f"{what}, which is still JSON")
        central.true(line in reply.text, f"{what} is indented by two blanks", expected=line, got=reply.text[:300])


def _is_called_json(central: Central, reply: Reply, what: str) -> None:
    media_type = reply.headers.get("Content-Type", "")
    # A proxy may add the charset, which is the default of JSON.
    known = ("application/json", "application/json;charset=utf-8")
    central.true(
        media_type.replace(" ", "").lower() in known,
        f"the content type of {what}",
        expected="application/json",
        got=media_type,
    )


def _as_every_answer(central: Central, reply: Reply, what: str) -> None:
    _is_called_json(central, reply, what)
    headers = reply.headers
    for name, wanted in (("Cache-Control", {"no-store", "no-cache"}), ("Vary", {"accept-encoding"})):
        found = {part.strip().lower() for part in headers.get(name, "").split(",")}
        central.true(found >= wanted, f"{name} of {what}", expected=sorted(wanted), got=headers.get(name))
    _has_its_length(central, reply, what)


def _has_its_length(central: Central, reply: Reply, what: str) -> None:
    if "Content-Encoding" not in reply.headers:  # a proxy may compress an answer and send it in chunks
        length = reply.headers.get("Content-Length")
        central.same(length, str(len(reply.content)), f"Content-Length of {what}")


@check("answer-headers", "rules", needs=("list", "list-by-name"), writes=False)
def answer_headers(central: Central) -> None:
    reply = central.send(
        "GET", _list_of_nothing(central), headers={"Accept": "text/html", "Origin": "https://pages.example.com"}
    )
    central.taken(reply, "a list, whatever Accept says")
    _as_every_answer(central, reply, "a list")
    allowed = reply.headers.get("Access-Control-Allow-Origin")
    central.true(allowed is None, "pages of other origins may not read the API", expected=None, got=allowed)
    _as_every_answer(central, central.get(central.unknown_id()), "an error 404")
    if not central.transport.may_write:
        return
    if central.quick and (sent := _sent_before(central)):
        for exchange in sent:
            central.history = [exchange]
            _as_every_answer(central, exchange.answer, f"the answer {exchange.status} to a {exchange.method}")
        return
    body = central.integration()
    reply = central.create(body)
    central.taken(reply, "creating", need="create")
    _as_every_answer(central, reply, "the answer to a create")
    id = created_id(reply)
    if not central.quick:
        _as_every_answer(central, central.create({}), "an error 400")
        _as_every_answer(central, central.get(id), "an integration")
        _as_every_answer(central, central.put(id, body), "the answer to a PUT")
        _as_every_answer(central, central.patch(id, body, update_password=True), "the answer to a PATCH")
        _as_every_answer(central, central.test({}), "the answer to a test")
        _as_every_answer(central, central.send("PUT", COLLECTION, value=body), "an error 501")
    _as_every_answer(
        central, central.delete(id), "the answer to a DELETE"
    )  # 404 if it comes too early after the create


def _sent_before(central: Central) -> list[Exchange]:
    """Return one write of each kind that the run has already sent, by method and status, if a create is among them."""
    kinds: dict[tuple[str, int], Exchange] = {}
    for each in central.transport.exchanges:
        if each.method in ("POST", "PUT", "PATCH", "DELETE") and each.path.startswith(COLLECTION):
            kinds.setdefault((each.method, each.status), each)
    return list(kinds.values()) if ("POST", 200) in kinds else []


@check(
    "gzip",
    "rules",
    title="An answer in gzip differs from the plain one, or is compressed without being asked for",
    source="pkg/grpc/server.go",
    needs=("list",),
    writes=False,
)
def gzip(central: Central) -> None:
    # An error repeats the id, so a long id makes an answer that is worth compressing, without creating anything.
    id = central.unknown_id() * 50
    plain, packed = (central.get(id, headers={"Accept-Encoding": encoding}) for encoding in ("identity", "gzip"))
    central.refused_by(plain, "get-missing", "GET of a long id", id=id)
    found = plain.headers.get("Content-Encoding", "identity")
    central.same(found, "identity", "the encoding of an answer that was not asked for in gzip")
    found = packed.headers.get("Content-Encoding", "identity")
    central.true(found in ("identity", "gzip"), "the encoding that was asked for", expected="gzip", got=found)
    central.same(packed.json, plain.json, "the compressed answer is the plain one")


@check(
    "path-escapes",
    "rules",
    title="Escapes in the id of a path are not decoded, or a colon ends the id",
    source="grpc-gateway runtime/mux.go",
    needs=("list",),
    writes=False,
)
def path_escapes(central: Central) -> None:
    # The error repeats the decoded id, so nothing has to be created.
    unknown = central.unknown_id()
    ids = {unknown.replace("-", "%2D"): unknown, f"{unknown}:verb": f"{unknown}:verb"}
    for path, id in ids.items():
        with central.case():
            central.refused_by(central.get(path), "get-missing", f"GET of the id {path}", id=id)


_ODD = "<a>&'\"\u00e9"
_ODD_QUOTED = "<a>&'\\\"\u00e9"
"""The same text as Go quotes it."""
_CONTROL, _CONTROL_QUOTED = "\x01", "\\x01"


@check(
    "texts-in-refusals",
    "rules",
    title="An error that repeats a text changes its characters, or does not quote as Central does",
    source="central/imageintegration/service/service_impl.go",
    needs=("create", "update-missing", "registry-type-known", "name-unique"),
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
        central.refused_by(central.get(path), "get-missing", "GET of an id with signs and a control character", id=id)
    with central.case():
        shown = f'"{unknown}{quoted}"'
        central.refused_by(central.put(path, central.integration()), "update-missing", "PUT of such an id", id=shown)
    with central.case():
        text = central.text("registry-type-known", type=odd)
        central.refused(central.test(central.integration(type=odd)), "a test of a type with signs", text=text)
    if central.quick:
        return
    with central.case():
        _, sent = central.created(name=central.name(odd))
        text = central.text("name-unique", name=f'"{sent["name"].removesuffix(odd)}{quoted}"')
        reply = central.create(central.integration(name=sent["name"]))
        central.refused(reply, "a create under a name with signs that is taken", text=text)


_UNKNOWN_KEYS = (
    "bogus=1&bogus=2&Name=other&limit=1&offset=9&query=none&filter=none&type=none&id=none&categories=none&pageSize=1"
    "&pagination.limit=1&page=9&page_token=none"
)


@check(
    "unknown-query-ignored",
    "rules",
    writes=False,
    title="A query key that Central does not know changes the list",
    source="grpc-gateway runtime/query.go",
    needs=("list", "list-by-name", *_KEPT),
)
def unknown_query_ignored(central: Central) -> None:
    what = "the list by name, with query keys that it does not have"
    if central.transport.may_write:
        ids = {central.standing(type)[0] for type in ("docker", "quay")}
        # By a name it has one item, which would not show a limit.
        found = set(filtered(central, f"?{_UNKNOWN_KEYS}&name="))
        if ids - found and ids - set(filtered(central, "")):
            raise PreconditionFailed("read-after-create", "an integration is missing in the whole list, too")
        central.same(sorted(ids - found), [], f"integrations that are missing in {what}")
    else:
        reply = central.list(f"?{_UNKNOWN_KEYS}&name={central.name()}")
        central.taken(reply, what)
        central.same(reply.json, {"integrations": []}, what)
