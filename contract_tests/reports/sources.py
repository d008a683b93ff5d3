"""Where a rule stands in the source of Central, or of a library that it is built with, as a link."""

from __future__ import annotations

import re

_TAGS = {"4.8": "4.8.11", "4.9": "4.9.10", "4.10": "4.10.6", "4.11": "4.11.2"}
"""The tag of the newest patch of each release; what has none yet is on the main branch."""
_LIBRARIES = {
    "grpc-gateway": "https://github.com/grpc-ecosystem/grpc-gateway/{kind}/main/{path}",
    "protobuf-go": "https://github.com/protocolbuffers/protobuf-go/{kind}/master/{path}",
    "Go": "https://github.com/golang/go/{kind}/master/src/{path}",
}
_CENTRAL = "https://github.com/stackrox/stackrox/{kind}/{tag}/{path}"


def links(source: str, version: str) -> list[str]:
    """Return the URLs of what a source names, such as `pkg/grpc/server.go` or `Go net/url url.go`."""
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
    tag = version if version.count(".") > 1 else _TAGS.get(version, "master")
    return pattern.format(kind=kind, tag=tag, path=path)
