"""The parts of Go's ``net/url`` that Central's answers show: hosts, escapes, queries.

Everything works on bytes, as Go's strings do (Go ``net/url/url.go``).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from mock_server.golang import addr as goaddr
from mock_server.golang.text import quote

_ESCAPED = re.compile(rb"%([0-9a-fA-F]{2})")
_HOST_BYTES = re.compile(rb"[A-Za-z0-9\-._~!$&'()*+,;=:\[\]<>\"\x80-\xff]")
_PLAIN_NAME = re.compile(rb"[A-Za-z0-9.-]*")
_PLAIN_URL = re.compile(r"http://([A-Za-z0-9.-]*)(?::[0-9]*)?(?:/[A-Za-z0-9./_-]*)?")
_USERINFO = re.compile(rb"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_PORT = re.compile(rb"(?::[0-9]*)?")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


class UrlError(ValueError):
    """A URL that Go does not parse; the text is Go's reason."""


def unescape(text: bytes, check: Callable[[bytes], None] | None = None) -> bytes:
    """Replace percent escapes; `check` may refuse each escape before it is replaced.

    Raises:
        UrlError: an escape without two hexadecimal digits.
    """
    if b"%" not in text:
        return text
    at = 0
    while (at := text.find(b"%", at)) >= 0:
        if not _ESCAPED.match(text, at):
            raise _bad_escape(text[at : at + 3])
        if check is not None:
            check(text[at : at + 3])
        at += 3
    return _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), text)


def _bad_escape(escape: bytes) -> UrlError:
    return UrlError(f"invalid URL escape {quote(escape)}")


def host_name(url: str) -> str:
    """Return the host of an ``http://`` URL, without port and brackets.

    Raises:
        UrlError: with Go's reason; its `args` are the URL that Go names and that reason.
    """
    if plain := _PLAIN_URL.fullmatch(url):  # nothing in it is escaped, and nothing can be wrong
        return plain[1]
    whole = url.encode("utf-8", "surrogatepass")
    bare, _, fragment = whole.partition(b"#")
    host = _named(bare, _host)
    _named(whole, lambda _: unescape(fragment))
    return host.decode("utf-8", "replace")


def _named(url: bytes, step: Callable[[bytes], bytes]) -> bytes:
    """Run a step; its error names the URL as Go's ``url.Error`` does."""
    try:
        return step(url)
    except UrlError as error:
        raise UrlError(quote(url), str(error)) from None


def _host(url: bytes) -> bytes:
    if _CONTROL.search(url):
        raise UrlError("net/url: invalid control character in URL")
    rest = url.removeprefix(b"http://").partition(b"?")[0]
    authority, slash, path = rest.partition(b"/")
    userinfo, at, host = authority.rpartition(b"@")
    host = _parsed_host(host)
    if at:
        if not _USERINFO.fullmatch(userinfo):
            raise UrlError("net/url: invalid userinfo")
        unescape(userinfo.partition(b":")[0])
        unescape(userinfo.partition(b":")[2])
    unescape(slash + path)
    return _without_port(host)


def _parsed_host(host: bytes) -> bytes:
    bracket = host.rfind(b"[")
    if bracket > 0:
        raise UrlError("invalid IP-literal")
    if bracket == 0:
        return _ip_literal(host)
    colon = host.find(b":")
    if colon >= 0:
        _check_port(host[colon:])
    return _unescaped_host(host)


def _ip_literal(host: bytes) -> bytes:
    close = host.rfind(b"]")
    if close < 0:
        raise UrlError("missing ']' in host")
    port = host[close + 1 :]
    _check_port(port)
    name = host[1:close]
    zone = name.find(b"%25")
    name = _unescaped_host(name) if zone < 0 else _unescaped_host(name[:zone]) + _unescaped_zone(name[zone:])
    if (reason := goaddr.error(name)) is not None:
        raise UrlError(f"invalid host: ParseAddr({quote(name)}): {reason}")
    if b":" not in name:
        raise UrlError("invalid IP-literal")  # IPv4 in brackets
    return b"[" + name + b"]" + port


def _check_port(port: bytes) -> None:
    if not _PORT.fullmatch(port):
        raise UrlError(f"invalid port {quote(port)} after host")


def _refuse_ascii_escape(escape: bytes) -> None:
    """A host escapes what is not ASCII, and the percent sign of a zone."""
    if int(escape[1:2], 16) < 8 and escape != b"%25":
        raise _bad_escape(escape)


def _refuse_odd_zone_escape(escape: bytes) -> None:
    byte = bytes([int(escape[1:], 16)])
    if escape != b"%25" and byte != b" " and (byte >= b"\x80" or not _HOST_BYTES.fullmatch(byte)):
        raise _bad_escape(escape)


def _unescaped_host(host: bytes) -> bytes:
    return _unescaped_name(host, _refuse_ascii_escape)


def _unescaped_zone(zone: bytes) -> bytes:
    return _unescaped_name(zone, _refuse_odd_zone_escape)


def _unescaped_name(name: bytes, check: Callable[[bytes], None]) -> bytes:
    """Unescape part of a host; the first error from the left counts."""
    if _PLAIN_NAME.fullmatch(name):
        return name
    at = 0
    while at < len(name):
        if name[at : at + 1] == b"%":
            unescape(name[at : at + 3], check)
            at += 3
            continue
        if not _HOST_BYTES.match(name, at):
            raise UrlError(f"invalid character {quote(name[at : at + 1])} in host name")
        at += 1
    return unescape(name)


def _without_port(host: bytes) -> bytes:
    head, colon, port = host.rpartition(b":")
    if colon and _PORT.fullmatch(colon + port):
        host = head
    if host.startswith(b"[") and host.endswith(b"]"):
        host = host[1:-1]
    return host


def parse_query(query: str) -> dict[str, list[str]]:
    """Read a query string; `query` holds one character a byte (latin-1), as WSGI gives it.

    Raises:
        UrlError: with the first reason, as Go's ``url.ParseQuery``.
    """
    pairs = query.encode("latin-1").split(b"&")
    if any(b";" in pair for pair in pairs):  # told before any bad escape
        raise UrlError("invalid semicolon separator in query")
    values: dict[str, list[str]] = {}
    for pair in filter(None, pairs):
        key, _, value = (_unescaped_query(part) for part in pair.partition(b"="))
        values.setdefault(key, []).append(value)
    return values


def _unescaped_query(text: bytes) -> str:
    # A plus sign stands for a blank only outside an escape, and a refused escape is shown as sent.
    unescape(text)
    return unescape(text.replace(b"+", b" ")).decode("utf-8", "replace")


def forbidden_host(host: str) -> str | None:
    """Name what Central refuses to contact: "loopback", "metadata" or, for any other host, None."""
    if host == "localhost":
        return "loopback"
    if host == "metadata.google.internal":
        return "metadata"
    if "%" in host or not (host[:1].isdigit() or ":" in host):  # Go's net.ParseIP knows no zones
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback:
        return "loopback"
    return "metadata" if address == ipaddress.ip_address("169.254.169.254") else None
