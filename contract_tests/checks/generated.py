"""Generated input: integrations, malformed bodies, and sequences of requests."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from contract_tests.checks.registry import LONGER, check
from contract_tests.checks.validation import reads_as, refuses_iam
from contract_tests.engine.central import Central, brief, created_id
from contract_tests.engine.exchange import Reply
from contract_tests.engine.failures import CheckFailed, PreconditionFailed
from contract_tests.engine.integrations import Body
from contract_tests.oracle.model import constant_pieces

# The checks import hypothesis and schemathesis themselves, because each takes a second to load.


@check(
    "lifecycle-machine",
    "generated",
    "After a sequence of requests, the stored integrations differ from the model",
    needs=(
        "ids-not-reused",
        "categories-sorted",
        "name-unique",
        "update-missing",
        "delete-missing",
        "reconcile-dependent-unchanged",
        "reconcile-credential-masked",
        "reconcile-same-member",
        "reconcile-message-kept",
        "reconcile-message-not-added",
        "stored-credentials-kept",
        "update-read-back",
    ),
    profiles=LONGER,
)
def lifecycle_machine(central: Central) -> None:
    from contract_tests.checks._machine import run_machine

    deep = central.options.profile == "deep"
    run_machine(central, examples=100 if deep else 10, steps=40 if deep else 25)


@check(
    "generated-valid",
    "generated",
    "A generated valid integration is refused, or not read back as it was sent",
    needs=("unicode-kept", "long-values-kept", "timestamp-normalised", "values-kept-exactly"),
    profiles=LONGER,
)
def generated_valid(central: Central) -> None:
    from hypothesis import strategies as st

    from contract_tests.strategies import integrations, texts

    names = texts().map(lambda ending: central.name(f"-{ending}"))
    drawn = integrations(
        types=central.creatable_types, names=names, secrets=st.builds(central.secret), version=central.version
    )

    def accepted_and_read(body: Body) -> None:
        reply = central.create(body)
        if refuses_iam(central, body, reply):
            return
        central.ok(reply, f"a create of type {body['type']}")
        reads_as(central, created_id(reply), body, f"type {body['type']}, read back,")

    _each(central, drawn, accepted_and_read, examples=30)


@check(
    "generated-refused",
    "generated",
    "A generated integration that breaks one rule is not refused by it",
    profiles=LONGER,
)
def generated_refused(central: Central) -> None:
    from hypothesis import strategies as st

    from contract_tests.strategies import BREAKABLE, broken

    def drawn(rule: str) -> Any:
        names = st.builds(central.name)
        return broken(rule, names=names, secrets=st.builds(central.secret), version=central.version)

    def refused(case: tuple[Body, Any]) -> None:
        body, rule = case
        reply = central.create(body)
        status, code = (rule.status or 500), (rule.code or 13)
        what = f"a create of type {body.get('type')} that breaks the rule"
        pieces = constant_pieces(rule.message)
        wrong = reply.status != status or reply.object.get("code") != code
        wrong = wrong or not all(piece in reply.message for piece in pieces)
        if wrong and not refuses_iam(central, body, reply):
            raise CheckFailed(
                what,
                expected={"status": status, "code": code, "message contains": pieces},
                got=brief(reply),
                check=rule.id,
            )
        if body.get("name"):
            _stored_at_most(central, body["name"], 0)

    rules = [each for each in BREAKABLE if each in central.rules]
    _each(central, st.sampled_from(rules).flatmap(drawn), refused, examples=2 * len(rules))


@check(
    "generated-invalid",
    "generated",
    "A body that breaks the schema makes the server fail, or is stored twice",
    needs=("name-required", "category-required"),
    profiles=LONGER,
)
def generated_invalid(central: Central) -> None:
    import schemathesis
    from schemathesis import GenerationMode

    schema = schemathesis.openapi.from_dict(dict(central.contract.document))
    operation: Any = schema["/v1/imageintegrations"]["POST"]
    built = _build_texts(central)

    def answered(case: Any) -> None:
        body = _harmless(central, case.body)
        if body is _NOTHING:
            return
        reply = central.create(body)
        _check_error_shape(central, reply, built)
        if isinstance(body, dict) and isinstance(body.get("name"), str):
            _stored_at_most(central, body["name"], 1 if reply.status == 200 else 0)

    drawn = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    _each(central, drawn, answered, examples=60)


# -- steps ----------------------------------------------------------------------------------------


def _each(central: Central, strategy: Any, see: Callable[[Any], None], *, examples: int) -> None:
    """Run a check for each drawn value, each as a separate case."""
    import hypothesis

    from contract_tests.checks._machine import Watch, seeded, settings, without_credentials

    watch = Watch(central)

    @hypothesis.given(without_credentials(central, strategy))
    def one(value: Any) -> None:
        watch.begins()
        try:
            see(value)
        finally:
            watch.ends(sys.exc_info()[1])

    chosen = settings(central, examples=examples * (10 if central.options.profile == "deep" else 1))
    watch.run(chosen(seeded(central, one)))  # in this order: seed() removes the database from the settings before it


_NOTHING = object()


def _harmless(central: Central, body: Any) -> Any:
    """Return a body with a unique name that makes the target contact nothing, or `_NOTHING` if there is no body."""
    if not isinstance(body, dict):
        return body if isinstance(body, (list, str, int, float, bool)) else _NOTHING
    changed = dict(body)
    for name in ("skipTestIntegration", "skip_test_integration"):
        if isinstance(changed.get(name), (bool, type(None))):
            changed.pop(name, None)
    if "skipTestIntegration" not in changed and "skip_test_integration" not in changed:
        changed["skipTestIntegration"] = True
    if isinstance(changed.get("name"), str) and changed["name"]:
        changed["name"] = central.name()
    return changed


def _build_texts(central: Central) -> list[list[str]]:
    built = [rule for rule in central.rules.values() if rule.kind == "build" or rule.status == 500]
    return [constant_pieces(rule.message) for rule in built if rule.id != "registry-reachable"]


def _check_error_shape(central: Central, reply: Reply, built: list[list[str]]) -> None:
    central.true(isinstance(reply.json, dict), "the answer is not a JSON object", got=brief(reply))
    if reply.status >= 500:
        expected = reply.object.get("code") == 13 and any(
            all(piece in reply.message for piece in pieces) for pieces in built
        )
        central.true(
            expected,
            "a create fails with an error that no rule of Central has",
            expected="400, or a text of a rule",
            got=brief(reply),
        )
    elif reply.status != 200:
        central.same([reply.status, reply.object.get("code")], [400, 3], "status and code for an invalid body")


def _stored_at_most(central: Central, name: str, number: int) -> None:
    reply = central.list(f"?name={quote(name)}")
    items = reply.integrations
    if reply.status != 200 or items is None:
        raise PreconditionFailed("list", f"the list by name answered {brief(reply)}")
    named = [item for item in items if item.get("name") == name]
    shape = re.sub(r"^.*-\d+", "…", name) or name
    central.true(
        len(named) <= number, f"an invalid or duplicate integration is stored ({shape})", expected=number, got=named
    )
