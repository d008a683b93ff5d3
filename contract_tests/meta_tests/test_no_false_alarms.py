"""Effects of deployed Central's database are not failures: mocks simulate them, and the run passes."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest

from contract_tests import strategies
from contract_tests.checks import latency
from contract_tests.engine import transport
from contract_tests.meta_tests.mutant_runs import report_on
from contract_tests.oracle.variants import REFUSED_BY_NEWER
from contract_tests.runner.report import Report
from mock_server.central import protojson
from mock_server.central.auth import Credentials
from mock_server.central.errors import Refusal
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.instance import Instance
from mock_server.gateway.messages import Request, Response
from mock_server.mutants.tools import CREATE, GET, LIST, around, handled, readings, refused, requests
from mock_server.settings import Settings

pytestmark = pytest.mark.served

DUPLICATE = (
    "found non-retryable error: closing batch: ERROR: duplicate key value violates unique constraint "
    '"uni_image_integrations_name" (SQLSTATE 23505): already exists'
)


def run(change: Callable[[Instance], None], *only: str, profile: str = "default", **options: Any) -> Report:
    return report_on(Settings(), change, profile=profile, only=only, **options)


def assert_green(report: Report, *checks: str) -> None:
    assert not report.failures, report.failures
    outcomes = {each.check: (each.outcome, each.reason) for each in report.results}
    assert {outcomes[check][0] for check in checks} <= {"passed"}, outcomes


class Meeting:
    """Counts pending requests by subject."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside: Counter[str] = Counter()
        self.met: set[str] = set()

    def enter(self, what: str) -> None:
        with self.lock:
            self.inside[what] += 1
            if self.inside[what] > 1:
                self.met.add(what)

    def leave(self, what: str) -> None:
        with self.lock:
            self.inside[what] -= 1


def races_lost_to_the_database(mock: Instance) -> None:
    """The loser of a race for a name gets the database's error: a create 400, a rename 409."""
    meeting = Meeting()

    def in_words(name: str, answer: Refusal, call: Callable[[], Any]) -> Any:
        meeting.enter(name)
        try:
            time.sleep(0.002)
            return call()
        except Refusal as refusal:
            raise (answer if name in meeting.met and "already exists" in refusal.message else refusal) from None
        finally:
            meeting.leave(name)

    def create(original: Callable[..., Any], sent: Mapping[str, Any]) -> Any:
        return in_words(sent["name"], refused(400, f"{DUPLICATE}: invalid arguments"), lambda: original(sent))

    def update(original: Callable[..., Any], sent: Mapping[str, Any], *, update_password: bool) -> Any:
        answer = refused(409, DUPLICATE, 6)
        return in_words(sent["name"], answer, lambda: original(sent, update_password=update_password))

    around(mock.central.service, "create", create)
    around(mock.central.service, "update", update)


def early_deletes(mock: Instance) -> None:
    """Answer 404 to a DELETE right after the create, but delete, and answer 200 to the next one."""
    born: dict[str, float] = {}
    early: set[str] = set()

    def create(original: Callable[..., Any], sent: Mapping[str, Any]) -> Any:
        made = original(sent)
        born[made[0]["id"]] = time.monotonic()
        return made

    def delete(original: Callable[[str], None], id: str) -> None:
        if id in early:
            early.discard(id)
            return
        original(id)
        if time.monotonic() - born.get(id, 0) < 0.05:
            early.add(id)
            raise refused(
                404, f'Error removing health for integration {id}: unable to find integration health for "{id}"', 5
            )

    around(mock.central.service, "create", create)
    around(mock.central.service, "delete", delete)


def deletes_that_both_succeed(mock: Instance) -> None:
    """Look up an integration, and delete it a moment later."""
    meeting = Meeting()

    def delete(original: Callable[[str], None], id: str) -> None:
        meeting.enter(id)
        try:
            time.sleep(0.002)
            original(id)
        except Refusal:
            if id not in meeting.met:
                raise
        finally:
            meeting.leave(id)

    around(mock.central.service, "delete", delete)


def narrow_endpoints(mock: Instance) -> None:
    """Compare the host of an endpoint with two names and two addresses, as releases before 5.0 do."""

    def endpoint(original: Callable[..., Any], sent: Mapping[str, Any]) -> Any:
        configs = [each for each in sent.values() if isinstance(each, dict)]
        return None if any(text in REFUSED_BY_NEWER for each in configs for text in each.values()) else original(sent)

    around(mock.central.validation, "endpoint", endpoint)


def unknown_extensions(mock: Instance) -> None:
    """Treat a field name in brackets as an unknown field."""

    class Reading(protojson.Reading):
        def extension_name(self, *_: Any) -> None: ...

    readings(mock, Reading)


def test_database_may_decide_a_race_for_a_name() -> None:
    report = run(races_lost_to_the_database, "same-name-at-once")
    assert_green(report, "same-name-at-once")
    assert "the database's error text" in next(each.reason for each in report.results if each.reason)


@pytest.mark.heavy
@pytest.mark.parametrize("profile", ["quick", pytest.param("default", marks=pytest.mark.slow)])
def test_delete_right_after_the_create_may_answer_404(profile: str) -> None:
    assert_green(run(early_deletes, profile=profile), "delete-answer", "method-override")


def test_concurrent_deletes_may_all_succeed() -> None:
    assert_green(run(deletes_that_both_succeed, "deletes-at-once"), "deletes-at-once")


@pytest.mark.heavy
def test_older_releases_may_check_fewer_endpoints() -> None:
    checks = ("endpoint-not-local", "endpoint-not-metadata", "endpoint-parses", "generated-refused")
    report = report_on(Settings(central_version="4.11"), narrow_endpoints, profile="default", only=checks)
    assert_green(report, *checks)


def test_extension_names_may_be_unknown() -> None:
    assert_green(run(unknown_extensions, "extension-name", profile="deep"), "extension-name")


# -- time ------------------------------------------------------------------------------------------------


def slow(operation: str, seconds: Callable[[Exchange], float]) -> Callable[[Instance], None]:
    def change(mock: Instance) -> None:
        def waiting(proceed: Proceed, exchange: Exchange) -> Response:
            time.sleep(seconds(exchange))
            return proceed(exchange)

        handled(mock, (operation,), waiting)

    return change


def test_ecr_creates_may_wait_for_aws() -> None:
    checks = ("create", "update-read-back", "response-time")
    with patch.object(latency, "SLOW", 0.5):
        change = slow(CREATE, lambda exchange: 1.5 if b'"type": "ecr"' in exchange.body else 0)
        report = run(change, *checks, profile="quick", max_response_time=1.0)
    assert not [each for each in report.failures if each.check == "response-time"], report.failures
    assert "AWS" in next(each.reason for each in report.results if each.check == "response-time")


@pytest.mark.parametrize(
    ("operation", "seconds"),
    [
        pytest.param(GET, lambda _: 0.4, marks=pytest.mark.slow),
        (LIST, lambda exchange: 0.02 * len(exchange.sandbox.central.store)),
    ],
)
def test_slow_operation_is_found_with_any_budget(operation: str, seconds: Callable[[Exchange], float]) -> None:
    with patch.object(latency, "SLOW", 0.15):
        report = run(slow(operation, seconds), time_budget=5.0)
    assert [each.check for each in report.failures] == ["response-time"], report.failures


@pytest.mark.slow
def test_slow_operation_is_found_beside_another_slow_one() -> None:
    """Reads and lists alternate, so neither has a quick neighbour."""

    def change(mock: Instance) -> None:
        slow(GET, lambda _: 0.6)(mock)
        slow(LIST, lambda exchange: 0.02 * len(exchange.sandbox.central.store))(mock)

    with patch.object(latency, "SLOW", 0.15):
        report = run(change, time_budget=6.0)
    assert [each.check for each in report.failures] == ["response-time"], report.failures


class Clock:
    """A clock that a busy machine sets forward."""

    sleep = staticmethod(time.sleep)

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


@pytest.mark.heavy
@pytest.mark.parametrize("requests_in_a_row", [9, 13, 20])
def test_busy_machine_is_not_a_fault(requests_in_a_row: int) -> None:
    """For a third of the time, every request takes a second."""
    clock = Clock()
    numbers = count()

    def change(mock: Instance) -> None:
        def stalled(request: Request) -> Request:
            if next(numbers) // requests_in_a_row % 3 == 0:
                clock.ahead += 1
            return request

        requests(mock, stalled)

    with patch.object(transport, "time", clock):
        report = run(change, profile="quick", max_response_time=0.9)
    assert clock.ahead > 100
    assert not [each for each in report.failures if each.check in ("response-time", "cost-growth")], report.failures


@pytest.mark.heavy
def test_randomly_drawn_token_is_not_a_leak() -> None:
    """Hypothesis also draws constants of the program, such as a token in a test."""
    drawn = (Credentials().no_access_token,)
    checks = ("lifecycle-machine", "generated-valid")
    with patch.object(strategies, "_TEXTS", drawn):
        report = report_on(Settings(auth=True), only=checks)
    assert_green(report, *checks)


@pytest.mark.heavy
def test_managed_target_refuses_generated_iam_roles() -> None:
    checks = ("lifecycle-machine", "generated-valid", "generated-refused")
    assert_green(report_on(Settings(managed=True), profile="default", seed=4, only=checks), *checks)
