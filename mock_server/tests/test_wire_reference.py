"""The Python versions of Go's libraries, compared with recordings of the originals (reference/README.md)."""

import base64
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.central import protojson
from mock_server.central.errors import Refusal
from mock_server.central.releases import Build
from mock_server.central.validation import Validation
from mock_server.contract import tables as contracts
from mock_server.contract import validator as validators
from mock_server.golang import google_credentials, timestamps
from mock_server.golang import json as gojson
from mock_server.golang import text as gotext
from mock_server.golang import url as gourl
from mock_server.tests.conftest import Api, integrations, more_examples, updates

CONTRACT = contracts.load().at("5.0")
"""The release whose messages the recording program has."""
DEPLOYED = Api(as_deployed=True)
DECODER = protojson.Decoder(CONTRACT, show_credentials=True)
SCHEMAS = {
    "ImageIntegration": "StorageImageIntegration",
    "UpdateImageIntegrationRequest": "V1UpdateImageIntegrationRequest",
}


def recorded(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    text = (Path(__file__).parent / "reference" / f"{name}.jsonl").read_text("utf-8")
    return [(line["input"], line["output"]) for line in map(json.loads, text.splitlines())]


def bytes_of(question: dict[str, Any]) -> bytes:
    if "repeat" in question:
        each = question["repeat"]
        nested = each["prefix"] + each["unit"] * each["times"] + each["suffix"] + each["close"] * each["times"]
        return (nested + each["end"]).encode()
    for key in ("body", "value_base64"):
        if key in question:
            return base64.b64decode(question[key])
    return question.get("text", question.get("value")).encode("utf-8", "surrogatepass")


def decoded(question: dict[str, Any]) -> dict[str, Any]:
    message = CONTRACT.message(SCHEMAS[question["message"]])
    try:
        value = DECODER.decode(message, bytes_of(question))
    except Refusal as refusal:
        return {"error": refusal.message}
    return {"ok": value, "size": protojson.size(message, value, CONTRACT.categories)}


def endpoint_checked(question: dict[str, Any]) -> dict[str, Any]:
    class NoNames:
        def id_of_name(self, name: str) -> None:
            return None

    validation = Validation(CONTRACT, NoNames(), Build(contracts.load().release), managed=False)
    integration = protojson.complete(CONTRACT.integration, {"clair": {"endpoint": question["value"]}})
    found = validation.endpoint(integration)
    return {"error": found.text.removeprefix("invalid endpoint: ")} if found else {"ok": True}


def query_read(question: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"ok": gourl.parse_query(question["value"].encode().decode("latin-1"))}
    except gourl.UrlError as error:
        return {"error": str(error)}


def json_checked(question: dict[str, Any]) -> dict[str, Any]:
    try:
        gojson.check_document(bytes_of(question))
    except gojson.JsonSyntaxError as error:
        return {"error": str(error)}
    return {}


@pytest.mark.parametrize(
    ("name", "answer"), [("wire", decoded), ("endpoints", endpoint_checked), ("queries", query_read)]
)
def test_every_recorded_answer_is_repeated(name, answer):
    found = [(question, answer(question)) for question, _ in recorded(name)]
    assert [pair for pair in zip(found, recorded(name), strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize(("question", "expected"), recorded("quotes"))
def test_texts_are_quoted_as_recorded(question, expected):
    unassigned = [character for character in expected["ok"] if unicodedata.category(character) == "Cn"]
    if unassigned:  # Go shows only what is assigned
        pytest.skip("this Python's Unicode is older than Go's")
    assert gotext.quote(bytes_of(question)) == expected["ok"]


def test_invalid_json_has_the_recorded_errors():
    """Go also refuses values of the wrong type for a struct, but that is not a syntax error."""
    expected = [
        (question, {} if "ok" in output or "cannot unmarshal" in output["error"] else output)
        for question, output in recorded("json")
    ]
    assert [(question, json_checked(question)) for question, _ in expected] == expected


def test_invalid_google_credentials_have_the_recorded_errors():
    def checked(question: dict[str, Any]) -> dict[str, Any]:
        text = bytes_of(question)
        try:
            reason = None if google_credentials.is_client_file(text) else google_credentials.error(text)
        except gojson.JsonSyntaxError as error:
            reason = str(error)
        return {"ok": True} if reason is None else {"error": reason}

    expected = recorded("google")
    assert [(question, checked(question)) for question, _ in expected] == expected


@more_examples(4)
@given(
    integrations.map(lambda value: ("StorageImageIntegration", value))
    | updates.map(lambda value: ("V1UpdateImageIntegrationRequest", value))
)
def test_both_decoders_agree_on_conforming_bodies(pair):
    schema, value = pair
    message = CONTRACT.message(schema)
    assert validators.shared().accepts(schema, value)
    exact = DECODER.decode(message, json.dumps(value).encode())
    assert protojson.complete(message, value) == exact
    assert list(protojson.complete(message, value)) == list(exact)


@more_examples(3)
@given(integrations)
def test_rendered_messages_decode_to_themselves(value):
    message = CONTRACT.integration
    whole = protojson.complete(message, value)
    assert DECODER.decode(message, protojson.render(whole)) == whole
    assert DECODER.decode(message, protojson.indented(protojson.render(whole))) == whole


@given(integrations, st.binary(max_size=20))
def test_data_after_the_first_value_changes_nothing(value, rest):
    body = protojson.render(value)
    assert DECODER.decode(CONTRACT.integration, body + rest) == DECODER.decode(CONTRACT.integration, body)


FRAGMENTS = st.binary(max_size=4) | st.sampled_from(
    [
        b"\\ud83d",
        b"\\ude00",
        b"\\ud83d\\ude00",
        b'"name":"n",',
        b"1e400",
        b"1e2",
        b"5.0",
        b"null",
        b"NaN",
        b"\xef\xbb\xbf",
        b"\xc0",
    ]
)


@pytest.mark.heavy
@more_examples(6)
@given(st.data(), integrations)
def test_both_decoders_agree_on_any_bytes(data, value):
    """Some bytes of a valid body are replaced by others."""
    body = protojson.render(value)
    at = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(at, min(len(body), at + 4)))
    body = body[:at] + data.draw(FRAGMENTS) + body[end:]
    create = CONTRACT.operations["PostImageIntegration"]
    exact = outcome(lambda: DECODER.decode(CONTRACT.integration, body))
    assert outcome(lambda: DEPLOYED.central.decoding.body(create, body, "application/json").message) == exact
    if isinstance(exact, Refusal):
        assert (exact.status, exact.code) == (400, 3)
    else:
        assert validators.shared().accepts("StorageImageIntegration", exact, answer=True)


def outcome(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Refusal as refusal:
        return refusal


def test_the_year_1_starts_in_utc():
    assert timestamps.normalise("0000-12-31T23:30:00-01:00") == "0001-01-01T00:30:00Z"
    assert timestamps.normalise("0001-06-01T00:00:00Z") == "0001-06-01T00:00:00Z"
    with pytest.raises(timestamps.TimestampRangeError, match=r"^0000-12-31T23:30:00Z$"):
        timestamps.normalise("0000-12-31T23:30:00Z")


def test_the_year_9999_ends_in_utc():
    assert timestamps.normalise("9999-12-31T23:30:00+01:00") == "9999-12-31T22:30:00Z"
    with pytest.raises(timestamps.TimestampRangeError, match=r"^9999-12-31T23:30:00-01:00$"):
        timestamps.normalise("9999-12-31T23:30:00-01:00")


@pytest.mark.parametrize("character", ["\ud7ff", "\ue000"], ids=ascii)
def test_characters_next_to_the_surrogates_are_read(character):
    create = CONTRACT.operations["PostImageIntegration"]
    sent = json.dumps({"name": character, "type": "", "categories": []}).encode()
    assert DEPLOYED.central.decoding.body(create, sent, "application/json").message["name"] == character
    assert DECODER.decode(CONTRACT.integration, sent)["name"] == character


def test_half_a_surrogate_pair_is_refused_where_a_whole_one_is_read():
    """Python's JSON reader takes both."""
    whole, half = (b'{"name":"\\ud83d%s","type":"","categories":[]}' % rest for rest in (b"\\ude00", b""))
    create = CONTRACT.operations["PostImageIntegration"]
    assert DEPLOYED.central.decoding.body(create, whole, "application/json").message["name"] == "\U0001f600"
    with pytest.raises(Refusal, match="invalid escape code"):
        DEPLOYED.central.decoding.body(create, half, "application/json")
