"""Links to the source of a rule, in Central or in a library that it is built with."""

from __future__ import annotations

import re

from mock_server.contract import tables as contracts

_LIBRARIES = {
    "grpc-gateway": "https://github.com/grpc-ecosystem/grpc-gateway/{kind}/main/{path}",
    "protobuf-go": "https://github.com/protocolbuffers/protobuf-go/{kind}/master/{path}",
    "Go": "https://github.com/golang/go/{kind}/master/src/{path}",
}
_CENTRAL = "https://github.com/stackrox/stackrox/{kind}/{tag}/{path}"


def links(source: str, version: str) -> list[str]:
    """Return the URLs of a rule's source, such as `pkg/grpc/server.go` or `Go net/url url.go`."""
    return [url for part in source.split(", ") if (url := _link(part, version))]


def _link(source: str, version: str) -> str:
    library, _, path = source.partition(" ")
    pattern = _LIBRARIES.get(library)
    if pattern is None:
        pattern, path = _CENTRAL, source
    path = path.replace(" ", "/")
    if not re.fullmatch(r"[\w./-]+/[\w./-]+", path) or path == "generated/handlers":
        return ""
    kind = "blob" if "." in path.rpartition("/")[2] else "tree"
    return pattern.format(kind=kind, tag=_tag(version), path=path)


def _tag(version: str) -> str:
    """Return the git tag of a release, or "master" for the newest."""
    releases = contracts.load().releases
    release = releases.find(version)
    return "master" if release == releases.newest else str(release)
