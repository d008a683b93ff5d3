"""The parts of Go's ``net/url`` that show in Central's answers: hosts, escapes, queries.

Everything works on bytes, as Go's strings do (Go ``net/url/url.go``).
"""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from typing import NamedTuple

from mock_server.golang import addr as goaddr
from mock_server.golang.text import quote

_ESCAPE = re.compile(rb"(?s)%.{0,2}")
_ESCAPED = re.compile(rb"%([0-9a-fA-F]{2})")
_IN_HOST = rb"A-Za-z0-9\-._~!$&'()*+,;=:\[\]<>\""
_NAME_PART = re.compile(rb"(?s)(%.{0,2})|([^" + _IN_HOST + rb"\x80-\xff])")
"""An escape, or a byte that is not allowed in a host."""
_ESCAPABLE_IN_HOST = re.compile(rb"[%\x80-\xff]")
_ESCAPABLE_IN_ZONE = re.compile(rb"[% " + _IN_HOST + rb"]")
"""The bytes whose escapes Go accepts in a host, and in the zone of an address."""
MOST_PARAMETERS = 10_000
"""Limit of the fields of a query, in releases of Go that have one (``urlmaxqueryparams``)."""
_PLAIN_URL = re.compile(r"http://([A-Za-z0-9.-]*)(?::[0-9]*)?(?:/[A-Za-z0-9./_-]*)?")
_USERINFO = re.compile(rb"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_PORT = re.compile(rb"(?::[0-9]*)?")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_SCHEME = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*):")
_ENCODED = re.compile(rb"(?:[A-Za-z0-9\-_.~!$&'()*+,;=:@/?\[\]]|%[0-9A-Fa-f]{2})*")
"""A path or fragment that Go leaves unchanged; a path contains no question mark."""
_TO_ESCAPE_IN_PATH = re.compile(rb"[^A-Za-z0-9\-_.~$&+,/:;=@]")
_TO_ESCAPE_IN_FRAGMENT = re.compile(rb"[^A-Za-z0-9\-_.~$&+,/:;=?@!()*]")
_TO_ESCAPE_IN_USER = re.compile(rb"[^A-Za-z0-9\-_.~$&+,;=]")
_TO_ESCAPE_IN_HOST = re.compile(rb"[^" + _IN_HOST + rb"]")
"""The bytes that Go escapes in a path, a fragment, a user name and a host."""


class UrlError(ValueError):
    """Something that Go does not parse; the text is Go's. For a whole URL, `args` are the quoted URL and the reason."""

    def __str__(self) -> str:
        return "parse {}: {}".format(*self.args) if len(self.args) == 2 else str(self.args[0])


def unescape(text: bytes) -> bytes:
    """Replace percent escapes.

    Raises:
        UrlError: an escape without two hexadecimal digits.
    """
    for escape in _ESCAPE.findall(text):
        if not _ESCAPED.fullmatch(escape):
            raise _bad_escape(escape)
    return _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), text)


def _bad_escape(escape: bytes) -> UrlError:
    return UrlError(f"invalid URL escape {quote(escape)}")


class UrlSyntax(NamedTuple):
    """Checks of hosts that releases of Go have added (see ``urlstrictcolons``)."""

    strict_colons: bool = True
    """More than one colon in a host is refused."""
    checked_brackets: bool = True
    """Brackets must enclose an IPv6 address."""


NEWEST = UrlSyntax()


class Url(NamedTuple):
    """A URL as Go stores it; path and fragment as Go writes them."""

    scheme: str = ""
    opaque: bytes = b""
    user: tuple[bytes, bytes | None] | None = None
    """A user name and, after a colon, a password, both decoded."""
    host: bytes = b""
    path: bytes = b""
    omit_host: bool = False
    query: bytes | None = None
    fragment: bytes = b""

    def __str__(self) -> str:
        """Write the URL with ``***`` for a password (Go ``net/http``: ``stripPassword``)."""
        written = f"{self.scheme}:".encode() if self.scheme else b""
        if self.opaque:
            written += self.opaque
        else:
            written += self._authority()
            if self.path and not self.path.startswith(b"/") and self.host:
                written += b"/"
            if not written and b":" in self.path.partition(b"/")[0]:
                written += b"./"
            written += self.path
        if self.query is not None:
            written += b"?" + self.query
        if self.fragment:
            written += b"#" + self.fragment
        return written.decode("utf-8", "replace")

    def _authority(self) -> bytes:
        if not (self.scheme or self.host or self.user) or (self.omit_host and not self.host and self.user is None):
            return b""
        if not self.host and not self.path and self.user is None:
            return b""
        user = b""
        if self.user is not None:
            name, password = self.user
            user = (_escaped(name, _TO_ESCAPE_IN_USER) if password is None else name + b":***") + b"@"
        return b"//" + user + _escaped(self.host, _TO_ESCAPE_IN_HOST)

    @property
    def decoded_path(self) -> bytes:
        """The path without its escapes."""
        return unescape(self.path)

    @property
    def host_name(self) -> bytes:
        """The host without port and brackets."""
        head, colon, port = self.host.rpartition(b":")
        host = head if colon and _PORT.fullmatch(colon + port) else self.host
        return host[1:-1] if host.startswith(b"[") and host.endswith(b"]") else host

    @property
    def port(self) -> str:
        """The digits behind the colon, or nothing."""
        _, colon, port = self.host.rpartition(b":")
        return port.decode() if colon and _PORT.fullmatch(colon + port) else ""


def parse(url: str, syntax: UrlSyntax = NEWEST) -> Url:
    """Read a URL (Go ``url.Parse``).

    Raises:
        UrlError: its `args` are the quoted URL and Go's reason.
    """
    whole = url.encode("utf-8", "surrogatepass")
    bare, _, fragment = whole.partition(b"#")
    shown = bare  # Go shows the fragment only in errors about it
    try:
        found = _parsed(bare, syntax)
        shown = whole
        return found._replace(fragment=_written(fragment, _TO_ESCAPE_IN_FRAGMENT))
    except UrlError as error:
        raise UrlError(quote(shown), str(error)) from None


def host_name(url: str, syntax: UrlSyntax = NEWEST) -> str:
    """Return the host of an ``http://`` URL, without port and brackets.

    Raises:
        UrlError: as `parse` does.
    """
    if plain := _PLAIN_URL.fullmatch(url):  # no escapes, and no possible error
        return plain[1]
    return parse(url, syntax).host_name.decode("utf-8", "replace")


def _parsed(url: bytes, syntax: UrlSyntax) -> Url:
    if _CONTROL.search(url):
        raise UrlError("net/url: invalid control character in URL")
    if url == b"*":
        return Url(path=url)
    scheme, rest = _scheme(url)
    rest, mark, query = rest.partition(b"?")
    found = Url(scheme, query=query if mark else None)
    if not rest.startswith(b"/"):
        if scheme:
            return found._replace(opaque=rest)
        if b":" in rest.partition(b"/")[0]:
            raise UrlError("first path segment in URL cannot contain colon")
    if rest.startswith(b"//") and (scheme or not rest.startswith(b"///")):
        authority, slash, path = rest[2:].partition(b"/")
        user, host = _read_authority(authority, scheme, syntax)
        return found._replace(user=user, host=host, path=_written(slash + path, _TO_ESCAPE_IN_PATH))
    return found._replace(omit_host=bool(scheme) and rest.startswith(b"/"), path=_written(rest, _TO_ESCAPE_IN_PATH))


def _scheme(url: bytes) -> tuple[str, bytes]:
    match = _SCHEME.match(url)
    if match is not None:
        return match[1].decode().lower(), url[match.end() :]
    if url.startswith(b":"):
        raise UrlError("missing protocol scheme")
    return "", url


def _read_authority(
    authority: bytes, scheme: str, syntax: UrlSyntax
) -> tuple[tuple[bytes, bytes | None] | None, bytes]:
    userinfo, at, host = authority.rpartition(b"@")
    host = _parsed_host(host, syntax, strict=syntax.strict_colons and scheme in ("http", "https"))
    if not at:
        return None, host
    if not _USERINFO.fullmatch(userinfo):
        raise UrlError("net/url: invalid userinfo")
    name, colon, password = userinfo.partition(b":")
    return (unescape(name), unescape(password) if colon else None), host


def _written(text: bytes, to_escape: re.Pattern[bytes]) -> bytes:
    """Return a path or a fragment as Go writes it: unchanged if it is properly encoded."""
    decoded = unescape(text)
    return text if _ENCODED.fullmatch(text) else _escaped(decoded, to_escape)


def _escaped(text: bytes, to_escape: re.Pattern[bytes]) -> bytes:
    return to_escape.sub(lambda match: b"%%%02X" % match[0][0], text)


def escaped_host(host: str) -> str:
    """Return a host, with its port, escaped for a URL."""
    return _escaped(host.encode("utf-8", "surrogatepass"), _TO_ESCAPE_IN_HOST).decode()


def _parsed_host(host: bytes, syntax: UrlSyntax, *, strict: bool) -> bytes:
    bracket = host.rfind(b"[")
    if syntax.checked_brackets and bracket > 0:
        raise UrlError("invalid IP-literal")
    if host.startswith(b"["):
        return _ip_literal(host, syntax)
    colon = host.find(b":") if strict else host.rfind(b":")
    if colon >= 0:
        _check_port(host[colon:])
    return _unescaped_name(host, _ESCAPABLE_IN_HOST)


def _ip_literal(host: bytes, syntax: UrlSyntax) -> bytes:
    close = host.rfind(b"]")
    if close < 0:
        raise UrlError("missing ']' in host")
    port = host[close + 1 :]
    _check_port(port)
    name = host[1:close]
    address, percent, zone = name.partition(b"%25")
    name = _unescaped_name(address, _ESCAPABLE_IN_HOST) + _unescaped_name(percent + zone, _ESCAPABLE_IN_ZONE)
    if syntax.checked_brackets:
        if (reason := goaddr.error(name)) is not None:
            raise UrlError(f"invalid host: ParseAddr({quote(name)}): {reason}")
        if b":" not in name:
            raise UrlError("invalid IP-literal")  # IPv4 in brackets
    return b"[" + name + b"]" + port


def _check_port(port: bytes) -> None:
    if not _PORT.fullmatch(port):
        raise UrlError(f"invalid port {quote(port)} after host")


def _unescaped_name(name: bytes, escapable: re.Pattern[bytes]) -> bytes:
    """Unescape part of a host; the first error from the left counts."""
    for escape, byte in _NAME_PART.findall(name):
        if byte:
            raise UrlError(f"invalid character {quote(byte)} in host name")
        if not escapable.fullmatch(unescape(escape)):
            raise _bad_escape(escape)
    return unescape(name)


def parse_query(query: str, most: int | None = MOST_PARAMETERS) -> dict[str, list[str]]:
    """Parse a query string with one character a byte (latin-1), as in WSGI. `most`: limit of its fields.

    Raises:
        UrlError: the first error, as in Go's ``url.ParseQuery``.
    """
    pairs = query.encode("latin-1").split(b"&")
    if most is not None and len(pairs) > most:
        raise UrlError("number of URL query parameters exceeded limit")
    if any(b";" in pair for pair in pairs):  # reported before any bad escape
        raise UrlError("invalid semicolon separator in query")
    values: dict[str, list[str]] = {}
    for pair in filter(None, pairs):
        key, _, value = (_unescaped_query(part) for part in pair.partition(b"="))
        values.setdefault(key, []).append(value)
    return values


def query_keys(query: str) -> set[str]:
    """Return the keys that Go's ``URL.Query`` finds; it skips invalid fields."""
    found = set()
    for pair in query.encode("latin-1").split(b"&"):
        if pair and b";" not in pair:
            with suppress(UrlError):
                key, _, _ = (_unescaped_query(part) for part in pair.partition(b"="))
                found.add(key)
    return found


def _unescaped_query(text: bytes) -> str:
    # Check the escapes first: a refused one is shown as sent, with its plus signs.
    unescape(text)
    return unescape(text.replace(b"+", b" ")).decode("utf-8", "replace")


_FORBIDDEN = {
    "localhost": "loopback",
    "127.0.0.1": "loopback",
    "169.254.169.254": "metadata",
    "metadata.google.internal": "metadata",
}


def forbidden_host(host: str, *, wide: bool = True) -> str | None:
    """Return why Central refuses to contact a host: "loopback", "metadata" or, for any other host, None.

    Without `wide`, hosts are compared literally, as in releases before 5.0.
    """
    if not wide or host in _FORBIDDEN:
        return _FORBIDDEN.get(host)
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
