"""URLs as Go's net/url parses and writes them, beyond the tests of endpoints."""

import pytest

from mock_server.golang.url import Url, UrlError, parse


@pytest.mark.parametrize("url", ["a/b:c/d", "./a:b/c", "http://[fe80::1%25%20]/"])
def test_a_parsed_url_is_written_unchanged(url):
    assert str(parse(url)) == url


@pytest.mark.parametrize("escape", ["%01", "%C3"])
def test_a_zone_may_escape_only_characters_of_hosts(escape):
    with pytest.raises(UrlError) as error:
        parse(f"http://[fe80::1%25{escape}]/")
    assert error.value.args[-1] == f'invalid URL escape "{escape}"'


def test_a_slash_separates_a_host_from_a_path_without_one():
    assert str(Url("https", host=b"a.test", path=b"v2")) == "https://a.test/v2"
