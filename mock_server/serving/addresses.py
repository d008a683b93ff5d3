"""The address that a server listens on: from a host name to the moment it answers."""

from __future__ import annotations

import errno
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from mock_server.settings import DEFAULT_PORTS

_EVERY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 (to compare with)


class ServeError(Exception):
    """The server cannot start; the text says what to do."""


def resolve(host: str) -> str:
    """Return the address of this machine for a host name, an IPv4 one if it has both; brackets may enclose IPv6.

    Raises:
        ServeError: the name cannot be resolved.
    """
    name = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        # An empty name means every address.
        found = socket.getaddrinfo(name or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ServeError(
            f"--host: {host!r} cannot be resolved; use an address of this machine such as 127.0.0.1 or ::1, "
            f"or a name from its hosts file such as localhost"
        ) from None
    addresses = sorted(found, key=lambda each: each[0] != socket.AF_INET)
    return str(addresses[0][4][0])


def free_port(address: str, port: int) -> int:
    """Return `port` if it is free, or any free port for 0.

    Raises:
        ServeError: the port is taken or not allowed, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((address, port))
            return int(tried.getsockname()[1])
    except OSError as error:
        raise ServeError(_why_not(address, port, error)) from None


@contextmanager
def claimed(address: str, port: int) -> Iterator[None]:
    """Keep other mocks from listening on the same port.

    granian sets SO_REUSEPORT, so two servers that start at the same time would both listen, each with its own state.

    Raises:
        ServeError: another mock has claimed the port.
    """
    if sys.platform != "linux":  # other systems have no socket names that disappear with the process
        yield
        return
    with socket.socket(socket.AF_UNIX) as claim:
        try:
            claim.bind(f"\0mock-central {address} {port}")
        except OSError as error:
            raise ServeError(_why_not(address, port, error)) from None
        yield


def url_of(host: str, port: int, *, secure: bool = False) -> str:
    """Return the URL of a server that listens on a host (as given), for clients on this machine."""
    name = host.strip("[]")
    name = "127.0.0.1" if name in _EVERY_ADDRESS else f"[{name}]" if ":" in name else name
    return f"{'https' if secure else 'http'}://{name}:{port}"


def _why_not(address: str, port: int, error: OSError) -> str:
    """Return why listening failed, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return f"--port: port {port} of {address} is taken; choose another one, or 0 for a free one"
    if error.errno == errno.EACCES:
        return f"--port: port {port} is not allowed for this user; choose one from 1024 on, or 0 for a free one"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host: {address} is not an address of this machine; choose one that is, such as 127.0.0.1"
    return f"--host: cannot listen on {address} port {port}: {error.strerror or error}; choose another --host or --port"


def check_upstream(url: str, host: str, port: int) -> None:
    """Raise ServeError if the upstream is this server itself."""
    parts = urlsplit(url)
    there = parts.port or DEFAULT_PORTS[parts.scheme]
    if there == port and parts.hostname in (host, "localhost", "127.0.0.1", "::1"):
        raise ServeError(f"--upstream {url} is this server itself; give the address of another, or another --port")


def when_listening(host: str, port: int, call: Callable[[], None]) -> None:
    """Call a function once requests are answered at this address."""
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            call()
            return
