"""How an answer is written: compressed from the size from which Central's gzip handler compresses."""

import pytest

from mock_server.gateway.encoding import header_text
from mock_server.tests.conftest import Api, docker


def test_a_long_header_is_cut_and_says_so():
    assert header_text("x" * 2000) == "x" * 2000
    assert header_text("x" * 2001) == "x" * 2000 + "..."


GZIP = {"Accept-Encoding": "gzip"}


@pytest.mark.parametrize(("length", "coding"), [(1399, None), (1400, "gzip"), (1401, "gzip")])
def test_an_answer_is_compressed_from_1400_bytes(length, coding):
    api = Api()
    id = api.created(docker(name="n"))
    short = len(api.get(id).body)
    long = api.created(docker(name="n" * (length - short + 1)))
    answer = api.ask("GET", f"/{long}", headers=GZIP)
    assert len(api.get(long).body) == length
    assert answer.headers.get("content-encoding") == coding
