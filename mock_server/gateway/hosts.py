"""Checks of the Host header, and of the origins of browser pages.

A page can point its own name at 127.0.0.1 (DNS rebinding). Its browser then treats the mock as the page's own server;
only the Host header shows the difference.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from mock_server.central.errors import Refusal
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.messages import Response
from mock_server.sandboxes.sandboxes import Sandboxes

if TYPE_CHECKING:
    from mock_server.gateway.instance import Instance

RULE = "host"
OWN = "/__"
"""Prefix of paths that Central does not have, such as control calls and sandboxes."""
_LONGEST_NAME = 253


def require_host(sandboxes: Sandboxes[Instance], names: Collection[str], proceed: Proceed) -> Proceed:
    """Refuse requests for host names that are not the server's, before faults and request journal.

    `names`: shell patterns; addresses and localhost are always allowed.
    """

    def answer(exchange: Exchange) -> Response:
        request = exchange.request
        fault = host_fault(request.path, request.headers.get("host", ""), names)
        is_url = request.target[:1] not in ("", "/")  # as in requests to proxies; pages cannot send it
        if not fault or (is_url and not request.path.startswith(OWN)):
            return proceed(exchange)
        exchange.refusal = Refusal(RULE, 403, 7, fault)
        return sandboxes.home.answer(exchange)

    return answer


def is_local(name: str) -> bool:
    """Return whether a name or an address is on loopback."""
    name = name.lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(name)
    return address is not None and (getattr(address, "ipv4_mapped", None) or address).is_loopback


def host_fault(path: str, host: str, names: Collection[str]) -> str:
    """Return why a request with this Host header is refused, or "".

    Addresses, localhost and `names` (shell patterns) can request everything. A name without a dot can request Central's
    paths: hosts files and containers have such names, but no page on the internet.
    """
    name = _name(host)
    if is_local(name) or _address(name) is not None or any(fnmatchcase(name, _name(each)) for each in names):
        return ""
    if "." not in name and not path.startswith(OWN):
        return ""
    if not name:
        return "a request without a Host header cannot use the mock's own paths"
    return f"{name!r} is not a name of this mock; serve --allow-host {name} adds it"


def _name(host: str) -> str:
    """Return the name of a Host header, without its port."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower().removesuffix(".")[:_LONGEST_NAME]


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def page_fault(host: str, origin: str | None, fetch_site: str | None, cors: str | None) -> str:
    """Return why a control call from a browser page is refused, or "".

    Args:
        host: The Host header.
        origin: The Origin header. Browsers send none with a simple GET.
        fetch_site: The Sec-Fetch-Site header. Browsers send it to this machine, and to others over TLS.
        cors: The allowed origin.
    """
    if origin is None or origin == cors:
        is_foreign = is_cross_site(host, origin, fetch_site, cors)
        return "pages of other sites cannot make control calls; --cors ORIGIN allows one" if is_foreign else ""
    return "" if _is_of(origin, host) else f"pages of {origin} cannot make control calls; --cors {origin} allows them"


def is_cross_site(host: str, origin: str | None, fetch_site: str | None, cors: str | None) -> bool:
    """Return whether a page of another site sent the request, such as by a link, and `cors` does not allow it."""
    if origin is not None and cors in ("*", origin):
        return False
    if fetch_site is not None:
        return fetch_site == "cross-site"
    return origin is not None and not _is_of(origin, host)


def _is_of(origin: str, host: str) -> bool:
    return bool(host) and origin.partition("://")[2] == host
