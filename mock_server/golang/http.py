"""Requests of Go's HTTP client (``net/http``): the host that it dials, and its errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from mock_server.golang import addr as goaddr
from mock_server.golang.url import Url, UrlSyntax, parse


class Asked(NamedTuple):
    """A request before it is sent."""

    url: Url
    host: str
    """The host as it is resolved, in ASCII (Punycode)."""
    failure: str | None
    """Why the client does not send it, or None."""

    @property
    def address(self) -> str:
        """Host and port as they are dialled."""
        port = self.url.port or ("443" if self.url.scheme == "https" else "80")
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"


class Reply(NamedTuple):
    """The result of a request: the error of Go's client, or a status and a body."""

    error: str | None = None
    status: int = 200
    body: str = ""


Ask = Callable[[str, str], Reply]
"""Sends a request of a method, written as Go does (``Post``), to a URL."""


def asked(url: str, syntax: UrlSyntax) -> Asked:
    """Return the request for a URL, as ``http.NewRequest`` and the transport read it.

    Raises:
        UrlError: Go does not parse it.
    """
    return of(parse(url, syntax))


def of(found: Url) -> Asked:
    """Return the request for a parsed URL."""
    if found.host.endswith(b":") and found.host.rfind(b":") > found.host.rfind(b"]"):
        found = found._replace(host=found.host[:-1])
    request = Asked(found, punycode(found.host_name.decode("utf-8", "replace")), None)
    return request._replace(failure=_failure(request))


def _failure(asked: Asked) -> str | None:
    url = asked.url
    if url.scheme not in ("http", "https"):
        return f'unsupported protocol scheme "{url.scheme}"'
    if not url.host:
        return "http: no Host in request URL"
    reason = goaddr.dial_error(asked.address)
    return None if reason is None else f"dial tcp: {reason}"


_STRICT = re.compile(r"-.*|.*-|xn--.*", re.DOTALL)
_JOINERS = frozenset("\u200c\u200d")


def punycode(host: str) -> str:
    """Return the host in ASCII, or unchanged if it has no such form (golang.org/x/net/idna, Lookup)."""
    if host.isascii():
        return host
    import idna  # little used, and slow to import

    try:
        labels = idna.uts46_remap(host, std3_rules=True, transitional=False).split(".")
    except idna.IDNAError:
        return host
    if any(_STRICT.fullmatch(label) or _JOINERS & set(label) for label in labels):
        return host
    return ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels)
