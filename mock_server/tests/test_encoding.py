"""Encoding of answers: headers, compression and indent."""

import pytest

from mock_server.gateway.encoding import header_text
from mock_server.tests.conftest import Api, docker


def test_a_long_header_is_shortened_and_marked():
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


PRETTY = "application/json+pretty"


@pytest.mark.parametrize(
    ("query", "headers", "indented"),
    [
        ("pretty", {}, True),
        ("%70retty=1", {}, True),
        ("a;b&pretty", {}, True),
        ("pretty=%zz", {}, False),
        ("pretty;x", {}, False),
        ("Pretty", {}, False),
        ("", {"Accept": PRETTY}, True),
        ("", {"Accept": f"{PRETTY};q=1"}, False),
        ("", {"Content-Type": "Application/JSON+pretty; charset=utf-8"}, True),
        ("", {"Content-Type": PRETTY, "Accept": "text/html"}, True),
        ("", {"Content-Type": PRETTY, "Accept": "*"}, False),
        ("", {"Content-Type": f"{PRETTY};x"}, False),
    ],
)
def test_an_indent_is_requested_by_query_accept_or_content_type(api, query, headers, indented):
    """Recorded with grpc-gateway 2.29.0."""
    answer = api.ask("GET", f"/x?{query}", headers=headers)
    assert answer.body.startswith(b'{\n  "code"' if indented else b'{"code"')


@pytest.mark.parametrize("query", ["", "?pretty"])
def test_an_answer_has_no_needless_escapes(query):
    answer = Api(empty=True).ask("POST", query, docker(name="Zürich <&>"))
    assert "Zürich <&>".encode() in answer.body


def test_form_fields_do_not_request_an_indent(api):
    headers = {"X-HTTP-Method-Override": "GET", "Content-Type": "application/x-www-form-urlencoded"}
    assert api.ask("POST", "/x", b"pretty", headers).body.startswith(b'{"code"')
