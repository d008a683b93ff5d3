"""Raw HTTP: unusual request lines, headers and bodies, alone and combined."""

from __future__ import annotations

import random

from contract_tests.engine.exchange import COLLECTION as PATH

ID = "10d3b4dc-8295-41bc-bb50-6da5484cdb1a"
_METHODS = (
    "GET", "GET", "GET", "POST", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "BREW",
    "G@T", "G T", "", "GET\t",
)  # fmt: skip
_TARGETS = (
    PATH, PATH, f"{PATH}/{ID}", f"{PATH}/", f"{PATH}/test", f"{PATH}/test/", f"{PATH}/test/updated", f"{PATH}/a/b",
    f"{PATH}/a%2Fb", f"{PATH}/%2F", f"{PATH}/%2e%2e", f"{PATH}/..", f"{PATH}/.", f"{PATH}/%zz", f"{PATH}/%",
    f"{PATH}/%00", f"{PATH}/%ff", f"{PATH}/a:b", f"{PATH}//", "/v1//imageintegrations", "//v1/imageintegrations", "/v1",
    "/v1/", "/v1/x", "/V1/imageintegrations", "/v1/ImageIntegrations", "/", "*", "", "v1",
    "http://central/v1/imageintegrations", f"{PATH}?name=none", f"{PATH}?name=a&name=b", f"{PATH}?%zz", f"{PATH}?a;b",
    f"{PATH}#x", f"{PATH}?name=none#f", f"{PATH}?pretty", f"{PATH}?cluster=x", f"{PATH}?name=", f"{PATH}?" + "a=&" * 20,
    f"{PATH}/../../x",
)  # fmt: skip
_VERSIONS = ("HTTP/1.1",) * 12 + ("HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.1 ", "")
_HOSTS = ("Host: central\r\n",) * 14 + (
    *("", "Host:\r\n", "Host: a\r\nHost: b\r\n", "Host: a b\r\n", "Host: [::1]:80\r\n", "host: x\r\n", "Host: ü\r\n"),
)
_HEADERS = (
    "Grpc-Timeout: 1n", "Grpc-Timeout: 30S", "Grpc-Timeout: abc", "Grpc-Timeout: 5", "Grpc-Metadata-Foo-Bin: !!",
    "Grpc-Metadata-Foo-Bin: QUI=", "Grpc-Metadata-Foo: bar", "Te: trailers", "Expect: foo", "Expect: 100-continue",
    "Content-Type: application/grpc", "Content-Type: application/grpc-web+proto", "Content-Type: text/plain",
    "Content-Type: application/x-www-form-urlencoded", "X-HTTP-Method-Override: DELETE", "X-HTTP-Method-Override: GET",
    "Accept: application/xml", "Accept: application/json+pretty", "Accept-Encoding: gzip", "Accept-Encoding: gzip;q=0",
    "Authorization: Bearer nonsense", "Grpc-Metadata-Authorization: Bearer nonsense", "Authorization: Bearer \xe9",
    "Connection: keep-alive", "Upgrade: h2c", "Foo: x\r\n y", "Foo : x", "Foo", "Fo\xf6: x", "Foo: a\0b", ": x",
    "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: identity", "Content-Encoding: gzip", "Range: bytes=0-1",
    "Content-Length: -1", "Content-Length: +2", "If-None-Match: *", "Cookie: a=b", "Origin: null",
)  # fmt: skip
_BODIES = (
    b"{}", b"", b"{", b"null", b"[]", b'{"name":"x"}', b'{"name":5}', b"\xff", b'{"a":1}{"b":2}', b"a=b&c=d",
    b'{"config":{"id":"x"}}',
)  # fmt: skip
_CHUNKED = (
    b"2\r\n{}\r\n0\r\n\r\n", b"0\r\n\r\n", b"zz\r\n{}\r\n0\r\n\r\n", b"2;x=y\r\n{}\r\n0\r\nA: b\r\n\r\n",
    b"FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n", b"02\r\n{}\r\n0\r\n\r\n",
)  # fmt: skip


def draw(seed: object, authorization: str) -> bytes:
    """Draw a request. It changes nothing that is stored: writes go to unknown ids, or have invalid bodies."""
    choices = random.Random(f"raw {seed}")
    method, target = choices.choice(_METHODS), choices.choice(_TARGETS)
    version, host = "HTTP/1.1", "Host: central\r\n"
    if choices.random() < 0.25:
        version = choices.choice(_VERSIONS)
    if choices.random() < 0.25:
        host = choices.choice(_HOSTS)
    headers = [choices.choice(_HEADERS) for _ in range(choices.choice((0, 0, 1, 1, 2)))]
    deletes = method == "DELETE" or any("Override: DELETE" in each for each in headers)
    if ID in target and (deletes or method in ("PUT", "PATCH")):
        target = target.replace(ID, "none")
    if authorization and not any(each.startswith(("Authorization", "Grpc-Metadata-Auth")) for each in headers):
        headers.append(f"Authorization: {authorization}")
    body = b""
    if method in ("POST", "PUT", "PATCH") or choices.random() < 0.1:
        if choices.random() < 0.15:
            headers.append("Transfer-Encoding: chunked")
            body = choices.choice(_CHUNKED)
        else:
            body = choices.choice(_BODIES)
            headers.append(f"Content-Length: {len(body)}")
    lines = "".join(f"{header}\r\n" for header in headers)
    head = f"{method} {target} {version}\r\n{host}{lines}Connection: close\r\n\r\n"
    return head.encode("latin-1", "replace") + body
