"""Targets of grpc-go, and the errors of dialling them (``grpc.Dial``)."""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

from mock_server.golang import addr as goaddr
from mock_server.golang.text import quote
from mock_server.golang.url import UrlError, UrlSyntax, parse

_RESOLVERS = ("passthrough", "dns", "unix", "unix-abstract")
_CODES = {401: "Unauthenticated", 403: "PermissionDenied", 404: "Unimplemented"}


class TargetError(ValueError):
    """An invalid target; the text is grpc-go's."""


class Target(NamedTuple):
    """The resolver and the endpoint of a connection."""

    scheme: str
    endpoint: str

    @property
    def host(self) -> str:
        """The host to resolve, or ""."""
        if self.scheme.startswith("unix") or (self.scheme != "dns" and goaddr.dial_error(self.address) is not None):
            return ""
        host, _, _ = self.address.rpartition(":")
        return host.removeprefix("[").removesuffix("]")

    @property
    def address(self) -> str:
        """Host and port as they are dialled."""
        if self.scheme != "dns" or goaddr.host_port_error(self.endpoint) is None:
            return self.endpoint
        bare = self.endpoint.removeprefix("[").removesuffix("]")
        return f"[{bare}]:443" if ":" in bare else f"{self.endpoint}:443"


def target(text: str, syntax: UrlSyntax) -> Target:
    """Parse a target; without a known scheme it is ``passthrough``.

    Raises:
        TargetError: the target is invalid.
    """
    try:
        url = parse(text, syntax)
        known = url.scheme in _RESOLVERS
    except UrlError:
        known = False
    if not known:
        try:
            url = parse(f"passthrough:///{text}", syntax)
        except UrlError as error:
            raise TargetError(str(error)) from None
    endpoint = (url.decoded_path or url.opaque).decode("utf-8", "replace")
    if not url.scheme.startswith("unix"):
        endpoint = endpoint.removeprefix("/")
    authority = url.host.decode("utf-8", "replace")
    reason = None
    if url.scheme == "passthrough" and not endpoint:
        reason = "passthrough: received empty target in Build()"
    elif url.scheme == "dns":
        reason = _dns_error(endpoint, 443) or (_dns_error(authority, 53) if authority else None)
    elif url.scheme.startswith("unix") and authority:
        reason = f"invalid (non-empty) authority: {authority}"
    if reason is not None:
        raise TargetError(f"failed to exit idle mode: failed to start resolver: {reason}")
    return Target(url.scheme, endpoint)


def _dns_error(endpoint: str, port: int) -> str | None:
    """Return the error of the DNS resolver for a host with or without a port, or None; `port` is the default."""
    if not endpoint:
        return "dns resolver: missing address"
    if goaddr.error(endpoint.encode()) is None:
        return None
    if goaddr.host_port_error(endpoint) is None:
        return "dns resolver: missing port after port-separator colon" if endpoint.endswith(":") else None
    reason = goaddr.host_port_error(f"{endpoint}:{port}")
    if reason is None:
        return None
    return f"invalid target address {endpoint}, error info: address {endpoint}:{port}: {reason}"


def unreachable(asked: Target, outcome: str) -> str | None:
    """Return the error of a call that reaches no server, or None.

    `outcome` is the error of dialling the host or of the handshake; it is empty if a server answers.
    """
    if asked.scheme.startswith("unix"):
        reason = _no_socket(asked)
    elif asked.scheme == "dns" and ": no such host" in outcome:
        return "rpc error: code = Unavailable desc = name resolver error: produced zero addresses"
    elif (wrong := goaddr.dial_error(asked.address)) is not None:
        reason = f"dial tcp: {wrong}"
    elif outcome:
        reason = outcome
    else:
        return None
    what = "authentication handshake failed" if reason.startswith("tls: ") else "Error while dialing"
    return f"rpc error: code = Unavailable desc = connection error: desc = {quote(f'transport: {what}: {reason}')}"


def _no_socket(asked: Target) -> str:
    if asked.scheme == "unix-abstract":
        return f"dial unix @{asked.endpoint}: connect: connection refused"
    if not asked.endpoint:
        return "dial unix: missing address"
    return f"dial unix {asked.endpoint}: connect: no such file or directory"


def answered(status: int) -> str:
    """Return the error of a call that an HTTP server answers instead of a gRPC server."""
    code = _CODES.get(status, "Unknown")
    return (
        f"rpc error: code = {code} desc = unexpected HTTP status code received from server: "
        f"{status} ({HTTPStatus(status).phrase}); malformed header: missing HTTP content-type"
    )
