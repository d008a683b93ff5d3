"""Unusual requests: paths, methods, content types, bodies, encodings, and invalid HTTP."""

import gzip
import json
from collections.abc import Iterator
from itertools import product
from typing import Any

from . import names
from .conversation import Ask, Group, ask
from .examples import KNOWN, KNOWN_NAME, NOBODY, integration

C = names.COLLECTION

PATHS = [
    *("/", "/v1", "/v1/", "/v1/nobody", "/v2/imageintegrations", "/V1/imageintegrations", "/v1/ImageIntegrations"),
    *("/v1/imageintegration", "/v1/imageintegrationsx", "/favicon.ico", "/robots.txt", "/index.html", "*"),
    *(
        "/__",
        "/__sandbox",
        "/__sandbox/",
        "/__sandbox//v1/imageintegrations",
        "/__sandbox/a",
        "/__sandbox/a/",
        "/__sandboxes/a",
    ),
    *("/__adminx", "/__ADMIN/health", "/%5f%5fadmin/health", "//__admin/health", "/v1/../__admin/health"),
    *(
        "/__sandbox/a%20b/v1/ping",
        "/__sandbox/%2e%2e/v1/ping",
        "/__sandbox/é/v1/ping",
        "/__sandbox/a/v1//imageintegrations",
    ),
    *(f"{C}/", f"/{C}", f"//{C}", "/v1//imageintegrations", f"{C}//", f"{C}///", f"{C}/.", f"{C}/./", f"{C}/.."),
    *(
        "/v1/./imageintegrations",
        f"{C}/../imageintegrations",
        f"/v1/x/..{C[3:]}?name=a&b",
        "/v1/../v1/imageintegrations",
    ),
    *("/./v1/imageintegrations", "/../v1/imageintegrations", f"{C}/../../v1/ping", f"{C}/a/../b", f"{C}/a/./b"),
    *(f"{C}/..x", f"{C}/x..", f"{C}/...", f"{C}/.x", "/v1/%2e/imageintegrations", "/v1/%2E%2E/v1/imageintegrations"),
    *(
        f"{C}%2f",
        "/v1%2fimageintegrations",
        "/v1/%69mageintegrations",
        f"{C}/{KNOWN}/",
        f"{C}/{KNOWN}//",
        f"{C}//{KNOWN}",
    ),
    *(f"{C}/{KNOWN}%20", f"{C}/{KNOWN}?", f"{C}/{KNOWN}?pretty", f"{C}/{KNOWN}?x=%zz", f"{C}/{KNOWN.upper()}"),
    *(f"{C}/%{ord(KNOWN[0]):x}{KNOWN[1:]}", f"{C}/{KNOWN}/test", f"{C}/{KNOWN}/x/y", f"{C}/{KNOWN};v=1"),
    *(
        f"{C}/test",
        f"{C}/test/",
        f"{C}/test/updated",
        f"{C}/test/updated/",
        f"{C}/test/other",
        f"{C}/updated",
        f"{C}/Test",
    ),
    *(
        f"{C}?",
        f"{C}/?name=x",
        f"{C}#fragment",
        f"{C}/{KNOWN}#fragment",
        "http://localhost/v1/ping",
        "http://localhost",
    ),
    *(
        f"http://other.example.com{C}/{KNOWN}",
        f"https://user:word@localhost{C}/{NOBODY}",
        "localhost/v1/ping",
        "v1/ping",
    ),
]
"""Targets of a GET."""

IDS = [
    *("a", "%41", "a%2fb", "a%2Fb", "%2f", "%2F%2f", "%252f", "a%2f..%2fb", "%2e", "%2e%2e", "%2E%2e%2f", ".%2e"),
    *("%", "%z", "%zz", "%4", "a%", "%00", "a%00b", "%0a", "%0d%0aX-Injected:%201", "%09", "%20", "%20a%20", "a+b"),
    *(
        "%ff",
        "%c3%a9",
        "%c3",
        "é",
        "\udcff",
        "\udce9",
        "%e2%98%83",
        "☃",
        "%f0%9f%98%80",
        "%ed%a0%80",
        "%c0%af",
        "%e2%80%a8",
    ),
    *(";a=b", "a;b", "a:b", ":test", "a@b", "*", "!$&'()", "a,b", "a=b", "%23", "%3f", "%22", "'", "%22quoted%22"),
    *(
        "%5c",
        "\\",
        "|",
        "{id}",
        "[x]",
        "^",
        "`",
        "<b>",
        "%3Cb%3E",
        "~",
        "_",
        "-",
        "a_b",
        "0",
        "None",
        "null",
        "%7f",
        "%c2%85",
    ),
    *("x" * 3000, NOBODY, NOBODY.upper(), "4b2f", "a b", 'a"b', "a\tb", "%u0041", "%25", "%2525", "\u0130", "%E0%A4%A"),
]
"""What may stand in the place of an id."""

METHODS = (
    *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "FOO", "M-SEARCH"),
    *("get", "post", "Delete", "CONNECT", "QUERY"),
)
PLACES = (C, f"{C}/{KNOWN}", f"{C}/test", f"{C}/test/updated", "/v1/nobody", names.HEALTH, "/v1/ping")

OVERRIDES = [
    *(
        (method, "application/x-www-form-urlencoded")
        for method in ("GET", "get", "DELETE", "PUT", "PATCH", "HEAD", "FOO")
    ),
    *((method, "application/json") for method in ("GET", "DELETE")),
    ("GET", "application/x-www-form-urlencoded; charset=utf-8"),
    ("", "application/x-www-form-urlencoded"),
    ("GET ", "application/x-www-form-urlencoded"),
    ("GET", ""),
]

CONTENT_TYPES = [
    *("application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/json;charset=latin-1"),
    *(" application/json", "application/json ;x=1", "application/json,", "text/json", "application/problem+json"),
    *("application/xml", "text/plain", "application/octet-stream", "multipart/form-data; boundary=x", "nonsense", ""),
    *("application/x-www-form-urlencoded", "application/grpc", "application/grpc+proto", "application/grpc+json"),
    *("application/grpc-web", "application/grpc-web+proto", "application/grpc-web-text", "application/grpcx"),
    *("application/grpc; x=1", "application/GRPC", "application/grpc+", "application/json+pretty", "caf\udce9"),
]

ACCEPT_ENCODINGS = [
    *(
        "gzip",
        "GZIP",
        "identity",
        "*",
        "gzip;q=0",
        "gzip;q=0.0",
        "gzip; q=0.5",
        "gzip;q=1",
        "gzip;q=x",
        "gzip;q=",
        "gzip;",
    ),
    *("deflate, gzip", "br;q=1, gzip;q=0.1", "gzip,deflate", "x-gzip", "deflate", "", ",", "gzip;q=0;q=1", "gzip;Q=0"),
    *("gzip;q=-1", "gzip;q=inf", "gzip;q=nan", "gzip;q=0, gzip", "gzip, gzip;q=0"),
]

ACCEPTS = ("application/json+pretty", "application/json", "application/json+pretty, */*", "text/html", "")

QUERIES = [
    *("name=", f"name={KNOWN_NAME.replace(' ', '%20')}", f"name={KNOWN_NAME.replace(' ', '+')}", "name=public+gcr"),
    *(
        "name=nobody",
        "name=a&name=b",
        "name=a&name=a",
        "name=&name=",
        "name",
        "name=%",
        "name=%zz",
        "name=%ff",
        "name=é",
    ),
    *(
        "Name=a",
        "NAME=a",
        "n%61me=nobody",
        "name%5B%5D=a",
        "name[]=a",
        "name[a]=b",
        "name[nobody]",
        "name.x=a",
        "name.=a",
    ),
    *("cluster=", "cluster=a", "cluster=a&cluster=b", "cluster=a&name=nobody", "cluster=&name=nobody", "cluster[a]=b"),
    *(
        "cluster.id=a",
        "other=1",
        "other",
        "other=1&other=2",
        "other.field=1",
        "a;b",
        "name=a;b",
        "name=a;cluster=b",
        ";",
    ),
    *("&", "&&", "=", "=a", "?", "name=a?b", "pretty", "pretty=", "pretty=true", "pretty=false", "pretty&name=nobody"),
    *("Pretty", "xpretty", "apretty=1", "pretty%3d1", "p%72etty", "name=pretty", "a=pretty", "name=nobody&pretty", "%"),
    *(
        "%zz=1",
        "a=%zz",
        "a=%2",
        "name=%00",
        "name=%0a",
        "name=+",
        "name=%2B",
        "name=%20",
        "name=" + "x" * 5000,
        "name=%ed%a0%80",
    ),
    *("name=%c3%a9", "name=\udcff", "a=1&" * 200 + "name=nobody", "name==a", "name=a=b", "name=a%26b", "name=a%3db"),
    *("pagination.limit=1", "limit=0", "integrations=1", "name=nobody#f", "name[", "name]", "name[[a]]=b", "[name]=a"),
]

_JSON = (("Content-Type", "application/json"),)
_HEAD = f"POST {C} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()
_SECOND = f"DELETE {C}/{KNOWN} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()


def _valid(name: str) -> bytes:
    return json.dumps(integration(name=name)).encode()


def _chunks(body: bytes, size: int = 40) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"


def _get(more: bytes = b"", target: str = f"{C}/{KNOWN}") -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: localhost\r\n".encode() + more + b"\r\n"


BROKEN = {
    "no Host": f"GET {C}/{KNOWN} HTTP/1.1\r\nConnection: close\r\n\r\n".encode(),
    "two Hosts": _get(b"Host: other.example.com\r\nConnection: close\r\n"),
    "an empty Host": f"GET {C}/{KNOWN} HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n".encode(),
    "an odd Host": f"GET {C}/{KNOWN} HTTP/1.1\r\nHost: a/b\xc3\xa9:x\r\nConnection: close\r\n\r\n".encode("latin-1"),
    "HTTP/1.0": f"GET {C}/{KNOWN} HTTP/1.0\r\n\r\n".encode(),
    "HTTP/0.9": f"GET {C}\r\n\r\n".encode(),
    "HTTP/3.0": f"GET {C} HTTP/3.0\r\nHost: localhost\r\n\r\n".encode(),
    "two requests": _get(target="/v1/ping") + _get(b"Connection: close\r\n"),
    "three requests": _get(target="/v1/ping") + _get(target="/v1/nobody") + _get(b"Connection: close\r\n"),
    "a request in a GET": _get(b"Content-Length: %d\r\nConnection: close\r\n" % len(_SECOND)) + _SECOND,
    "an end of lines before": b"\r\n" + _get(b"Connection: close\r\n"),
    "lines that end in LF": f"GET {C}/{KNOWN} HTTP/1.1\nHost: localhost\nConnection: close\n\n".encode(),
    "a folded header": _get(b"X-Folded: a\r\n b\r\nConnection: close\r\n"),
    "a header without a colon": _get(b"X-Nothing\r\nConnection: close\r\n"),
    "a header without a name": _get(b": a\r\nConnection: close\r\n"),
    "a space before the colon": _get(b"X-Space : a\r\nConnection: close\r\n"),
    "a NUL in a header": _get(b"X-Nul: a\x00b\r\nConnection: close\r\n"),
    "a header that is not ASCII": _get(b"X-Odd: \xff\xe9\r\nConnection: close\r\n"),
    "a name that is not ASCII": _get(b"X-\xff: a\r\nConnection: close\r\n"),
    "1,000 headers": _get(b"".join(b"X-%d: x\r\n" % n for n in range(1000)) + b"Connection: close\r\n"),
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "HTTP/2 without asking": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "an upgrade": _get(
        b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    ),
    "an upgrade to a websocket": _get(
        b"Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n"
    ),
    "two lengths that differ": _HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}" + _SECOND,
    "two lengths alike": _HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
    "a length with a plus": _HEAD + b"Content-Length: +2\r\n\r\n{}" + _SECOND,
    "a negative length": _HEAD + b"Content-Length: -1\r\n\r\n{}" + _SECOND,
    "a length in hexadecimal": _HEAD + b"Content-Length: 0x2\r\n\r\n{}" + _SECOND,
    "an empty length": _HEAD + b"Content-Length:\r\n\r\n{}" + _SECOND,
    "a length with blanks": _HEAD + b"Content-Length:   2  \r\nConnection: close\r\n\r\n{}",
    "a length of 30 digits": _HEAD + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n{}",
    "a length with noughts": _HEAD + b"Content-Length: 0002\r\nConnection: close\r\n\r\n{}",
    "a length and chunks": _HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _SECOND,
    "chunks spelled otherwise": _HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + _SECOND,
    "chunked, identity": _HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + _SECOND,
    "gzip, chunked": _HEAD
    + b"Transfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n"
    + _chunks(gzip.compress(b"{}", mtime=0)),
    "CHUNKED": _HEAD + b"Transfer-Encoding: CHUNKED\r\nConnection: close\r\n\r\n" + _chunks(b"{}"),
    "a chunk size beyond 64 bits": _HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n" + _SECOND,
    "a chunk size that is none": _HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n" + _SECOND,
    "a chunk with an extension": _HEAD
    + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2;a=b\r\n{}\r\n0\r\n\r\n",
    "chunks with a trailer": _HEAD
    + b"Transfer-Encoding: chunked\r\nTrailer: X-A\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\nX-A: b\r\n\r\n",
    "chunks with an empty body": _HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
    "a chunk that is too short": _HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}\r\n0\r\n\r\n",
    "no length": _HEAD + b"Connection: close\r\n\r\n",
    "no length, but a body": _HEAD + b"Connection: close\r\n\r\n{}",
    "a length of nought and a body": _HEAD + b"Content-Length: 0\r\nConnection: close\r\n\r\n{}",
    "Expect of what there is not": _HEAD + b"Content-Length: 2\r\nExpect: 200-ok\r\nConnection: close\r\n\r\n{}",
}
"""Whole requests, after which the server closes."""

HALF = {
    "half a body": _HEAD + b"Content-Length: 100\r\n\r\n{}",
    "half a body that is JSON": _HEAD + b"Content-Length: 1000\r\n\r\n" + _valid("half"),
    "half a body of nothing": _HEAD + b"Content-Length: 10\r\n\r\n",
    "chunks without an end": _HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "half a chunk": _HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\n{}",
    "half a head": _HEAD,
    "nothing": b"",
}
"""Parts of requests, after which the client closes its side."""


def _bodies() -> Iterator[Ask]:
    yield Ask("POST", C, None, _JSON, note="no body and no length")
    yield Ask("POST", C, b"", _JSON, note="no body")
    for name, headers in (("one by one", ()), ("kept", (("Connection", "keep-alive"),))):
        sent = _valid(f"chunks {name}")
        yield Ask("POST", C, _chunks(sent), (*_JSON, ("Transfer-Encoding", "chunked"), *headers), note="chunks")
    yield Ask("POST", f"{C}/test", _chunks(_valid("small"), 1), (*_JSON, ("Transfer-Encoding", "chunked")))
    yield Ask(
        "GET", C + "?name=x", _chunks(b"{}"), (("Transfer-Encoding", "chunked"),), note="chunks that nobody reads"
    )
    yield Ask("POST", C, _valid("expected"), (*_JSON, ("Expect", "100-continue")), note="Expect")
    yield Ask("POST", "/v1/nobody", b"{}", (*_JSON, ("Expect", "100-continue")), note="Expect for nobody")
    yield Ask("GET", f"{C}/{KNOWN}", None, (("Expect", "100-continue"),), note="Expect without a body")
    yield Ask("POST", C, gzip.compress(b"{}", mtime=0), (*_JSON, ("Content-Encoding", "gzip")), note="compressed")
    for method, target in (
        ("GET", C + "?name=x"),
        ("DELETE", f"{C}/{NOBODY}"),
        ("POST", "/v1/nobody"),
        ("GET", "/v1/ping"),
    ):
        yield Ask(method, target, b"x" * 1000, _JSON, note="a body that nobody reads")
    for body in (
        b"{}",
        b"[]",
        b"null",
        b"0",
        b'"a"',
        b" {} ",
        b"\xef\xbb\xbf{}",
        b"{",
        b"}",
        b"\xff",
        b"{}{}",
        b"{}x",
        b"\0",
    ):
        yield Ask("POST", C, body, _JSON)
    yield Ask("POST", C, _valid("utf-16").decode().encode("utf-16"), _JSON, note="UTF-16")
    yield Ask("POST", f"{C}/test", b"[" * 11_000, _JSON, note="11,000 levels")
    yield Ask("POST", f"{C}/test", b'{"name":"' + b"a" * 100_000 + b'"}', _JSON, note="100 kB")
    yield Ask("POST", f"{C}/test", b'{"name":"' + b"a" * (25 * 2**20) + b'"}', _JSON, note="25 MiB")


def _answers_of_many_sizes() -> Iterator[Ask]:
    long, short = "a" * 3000, "a"
    for name, body in ((long, _valid(long)), (short, _valid(short))):
        yield Ask("POST", C, body, _JSON, note=f"{len(name)} letters")
    for header in ACCEPT_ENCODINGS:
        yield Ask("GET", C, None, (("Accept-Encoding", header),))
    yield Ask("GET", f"{C}/{KNOWN}", None, (("Accept-Encoding", "gzip"),), note="a short answer")
    for extra in range(700, 1100, 80):  # about the length from which answers are compressed
        yield Ask("POST", C, _valid("b" * extra), (*_JSON, ("Accept-Encoding", "gzip")), note=f"{extra} letters")
    yield Ask("GET", C, None, (("Accept-Encoding", "deflate"), ("Accept-Encoding", "gzip")), note="two headers")
    yield Ask("GET", f"{C}/{'x' * 2000}", None, (("Accept-Encoding", "gzip"),), note="a long refusal")
    for accept, target in product(ACCEPTS, (C + "?name=x", f"{C}/{KNOWN}", f"{C}/{NOBODY}", "/v1/nobody", "/v1/ping")):
        yield Ask("GET", target, None, (("Accept", accept),))
    yield Ask("GET", C, None, (("Accept", "application/json+pretty"), ("Accept-Encoding", "gzip")))
    for target in (
        f"{C}?pretty",
        f"{C}/{KNOWN}?pretty",
        "/v1/nobody?pretty",
        "/v1/ping?pretty",
        f"{names.HEALTH}?pretty",
    ):
        yield Ask("GET", target, None)
    yield Ask("POST", f"{C}?pretty", _valid("pretty"), _JSON)
    yield Ask("POST", f"{C}/test?pretty", _valid("pretty test"), _JSON)


def _overridden() -> Iterator[Ask]:
    form = f"name={KNOWN_NAME.replace(' ', '+')}".encode()
    for (method, kind), target in product(OVERRIDES, (C, f"{C}/{NOBODY}")):
        typed = (("Content-Type", kind),) if kind else ()
        yield Ask("POST", target, form, (*typed, ("X-HTTP-Method-Override", method)))
    override = (("Content-Type", "application/x-www-form-urlencoded"), ("X-HTTP-Method-Override", "GET"))
    yield Ask("PUT", C, form, override, note="not a POST")
    yield Ask("POST", f"{C}?cluster=a", form, override, note="a form and a query")
    yield Ask("POST", f"{C}?name=b", form, override, note="a name in both")
    for body in (b"", b"pretty", b"name=%zz", b"name=\xff", b"a=b&name=nobody"):
        yield Ask("POST", C, body, override)


def _methods() -> Iterator[Ask]:
    for place, method in product(PLACES, METHODS):
        if method != "CONNECT" or place == C:
            yield Ask(method, place)
    yield Ask("CONNECT", "localhost:80")
    yield Ask("OPTIONS", "*")
    for place in PLACES[:4]:
        yield ask("OPTIONS", place, None, ("Origin", "http://a.example.com"), ("Access-Control-Request-Method", "GET"))


def _typed() -> Iterator[Ask]:
    for at, kind in enumerate(CONTENT_TYPES):
        yield Ask("POST", f"{C}/test", _valid(f"type {at}"), (("Content-Type", kind),))
    for target, method in ((C, "GET"), (f"{C}/{KNOWN}", "GET"), (f"{C}/{NOBODY}", "DELETE"), ("/v1/nobody", "POST")):
        yield Ask(method, target, b"", (("Content-Type", "application/grpc"),))
    yield Ask("POST", f"{C}/test", _valid("two types"), (*_JSON, ("Content-Type", "text/plain")))
    yield Ask("POST", f"{C}/test", _valid("no type"), ())


def _ids() -> Iterator[Ask]:
    for id in IDS:
        yield Ask("GET", f"{C}/{id}")
    for id in IDS[::3]:
        yield Ask("DELETE", f"{C}/{id}")
        yield ask("PUT", f"{C}/{id}", integration(name="put"))


def _broken() -> Iterator[Ask]:
    kept = f"GET {C}/{KNOWN} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".encode()
    yield Ask(raw=kept, note="HTTP/1.0, kept")
    for name, raw in BROKEN.items():
        yield Ask(raw=raw, note=name, ending="all")
    for name, raw in HALF.items():
        yield Ask(raw=raw, note=name, ending="half")


def groups() -> Iterator[Group]:
    """Return the groups."""
    parts: dict[str, list[Any]] = {
        "paths": [Ask("GET", path) for path in PATHS],
        "paths of a POST": [ask("POST", path, integration(name="posted")) for path in PATHS[::4]],
        "ids": [*_ids()],
        "methods": [*_methods()],
        "overridden methods": [*_overridden()],
        "content types": [*_typed()],
        "bodies": [*_bodies()],
        "forms of answers": [*_answers_of_many_sizes()],
        "queries": [Ask("GET", f"{C}?{query}") for query in QUERIES],
        "broken": [*_broken()],
    }
    for name, asks in parts.items():
        yield Group(name, tuple(asks))
    thread = [
        *(Ask("GET", path) for path in PATHS[::9]),
        *(Ask("GET", f"{C}/{id}") for id in IDS[::9]),
        *(Ask(method, place) for place in PLACES[:1] for method in METHODS if method != "CONNECT"),
        *(each for each in _overridden() if each.note),
        *(each for each in _bodies() if len(each.body or b"") < 200_000),
        *(Ask(raw=raw, note=name, ending="all") for name, raw in BROKEN.items() if name in _IN_A_THREAD),
    ]
    yield Group("shapes in a thread", tuple(thread), server="thread")


_IN_A_THREAD = ("no Host", "two Hosts", "HTTP/1.0", "two requests", "a request in a GET", "no length")
