"""Which sandbox a request is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mock_server.central.errors import Refusal
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.hosts import is_cross_site
from mock_server.gateway.messages import Response
from mock_server.sandboxes.sandboxes import PREFIX, Sandbox, Sandboxes

if TYPE_CHECKING:
    from mock_server.gateway.instance import Instance

CONTROL = "/__admin/"
"""Of paths: control calls, which look into a sandbox and are no requests to it."""
HEADER = "mock-central-sandbox"


class ChooseSandbox:
    """Names the sandbox by path, by header, or leaves the default one.

    Control calls, and requests whose sandbox cannot be, pass by the faults and the request journal.
    """

    def __init__(self, sandboxes: Sandboxes[Instance]) -> None:
        self.sandboxes = sandboxes

    def __call__(self, proceed: Proceed) -> Proceed:
        """Answer in the sandbox that is named."""

        def answer(exchange: Exchange) -> Response:
            request = exchange.request
            if not request.path.startswith("/__") and HEADER not in request.headers:
                return proceed(exchange)
            try:
                exchange.sandbox = self._named(exchange)
            except Refusal as refusal:
                exchange.refusal = refusal
                return self.sandboxes.home.answer(exchange)
            if f"{exchange.request.path}/".startswith(CONTROL):
                return self.sandboxes.home.answer(exchange)
            return proceed(exchange)

        return answer

    def _named(self, exchange: Exchange) -> Sandbox[Instance]:
        request = exchange.request
        if request.path.startswith(PREFIX):
            headers, cors = request.headers, self.sandboxes.home.settings.cors
            if is_cross_site(headers.get("host", ""), headers.get("origin"), headers.get("sec-fetch-site"), cors):
                raise Refusal("sandbox", 403, 7, "a page of another site makes no sandbox; --cors ORIGIN lets one in")
            name, slash, rest = request.path.removeprefix(PREFIX).partition("/")
            exchange.request = request._replace(path=slash + rest, prefix=request.prefix + PREFIX + name)
            return self.sandboxes.get(name)
        if HEADER in request.headers:
            return self.sandboxes.get(request.headers[HEADER])
        return self.sandboxes.default
