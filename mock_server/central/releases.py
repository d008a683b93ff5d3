"""Differences between builds of Central that are not rules of the contract.

These follow from the versions of Go and of libraries that a release is built with, so they change with a patch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from mock_server.contract.releases import Release, Span
from mock_server.golang.url import UrlSyntax


def _since(*releases: str) -> Span:
    return Span.of(list(releases), None)


_SINCE: Mapping[str, Span] = {
    "checked_brackets": _since("4.8.6"),  # net/url
    "strict_colons": _since("4.9.9", "4.10.6", "4.11.2"),  # net/url: urlstrictcolons
    "bounded_query": _since("4.9.9", "4.10.5", "4.11"),  # net/url: urlmaxqueryparams
    "keeps_method": _since("4.9.9", "4.10.5", "4.11.1"),  # net/http ServeMux
    "whole_numbers": _since("4.9.10", "4.10.6", "5.0"),  # protobuf-go 1.36.12
    "wide_endpoint_check": _since("5.0"),  # pkg/endpoints/validate.go
    "any_signer": _since("4.9"),  # cloud.google.com/go/auth
}


class Build(NamedTuple):
    """The behaviour of the libraries of one release."""

    urls: UrlSyntax
    """Checks of hosts."""
    bounded_query: bool
    """More than 10,000 query parameters are refused."""
    keeps_method: bool
    """A redirect of an unclean path keeps the method (307); before, it was a 301."""
    whole_numbers: bool
    """A number in quotes ends where the text does."""
    wide_endpoint_check: bool
    """All addresses of the loopback network are refused, and addresses of IPv6."""
    any_signer: bool
    """Google's image scanner accepts other keys than RSA keys, and its error lists the formats that it tried."""


def of(release: Release) -> Build:
    """Return the behaviour of a release."""
    has = {name: span.has(release) for name, span in _SINCE.items()}
    urls = UrlSyntax(has.pop("strict_colons"), has.pop("checked_brackets"))
    return Build(urls, **has)
