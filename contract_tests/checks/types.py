"""Building clients: the rules of each type, for creates that skip the test (500) and for tests (400)."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from contract_tests.checks.registry import LONGER, SERVICE, check
from contract_tests.checks.validation import check_only_stored, from_table, is_managed, reads_as
from contract_tests.engine.central import Central, brief, created_id
from contract_tests.engine.exchange import Reply
from contract_tests.engine.failures import CheckFailed, Skip
from contract_tests.engine.integrations import UNKNOWN_TYPE, Body, member_of, without
from contract_tests.engine.options import is_loopback
from contract_tests.oracle.model import check_listed, check_stored
from contract_tests.oracle.steps import updates
from contract_tests.oracle.variants import (
    BOTH,
    BROKEN,
    DATA,
    KEYLESS,
    LEFT_ALONE,
    NODE,
    NOT_CREATED,
    SOURCE,
    VALID,
)

LABELS = {
    "REGISTRY": "registry integration: ",
    "SCANNER": "image scanner integration: ",
    "NODE_SCANNER": "node scanner integration: ",
}


_AZURE = "getting Azure container registry configuration: "
_LISTS = {
    "ecr": "ECR Validation error: ",
    "ibm": "IBM Validation error: ",
    "google": "Google Validation error: ",
    "azure": f"{_AZURE}azure container registry validation error: ",
    "clair": "Clair Validation error: ",
    "clair-v4": "Clair v4 Validation error: ",
}
"""The start of a single error of the types that list their problems, by the start of their rules."""
_LISTED = {
    f"{start}-{rule}": text
    for start, text in _LISTS.items()
    for rule in (
        "endpoint-required", "password-required", "api-key-required", "registry-id-required", "region-required",
        "authorization-username", "authorization-password", "authorization-expiry", "assume-role-no-endpoint",
        "assume-role-id-required", "service-account-required",
    )
} | {"azure-config-required": _AZURE}  # fmt: skip
"""The same by rule, also for combinations that are no rule."""


def text_of(central: Central, rule: str, body: Body) -> str:
    """Return the constant part of the error of a build rule."""
    type = body["type"]
    shown = f'"{type}"' if rule in ("scanner-type-known", "node-scanner-type-known") else type
    text = central.rules[rule].message.partition("{reason}")[0].format(type=shown)
    return _LISTED.get(rule, "") + text


def check_build_fails(central: Central, reply: Reply, rule: str, body: Body, what: str) -> None:
    """Check that a write that skips the test was refused because the client cannot be built."""
    # The error of a node scanner's client has no prefix.
    start = "" if body["categories"][0] == "NODE_SCANNER" else "updating integration error"
    central.not_built(reply, what, (start, text_of(central, rule, body)))


def check_test_fails(central: Central, reply: Reply, rule: str, body: Body, what: str) -> None:
    """Check that a test was refused because the client cannot be built."""
    label, text = LABELS[body["categories"][0]], text_of(central, rule, body)
    central.refused(reply, what, text=text)
    if label not in reply.message:
        what = f"the error of {what} lacks its label"
        raise CheckFailed(what, expected={"message contains": [label, text]}, got=brief(reply), check="test-text")


def _shown(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in changes.items())


_IN_A_QUICK_RUN = {"quay-scanner-without-robot": 3}
"""More ways to break a rule that a quick run tries, because Central checks each of them separately."""


_OPTIONAL = {"google-endpoint-required": "project", "azure-endpoint-required": "username"}
"""An optional field by the rule of a required one: it is omitted, too, and must not be listed."""


def check_type_rule(rule: str) -> Callable[[Central], None]:
    """Return the check of a rule that refuses creates without a test, and tests."""

    def run(central: Central) -> None:
        known = [each for each in BROKEN[rule] if central.has(*each)]
        if not known:
            raise Skip(f"nothing can break the rule on Central {central.version}")
        for like, changes in central.some(known, _IN_A_QUICK_RUN.get(rule, 1), 3):
            central.control_of(like)
            for way in central.cases(central.some(("create", "test"), 1)):
                body = from_table(central, like, changes)
                if rule in _OPTIONAL:
                    member = str(member_of(central.contract, body))
                    body = body | {member: body[member] | {_OPTIONAL[rule]: ""}}
                what = f"a {way} of type {body['type']} with {_shown(changes)}"
                if way == "create":
                    check_build_fails(central, central.create(body), rule, body, f"{what}, without a test,")
                else:
                    check_test_fails(central, central.test(body), rule, body, what)

    return run


def check_legacy_type_rule(rule: str) -> Callable[[Central], None]:
    """Return the check of a rule of a type that cannot be created."""

    def run(central: Central) -> None:
        like, changes = NOT_CREATED[rule]
        if not central.has(like, changes):
            raise Skip(f"nothing can break the rule on Central {central.version}")
        if like == "google":
            changes = {"categories": ["SCANNER"], **changes}
            central.control_of("artifactregistry")
        elif not central.quick:
            central.contactless_test(like)
        with central.case():
            body = from_table(central, like, changes)
            check_test_fails(central, central.test(body), rule, body, f"a test of type {like} with {_shown(changes)}")

    return run


_ALSO_NEEDED = {"ecr-authorization-expiry": ("null-is-absent",)}

for _rule in BROKEN:
    _needs = ("test-ignores-skip", "skip-test-respected", *_ALSO_NEEDED.get(_rule, ()))
    check(_rule, "rules", needs=_needs)(check_type_rule(_rule))
for _rule in NOT_CREATED:
    check(_rule, "rules", needs=("test-ignores-skip",))(check_legacy_type_rule(_rule))


@check(
    "build-rules-on-update",
    "rules",
    "An update accepts what a create refuses",
    source=SERVICE,
    needs=("update-not-rolled-back", "credentials-replaced", *BROKEN, *NOT_CREATED),
    profiles=LONGER,
)
def build_rules_on_update(central: Central) -> None:
    kept = {rule: (like, {"categories": ["SCANNER"], **changes}) for rule, (like, changes) in NOT_CREATED.items()}
    known = {rule: [each for each in broken if central.has(*each)] for rule, broken in BROKEN.items()}
    cases = {rule: central.random.choice(broken) for rule, broken in known.items() if broken and rule in central.rules}
    cases |= {rule: each for rule, each in kept.items() if central.has(*each) and rule in central.rules}
    id, _ = central.created()
    for rule, (like, changes) in cases.items():
        if like != "scannerv4":
            with central.attempt():
                body = from_table(central, like, changes)
                _, update = central.random.choice(updates(central))
                what = f"an update to {body['type']} with {_shown(changes)}"
                check_build_fails(central, update(id, body), rule, body, what)


@check("type-defined", "rules")
def type_defined(central: Central) -> None:
    central.control_of("docker")
    with central.case():
        body = central.integration(type=central.random.choice(("", None)))
        central.refused_by(central.create(body), "type-defined", "a create without a type")
        if not central.quick:
            id, _ = central.created()
            for _, update in updates(central):
                central.refused_by(update(id, body), "type-defined", "an update without a type")
            text = "registry integration: " + central.text("registry-type-known", type="")
            central.refused(central.test(central.integration(type="")), "a test without a type", text=text)


@check("category-implemented", "rules", needs=("all-categories-activated",))
def category_implemented(central: Central) -> None:
    central.control_of("docker")
    lists: list[list[Any]] = [[7], ["REGISTRY", 7], ["REGISTRY", 1000], ["REGISTRY", -1]]
    with central.case():
        for categories in central.some(lists, 1):
            with central.attempt():
                text = "updating integration error: " + central.text("category-implemented", category=categories[-1])
                reply = central.create(central.integration(categories=categories))
                central.not_built(reply, f"a create with the categories {categories}", text)
        if not central.quick:
            check_only_stored(central, {}, "creates with unknown categories")


@check(
    "first-category-tested",
    "rules",
    "A failed test does not report the first failing category, in the order sent",
    source=SERVICE,
    needs=("registry-type-known", "scanner-type-known", "quay-endpoint-required", "test-ignores-skip"),
)
def first_category_tested(central: Central) -> None:
    for order in central.cases((BOTH[::-1],) if central.quick else (BOTH, BOTH[::-1])):
        reply = central.test(central.integration("quay", categories=order, quay={"endpoint": ""}))
        text = LABELS[order[0]] + central.text("quay-endpoint-required")
        central.refused(reply, f"a test with the categories {order}", text=text)
    with central.case():
        # Scanner V4 passes without contacting anything; the other category fails.
        body = central.integration("scannerv4", categories=["SCANNER", "REGISTRY"])
        text = LABELS["REGISTRY"] + central.text("registry-type-known", type="scannerv4")
        central.refused(central.test(body), "a test whose second category fails", text=text)
    both: Body = {"categories": ["NODE_SCANNER", "SCANNER"], "clairify": None}
    if central.quick or not central.has("clairify", both):
        return
    with central.case():
        body = central.integration("clairify", **both)
        text = LABELS["NODE_SCANNER"] + central.text("clairify-node-config-required")
        central.refused(central.test(body), "a test as node scanner and image scanner", text=text)


@check(
    "all-categories-activated",
    "rules",
    "A write that skips the test does not report a failing category",
    source="pkg/images/integration/set_impl.go",
    needs=(
        "categories-sorted",
        "registry-type-known",
        "scanner-type-known",
        "quay-endpoint-required",
        "docker-config-required",
        "create-rolled-back",
        "skip-test-respected",
    ),
)
def all_categories_activated(central: Central) -> None:
    if not central.quick:
        with central.case():
            reply = central.create(central.integration(categories=BOTH))
            text = "updating integration error: " + central.text("scanner-type-known", type='"docker"')
            central.not_built(reply, "a create whose second category fails", text)
        with central.case():
            reply = central.create(central.integration("quay", categories=BOTH, quay={"endpoint": ""}))
            texts = [central.text("quay-endpoint-required")] * 2
            central.not_built(reply, "a create that fails for both categories", _errors(texts))
    for type in central.contract.types_of("docker"):
        if type in central.creatable_types:
            with central.case():
                rules = ("docker-config-required", "scanner-type-known")
                texts = [central.text(rule, type=f'"{type}"') for rule in rules]
                reply = central.create(central.integration(type, docker=None, categories=BOTH))
                what = f"a create of type {type} without its config for both categories"
                if texts[0] not in reply.message and (reply.status == 200 or texts[1] in reply.message):
                    raise CheckFailed(what, expected={"message contains": texts}, got=brief(reply), check=rules[0])
                central.not_built(reply, what, _errors(texts))
    with central.case():
        registry = central.text("registry-type-known", type=UNKNOWN_TYPE)
        scanner = central.text("scanner-type-known", type=f'"{UNKNOWN_TYPE}"')
        reply = central.create(central.integration(type=UNKNOWN_TYPE, categories=BOTH[::-1]))
        central.not_built(reply, "a create that fails for both categories", _errors([registry, scanner]))


def _errors(texts: Sequence[str]) -> str:
    return f"updating integration errors: [{', '.join(texts)}]"


@check(
    "missing-fields-listed",
    "rules",
    "The missing fields of a config are not reported in one list, in Central's order",
    source="pkg/errorhelpers/format.go",
    needs=(
        "ibm-endpoint-required",
        "ibm-api-key-required",
        "ecr-registry-id-required",
        "ecr-region-required",
        "test-ignores-skip",
    ),
)
def missing_fields_listed(central: Central) -> None:
    every: tuple[str, Body, str, list[str]] = (
        "ecr",
        {"ecr": KEYLESS | {"registryId": "", "region": "", "useAssumeRole": True, "assumeRoleId": ""}},
        "ECR Validation",
        ["ecr-registry-id-required", "ecr-access-key-required", "ecr-secret-key-required",
         "ecr-assume-role-no-endpoint", "ecr-assume-role-id-required", "ecr-region-required"],
    )  # fmt: skip
    lists: list[tuple[str, Body, str, list[str]]] = [
        ("ibm", {"ibm": {"endpoint": "", "apiKey": ""}}, "IBM Validation",
         ["ibm-endpoint-required", "ibm-api-key-required"]),
        ("ecr", {"ecr": KEYLESS | {"region": "", "authorizationData": {}}}, "ECR Validation",
         ["ecr-authorization-username", "ecr-authorization-password", "ecr-authorization-expiry",
          "ecr-region-required"]),
        ("azure", {"azure": {"endpoint": "", "password": ""}}, "azure container registry validation",
         ["azure-endpoint-required", "azure-password-required"]),
        ("artifactregistry", {"google": {"endpoint": "", "serviceAccount": ""}}, "Google Validation",
         ["google-endpoint-required", "google-service-account-required"]),
        ("clairV4", {"clairV4": None}, "Clair v4 Validation",
         ["clair-v4-config-required", "clair-v4-endpoint-required"]),
    ]  # fmt: skip
    for like, changes, start, rules in central.cases((every, *central.some(lists, 1))):
        body = from_table(central, like, changes)
        text = f"{start} errors: [{', '.join(central.text(rule) for rule in rules)}]"
        what = f"type {like} with {_shown(changes)}"
        if central.random.choice((True, False)):
            central.not_built(central.create(body), f"a create of {what}", text)
        else:
            central.refused(central.test(body), f"a test of {what}", text=text)


_PASSWORDLESS = ("artifactregistry by workload identity", "azure by workload identity", "quay with a robot account")
"""Integrations without a password, which a quick run tries, too."""


@check(
    "odd-combinations",
    "rules",
    "Refuses or changes a combination that looks wrong but that Central accepts",
    source="pkg/registries, pkg/scanners",
    needs=("null-is-absent",),
)
def odd_combinations(central: Central) -> None:
    valid = [each for each in VALID if central.has(each.like, each.changes)]
    if central.quick:
        with central.case():
            id, _ = central.spare()
            passwordless = [each for each in valid if each.what in _PASSWORDLESS]
            for what, like, changes, _ in (valid[0], *passwordless, central.random.choice(valid[1:])):
                reply = central.put(id, from_table(central, like, changes))
                if not is_managed(central, reply):
                    central.ok(reply, f"PUT of {what}")
            reply = central.put(id, central.integration("google"))
            if reply.status != 200:
                what = "PUT of type google is refused, but only a create must be"
                raise CheckFailed(what, expected={"status": 200}, got=brief(reply), check="google-not-created")
        return
    valid += [each for each in LEFT_ALONE if central.has(each.like, each.changes)]
    for what, like, changes, _ in central.cases(valid):
        body = from_table(central, like, changes)
        reply = central.create(body)
        if is_managed(central, reply):
            continue
        central.ok(reply, f"a create of {what}")
        id = created_id(reply)
        check_stored(central, id, body, what)
        check_listed(central, {id: body}, f"{what}, in the list")
        other = central.integration("quay" if "docker" in body else "docker", source=SOURCE)
        for _, update in updates(central):
            central.ok(update(id, other), "an update to another type", need="update-replaces")
            central.ok(update(id, body), f"an update to {what}")
            check_stored(central, id, body, f"{what}, after an update")


@check("ecr-authorization-erased", "rules", needs=("update-not-rolled-back",))
def ecr_authorization_erased(central: Central) -> None:
    # With any of these, the client does not use the authorization data.
    others: list[Body] = [
        {"accessKeyId": central.secret(), "secretAccessKey": central.secret()},
        KEYLESS | {"useIam": True},
        {"useAssumeRole": True, "endpoint": ""},
    ]
    alone: list[tuple[str, Body, str]] = [
        ("a role", {"useAssumeRole": True, "endpoint": ""}, "ecr-access-key-required"),
        ("an access key id", {"accessKeyId": central.secret()}, "ecr-secret-key-required"),
        ("a secret access key", {"secretAccessKey": central.secret()}, "ecr-access-key-required"),
    ]
    for one, config, rule in central.cases(alone):
        # This is not enough: once the authorization data is erased, a key is missing.
        body = from_table(central, "ecr", {"ecr": KEYLESS | config | {"authorizationData": DATA}})
        central.not_built(central.create(body), f"a create with authorization data and {one}", central.text(rule))
    with central.case():
        # Only a registry's client erases authorization data, so an integration without the category keeps it.
        id, sent = central.spare("ecr")
        changes = {"categories": [7], "skipTestIntegration": False, "ecr": {"authorizationData": DATA}}
        body = from_table(central, "ecr", changes)
        text = central.text("category-implemented", category=7)
        reply = central.put(id, body | {"name": sent["name"]})
        central.not_built(reply, "PUT of an unknown category", text)
        shown = central.get(id).object
        for name, check_id in (("categories", "category-by-number"), ("skipTestIntegration", "update-replaces")):
            if shown.get(name) != body[name]:  # few integrations of a run have these values
                what = f"{name} is not stored by a PUT of an unknown category"
                raise CheckFailed(what, expected=body[name], got=shown.get(name), check=check_id)
        ecr = shown.get("ecr")
        kept = ecr.get("authorizationData") if isinstance(ecr, dict) else None
        what = "an ecr integration without the category REGISTRY loses its authorization data"
        central.true(isinstance(kept, dict) and kept.get("username") == "AWS", what, expected=DATA, got=kept)
    for config in central.cases(central.some(others, 1)):
        body = from_table(central, "ecr", {"ecr": config | {"authorizationData": DATA}})
        reply = central.create(body)
        if is_managed(central, reply):
            continue
        central.ok(reply, "a create with authorization data that the client does not use", need="create")
        ecr = reply.object.get("ecr")
        answered = ecr.get("authorizationData", "absent") if isinstance(ecr, dict) else ecr
        central.same(answered, None, "the unused authorization data in the answer to a create")
        # Central stores the integration before it erases the data from the answer.
        reads_as(central, created_id(reply), body, "the stored integration")
    if central.quick:
        return
    with central.case():
        reply = central.test(central.integration("ecr", ecr={"region": "", "authorizationData": {}}))
        text = f"ECR Validation error: {central.text('ecr-region-required')}"
        central.refused(reply, "a test with a key, empty authorization data and no region", text=text)
    with central.case():
        reply = central.create(from_table(central, "ecr", {"ecr": KEYLESS | {"authorizationData": DATA}}))
        central.ok(reply, "a create with only authorization data", need="odd-combinations")
        ecr = reply.object.get("ecr")
        kept = isinstance(ecr, dict) and ecr.get("authorizationData") is not None
        central.true(kept, "the answer to a create lacks the authorization data that the client uses", got=ecr)


_NOWHERE = "nowhere.example.invalid"
"""A host that never resolves (RFC 2606)."""
_ELSEWHERE = ("ecr", "google")
"""Types whose test does not contact the endpoint, or that cannot be created."""


@check("registry-reachable", "rules", needs=("test-ignores-skip",))
def registry_reachable(central: Central) -> None:
    """Check that a test of each type contacts the endpoint: one that cannot be reached fails the test."""
    if not (central.options.allow_registry_tests or is_loopback(central.transport.base)):
        raise Skip("would make the target contact a registry; allow it with --allow-registry-tests")
    for like in central.cases(central.some((each for each in central.creatable_types if each not in _ELSEWHERE), 3)):
        member = central.contract.types[like].member
        body = central.integration(like, **{member: {"endpoint": f"https://{_NOWHERE}"}})
        if like == "clairify":
            body["clairify"]["grpcEndpoint"] = f"{_NOWHERE}:8443"
        label = LABELS[body["categories"][0]]
        central.refused(central.test(body), f"a test of type {like} with a host that does not exist", text=label)
    if central.quick:
        return
    for like, endpoint, label in (
        ("docker", f"registry.{_NOWHERE}", LABELS["REGISTRY"]),
        ("clair", f"https://clair.{_NOWHERE}", LABELS["SCANNER"]),
    ):
        ways: list[tuple[str, Callable[[Body], Reply]]] = [
            ("a test", central.test),
            ("a create", central.create),
            ("/test/updated", partial(central.test_updated, update_password=True)),
        ]
        for what, send in central.cases(ways):
            body = central.integration(like, skipTestIntegration=False, **{like: {"endpoint": endpoint}})
            central.refused(send(body), f"{what} of a {like} that does not exist", text=label)
            check_only_stored(central, {}, f"{what} that failed")


@check(
    "test-text",
    "rules",
    "The error of a failed test lacks the label or the suffixes of its category",
    source=SERVICE,
    needs=("first-category-tested", "node-scanner-type-known", "scanner-type-known", "registry-type-known"),
)
def test_text(central: Central) -> None:
    """Check how often the error is wrapped: thrice by a create, twice by /test, once less for a node scanner type."""
    forms: list[tuple[str, Body, str, int]] = [
        ("docker", {"categories": ["SCANNER"]}, central.text("scanner-type-known", type='"docker"'), 3),
        ("clair", {"categories": ["REGISTRY"]}, central.text("registry-type-known", type="clair"), 3),
        ("docker", {"categories": NODE}, central.text("node-scanner-type-known", type='"docker"'), 2),
        ("clairify", {"categories": NODE, "clairify": {"endpoint": ""}}, central.text("clairify-endpoint-required"), 3),
    ]
    for like, changes, text, wraps in [*forms[:2], *central.some(forms[2:], 1)]:
        for way in central.cases(central.some(("create", "test"), 1)):
            body = central.integration(like, skipTestIntegration=False, **changes)
            reply = central.create(body) if way == "create" else central.test(body)
            suffixes = ": invalid arguments" * (wraps - (way == "test"))
            wanted = LABELS[body["categories"][0]] + text + suffixes
            central.refused(reply, f"a {way} of {like} as {body['categories']}", text=text)
            central.same(reply.message, wanted, f"the whole message of a {way} of {like} as {body['categories']}")


@check(
    "test-passes",
    "rules",
    "A test of type scannerv4 fails, although it contacts nothing",
    source="pkg/scanners/scannerv4/scannerv4.go",
)
def test_passes(central: Central) -> None:
    odd: list[dict[str, Any]] = [{"categories": NODE}, {"scannerV4": {}}, {"skipTestIntegration": False}]
    odd = [each for each in odd if central.has("scannerv4", each)]
    if central.quick:  # a quick run makes all changes in one request
        odd = [dict(ChainMap(*odd))]
    else:
        central.contactless_test("scannerv4")
    for changes in odd:
        reply = central.test_updated(central.integration("scannerv4") | changes, update_password=True)
        central.ok(reply, "/test/updated of type scannerv4")
        central.same(reply.json, {}, "the answer to a test")


@check(
    "azure-member-converted",
    "rules",
    needs=("reconcile-same-member", "reconcile-dependent-unchanged", "stored-credentials-kept"),
)
def azure_member_converted(central: Central) -> None:
    # One of the rules cannot be checked with type azure, so a quick run uses another type.
    for type in central.cases(central.some(("docker", "nexus"), 1) if central.quick else ("azure", "nexus")):
        id, sent = central.spare("docker", type=type)
        if not central.quick:
            reads_as(central, id, sent, f"a new integration of type {type} with a docker member")
        rest = without("docker", sent) | {"type": "azure"}
        azure = {name: sent["docker"][name] for name in ("endpoint", "username")} | {"password": "******"}
        dependent: tuple[tuple[str, Body], ...] = (
            ("Endpoint", {"endpoint": "other.example.com"}),
            ("WifEnabled", {"wifEnabled": True}),
        )
        for field, change in central.some(dependent, 1):
            with central.attempt():
                path = f"ImageIntegration.ImageIntegration_Azure.AzureConfig.{field}"
                text = central.text("reconcile-dependent-unchanged", field=path)
                reply = central.patch(id, rest | {"azure": azure | change})
                central.refused(reply, f"PATCH to an azure member with another {field}", text=text)
        if type != "azure":
            with central.attempt():
                reply = central.patch(id, rest | {"azure": azure, "type": type})
                what = f"PATCH of type {type} to an azure member"
                central.refused_by(reply, "reconcile-same-member", what, sent="Azure", stored="Docker")
        body = rest | {"azure": azure}
        central.ok(central.patch(id, body), "PATCH of a docker member to azure that keeps the credential")
        reads_as(central, id, body, "an integration after its conversion to azure")
        if not central.quick:
            # azure needs a password: this fails if the conversion lost the stored one.
            central.ok(central.patch(id, body), "a second PATCH that keeps the credential")
        reply = central.patch(id, without("docker", sent) | {"docker": sent["docker"] | {"password": ""}})
        what = "PATCH back to the docker member"
        central.refused_by(reply, "reconcile-same-member", what, sent="Docker", stored="Azure")
    if central.quick:
        return
    with central.case():
        id, sent = central.created("azure")
        body = without("azure", sent) | central.integration(type="azure")
        central.ok(central.put(id, body), "PUT of type azure with a docker member")
        reads_as(central, id, body, "a docker member of type azure after PUT, which converts nothing")
