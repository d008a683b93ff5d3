"""Every request is answered in Central's shape. `TEST_FUZZ=100000` sends more requests than CI."""

import gc
import json
import os
import random
import resource

import pytest

from mock_server import Settings, create_app
from mock_server.contract import tables as contracts
from mock_server.web import wsgi

REQUESTS = int(os.environ.get("TEST_FUZZ", "4000"))
CONTRACT = contracts.load()
EXAMPLES = [
    example["value"]
    for name, example in CONTRACT.document["components"]["examples"].items()
    if name.endswith("-request")
]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW"]
TAILS = [
    "",
    "/",
    "/test",
    "/test/updated",
    "/test/",
    "/x",
    "/%00",
    "/a/b",
    "/..",
    "//",
    "/\xff",
    "/10d3b4dc-8295-41bc-bb50-6da5484cdb1a",
]
VALUES = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**31,
    10**400,
    "",
    "x",
    "******",
    "REGISTRY",
    [],
    {},
    [None],
    ["BOGUS"],
    {"a": 1},
    "\ud800",
    "é\0",
]
QUERIES = ["", "name=x", "name=a&name=b", "cluster=x", "%zz", "a;b", "pretty", "name=%ff", "&&=", "name=" + "x" * 500]
HEADERS = {
    "CONTENT_TYPE": ["application/json", "application/x-www-form-urlencoded", "text/plain", "", "\xff"],
    "HTTP_ACCEPT": ["*/*", "application/json+pretty", "text/html"],
    "HTTP_ACCEPT_ENCODING": ["gzip", "", "br;q=1"],
    "HTTP_X_HTTP_METHOD_OVERRIDE": ["DELETE", "get", "\xff", "PATCH"],
    "HTTP_AUTHORIZATION": ["Bearer x", "Basic !!!", "\xff"],
}


def mutated(draw, value):
    """Change one place of a JSON value."""
    if isinstance(value, dict) and value and draw.random() < 0.8:
        key = draw.choice(list(value))
        changed = dict(value)
        roll = draw.random()
        if roll < 0.2:
            del changed[key]
        elif roll < 0.3:
            changed[draw.choice(["bogus", "docker", "quay", "skip_test_integration"])] = changed[key]
        else:
            changed[key] = mutated(draw, value[key])
        return changed
    return draw.choice(VALUES)


def body_of(draw):
    value = draw.choice(EXAMPLES)
    for _ in range(draw.randrange(4)):
        value = mutated(draw, value)
    body = json.dumps(value, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")
    roll = draw.random()
    if roll < 0.2 and body:
        at = draw.randrange(len(body))
        body = body[:at] + bytes([draw.randrange(256)]) + body[at + draw.randrange(3) :]
    elif roll < 0.25:
        body = draw.randbytes(draw.randrange(60))
    elif roll < 0.28:
        body = body * 2
    return body


def environ_of(draw):
    body = body_of(draw) if draw.random() < 0.8 else b""
    path = draw.choice(["/v1/imageintegrations"] * 9 + ["/v1", "/V1/imageintegrations", "/\xfe"]) + draw.choice(TAILS)
    method = draw.choice(METHODS[:5] if draw.random() < 0.85 else METHODS)
    environ = wsgi.environ(method, "", body) | {"PATH_INFO": path, "QUERY_STRING": draw.choice(QUERIES)}
    for name, choices in HEADERS.items():
        if draw.random() < 0.2:
            environ[name] = draw.choice(choices)
    return environ


def resident():
    gc.collect()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.heavy
@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
def test_every_request_is_answered_in_central_s_shape(strict):
    draw = random.Random(20260801 + strict)
    app = create_app(Settings(strict=strict, fatal_answers=True))
    failures = {rule.id for rule in CONTRACT.rules.values() if rule.kind == "build"}
    failures |= {"type-defined", "database-error", "method-not-allowed", "header-text", "no-grpc"}
    before = 0
    for number in range(REQUESTS // 2):
        if number == REQUESTS // 8:
            before = resident()
        environ = environ_of(draw)
        method = environ["REQUEST_METHOD"]
        status, headers, answer = wsgi.ask(app, environ)
        if status == 307:
            assert headers["location"].startswith("/")
            assert answer.startswith(b"<a href=") or (answer == b"" and method != "GET")
            continue
        if status == 404 and not environ["PATH_INFO"].startswith(("/v1/", "/v2/")):
            assert answer in (b"404 page not found\n", b"")
            continue
        assert status in (200, 400, 404, 429, 500, 501), (status, answer)
        assert headers["content-type"] == "application/json"
        if status >= 500:
            assert headers["mock-central-rule"] in failures, (headers, answer)
        if method != "HEAD" and "content-encoding" not in headers:
            value = json.loads(answer)
            if status != 200:
                assert sorted(value) == ["code", "details", "error", "message"]
            assert b"Traceback" not in answer
        if len(app.central.store) > 200:
            app.central.store.reset()
    assert resident() - before < 32 * 2**20, "memory grows with the requests"
