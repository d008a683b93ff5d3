"""Credentials are recognised by their place, and hidden however they are wrapped."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.contract import tables as contracts
from mock_server.simulation.redaction import Redaction, without_userinfo
from mock_server.tests.conftest import Api, ask, docker, fields
from mock_server.tests.test_cli import run
from mock_server.tests.test_journal import shown

CANARY = "canary-7b21"
NAMES = sorted(contracts.load().credential_names)
REDACTION = Redaction(NAMES)


@pytest.mark.parametrize("name", [*NAMES, "PASSWORD", "password ", "docker.password", "token", "X-Api-Key"])
@given(depth=st.integers(0, 4), before=st.text(max_size=5), after=st.text(max_size=5))
def test_a_credential_is_hidden_in_json_in_texts_of_any_depth(name, depth, before, after):
    value = {"a": [1, {name: f"{before}{CANARY}{after}"}], "kept": "visible"}
    for _ in range(depth):
        value = {"text": json.dumps(value)}
    hidden = json.dumps(REDACTION.value(value))
    assert CANARY not in hidden
    assert "visible" in hidden
    assert CANARY not in REDACTION.text(json.dumps(json.dumps(value)))


@pytest.mark.parametrize("value", [5, 1.5, True, {"a": CANARY}, [CANARY], "a", " "], ids=str)
def test_a_credential_of_any_type_is_hidden(value):
    assert REDACTION.value({"password": value}) == {"password": "******"}


@pytest.mark.parametrize(
    "key", ["oauth_token", "_password", "password\u200b", "authToken", "auth", "private_key", "dbPasswd"]
)
def test_a_key_with_the_suffix_of_a_credential_hides_its_value(key):
    assert REDACTION.value({key: CANARY})[key] == "******"


def test_no_other_field_of_the_contract_is_hidden():
    contract = contracts.load()
    message = contract.message("V1UpdateImageIntegrationRequest")
    for path in fields(message):
        name = path[-1].name
        assert REDACTION.is_secret(name) == (name.lower() in NAMES), name


@pytest.mark.parametrize("value", ["", None])
def test_an_empty_credential_is_shown(value):
    assert REDACTION.value({"password": value}) == {"password": value}


PLAIN = st.none() | st.integers() | st.text(alphabet="abc {}[]:,.=&@/-", max_size=12)
KEYS = st.text(alphabet="abc", max_size=4)


@given(st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)))
def test_json_without_a_credential_is_unchanged(value):
    if "@" not in json.dumps(value):
        assert REDACTION.value(value) == value


@pytest.mark.parametrize(
    "text",
    [
        f'{{"password":"{CANARY}',
        f'{{"password":"{CANARY}"}} more',
        f'{{"pass\\u0077ord":"{CANARY}',
        f'before {{"password": "{CANARY}"}}',
        f'before {{\\"password\\": \\"{CANARY}\\"}}',
        f"username=admin&password={CANARY},x&x=1",
        f"https://central.example.com/?access_token={CANARY}",
        f"clientSecret={CANARY}",
        f"Authorization: Bearer {CANARY}",
        f"basic {CANARY}",
        f"https://user:{CANARY}@registry.example.com/v2/",
        f"https://user:pa/{CANARY}@registry.example.com/v2/",
        f"//{CANARY}@registry.example.com",
        f"user:{CANARY}@registry.example.com/v2",
        f"user:pa/{CANARY}@localhost:5000",
        f"https:/user:{CANARY}@registry.example.com",
        "[" * 100_000 + CANARY,
    ],
    ids=range(17),
)
def test_a_credential_in_a_text_is_hidden(text):
    assert CANARY not in REDACTION.text(text)


@pytest.mark.parametrize(
    "text",
    [
        "integration names are unique",
        "a password is required",
        "non-zero or unmasked credential field 'ImageIntegration.DockerConfig.Password': invalid arguments",
        "Bearer authentication, basic access",
        "[team] registry {one}",
        "robot@example.com",
        "ci:build@main",
        "https://registry.example.com/users/robot@example.com",
        "registry.example.com/scanner:1.0@sha256:4bc453b5",
        "http://registry.example.com:5000/users/@me",
        "https://registry.example.com/v2/?tag=a@b",
        "updatePassword=false",
    ],
)
def test_a_text_without_a_credential_is_shown(text):
    assert REDACTION.text(text) == text


@pytest.mark.parametrize(
    "query",
    [
        *("password=X", "pass%77ord=X", "docker.password=X", "docker%5Bpassword%5D=X", "password+=X", "a=b&PassWord=X"),
        *(
            "pass%2577ord=X",
            "password%3DX",
            "password%253DX",
            "password%00=X",
            "docker_password=X",
            "docker/password=X",
        ),
        *(
            "password:x=X",
            "a&amp;password=X",
            "?password=X",
            "%22password%22=X",
            "oauth_token=X",
            "name=u%253AX%2540a.b",
        ),
        *("key=X", "sig=X", "access_key=X", "jwt=X", "session=X", "credential=X"),
    ],
)
def test_a_credential_in_a_query_is_hidden_however_its_key_is_written(query):
    assert CANARY not in REDACTION.query(query.replace("X", CANARY))


@pytest.mark.parametrize("value", [f'{{"password":"{CANARY}"}}', f"https://u:{CANARY}@x/"])
def test_a_credential_in_the_value_of_a_query_is_hidden(value):
    assert CANARY not in REDACTION.query(f"name={quote(value)}")


@given(st.text(alphabet="abc=&%41+ ./", max_size=30))
def test_a_query_without_a_credential_is_shown_unchanged(query):
    assert REDACTION.query(query) == query


@pytest.mark.parametrize("key", ["access_key", "cookie", "jwt", "credentials", "X_Signature", "private_key_id"])
def test_a_json_key_named_like_a_credential_header_is_hidden(key):
    assert CANARY not in REDACTION.text(json.dumps({"inner": {key: CANARY}}))


SECRET_HEADERS = ["authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token", "x-registry-auth"]
SECRET_HEADERS += [
    "x-amz-security-token",
    "api-key",
    "grpc-metadata-authorization",
    "x-goog-api-key",
    "x-secret",
    "token",
    *("private-token", "x-vault-token", "x-accesskey", "x-passphrase", "x-shared-secret", "api_key", "x-oauth-bearer"),
    *("x-amz-signature", "x-apikey", "x-pwd", "ocp-apim-subscription-key"),
]
PLAIN_HEADERS = ["accept", "user-agent", "x-keyboard", "x-author", "mock-central-sandbox", "content-type", "prefer"]


@pytest.mark.parametrize("name", SECRET_HEADERS)
def test_credential_headers_are_hidden(name):
    for value in (CANARY, f"Bearer {CANARY}", f"Custom a {CANARY}"):
        assert CANARY not in REDACTION.header(name, value)


@pytest.mark.parametrize("name", PLAIN_HEADERS)
def test_other_headers_are_shown(name):
    assert REDACTION.header(name, "some value") == "some value"
    assert CANARY not in REDACTION.header(name, f"http://u:{CANARY}@x/")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (f'Bearer tok="{CANARY}"', 'Bearer tok="******"'),
        (f'Bearer realm="a tok=", tok="{CANARY}"', 'Bearer realm="a tok=", tok="******"'),
        (f'Bearer x-realm="a\\"{CANARY}", error="b"', 'Bearer x-realm="******", error="b"'),
        (f'Digest Realm = "a", nonce="{CANARY}', 'Digest Realm = "a", nonce="******"'),
        ('Bearer charset="UTF-8", error_description="no, expired 5", scope="a:b", title="t"', None),
    ],
)
@pytest.mark.parametrize("name", ["www-authenticate", "proxy-authenticate"])
def test_a_challenge_shows_only_parameters_that_hold_no_credential(name, value, shown):
    assert REDACTION.header(name, value) == (shown or value)


@pytest.mark.parametrize("name", ["location", "content-location", "referer"])
@pytest.mark.parametrize("mark", ["?", "#", "?a=b&", "?a=b#"])
@pytest.mark.parametrize("key", ["code", "state", "c%6Fde", "State"])
def test_a_login_code_in_a_url_is_hidden(name, mark, key):
    url = "http://u:{}@h/{}{}={}&b=c"
    assert REDACTION.header(name, url.format("p?w", mark, key, CANARY)) == url.format("x", mark, key, "******").replace(
        "u:x", "******"
    )
    assert REDACTION.query(f"a=b&{key}={CANARY}") == f"a=b&{key}=******"


@pytest.mark.parametrize("value", ["/v1/imageintegrations/7?a=b%20c&d#e", "http://h/code=1?zipcode=2&codes=3", ""])
def test_a_url_without_a_credential_is_shown_unchanged(value):
    assert REDACTION.header("location", value) == value


# -- the journal ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", ["a", "i", "1", "docker"])
@pytest.mark.parametrize("as_deployed", [False, True])
def test_a_short_password_changes_no_text_and_does_not_show(password, as_deployed):
    api = Api(as_deployed=as_deployed)
    body = docker(name="", docker={**docker()["docker"], "password": password})
    message = api.create(body).message
    (found,) = shown(api)
    assert found["answer"]["message"] == message
    assert found["body"]["docker"]["password"] == "******"


@pytest.mark.parametrize("number", [b"5", b"71.50", b"7e1", b"true"])
def test_a_credential_of_a_wrong_type_does_not_show_in_the_answer(number):
    api = Api(as_deployed=True)
    message = api.ask("POST", "", b'{"docker":{"password":%b}}' % number).message
    assert message.endswith(number.decode())
    assert shown(api)[0]["answer"]["message"] == message.removesuffix(number.decode()) + "******"


WRAPPED = {"text": lambda text: text, "in an object": lambda text: {"docker": text}, "in a list": lambda text: [text]}


@pytest.mark.parametrize("as_deployed", [False, True])
@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED.keys())
def test_a_body_that_is_encoded_twice_shows_no_credential(as_deployed, wrap):
    api = Api(as_deployed=as_deployed)
    once, twice = json.dumps({"docker": {"password": CANARY}}), json.dumps(json.dumps({"apiKey": CANARY}))
    api.ask("POST", "", json.dumps(wrap(once)).encode())
    api.ask("POST", "/test", json.dumps(wrap(twice)).encode())
    assert CANARY not in json.dumps(shown(api))


@pytest.mark.usefixtures("pages")
def test_the_journal_hides_credentials_in_headers_queries_and_endpoints():
    api = Api()
    api.ask("GET", f"?pass%77ord={CANARY}", headers={"X-Registry-Auth": CANARY, "Referer": f"https://u:{CANARY}@x/"})
    api.create(docker(docker={**docker()["docker"], "endpoint": f"https://u:{CANARY}@x.example/"}))
    assert ask(api.app, "GET", "/__admin/requests/count").json == {"count": 2}
    assert CANARY not in ask(api.app, "GET", "/__admin/requests").body.decode()


def test_deep_json_is_replaced_by_its_size():
    api = Api()
    deep = b"[" * 700 + b"]" * 700
    api.ask("POST", "", b'{"docker":%b}' % deep)
    api.ask("POST", "", b'{"docker":%b}' % json.dumps(deep.decode()).encode())
    assert json.dumps(shown(api))


# -- the command line -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", [f"http://u:{CANARY}@[bad", f"u:{CANARY}@x", f"ftp://u:{CANARY}@x", f"http://u:a@{CANARY}@[x"]
)
def test_no_error_of_the_command_line_shows_userinfo(url, tmp_path):
    assert CANARY not in without_userinfo(url)
    output = ("-o", str(tmp_path / "state.json"))
    for words in (("serve", "--upstream", url), ("serve", "--cors", url), ("record", url, *output)):
        result = run(*words)
        assert result.exit_code in (1, 2)
        assert CANARY not in result.output


@pytest.mark.parametrize(
    "words",
    [
        ("--registry-test", f"u:{CANARY}@h"),
        ("--host", f"u:{CANARY}@h"),
        ("--allow-host", f"u:{CANARY}@h"),
        ("--load", f"http://u:{CANARY}@h/x"),
        ("--config", f"http://{CANARY}@h/x"),
        ("--upstream", f"http://h:bad/?token={CANARY}"),
        ("--admin-token", f"{CANARY} {CANARY}"),
    ],
    ids=lambda words: words[0],
)
def test_no_error_shows_a_token_given_to_the_wrong_option(words):
    result = run("serve", *words)
    assert result.exit_code in (1, 2)
    assert words[0] in result.output
    assert CANARY not in result.output
