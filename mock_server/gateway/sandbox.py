"""Choice of the sandbox of a request.

A client names it in the path or in a header. Browsers send no such header, and pages request absolute paths. So a page
below the path of a sandbox sets a cookie, and redirects to the same page without the prefix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from mock_server.central.errors import Refusal
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.hosts import OWN, is_cross_site
from mock_server.gateway.messages import Request, Response, utf8
from mock_server.sandboxes.sandboxes import NAME, PREFIX, Sandbox, Sandboxes

if TYPE_CHECKING:
    from mock_server.gateway.instance import Instance

CONTROL = "/__admin/"
"""Prefix of control calls, which inspect a sandbox."""
HEADER = "mock-central-sandbox"
COOKIE = "mock-central-sandbox"
"""Beginning of the cookie's name; the port follows, because browsers ignore it in the scope of cookies."""
NOT_PAGES = {"v1", "v2", "api", "sso", "docs", "__admin"}
"""First segments of paths that are not pages of the UI."""

_PAGE = "text/html"
_SAFE = "/:@!$&'()*+,;=-._~"


def choose_sandbox(sandboxes: Sandboxes[Instance], proceed: Proceed) -> Proceed:
    """Choose the sandbox by path, header or cookie; by default the default one.

    Control calls, and requests for an invalid sandbox, skip faults and request journal. Control calls ignore the
    cookie, because the console's address names its sandbox.
    """

    def answer(exchange: Exchange) -> Response:
        request = exchange.request
        headers = request.headers
        if not request.path.startswith(OWN) and HEADER not in headers and "cookie" not in headers:
            return proceed(exchange)
        if (page := _page(sandboxes, request)) is not None:
            return page
        try:
            exchange.sandbox = _named(sandboxes, exchange)
        except Refusal as refusal:
            exchange.refusal = refusal
            return sandboxes.home.answer(exchange)
        if f"{exchange.request.path}/".startswith(CONTROL):
            return sandboxes.home.answer(exchange)
        return proceed(exchange)

    return answer


def _named(sandboxes: Sandboxes[Instance], exchange: Exchange) -> Sandbox[Instance]:
    request = exchange.request
    if request.path.startswith(PREFIX):
        headers, cors = request.headers, sandboxes.home.settings.cors
        if is_cross_site(headers.get("host", ""), headers.get("origin"), headers.get("sec-fetch-site"), cors):
            raise Refusal("sandbox", 403, 7, "a page of another site cannot create a sandbox; --cors ORIGIN allows one")
        name, slash, rest = request.path.removeprefix(PREFIX).partition("/")
        exchange.request = request._replace(path=slash + rest, prefix=request.prefix + PREFIX + name)
        return sandboxes.get(utf8(name))
    if HEADER in request.headers:
        return sandboxes.get(utf8(request.headers[HEADER]))
    if "cookie" in request.headers and not f"{request.path}/".startswith(CONTROL):
        name = _cookies(request).get(_cookie(request), "")
        if NAME.fullmatch(name):
            return sandboxes.get(name)
    return sandboxes.default


def _page(sandboxes: Sandboxes[Instance], request: Request) -> Response | None:
    """Redirect from a page below the path of a sandbox to the page itself; an empty name leaves the sandbox."""
    settings = sandboxes.home.settings
    if not request.path.startswith(PREFIX) or (settings.ui is None and settings.upstream is None):
        return None
    name, _, rest = request.path.removeprefix(PREFIX).partition("/")
    rest = rest.lstrip("/")  # two slashes would lead to another host
    is_page = request.method == "GET" and _PAGE in request.headers.get("accept", "")
    if not is_page or rest.partition("/")[0] in NOT_PAGES or not (name == "" or NAME.fullmatch(name)):
        return None
    target = f"{request.prefix}/{quote(rest.encode('latin-1'), safe=_SAFE)}"
    age = "" if name else "; Max-Age=0"
    cookie = f"{_cookie(request)}={name}; Path={request.prefix or '/'}; HttpOnly; SameSite=Lax{age}"
    headers = (
        ("Location", f"{target}?{request.query}" if request.query else target),
        ("Set-Cookie", cookie),
        ("Cache-Control", "no-store"),
    )
    return Response(302, headers)


def _cookie(request: Request) -> str:
    _, _, port = request.headers.get("host", "").rpartition(":")
    return f"{COOKIE}-{port}" if port.isdecimal() else COOKIE


def _cookies(request: Request) -> dict[str, str]:
    pairs = (each.partition("=") for each in request.headers["cookie"].split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs}
