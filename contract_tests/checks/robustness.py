"""What no client should send: an error in Central's shape, no failure, no hang."""

from __future__ import annotations

from contract_tests.central import Central
from contract_tests.failures import CheckFailed
from contract_tests.registry import check
from contract_tests.transport import COLLECTION, Reply

GARBAGE = (
    b"some free text",
    b"<xml/>",
    b"\x00\xff\xfe\x00",
    b'{"name":"\xff"}',
    b"name=x&type=docker",
    b'{"name":' + b"[" * 500 + b"]" * 500 + b"}",
    b"null",
    b'"text"',
    b"[]",
    b"5",
)
PATHS = (
    "/v1/imageintegrations/%00",
    "/v1/imageintegrations/%ff",
    "/v1/imageintegrations/a%2Fb",
    "/v1/imageintegrations/..%2f..%2fetc",
    "/v1/imageintegrations/%22quoted%22",
    "/v1/imageintegrations/" + "x" * 4000,
    "/v1/imageintegrations/test/",
    "/v1/imageintegrations/a/b/c",
    "/v1/imageintegrations/%E6%97%A5%E6%9C%AC",
    "/v1/nosuchthing",
)


def client_error(reply: Reply, what: str) -> None:
    """See that a request was answered as the client's fault."""
    if not (400 <= reply.status < 500 and reply.message):
        raise CheckFailed(
            what, expected="a status of 4xx with a message", got={"status": reply.status, "body": reply.text[:300]}
        )


@check("garbage-refused", "robustness", title="A body that is no integration is refused as the client's fault")
def garbage_refused(central: Central) -> None:
    some = central.some(GARBAGE, 4)
    for body in some:
        client_error(central.create(body=body), f"a create with {body[:30]!r}")
    for method, path in (
        ("PUT", central.unknown_id()),
        ("PATCH", central.unknown_id()),
        ("POST", "test"),
        ("POST", "test/updated"),
    ):
        for body in some[:2]:
            client_error(central.send(method, f"{COLLECTION}/{path}", body=body), f"{method} {path} with {body[:30]!r}")
    central.taken(central.list(), "the list afterwards")


@check("odd-paths", "robustness", writes=False, title="Odd paths are answered 404 or 400 in Central's shape")
def odd_paths(central: Central) -> None:
    for path in central.some(PATHS, 5):
        client_error(central.send("GET", path), f"GET {path[:60]}")
    central.taken(central.list(), "the list afterwards")


@check("odd-headers", "robustness", writes=False, title="Odd headers do not change an answer")
def odd_headers(central: Central) -> None:
    for headers in (
        {"Accept": "application/xml"},
        {"Accept": "text/html,*/*;q=0.1"},
        {"Accept-Encoding": "br;q=1.0, identity;q=0.5"},
        {"X-Forwarded-For": "x" * 2000},
        {"Content-Type": "application/xml"},
    ):
        central.taken(central.list(headers=headers), f"the list with {next(iter(headers))}")


@check(
    "much-of-everything",
    "robustness",
    needs=("create",),
    title="Many unknown fields, many categories and long texts are taken or refused, never a failure",
)
def much_of_everything(central: Central) -> None:
    with central.case():
        body = central.integration() | {f"unknown{n}": n for n in range(100)}
        central.taken(central.create(body), "a create with a hundred unknown fields")
        body = central.integration(categories=["REGISTRY"] * 200)
        central.taken(central.create(body), "a create with one category two hundred times")
        body = central.integration(docker={"username": "u" * 100_000})
        central.taken(central.create(body), "a create with a user name of 100,000 characters")
        empty = {field.name: "" for field in central.contract.integration.fields if field.kind == "string"}
        client_error(central.create(empty), "a create of empty texts")
