"""Create, common validation, read, update and delete: the rules for every type."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote

from contract_tests.checks.registry import SERVICE, check
from contract_tests.engine.central import Central, brief, created_id
from contract_tests.engine.exchange import Reply
from contract_tests.engine.failures import CheckFailed, NotApplicable, PreconditionFailed, Skip
from contract_tests.engine.integrations import UNKNOWN_TYPE, Body, read_answer
from contract_tests.engine.options import is_loopback
from contract_tests.oracle.model import check_same, constant_pieces, expected, listed
from contract_tests.oracle.steps import HEALTH_IS_WRITTEN, filtered, tests, updated, updates
from contract_tests.oracle.variants import (
    FRESH,
    LOCAL,
    LOOK_ALIKES,
    METADATA,
    PLAIN,
    REFUSED_BY_NEWER,
    UNPARSABLE,
    refuses_more_endpoints,
)

Send = Callable[[Body], Reply]
Way = tuple[str, Send]
Update = Callable[[str, Body], Reply]

ROUNDS = {"quick": 1, "default": 2, "deep": 12}
"""Number of times, by profile, that a check repeats a rule with new random combinations."""


UNKNOWN_CATEGORY = 7
"""A category number that no release has."""


def rounds(central: Central) -> range:
    """Return the repetitions for this run's profile."""
    return range(ROUNDS[central.options.profile])


def random_rows(central: Central, *columns: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Combine columns into random rows that contain every item of every column."""
    length = max(len(column) for column in columns)
    drawn = [[column[index % len(column)] for index in range(length)] for column in columns]
    for column in drawn:
        central.random.shuffle(column)
    return zip(*drawn, strict=True)


def fresh(central: Central, value: Any) -> Any:
    """Replace each FRESH placeholder with a new credential."""
    if isinstance(value, Mapping):
        return {name: fresh(central, inner) for name, inner in value.items()}
    return central.secret() if value == FRESH else value


def from_table(central: Central, like: str, changes: Mapping[str, Any]) -> Body:
    """Return an integration of a type with changes from a table."""
    return central.integration(like, **fresh(central, changes))


def untestable(central: Central, body: Body) -> Body:
    """Return the body with a category that its type does not support, so that its test contacts nothing.

    If the type supports every category of the release, use an unknown one, which tests ignore.
    """
    known = central.contract.types.get(str(body.get("type")))
    kept = known.categories if known else ()
    lacking = [name for name in central.contract.categories if name not in kept]
    # Most types are not scanners.
    category: str | int = "SCANNER" if "SCANNER" in lacking else lacking[0] if lacking else UNKNOWN_CATEGORY
    tested = set(body.get("categories") or ()) & central.contract.categories.keys()
    return body | {"categories": [category]} if tested else body


def ways_to_send(central: Central, id: str) -> list[Way]:
    """Return every request that sends an integration; `id` is one that the check created.

    Tests use a category that the type does not support, so that even a target without the rule contacts nothing.
    """
    flags = [central.random.choice((True, False))] if central.quick else [True, False]

    def test_updated(flag: bool, body: Body) -> Reply:
        return central.test_updated(untestable(central, body) | {"id": id}, flag)

    ways: list[Way] = [
        ("a create", central.create),
        ("PUT", partial(central.put, id)),
        ("/test", lambda body: central.test(untestable(central, body))),
    ]
    for flag in flags:
        ways.append((f"PATCH, updatePassword {flag},", partial(central.patch, id, update_password=flag)))
        ways.append((f"/test/updated, updatePassword {flag},", partial(test_updated, flag)))
    return ways


def ways_to_update(central: Central) -> list[tuple[str, Update]]:
    """Return every request that replaces an integration; `oracle.steps.updates` has only those with credentials."""
    return [
        ("PUT", central.put),
        ("PATCH with credentials", partial(central.patch, update_password=True)),
        ("PATCH without credentials", partial(central.patch, update_password=False)),
    ]


def check_only_stored(central: Central, stored: Mapping[str, Body], what: str) -> None:
    """Check that exactly these integrations of the check exist, each as it was sent."""
    expected = {id: read_answer(central.contract, sent, id) for id, sent in stored.items()}
    central.same(central.listed(), expected, f"the integrations of this check after {what}")


def reads_as(central: Central, id: str, sent: Body, what: str) -> None:
    """Check that a read returns the body that was sent."""
    central.same(central.get(id).json, read_answer(central.contract, sent, id), what)


def named(central: Central, name: str) -> list[Any]:
    """Return the integrations with this name from the unfiltered list."""
    return [item for item in central.list().integrations or () if item.get("name") == name]


def is_managed(central: Central, reply: Reply) -> bool:
    """Return whether the rule of the managed service refused the request."""
    return "ecr-iam-managed" in central.rules and central.text("ecr-iam-managed") in reply.message


def refuses_iam(central: Central, body: Body, reply: Reply) -> bool:
    """Return whether the target is the managed service, and refused a body that is valid elsewhere."""
    return bool((body.get("ecr") or {}).get("useIam")) and is_managed(central, reply)


# -- creating -----------------------------------------------------------------------------------


@check("id-empty-on-create", "rules")
def id_empty_on_create(central: Central) -> None:
    central.control_of("docker")
    with central.case():
        for chosen in central.some((central.unknown_id(), "x"), 1):
            with central.attempt():
                # Central checks the id before everything else.
                body = central.integration(id=chosen, **({"name": "", "categories": []} if central.quick else {}))
                central.refused_by(central.create(body), "id-empty-on-create", f"a create with the id {chosen!r}")
    if not central.quick:
        with central.case():
            id, sent = central.created()
            body = central.integration(id=id)
            central.refused_by(central.create(body), "id-empty-on-create", "a create with an existing id")
            check_only_stored(central, {id: sent}, "creates with an id")


@check("scanner-v4-not-created", "rules")
def scanner_v4_not_created(central: Central) -> None:
    bodies = [
        central.integration("scannerv4"),
        central.integration("scannerv4", categories=list(central.contract.types["scannerv4"].categories)),
        central.integration("docker", type="scannerv4"),
        central.integration("scannerv4", skipTestIntegration=False),
    ]
    for body in central.some(bodies, 1):
        with central.attempt():
            central.refused_by(central.create(body), "scanner-v4-not-created", "a create of type scannerv4")
    if not central.quick:
        check_only_stored(central, {}, "creates of type scannerv4")


@check("google-not-created", "rules")
def google_not_created(central: Central) -> None:
    # A valid config of the type that replaced google.
    central.control_of("artifactregistry")
    with central.case():
        categories = [["REGISTRY"], ["SCANNER"], ["REGISTRY", "SCANNER"]]
        for each in central.some(categories, 1):
            with central.attempt():
                reply = central.create(central.integration("google", categories=each))
                central.refused_by(reply, "google-not-created", f"a create of type google as {each}")
        if not central.quick:
            check_only_stored(central, {}, "creates of type google")
            id, _ = central.created("artifactregistry")
            kept = central.integration("google")
            central.ok(central.put(id, kept), "PUT of type google over a stored integration")
            reads_as(central, id, kept, "type google after PUT")


@check("create-assigns-id", "rules")
def create_assigns_id(central: Central) -> None:
    uuid4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    ids = [id for id, _, _ in central.shared.standing.values()]
    for like in ("docker", "docker", "quay") if not ids else ():
        # The web UI sends an empty id.
        id, sent = central.created(like, id=central.random.choice(("", None)))
        ids.append(id)
        if like == "docker" and not central.quick:
            central.remove(id)
            ids.append(central.created_from(sent)[0])
    for id in ids:
        central.true(uuid4.fullmatch(id) is not None, "a new id is not a lower-case UUID of version 4", got=id)
    central.same(len(set(ids)), len(ids), "the number of different new ids")


@check("create-rolled-back", "rules", needs=("name-unique",))
def create_rolled_back(central: Central) -> None:
    broken: list[tuple[str, str, Body]] = [
        ("registry-type-known", "docker", {"type": UNKNOWN_TYPE}),
        ("docker-config-required", "docker", {"docker": None}),
        ("type-defined", "docker", {"type": ""}),
        ("clairify-endpoint-required", "clairify", {"categories": ["NODE_SCANNER"], "clairify": {"endpoint": ""}}),
        ("node-scanner-type-known", "docker", {"categories": ["REGISTRY", "NODE_SCANNER"]}),
        ("ibm-api-key-required", "ibm", {"ibm": {"apiKey": ""}}),
        ("quay-endpoint-required", "quay", {"categories": ["REGISTRY", "SCANNER"], "quay": {"endpoint": ""}}),
        ("category-required", "docker", {"categories": []}),
    ]
    names = []
    known = [each for each in broken if each[0] in central.rules and central.has(*each[1:])]
    for rule, like, changes in central.some(known, 1):
        with central.attempt():
            body = central.integration(like, **changes)
            reply = central.create(body)
            if reply.status < 400:
                raise PreconditionFailed(rule, f"a create whose client cannot be built was answered {brief(reply)}")
            names.append(body["name"])
    check_only_stored(central, {}, "creates that failed")
    for name in central.some(names, 1):
        central.ok(central.create(central.integration(name=name)), "a create with the name of a failed create")


# -- common validation --------------------------------------------------------------------------


class Place(NamedTuple):
    """An endpoint of an integration, in the config member of its type or of another."""

    like: str
    member: str
    field: str
    type: str


def guarded_endpoints(central: Central) -> list[Place]:
    """Return each endpoint that the contract restricts, some of them in a config member of another type."""
    places = []
    for member in central.contract.integration.members:
        assert member.message is not None  # a config member is a message
        types = [each for each in central.creatable_types if central.contract.types[each].member == member.name]
        for field in member.message.fields:
            if field.validate:
                like = central.random.choice(types)
                places.append(Place(like, member.name, field.name, like))
    places.append(Place("docker", "docker", "endpoint", central.random.choice(("quay", "clair", "ibm"))))
    if not central.quick:
        places.append(Place("docker", "docker", "endpoint", central.random.choice((UNKNOWN_TYPE, ""))))
    return places


def endpoints_refused(central: Central, forms: Sequence[str], text: str) -> None:
    """Check that every form of an endpoint is refused; cover each restricted place and each request."""
    central.control_of("docker")
    with central.case():
        id, sent = central.standing("docker")
        for _ in rounds(central):
            for form, place, way in random_rows(
                central, forms, central.some(guarded_endpoints(central), len(forms)), ways_to_send(central, id)
            ):
                _endpoint_refused(central, form, place, way, text)
        if not central.quick:
            check_only_stored(central, {id: sent}, "refused endpoints")


def _endpoint_refused(central: Central, form: str, place: Place, way: Way, text: str) -> None:
    where, send = way
    with central.attempt():
        reply = send(central.integration(place.like, type=place.type, **{place.member: {place.field: form}}))
        what = f"{where} of type {place.type!r} with {place.member}.{place.field} {form!r}"
        central.refused(reply, what, text=text)


def _validated_forms(central: Central, forms: Sequence[str]) -> list[str]:
    return [form for form in forms if refuses_more_endpoints(central.rules) or form not in REFUSED_BY_NEWER]


@check("endpoint-not-local", "rules")
def endpoint_not_local(central: Central) -> None:
    endpoints_refused(central, _validated_forms(central, LOCAL), central.text("endpoint-not-local"))


@check("endpoint-not-metadata", "rules", needs=("endpoint-not-local",))
def endpoint_not_metadata(central: Central) -> None:
    endpoints_refused(central, _validated_forms(central, METADATA), central.text("endpoint-not-metadata"))


@check("endpoint-parses", "rules", needs=("endpoint-not-local",))
def endpoint_parses(central: Central) -> None:
    central.control_of("docker")
    place = Place("docker", "docker", "endpoint", "docker")
    start = central.rule("endpoint-parses").message.partition("{")[0]
    if central.quick:
        with central.case():
            _endpoint_refused(central, central.random.choice(UNPARSABLE), place, ("create", central.create), start)
        return
    with central.case():
        id, sent = central.created()
        for form, way in random_rows(central, UNPARSABLE, ways_to_send(central, id)):
            _endpoint_refused(central, form, place, way, start)
        # Some builds of older releases accept `::1`, depending on their Go release.
        if refuses_more_endpoints(central.rules):
            _endpoint_refused(central, "::1", place, ("create", central.create), start.partition(":")[0])
        check_only_stored(central, {id: sent}, "refused endpoints")


@check(
    "endpoint-as-sent",
    "rules",
    "An endpoint that only looks forbidden is refused or changed",
    source="pkg/endpoints/validate.go",
    needs=("category-required",),
)
def endpoint_as_sent(central: Central) -> None:
    for pair in central.cases(central.some(zip(LOOK_ALIKES[::2], LOOK_ALIKES[1::2], strict=False), 6)):
        # The missing category proves that the body was read, and stores nothing. A space is a valid name.
        both = dict(zip(("endpoint", "grpcEndpoint"), pair, strict=True))
        reply = central.test(central.integration("clairify", name=" ", categories=[], clairify=both))
        what = f"a test without a category, with the endpoints {' and '.join(map(repr, pair))} and a space as its name"
        only = central.text("category-required")
        central.refused(reply, what, text=only)
        if f"Validation error: {only}: " in reply.message:
            continue
        for word, rule in (("endpoint", "endpoint-as-sent"), ("name", "name-required"), ("", "problems-listed")):
            if word in reply.message:
                raise CheckFailed(what, expected=f"Validation error: {only}", got=brief(reply), check=rule)
    if not central.quick:
        with central.case():
            id, sent = central.spare()
            for form in LOOK_ALIKES:
                sent = sent | {"docker": sent["docker"] | {"endpoint": form}}
                _, update = central.random.choice(updates(central))
                central.ok(update(id, sent), f"an update with the endpoint {form!r}")
                reads_as(central, id, sent, f"the endpoint {form!r}, read back,")
        with central.case():
            form = central.random.choice(LOOK_ALIKES)
            reply = central.create(central.integration(docker={"endpoint": form}))
            central.ok(reply, f"a create with the endpoint {form!r}")
    # Scanner V4 runs next to Central, so its addresses are not checked.
    body = central.integration("scannerv4", scannerV4={"indexerEndpoint": "localhost:8443"})
    central.ok(central.test(body), "a test of type scannerv4 with a local indexer")


def refused_by_every_way(
    central: Central, rule: str, forms: Sequence[Mapping[str, Any]], *, unknown: bool = False
) -> None:
    """Check that this rule refuses these changes in each kind of request, and that nothing is stored.

    Updates are of an existing integration, or in a quick run of an unknown id: the rule comes before the look-up.
    """
    central.control_of("docker")
    with central.case():
        id, sent = central.standing("docker")
        ways = ways_to_send(central, central.unknown_id() if unknown and central.quick else id)
        for change, (where, send) in random_rows(central, central.some(forms, 2), central.some(ways, 3)):
            with central.attempt():
                body = central.integration(central.random.choice(central.creatable_types), **change)
                only = f"Validation error: {central.text(rule)}: invalid arguments"
                definition, what = central.rules[rule], f"{where} of type {body['type']} with {change}"
                reply = send(body)
                if f"errors: [{central.text(rule)}]" in reply.message:
                    raise CheckFailed(what, expected=only, got=brief(reply), check="problems-listed")
                central.refused(reply, what, status=definition.status, code=definition.code, text=only)
        if not central.quick:
            check_only_stored(central, {id: sent}, "refused updates")


@check("category-required", "rules")
def category_required(central: Central) -> None:
    refused_by_every_way(central, "category-required", ({"categories": []}, {"categories": None}))


@check("name-required", "rules")
def name_required(central: Central) -> None:
    refused_by_every_way(central, "name-required", ({"name": ""}, {"name": None}), unknown=True)
    if central.quick:
        return  # in a quick run, endpoint-as-sent sends such names
    with central.case():
        # The missing category proves that the body was read.
        reply = central.test(central.integration(name=" ", categories=[]))
        central.refused_by(reply, "category-required", "a test without a category and with a space as its name")
        required, message = central.text("name-required"), reply.message
        central.true(required not in message, "a space counts as no name", expected=f"not {required!r}", got=message)


@check(
    "problems-listed",
    "rules",
    "Several problems with an integration are not reported in one list, in Central's order",
    source="pkg/errorhelpers/format.go",
    needs=("endpoint-not-local", "name-required", "category-required"),
)
def problems_listed(central: Central) -> None:
    local, category = central.text("endpoint-not-local"), central.text("category-required")
    three: Body = {"docker": {"endpoint": "localhost"}, "categories": []}
    with central.case():
        text = f"Validation errors: [{local}, {category}, {central.text('name-required')}]: invalid arguments"
        ways: list[Send] = [central.create, central.test]
        reply = central.random.choice(ways)(central.integration(name="", **three))
        central.refused(reply, "a request with three problems", text=text)
    if not central.quick:
        with central.case():
            id, sent = central.created()
            taken = central.text("name-unique", name=f'"{sent["name"]}"')
            text = f"Validation errors: [{local}, {category}, {taken}]: invalid arguments"
            other, _ = central.created("ibm")
            for where, send in central.some(ways_to_send(central, other), 1, 3):
                with central.attempt():
                    reply = send(central.integration(name=sent["name"], **three))
                    central.refused(reply, f"{where} with three problems", text=text)
            with central.attempt():
                text = f"Validation error: {category}: invalid arguments"
                central.refused(central.put(id, sent | {"categories": []}), "PUT with one problem", text=text)


@check("name-unique", "rules")
def name_unique(central: Central) -> None:
    with central.case():
        owner, taken = central.created(autogenerated=True, name=central.name("-a"))
        id, sent = central.created("quay")
        for where, send in ways_to_send(central, id):
            with central.attempt():
                like = central.random.choice(central.creatable_types)
                reply = send(central.integration(like, name=taken["name"]))
                what = f"{where} of type {like} with the name of another integration"
                central.refused_by(reply, "name-unique", what, name=f'"{taken["name"]}"')
        check_only_stored(central, {owner: taken, id: sent}, "refused names")
        if not central.quick:  # in a quick run `update` covers this
            for _, update in updates(central):
                central.ok(update(id, sent | {"id": id}), "an update that keeps the name")
            _check_own_name_allowed(central, id, sent)
        _check_names_reusable(central, (id, sent), (owner, taken))
    _check_names_of_others_taken(central)


@check(
    "names-exact",
    "rules",
    "Names that differ in case, spaces or Unicode form count as the same",
    source="pkg/postgres/schema/image_integrations.go",
    needs=("name-unique",),
)
def names_exact(central: Central) -> None:
    start, end = central.name(), "-\u00e9a\ufb01"
    name = start + end
    alike = [unicodedata.normalize("NFD", end), f"{end} ", "-\u00c9A\ufb01"]
    alike += [unicodedata.normalize("NFKC", end), f"{end}\u200b", f"{end}\u00a0", end[:-1], f"{end}\t"]
    names = [name, *(start + each for each in (alike[:3] if central.quick else alike))]
    ids: dict[str, str] = {}
    sent: dict[str, Body] = {}
    for each in names:
        body = central.integration(name=each)
        reply = central.create(body)
        central.ok(reply, f"a create of {each!r} when {name!r} exists")
        ids[each] = created_id(reply)
        sent[ids[each]] = body
    for each in names[1:2] if central.quick else names:
        found = filtered(central, f"?name={quote(each, safe='')}")
        central.same(found, [ids[each]], f"the list by the name {each!r} when similar names exist")
    sent[ids[name]] = central.integration(clusterId="another-cluster")
    updated(central, "PUT", ids[name], sent[ids[name]])
    what = "after an update of an integration whose name is a prefix of other names"
    check_same(listed(central), expected(central, sent), what, check="update-changes-one")


def _check_own_name_allowed(central: Central, id: str, sent: Body) -> None:
    body = untestable(central, sent) | {"id": id}
    for _, test in tests(central):
        reply = test(body)
        if body["categories"] == ["NODE_SCANNER"]:
            why = central.text("node-scanner-type-known", type='"quay"')
            central.refused(reply, "a test with its own name and an unsupported category", text=why)
        taken = central.text("name-unique", name=f'"{sent["name"]}"')
        central.true(taken not in reply.message, "a test is refused for its own name", got=reply.message)


def _check_names_reusable(central: Central, renamed: tuple[str, Body], deleted: tuple[str, Body]) -> None:
    (id, sent), (other, taken) = renamed, deleted
    new = sent | {"name": central.name()}
    _, update = central.random.choice(updates(central))
    central.ok(update(id, new), "an update with a new name")
    reply = central.create(central.integration(name=sent["name"]))
    central.ok(reply, "a create with the former name of an updated integration")
    if not central.quick:
        reply = central.create(central.integration(name=new["name"]))
        what = "a create with the new name of an updated integration"
        central.refused_by(reply, "name-unique", what, name=f'"{new["name"]}"')
    central.remove(other)
    reply = central.create(central.integration(name=taken["name"]))
    central.ok(reply, "a create with the name of a deleted integration")


def _check_names_of_others_taken(central: Central) -> None:
    names = [str(item.get("name")) for item in central.list().integrations or ()]
    names = [name for name in names if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 .()-]*", name)]
    others = [name for name in names if not name.startswith(central.transport.name_prefix)]
    if others:
        with central.case():
            name = central.random.choice(sorted(others))  # lists have no order
            reply = central.test(untestable(central, central.integration(name=name)))
            what = "a test with the name of an integration that the run did not create"
            central.refused_by(reply, "name-unique", what, name=f'"{name}"')


@check("ecr-iam-managed", "rules")
def ecr_iam_managed(central: Central) -> None:
    # In a quick run the first request shows whether the target is managed.
    _, first = central.stored(central.integration("ecr", ecr={"useIam": True}))
    managed = central.options.managed or is_managed(central, first)
    id, _ = central.created("ecr") if managed or not central.quick else ("", {})
    ways = ways_to_send(central, id) if id else []
    found = [("a write", first)]
    found += [(where, send(central.integration("ecr", ecr={"useIam": True}))) for where, send in ways]
    if not managed and not any(is_managed(central, reply) for _, reply in found):
        raise NotApplicable("the target accepts the container's IAM role; --managed makes that a failure")
    for where, reply in found:
        central.refused_by(reply, "ecr-iam-managed", f"{where} of an ecr integration that uses IAM")


@check("integration-required", "rules", needs=("name-required", "category-required"))
def integration_required(central: Central) -> None:
    for flag in central.cases(central.some((True, False, None), 1, 3)):
        reply = central.test_updated(None, update_password=flag)
        central.refused_by(reply, "integration-required", "test/updated without a config")
    if not central.quick:
        with central.case():
            # Central puts the id of the path into an empty config.
            id, sent = central.created()
            text = [central.text(rule) for rule in ("category-required", "name-required")]
            central.refused(central.patch(id, None, update_password=True), "PATCH without a config", text=text)
            check_only_stored(central, {id: sent}, "PATCH without a config")


# -- skipping the test ----------------------------------------------------------------------------


@check(
    "tested-before-stored",
    "rules",
    "An integration that fails its test is stored, or is not tested",
    source=SERVICE,
    needs=("scanner-type-known", "create-rolled-back"),
)
def tested_before_stored(central: Central) -> None:
    id, sent = central.spare()
    text = central.text("scanner-type-known", type='"docker"')
    # PATCH must keep the stored credentials, or a refused credential or endpoint would hide the failed test.
    kept = {"docker": sent["docker"] | {"password": ""}}
    ways = [way for way in ways_to_send(central, id) if not way[0].startswith("/test")]
    for (where, send), skip in random_rows(central, ways, (False, None)):
        with central.attempt():
            body = untestable(central, central.integration(**kept, skipTestIntegration=skip))
            central.refused(send(body), f"{where} that fails its test", text=text)
    check_only_stored(central, {id: sent}, "failed tests")


@check(
    "skip-test-respected",
    "rules",
    "An integration is tested although skipTestIntegration is set: 400 instead of 500",
    source=SERVICE,
)
def skip_test_respected(central: Central) -> None:
    id, sent = central.standing("docker")
    text = "updating integration error: " + central.text("scanner-type-known", type='"docker"')
    kept = {"docker": sent["docker"] | {"password": ""}}
    ways = [way for way in ways_to_send(central, id) if not way[0].startswith("/test")]
    # Even a failed update is stored, and a quick run must not change the integrations that it reuses.
    for where, send in ways[:1] if central.quick else ways:
        reply = send(untestable(central, central.integration(**kept)))
        if reply.status == 200:
            raise PreconditionFailed("scanner-type-known", f"a scanner of type docker was answered {brief(reply)}")
        central.not_built(reply, f"{where} of an integration whose client cannot be built", text)


@check("test-ignores-skip", "rules", "A test with skipTestIntegration tests nothing", source=SERVICE)
def test_ignores_skip(central: Central) -> None:
    text = central.text("scanner-type-known", type='"docker"')
    for skip in (True,) if central.quick else (True, False, None):
        # In a quick run the checks of each type cover tests with the flag set.
        for where, send in tests(central)[1:] if central.quick else tests(central):
            reply = send(untestable(central, central.integration(skipTestIntegration=skip)))
            if reply.status == 200 and send(untestable(central, central.integration())).status == 200:
                unskipped = send(untestable(central, central.integration(skipTestIntegration=False)))
                if unskipped.status == 200:
                    raise PreconditionFailed(
                        "scanner-type-known", f"a scanner of type docker was answered {brief(reply)}"
                    )
            central.refused(reply, f"{where} with skipTestIntegration {skip}", text=text)


# -- reading, updating, deleting --------------------------------------------------------------------


@check("id-required", "rules")
def id_required(central: Central) -> None:
    with central.case():
        central.refused_by(central.get(""), "id-required", "GET with an empty id")
    if is_loopback(central.transport.base):
        # A shared server might delete an integration for an empty id.
        with central.case():
            central.refused_by(central.delete(""), "id-required", "DELETE with an empty id")


@check(
    "id-exact",
    "rules",
    "GET finds an integration by its id in upper case, by part of its id or by its name",
    source="pkg/search/postgres/store_cache.go",
    needs=("create-assigns-id",),
)
def id_exact(central: Central) -> None:
    id, sent = central.standing("docker")
    more = (id[:-1], f" {id} ", id.replace("-", ""), f"{{{id}}}", f"urn:uuid:{id}")
    for other in (id.upper(), sent["name"], *central.some(more, 0)):
        with central.attempt():
            reply = central.get(quote(other, safe=""))
            central.refused_by(reply, "get-missing", f"GET of {other!r}", id=other)


@check("update-missing", "rules", needs=("create-assigns-id",))
def update_missing(central: Central) -> None:
    id, sent = central.standing("docker")
    central.transport.guard.invented.add(id.upper())
    missing = [central.unknown_id(), id.upper()]
    if not central.quick:
        missing.append(central.created()[0])
        central.remove(missing[-1])

    def test(each: str, body: Body) -> Reply:
        return central.test(untestable(central, body) | {"id": each})

    def test_updated(each: str, body: Body, *, update_password: bool) -> Reply:
        return central.test_updated(untestable(central, body) | {"id": each}, update_password)

    ways = [
        *ways_to_update(central),
        ("/test", test),
        ("/test/updated with credentials", partial(test_updated, update_password=True)),
        ("/test/updated without credentials", partial(test_updated, update_password=False)),
    ]
    for (where, send), each in random_rows(central, ways, missing):
        with central.attempt():
            reply = send(each, from_table(central, *central.random.choice(PLAIN)))
            central.refused_by(reply, "update-missing", f"{where} of {each}", id=f'"{each}"')
    if not central.quick:
        check_only_stored(central, {id: sent}, "updates of unknown ids")


@check("delete-missing", "rules")
def delete_missing(central: Central) -> None:
    with central.case():
        not_deleted(central, central.unknown_id())
    if central.quick:
        with central.case():
            upper = central.standing("clair")[0].upper()
            central.transport.guard.invented.add(upper)
            reply = central.delete(upper)
            if reply.status == 200:
                central.claim("clair")
            what = "DELETE of an id in upper case"
            central.refused_by(reply, "delete-missing", what, id=upper, quoted=f'"{upper}"')
        return
    with central.case():
        id, sent = central.created()
        central.transport.guard.invented.add(id.upper())
        deleted, _ = central.created()
        time.sleep(HEALTH_IS_WRITTEN)  # otherwise the next DELETE may still be answered 200
        central.remove(deleted)
        for missing in (deleted, id.upper()):
            with central.attempt():
                not_deleted(central, missing)
        check_only_stored(central, {id: sent}, "deletes of unknown ids")


def not_deleted(central: Central, missing: str) -> None:
    """Check that DELETE of an id that does not exist is refused."""
    reply = central.delete(missing)
    central.refused_by(reply, "delete-missing", f"DELETE of {missing}", id=missing, quoted=f'"{missing}"')


@check("scanner-v4-not-deleted", "rules")
def scanner_v4_not_deleted(central: Central) -> None:
    scanner = _scanner_v4_of_the_target(central)
    reply = central.delete(scanner["id"])
    central.refused_by(reply, "scanner-v4-not-deleted", "DELETE of Central's own Scanner V4")
    central.same(central.get(scanner["id"]).status, 200, "reading Scanner V4 after the DELETE")


@check(
    "scanner-v4-stays",
    "rules",
    "Scanner V4 becomes an integration of another type",
    source=SERVICE,
    needs=("scanner-v4-type-fixed",),
)
def scanner_v4_stays(central: Central) -> None:
    scanner = _scanner_v4_of_the_target(central)
    for where, update in updates(central):
        body = central.integration()
        what = f"{where} of type docker over Central's own Scanner V4"
        reply = update(scanner["id"], body)
        if reply.status == 200:
            central.put(scanner["id"], scanner)  # undo the change if the target accepted it
        central.refused_by(reply, "scanner-v4-type-fixed", what)
    central.same(central.get(scanner["id"]).json, scanner, "Scanner V4 after refused updates")


def _scanner_v4_of_the_target(central: Central) -> Body:
    """Return Central's own Scanner V4 integration.

    Raises:
        Skip: the target is not disposable, or has no Scanner V4.
    """
    if not central.options.disposable:
        raise Skip("would delete Central's own Scanner V4; allow it with --disposable")
    found = [item for item in central.list().integrations or () if item.get("type") == "scannerv4"]
    if not found:
        raise Skip("the target has no Scanner V4 integration")
    central.transport.guard.expendable.add(found[0]["id"])
    return dict(found[0])


@check("scanner-v4-type-fixed", "rules", needs=("name-required",))
def scanner_v4_type_fixed(central: Central) -> None:
    id, sent = central.standing("docker")
    ways: list[Way] = [
        *((where, partial(update, id)) for where, update in ways_to_update(central)),
        ("/test", lambda body: central.test(body | {"id": id})),
        ("/test/updated", lambda body: central.test_updated(body | {"id": id}, update_password=True)),
    ]
    # Only the type is wrong if the body keeps its docker member.
    bodies = (central.integration("scannerv4"), sent | {"type": "scannerv4", "categories": ["SCANNER"]})
    for _ in rounds(central):
        for (where, send), body in random_rows(central, central.some(ways, 3), bodies):
            with central.attempt():
                what = f"{where} that changes a docker integration to type scannerv4"
                central.refused_by(send(body), "scanner-v4-type-fixed", what)
    for where, send in ways[:1] if central.quick else ways:
        with central.attempt():
            reply = send(central.integration("scannerv4", name=""))
            central.refused_by(reply, "name-required", f"{where} to type scannerv4 without a name")
    if not central.quick:
        check_only_stored(central, {id: sent}, "refused type changes")
        central.ok(central.put(id, sent | {"type": "nexus"}), "PUT of another type with the same member")


_DATABASE = "SQLSTATE"
"""A word that only the database's own errors contain."""


def shows_database(central: Central) -> bool:
    """Return whether the release shows the database's own error text, in place of `{reason}`."""
    return "{reason}" in central.rule("database-error").message


@check("database-error", "rules")
def database_error(central: Central) -> None:
    """Check that an update with an empty id, which has no row, fails with this release's error and stores nothing."""
    rule = central.rule("database-error")
    for where, update in central.cases(central.some(updates(central), 1)):
        body = central.integration()
        reply = update("", body)
        text = constant_pieces(rule.message)
        central.refused(reply, f"{where} with an empty id", status=rule.status, code=rule.code, text=text)
        if not shows_database(central):
            central.true(_DATABASE not in reply.message, "the error shows the database's text", got=reply.message)
        central.same(named(central, body["name"]), [], f"integrations stored by {where} despite the database")


@check(
    "name-with-nul", "rules", "A write that the database refuses is visible afterwards", source="pkg/search/postgres"
)
def name_with_nul(central: Central) -> None:
    """Check that a name with NUL, which PostgreSQL cannot store, is stored either completely or not at all."""
    if shows_database(central):
        raise Skip(f"Central {central.version} shows the database's own message, which is not in the contract")
    id, sent = central.spare()
    for where, update in central.some(updates(central), 1):
        new = sent | {"name": f"{central.name()}\0"}
        reply = update(id, new)
        if reply.status == 200:
            sent = new
        reads_as(central, id, sent, f"an integration after {where} of a name with NUL was answered {reply.status}")


@check("path-id-wins", "rules", needs=("credentials-replaced",))
def path_id_wins(central: Central) -> None:
    first, sent = central.spare()
    kept = central.shared.standing.get("quay")
    claimed = central.claim("quay")  # `check_only_stored` ignores its old name, but not that of a wrong update
    second, other = claimed or central.created("quay")
    ways = ways_to_update(central)
    for _ in rounds(central):
        # An existing id is the worst case: a server may update the wrong integration.
        ids = [second] if central.quick else [second, central.unknown_id(), "not-a-uuid"]
        for (where, update), id in random_rows(central, [ways[0], *central.some(ways[1:], 1)], ids):
            keeps = {"name": sent["name"], "docker": sent["docker"] | {"password": ""}}
            sent = central.integration(id=id, **(keeps if "without" in where else {}))
            central.ok(update(first, sent), f"{where} with the id {id!r} in the body")
            if not central.quick:
                reads_as(central, first, sent, f"{where} with the id {id!r} in the body")
    stored = {first: sent} if claimed else {first: sent, second: other}
    check_only_stored(central, stored, "updates with other ids in their bodies")
    if claimed and kept:
        central.keep_again(*kept)


@check("update-not-rolled-back", "rules", needs=("registry-type-known",))
def update_not_rolled_back(central: Central) -> None:
    id, sent = central.spare()
    for where, update in central.some(ways_to_update(central), 1):
        docker = sent["docker"] | ({"password": ""} if "without" in where else {})
        bad = central.integration(docker=docker, type=f"{UNKNOWN_TYPE}-{len(where)}")
        text = central.text("registry-type-known", type=bad["type"])
        central.not_built(update(id, bad), f"{where} to an unknown type", text)
        reads_as(central, id, bad, f"an integration after a failed {where}, which is stored,")
    if not central.quick:
        central.ok(central.put(id, sent), "PUT that corrects it")
        reads_as(central, id, sent, "an integration after its correction")


@check("categories-sorted", "rules", needs=("update-not-rolled-back", "registry-type-known", "node-scanner-type-known"))
def categories_sorted(central: Central) -> None:
    scanners = [["NODE_SCANNER", "SCANNER", "NODE_SCANNER"], ["NODE_SCANNER", "SCANNER", "SCANNER"]]
    orders: list[tuple[str, list[list[str]]]] = [
        ("clairify", scanners),
        ("quay", [["SCANNER", "REGISTRY", "SCANNER"], ["REGISTRY", "REGISTRY"], ["SCANNER", "REGISTRY", "REGISTRY"]]),
    ]
    known = [(like, lists) for like, lists in orders if all(central.has(like, {"categories": each}) for each in lists)]
    for like, lists in central.cases(central.some(known, 1)):
        id, sent = central.created(like, categories=lists[0])
        reads_as(central, id, sent, f"categories created as {lists[0]}")
        for categories in central.some(lists[1:], 1):
            sent = sent | {"categories": categories}
            _, update = central.random.choice(updates(central))
            central.ok(update(id, sent), f"an update with the categories {categories}")
            reads_as(central, id, sent, f"categories replaced by {categories}")
        if not central.quick:
            sent = sent | {"categories": lists[0]}
            central.ok(central.patch(id, sent, update_password=True), f"PATCH with the categories {lists[0]}")
            reads_as(central, id, sent, f"categories patched to {lists[0]}")
            # No type has all three, so building the clients fails, but the update is stored.
            sent = sent | {"categories": ["NODE_SCANNER", "SCANNER", "REGISTRY"]}
            central.not_built(central.put(id, sent), "PUT with three categories")
            reads_as(central, id, sent, "an integration with three categories")
