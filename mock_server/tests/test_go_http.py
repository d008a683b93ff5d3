"""Requests as Go's HTTP client reads their URLs."""

import pytest

from mock_server.golang.http import asked
from mock_server.golang.url import NEWEST, UrlError, UrlSyntax


def test_older_releases_accept_more_colons_in_a_host():
    assert asked("http://a:b:5", UrlSyntax(strict_colons=False)).host == "a:b"
    with pytest.raises(UrlError, match="invalid port"):
        asked("http://a:b:5", NEWEST)
