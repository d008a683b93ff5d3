"""Go's errors for invalid IP addresses (``net/netip``: ``ParseAddr``) and invalid pairs of host and port."""

from __future__ import annotations

from mock_server.golang.text import quote

_LARGEST_PORT = 65535


def error(text: bytes) -> str | None:
    """Return Go's reason why `text` is not an IP address, or None if it is one."""
    kind = next((byte for byte in text if byte in b".:%"), None)
    if kind is None:
        return "unable to parse IP"
    if kind == ord("%"):
        return "missing IPv6 address"
    return _ipv4_error(text) if kind == ord(".") else _ipv6_error(text)


def host_port_error(text: str) -> str | None:
    """Return Go's reason why `text` is not ``host:port``, or None if it is one (Go ``net``: ``SplitHostPort``)."""
    colon = text.rfind(":")
    if colon < 0:
        return "missing port in address"
    inside, behind = 0, 0  # offsets from which "[" and "]" are not allowed
    if text.startswith("["):
        close = text.find("]")
        if close < 0:
            return "missing ']' in address"
        if close + 1 != colon:
            return f"{'too many colons' if text[close + 1 : close + 2] == ':' else 'missing port'} in address"
        inside, behind = 1, close + 1
    elif ":" in text[:colon]:
        return "too many colons in address"
    if "[" in text[inside:]:
        return "unexpected '[' in address"
    return "unexpected ']' in address" if "]" in text[behind:] else None


def dial_error(address: str) -> str | None:
    """Return Go's error for a host and a port that cannot be dialled, or None (Go ``net``: ``Dial``)."""
    if (reason := host_port_error(address)) is not None:
        return f"address {address}: {reason}"
    _, _, port = address.rpartition(":")
    if port and not (port.isascii() and port.isdigit()):
        return f"lookup tcp/{port}: unknown port"
    return f"address {port}: invalid port" if port and int(port[:20]) > _LARGEST_PORT else None


def _at(reason: str, rest: bytes) -> str:
    return f"{reason} (at {quote(rest)})"


def _ipv4_error(text: bytes) -> str | None:
    value, digits, fields = 0, 0, 0
    for index, byte in enumerate(text):
        if byte in b"0123456789":
            if digits == 1 and value == 0:
                return "IPv4 field has octet with leading zero"
            value, digits = value * 10 + byte - ord("0"), digits + 1
            if value > 255:
                return "IPv4 field has value >255"
        elif byte == ord("."):
            if index in (0, len(text) - 1) or text[index - 1] == byte:
                return _at("IPv4 field must have at least one digit", text[index:])
            if fields == 3:
                return "IPv4 address too long"
            value, digits, fields = 0, 0, fields + 1
        else:
            return _at("unexpected character", text[index:])
    return "IPv4 address too short" if fields < 3 else None


def _ipv6_error(text: bytes) -> str | None:
    rest, percent, zone = text.partition(b"%")
    if percent and not zone:
        return "zone must be a non-empty string"
    ellipsis = rest.startswith(b"::")
    if ellipsis:
        rest = rest[2:]
        if not rest:
            return None
    filled = 0  # bytes of the address
    while filled < 16:
        width = len(rest) - len(rest.lstrip(b"0123456789abcdefABCDEF"))
        if width > 4:
            return _at("each group must have 4 or less digits", rest)
        if width == 0:
            return _at("each colon-separated field must have at least one digit", rest)
        if rest[width : width + 1] == b".":
            return _embedded_ipv4_error(rest, filled, ellipsis=ellipsis)
        filled += 2
        rest = rest[width:]
        if not rest:
            break
        if rest[:1] != b":":
            return _at("unexpected character, want colon", rest)
        if len(rest) == 1:
            return _at("colon must be followed by more characters", rest)
        rest = rest[1:]
        if rest[:1] == b":":
            if ellipsis:
                return _at("multiple :: in address", rest)
            ellipsis, rest = True, rest[1:]
            if not rest:
                break
    if rest:
        return _at("trailing garbage after address", rest)
    return _length_error(filled, ellipsis=ellipsis)


def _embedded_ipv4_error(rest: bytes, filled: int, *, ellipsis: bool) -> str | None:
    if not ellipsis and filled != 12:
        return _at("embedded IPv4 address must replace the final 2 fields of the address", rest)
    if filled + 4 > 16:
        return _at("too many hex fields to fit an embedded IPv4 at the end of the address", rest)
    return _ipv4_error(rest) or _length_error(filled + 4, ellipsis=ellipsis)


def _length_error(filled: int, *, ellipsis: bool) -> str | None:
    if filled < 16:
        return None if ellipsis else "address string too short"
    return "the :: must expand to at least one field of zeros" if ellipsis else None
