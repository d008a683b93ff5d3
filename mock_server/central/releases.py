"""Differences between builds of Central that are not rules of the contract.

These follow from the versions of Go and of libraries that a release is built with, so they change with a patch.
"""

from __future__ import annotations

from mock_server.contract.releases import Release, Span
from mock_server.golang.url import UrlSyntax


class Build:
    """The behaviour of the libraries of one release."""

    def __init__(self, release: Release) -> None:
        def since(*releases: str) -> bool:
            return Span.of(list(releases), None).has(release)

        strict_colons = since("4.9.9", "4.10.6", "4.11.2")  # net/url: urlstrictcolons
        self.urls = UrlSyntax(strict_colons, checked_brackets=since("4.8.6"))
        """Checks of hosts (net/url)."""
        self.bounded_query = since("4.9.9", "4.10.5", "4.11")  # net/url: urlmaxqueryparams
        """More than 10,000 query parameters are refused."""
        self.keeps_method = since("4.9.9", "4.10.5", "4.11.1")  # net/http ServeMux
        """A redirect of an unclean path keeps the method (307); before, it was a 301."""
        self.whole_numbers = since("4.9.10", "4.10.6", "5.0")  # protobuf-go 1.36.12
        """A number in quotes ends where the text does."""
        self.wide_endpoint_check = since("5.0")  # pkg/endpoints/validate.go
        """All addresses of the loopback network are refused, and addresses of IPv6."""
        self.any_signer = since("4.9")  # cloud.google.com/go/auth
        """Google's image scanner accepts other keys than RSA keys, and its error lists the formats that it tried."""
