"""Headers that grpc-gateway converts to metadata and deadlines."""

import base64
from types import SimpleNamespace

import pytest

from mock_server.gateway import faults
from mock_server.tests.conftest import Api, ask, docker

ADMIN = "Bearer mock-admin-token"


@pytest.mark.parametrize("timeout", ["1n", "-5S", "9999999H", "2562048H"])
def test_an_expired_deadline_is_refused_and_changes_nothing(api, timeout):
    answer = api.ask("POST", "", docker(), {"Grpc-Timeout": timeout})
    assert (answer.status, answer.json["code"], answer.message) == (504, 4, "context deadline exceeded")
    assert answer.rule == "deadline"
    assert len(api.list()) == 12


@pytest.mark.parametrize("timeout", ["30S", "1H", "99999999m", "+5S", "1M", "", "0S", "-0n", "2562047H"])
def test_a_caller_within_its_deadline_is_answered(api, timeout):
    assert api.ask("GET", "", headers={"Grpc-Timeout": timeout}).status == 200


def test_a_delay_counts_towards_the_deadline():
    answer = Api().ask("GET", "", headers={"Grpc-Timeout": "20m", "Prefer": "delay=0.1"})
    assert answer.status == 504


@pytest.mark.parametrize(
    ("path", "timeout", "prefer", "is_cut"),
    [
        ("/v1/imageintegrations", "20m", "delay=60", True),
        ("/v1/imageintegrations", "-1S", "delay=60", True),
        ("/v1/imageintegrations", "0S", "delay=60", False),
        ("/v1/imageintegrations", "x", "delay=60", False),
        ("/v1/imageintegrations", "20m", "delay=60, code=503", False),
        ("/v1/nothing", "20m", "delay=60", False),
    ],
)
def test_a_delay_ends_with_the_time_of_a_caller_who_waits_for_the_gateway(monkeypatch, path, timeout, prefer, is_cut):
    pauses = []
    monkeypatch.setattr(faults, "time", SimpleNamespace(sleep=pauses.append))
    ask(Api().app, "GET", path, headers={"Grpc-Timeout": timeout, "Prefer": prefer})
    [pause] = pauses
    assert pause <= 0.02 if is_cut else pause == 60


@pytest.mark.parametrize("timeout", ["abc", "5", "S", "5s", "5.0S", "99999999999999999999S", " 5S", "5 S"])
def test_an_invalid_timeout_is_refused_before_the_body(api, timeout):
    answer = api.ask("POST", "", b"{", {"Grpc-Timeout": timeout})
    assert (answer.status, answer.json["code"], answer.message) == (400, 3, f"invalid grpc-timeout: {timeout}")
    assert answer.rule == "grpc-timeout"


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("!!", 0),
        ("A", 0),
        ("AA=A", 2),
        ("QUI=", None),
        ("QUI", None),
        ("=", 0),
        ("QQ==", None),
        ("QUJDRA==", None),
        ("QUJDRA==QQ==", 8),
        ("QUI=QUJD", 4),
        ("QUJDQUJDQ", 8),
    ],
)
def test_binary_metadata_is_base64(api, value, at):
    answer = api.ask("GET", "", headers={"Grpc-Metadata-Foo-Bin": value})
    text = f"invalid binary header Grpc-Metadata-Foo-Bin: illegal base64 data at input byte {at}"
    assert answer.status == (200 if at is None else 400)
    assert at is None or (answer.json["code"], answer.message, answer.rule) == (3, text, "grpc-metadata")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Grpc-Metadata-", "there is an empty key in the header"),
        ("Grpc-Metadata-Connection", "stream terminated by RST_STREAM with error code: PROTOCOL_ERROR"),
    ],
)
def test_metadata_that_http_2_cannot_send_fails_after_the_body(name, text):
    api = Api(auth=True)
    answer = api.ask("POST", "", docker(), {name: "x"})
    assert (answer.status, answer.json["code"], answer.message, answer.rule) == (500, 13, text, "grpc-metadata")
    assert api.ask("POST", "", b"{", {name: "x"}).message == "unexpected EOF"


def test_credentials_may_come_as_metadata():
    api = Api(auth=True)
    assert api.ask("GET", "", headers={"Grpc-Metadata-Authorization": ADMIN}).status == 200
    encoded = base64.b64encode(b"admin:mock-password").decode()
    assert api.ask("GET", "", headers={"Grpc-Metadata-Authorization": f"Basic {encoded}"}).status == 200


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": ADMIN, "Grpc-Metadata-Authorization": ADMIN}, {"Authorization": f"{ADMIN},{ADMIN}"}],
    ids=["header and metadata", "two headers"],
)
def test_two_credentials_count_as_none(headers):
    answer = Api(auth=True).ask("POST", "/test", docker(), headers)
    assert (answer.status, answer.message) == (401, "credentials not found")


BASIC = f"Basic {base64.b64encode(b'admin:mock-password').decode()}"


@pytest.mark.parametrize(
    ("sent", "status"), [(f"{BASIC},Basic x", 200), (f"Basic eDp5,{BASIC}", 403), (f"x,{BASIC}", 403)]
)
def test_of_two_basic_credentials_the_first_counts(sent, status):
    """pkg/grpc/authn/basic/extractor.go uses the first value; the extractor of tokens requires a single one."""
    assert Api(auth=True).ask("GET", "", headers={"Authorization": sent}).status == status


@pytest.mark.parametrize(
    ("headers", "status", "text"),
    [
        ({"Host": "a b"}, 400, "400 Bad Request: malformed Host header"),
        ({"Host": ""}, 400, "400 Bad Request: missing required Host header"),
        ({"Host": "a,b"}, 400, "400 Bad Request"),
        ({"Host": "[::1]:8080"}, 200, None),
        ({"Expect": "foo"}, 417, ""),
        ({"Expect": "200-maybe"}, 417, ""),
        ({"Expect": "100-continue"}, 200, None),
        ({"Transfer-Encoding": "gzip, chunked"}, 501, "Unsupported transfer encoding"),
    ],
)
def test_malformed_requests_are_refused_with_go_s_texts(api, headers, status, text):
    answer = api.ask("GET", "", headers=headers)
    assert answer.status == status
    if text is not None:
        assert answer.body.decode() == text
        assert answer.headers["connection"] == "close"


def test_only_options_accepts_an_asterisk_as_target(api):
    refused = ask(api.app, "GET", "*")
    assert (refused.status, refused.body, refused.headers["connection"]) == (400, b"", "close")
    assert ask(api.app, "OPTIONS", "*").status == 200
