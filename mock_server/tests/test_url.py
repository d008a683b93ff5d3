"""URLs as Go's net/url parses and writes them, where no test of an endpoint shows it."""

import pytest

from mock_server.golang.url import UrlError, parse


@pytest.mark.parametrize("url", ["a/b:c/d", "./a:b/c", "http://[fe80::1%25%20]/"])
def test_a_url_is_written_as_it_was_parsed(url):
    assert str(parse(url)) == url


@pytest.mark.parametrize("escape", ["%01", "%C3"])
def test_a_zone_escapes_only_what_a_host_may_have(escape):
    with pytest.raises(UrlError) as error:
        parse(f"http://[fe80::1%25{escape}]/")
    assert error.value.args[-1] == f'invalid URL escape "{escape}"'
