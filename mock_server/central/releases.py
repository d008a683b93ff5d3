"""What one build of Central does otherwise than another, beside the rules of the contract.

These follow from the versions of Go and of libraries that a release is built with, so they change with a patch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from mock_server.golang.url import Ways

_NEWEST_PATCHES = {"4.8": 11, "4.9": 10, "4.10": 6, "4.11": 2}
"""What a minor alone stands for; a later one is played as it is at its beginning."""

_Release = tuple[int, int, int]
_SINCE: Mapping[str, tuple[_Release, ...]] = {
    "checked_brackets": ((4, 8, 6), (4, 9, 0)),  # net/url
    "strict_colons": ((4, 9, 9), (4, 10, 6), (4, 11, 2), (5, 0, 0)),  # net/url: urlstrictcolons
    "bounded_query": ((4, 9, 9), (4, 10, 5), (4, 11, 0)),  # net/url: urlmaxqueryparams
    "keeps_method": ((4, 9, 9), (4, 10, 5), (4, 11, 1), (5, 0, 0)),  # net/http ServeMux
    "catalog": ((4, 9, 9), (4, 10, 5), (4, 11, 1), (5, 0, 0)),  # pkg/registries/artifactory/artifactory.go
    "whole_numbers": ((4, 9, 10), (4, 10, 6), (5, 0, 0)),  # protobuf-go 1.36.12
    "hides_database": ((4, 11, 0),),  # pkg/grpc/errors/interceptor.go
    "wide_endpoint_check": ((5, 0, 0),),  # pkg/endpoints/validate.go
    "any_signer": ((4, 9, 0),),  # cloud.google.com/go/auth
}
"""The first releases that have something: the last one began it, those before are patches of older minors."""


class Build(NamedTuple):
    """How the libraries of one release behave."""

    urls: Ways
    """How hosts are read."""
    bounded_query: bool
    """More than 10,000 query parameters are refused."""
    keeps_method: bool
    """A redirect of an unclean path keeps the method (307); before, it was a 301."""
    catalog: bool
    """The test of Artifactory asks for the catalog, not only whether a registry is there."""
    whole_numbers: bool
    """A number in quotes ends where the text does."""
    hides_database: bool
    """Errors of the database are replaced by a text of Central's own."""
    wide_endpoint_check: bool
    """All addresses of the loopback network are refused, and addresses of IPv6."""
    any_signer: bool
    """Google's image scanner takes keys that are no RSA keys, and tells what it tried."""


def of(version: str) -> Build:
    """Return how a release behaves; a minor alone stands for its newest patch."""
    has = {name: _has(_numbers(version), first) for name, first in _SINCE.items()}
    urls = Ways(has.pop("strict_colons"), has.pop("checked_brackets"))
    return Build(urls, **has)


def _numbers(version: str) -> _Release:
    major, minor, *patch = map(int, re.findall(r"\d+", version)[:3])
    if (major, minor) == (4, 12):  # it came out as 5.0
        return 5, 0, 0
    return major, minor, patch[0] if patch else _NEWEST_PATCHES.get(f"{major}.{minor}", 0)


def _has(release: _Release, since: tuple[_Release, ...]) -> bool:
    *patched, first = since
    return release >= first or any(release[:2] == each[:2] and release >= each for each in patched)
