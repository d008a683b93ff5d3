"""The short way answers as the way through Flask does."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import PATH, Api, ask, docker, integrations, updates

SEED = 7
ID = "00000000-0000-4000-8000-000000000000"


def both(*requests, **settings):
    """Ask two mocks the same, one of which goes through Flask each time; give the answers and the journals."""
    found = []
    for shortcut in (True, False):
        api = Api(seed=SEED, fatal_answers=False, **settings)
        assert api.app._shortcut is not None
        if not shortcut:
            api.app._shortcut = None
        answers = [ask(api.app, *each) for each in requests]
        journal = api.app.gateway.sandboxes.default.journal
        shown = [journal.shown(each) | {"time": "", "ms": 0} for each in journal.found()]
        found.append((answers, shown))
    return found


def create(**changes):
    return ("POST", PATH, docker(**changes))


REQUESTS = {
    "list": ("GET", PATH),
    "list by name": ("GET", f"{PATH}?name=first"),
    "list, pretty": ("GET", f"{PATH}?pretty"),
    "list, compressed": ("GET", PATH, None, {"Accept-Encoding": "gzip"}),
    "list, a filter twice": ("GET", f"{PATH}?name=a&name=b"),
    "list, unknown filter": ("GET", f"{PATH}?colour=red"),
    "list with a slash": ("GET", f"{PATH}/"),
    "list, doubled slash": ("GET", f"/{PATH}"),
    "get": ("GET", f"{PATH}/{ID}"),
    "get test": ("GET", f"{PATH}/test"),
    "get updated": ("GET", f"{PATH}/test/updated"),
    "get, encoded": ("GET", f"{PATH}/a%20b"),
    "get, not ASCII": ("GET", f"{PATH}/%C3%A9"),
    "get, a line in it": ("GET", f"{PATH}/a%0A"),
    "list, with a body": ("GET", PATH, b"{}"),
    "delete, with a body": ("DELETE", f"{PATH}/{ID}", b"{}"),
    "head": ("HEAD", PATH),
    "options": ("OPTIONS", PATH),
    "small letters": ("get", PATH),
    "create": create(),
    "create, refused": create(name=""),
    "create, with a warning": create(made_up=1),
    "create, not JSON": ("POST", PATH, b"{"),
    "create, another type": ("POST", PATH, b"{}", {"Content-Type": "text/plain"}),
    "create, no length": ("POST", PATH, b"{}", {"Content-Length": ""}),
    "create, bad length": ("POST", PATH, b"{}", {"Content-Length": "x"}),
    "create, too long": ("POST", PATH, b"{}", {"Content-Length": str(10**9)}),
    "create, cut short": ("POST", PATH, b"{}", {"Content-Length": "5"}),
    "put": ("PUT", f"{PATH}/{ID}", docker()),
    "patch": ("PATCH", f"{PATH}/{ID}", {"config": docker(), "updatePassword": True}),
    "delete": ("DELETE", f"{PATH}/{ID}"),
    "test": ("POST", f"{PATH}/test", docker()),
    "test updated": ("POST", f"{PATH}/test/updated", {"config": docker()}),
    "post to an item": ("POST", f"{PATH}/{ID}", docker()),
    "another method by header": (
        "POST",
        f"{PATH}/{ID}",
        b"a=b",
        {"X-HTTP-Method-Override": "DELETE", "Content-Type": "application/x-www-form-urlencoded"},
    ),
    "asked to fail": ("GET", PATH, None, {"Prefer": "code=503"}),
    "elsewhere": ("GET", "/v1/other"),
}


@pytest.mark.parametrize("chosen", [{}, {"auth": True}, {"strict": True}, {"as_deployed": True}], ids=str)
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
def test_the_short_way_answers_and_remembers_as_flask_does(request_, chosen):
    if chosen.get("as_deployed") and request_[0].upper() == "GET":
        chosen = chosen | {"empty": True}  # deployed Central shuffles its list
    direct, through_flask = both(create(name="first"), request_, ("GET", f"{PATH}?name=first"), **chosen)
    assert direct == through_flask


@settings(max_examples=50)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("POST"), st.sampled_from([PATH, f"{PATH}/test"]), integrations),
            st.tuples(st.just("PUT"), st.just(f"{PATH}/{ID}"), integrations),
            st.tuples(st.just("PATCH"), st.just(f"{PATH}/{ID}"), updates),
            st.tuples(st.just("GET"), st.text("abc/-%2F.~é", max_size=8).map(lambda rest: f"{PATH}/{rest}")),
        ),
        max_size=4,
    )
)
def test_any_requests_are_answered_alike_on_both_ways(requests):
    direct, through_flask = both(*requests)
    assert direct == through_flask


def test_a_failure_of_the_mock_is_answered_alike_on_both_ways():
    def broken(*_):
        raise LookupError("a fault of ours")

    answers = []
    for shortcut in (True, False):
        api = Api(fatal_answers=False)
        api.central.service.get = broken
        if not shortcut:
            api.app._shortcut = None
        answers.append(api.get(ID))
    assert answers[0] == answers[1]
    assert answers[0].status == 500
    assert json.loads(answers[0].body)["code"] == 13


@pytest.mark.parametrize(
    "settings", [{"validation": "full"}, {"mutants": ("creates-lost",)}], ids=lambda each: next(iter(each))
)
def test_what_needs_flask_goes_through_flask(settings):
    assert Api(**settings).app._shortcut is None


@pytest.mark.parametrize("bind", ["before_request", "after_request", "teardown_request"])
def test_what_is_bound_to_the_app_sees_each_request(bind):
    """Whoever embeds the app may bind hooks of their own."""
    api, seen = Api(), []

    def hook(*given):
        seen.append(given)
        return given[0] if bind == "after_request" else None

    getattr(api.app, bind)(hook)
    assert api.ask("GET").status == 200
    assert len(seen) == 1


def test_pages_of_any_origin_are_let_in_on_every_way():
    answer = Api(cors="*").ask("GET", headers={"Origin": "http://page"})
    assert answer.headers["access-control-allow-origin"] == "*"
