"""Sequences of requests over several integrations, compared with a model of the store."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from contract_tests.checks.validation import refuses_iam
from contract_tests.engine.central import Central, created_id
from contract_tests.engine.examples import database
from contract_tests.engine.exchange import Exchange, Reply
from contract_tests.engine.failures import BudgetSpent, CheckFailed, PreconditionFailed
from contract_tests.engine.integrations import Body, masked, member_of
from contract_tests.oracle.model import Model, Refusal, check_refusal, check_same, listed
from contract_tests.oracle.steps import too_early
from contract_tests.strategies import integrations, texts
from mock_server.contract.tables import MASK

MOST_ALIVE = 12
"""Maximum number of integrations that exist at once in an example."""
TO_SHRINK = {"quick": 0.0, "default": 10.0, "deep": 60.0}
"""Time limit for shrinking, in seconds."""


def settings(central: Central, *, examples: int, steps: int = 50) -> hypothesis.settings:
    """Return settings for repeatable runs: no deadline, and no examples kept unless requested."""
    kept = database(central)
    return hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        database=kept,
        deadline=None,
        phases=(Phase.generate, Phase.shrink) if kept is None else (Phase.reuse, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
        print_blob=False,
    )


def seeded(central: Central, test: Any) -> Any:
    """Make hypothesis draw the same examples in every run with the same seed."""
    return hypothesis.seed(f"{central.options.seed}:{central.check}")(test)


def without_credentials(central: Central, strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Exclude values that contain a credential of the run.

    Hypothesis also draws constants of the program that it runs in, which may include the tokens of a test.
    """
    return strategy.filter(lambda value: not central.transport.has_credential(repr(getattr(value, "body", value))))


class Enough(BaseException):
    """The time for shrinking is over. Not an Exception, so that hypothesis does not catch it."""


class Watch:
    """Keeps the shortest failure of a hypothesis test with its requests, and ends shrinking in time.

    Hypothesis runs a failing example again before it reports it. If that run passes, or no time is left for it,
    only this object still has the failure.
    """

    def __init__(self, central: Central) -> None:
        self.central = central
        self.error: CheckFailed | PreconditionFailed | None = None
        self.history: list[Exchange] = []
        self.stopped: BudgetSpent | Enough | None = None
        self._until = 0.0

    def begins(self) -> None:
        """Begin an example.

        Raises:
            Enough: the time for shrinking is over.
        """
        self.central.history = []
        if self.error is not None and time.monotonic() > self._until:
            self.stopped = Enough()
            raise self.stopped

    def ends(self, error: BaseException | None) -> None:
        """Record the result of an example, and delete the integrations that it left."""
        if isinstance(error, BudgetSpent):
            self.stopped = error
        elif isinstance(error, (CheckFailed, PreconditionFailed)):
            if self.error is None:
                self._until = time.monotonic() + TO_SHRINK[self.central.options.profile]
            if self.error is None or len(self.central.history) < len(self.history):
                self.error = error
                self.history = list(self.central.history)
        self.central.clean()

    def run(self, test: Callable[[], None]) -> None:
        """Run a hypothesis test; report a failure that does not repeat as intermittent."""
        try:
            test()
        except (hypothesis.errors.Flaky, CheckFailed, PreconditionFailed, BudgetSpent, Enough) as error:
            if self.error is None:
                raise self.stopped or error from None
            if isinstance(self.error, CheckFailed) and isinstance(error, hypothesis.errors.Flaky):
                # Hypothesis also reports a stopped test as flaky.
                self.error.intermittent = self.error.intermittent or self.stopped is None
            self.central.history = self.history
            raise self.error from None


def run_machine(central: Central, *, examples: int, steps: int) -> None:
    """Run the machine against a target.

    Raises:
        CheckFailed: the target differs from the model.
    """
    watch = Watch(central)
    machine = seeded(central, type("Integrations", (IntegrationMachine,), {"central": central, "watch": watch}))
    watch.run(lambda: run_state_machine_as_test(machine, settings=settings(central, examples=examples, steps=steps)))


class IntegrationMachine(RuleBasedStateMachine):
    """Creates, changes, tests and deletes integrations; after each step the list must match the model."""

    central: Central
    watch: Watch

    alive: Bundle[str] = Bundle("alive")
    gone: Bundle[str] = Bundle("gone")

    def __init__(self) -> None:
        super().__init__()
        self.watch.begins()
        self.model = Model(self.central.contract)
        self.early: set[str] = set()
        """Ids that were deleted right after their create: Central may answer 404 to the first DELETE, and then 200."""

    def teardown(self) -> None:
        """End the example, which may have failed."""
        self.watch.ends(sys.exc_info()[1])

    # -- creating ---------------------------------------------------------------------------------

    @precondition(lambda self: len(self.model.stored) < MOST_ALIVE)
    @rule(target=alive, data=st.data())
    def create(self, data: st.DataObject) -> Any:
        """POST an integration."""
        body = self._integration(data)
        return self._created(body)

    @precondition(lambda self: len(self.model.stored) < MOST_ALIVE)
    @rule(target=alive, id=gone, data=st.data())
    def create_again(self, id: str, data: st.DataObject) -> Any:
        """POST an integration with a former name."""
        body = self._integration(data) | {"name": self.model.names[id]}
        if refusal := self.model.create_refusal(body):
            self._refused(body, self.central.create(body), refusal, "a create with a name that is in use again")
            return multiple()
        return self._created(body)

    @rule(id=alive, data=st.data())
    def create_taken_name(self, id: str, data: st.DataObject) -> None:
        """POST an integration with a name that is in use."""
        body = self._integration(data) | {"name": self.model.names[id]}
        refusal = self.model.create_refusal(body)
        assert refusal is not None  # the model says that it exists
        self._refused(body, self.central.create(body), refusal, "a create with a name that is in use")

    @rule(target=alive, id=consumes(alive), data=st.data())
    def reuse_name(self, id: str, data: st.DataObject) -> Any:
        """Rename an integration, DELETE it, and POST another one with its last name."""
        self._updated("PUT", id, self._integration(data))
        self.delete(id)
        return self._created(self._integration(data) | {"name": self.model.names[id]})

    def _created(self, body: Body) -> Any:
        reply = self.central.create(body)
        if refuses_iam(self.central, body, reply):
            return multiple()
        self.central.ok(reply, f"a create of type {body['type']}")
        id = created_id(reply)
        self.central.true(id not in self.model.names, "two creates return the same id", expected="another id", got=id)
        self.model.create(id, body)
        return id

    # -- updating ---------------------------------------------------------------------------------

    @rule(id=alive, way=st.sampled_from(("PUT", "PATCH")), keep_name=st.booleans(), data=st.data())
    def replace(self, id: str, way: str, keep_name: bool, data: st.DataObject) -> None:
        """Replace an integration, by PUT or by PATCH with credentials."""
        body = self._integration(data)
        if keep_name:
            body["name"] = self.model.names[id]
        self._updated(way, id, body)

    @rule(id=alive, other=alive, way=st.sampled_from(("PUT", "PATCH")), data=st.data())
    def take_name(self, id: str, other: str, way: str, data: st.DataObject) -> None:
        """Rename an integration to the name of another, or to its present name."""
        self._updated(way, id, self._integration(data) | {"name": self.model.names[other]})

    @rule(id=gone, way=st.sampled_from(("PUT", "PATCH")), data=st.data())
    def update_gone(self, id: str, way: str, data: st.DataObject) -> None:
        """Update an integration that was deleted."""
        self._updated(way, id, self._integration(data))

    @rule(id=alive, mask=st.sampled_from((MASK, "")), autogenerated=st.booleans(), data=st.data())
    def update_stored(self, id: str, mask: str, autogenerated: bool, data: st.DataObject) -> None:
        """PATCH, without credentials, fields that no credential depends on."""
        cluster = data.draw(without_credentials(self.central, texts()), label="cluster")
        body = masked(self.central.contract.integration, self.model.stored[id], mask)
        body |= {"name": self.central.name(), "autogenerated": autogenerated, "clusterId": cluster}
        self._updated("PATCH without credentials", id, body)

    @rule(id=alive, data=st.data())
    def update_without(self, id: str, data: st.DataObject) -> None:
        """PATCH any integration without credentials: it is refused, or keeps the stored ones."""
        body = self._integration(data)
        if data.draw(st.booleans(), label="masked"):
            body = masked(self.central.contract.integration, body)
        if "azure" in (body["type"], self.model.stored[id]["type"]) and member_of(
            self.central.contract, body
        ) != member_of(self.central.contract, self.model.stored[id]):
            return  # a stored docker member may be converted to azure; another check covers that
        self._updated("PATCH without credentials", id, body)

    def _updated(self, way: str, id: str, body: Body) -> None:
        update_password = "without" not in way
        refusal = self.model.update_refusal(id, body, update_password=update_password)
        reply = self.central.put(id, body) if way == "PUT" else self.central.patch(id, body, update_password)
        what = f"{way} of type {body['type']}"
        if refusal is not None:
            self._refused(body, reply, refusal, what)
        elif not refuses_iam(self.central, body, reply):
            self._answers_nothing(reply, what)
            self.model.update(id, body, update_password=update_password)

    # -- testing ----------------------------------------------------------------------------------

    @rule(way=st.sampled_from(("/test", "/test/updated")), data=st.data())
    def test_passes(self, way: str, data: st.DataObject) -> None:
        """Test an integration of the type whose tests contact nothing."""
        body = self._integration(data, ["scannerv4"])
        reply = self.central.test(body) if way == "/test" else self.central.test_updated(body, True)
        self._answers_nothing(reply, f"POST {way} of type scannerv4")

    @rule(id=alive, way=st.sampled_from(("/test", "/test/updated")), data=st.data())
    def test_fails(self, id: str, way: str, data: st.DataObject) -> None:
        """Test an integration whose client cannot be built, so that nothing is contacted."""
        body = self._integration(data) | {"id": id, "categories": ["REGISTRY"], "type": "registry-of-no-kind"}
        reply = self.central.test(body) if way == "/test" else self.central.test_updated(body, True)
        if not refuses_iam(self.central, body, reply):
            text = self.central.text("registry-type-known", type=body["type"])
            self.central.refused(reply, f"POST {way} of a type that is not a registry", text=text)

    # -- deleting and reading ---------------------------------------------------------------------

    @rule(target=gone, id=consumes(alive))
    def delete(self, id: str) -> str:
        """DELETE an integration."""
        reply = self.central.delete(id)
        if too_early(self.central, id, reply):
            self.early.add(id)
        else:
            self._answers_nothing(reply, "DELETE of an integration")
        self.model.delete(id)
        return id

    @rule(id=gone)
    def delete_again(self, id: str) -> None:
        """DELETE an integration that was deleted."""
        refusal = self.model.delete_refusal(id)
        assert refusal is not None  # the model says that it does not exist
        reply = self.central.delete(id)
        if reply.status != 200 or id not in self.early:
            check_refusal(self.central, reply, refusal, "the second DELETE")
        self.early.discard(id)

    @rule(id=alive)
    def read(self, id: str) -> None:
        """GET an integration."""
        reply = self.central.get(id)
        self.central.ok(reply, "GET of an integration")
        self.central.same(reply.json, self.model.read(id), "GET of an integration")

    @rule(id=gone)
    def read_gone(self, id: str) -> None:
        """GET an integration that was deleted."""
        self.central.refused_by(self.central.get(id), "get-missing", "GET of a deleted integration", id=id)

    @rule(id=st.one_of(alive, gone))
    def filter(self, id: str) -> None:
        """List by a name that is, or was, used."""
        name = self.model.names[id]
        got = listed(self.central, f"?name={name}")
        check_same(got, self.model.listed(name), "the list by name")

    @invariant()
    def all_there(self) -> None:
        """Check that the list matches the model."""
        if self.model.names:
            check_same(listed(self.central), self.model.listed(), "the list")

    # -- steps ------------------------------------------------------------------------------------

    def _integration(self, data: st.DataObject, types: Sequence[str] = ()) -> Body:
        drawn = integrations(
            types=types or self.central.creatable_types,
            names=st.just(self.central.name()),
            secrets=st.builds(self.central.secret),
        )
        body: Body = data.draw(without_credentials(self.central, drawn), label="integration")
        return body

    def _refused(self, body: Body, reply: Reply, refusal: Refusal, what: str) -> None:
        if not refuses_iam(self.central, body, reply):
            check_refusal(self.central, reply, refusal, what)

    def _answers_nothing(self, reply: Reply, what: str) -> None:
        self.central.ok(reply, what)
        self.central.same(reply.json, {}, f"the answer to {what}")
