"""Hypothesis strategies from the contract: integrations that Central accepts, and integrations that it refuses.

    from contract_tests.strategies import integrations

    @given(integrations(types=["quay", "ecr"]))
    def test_a_client(integration): ...

Examples shrink to a short integration with hosts under example.com. Fields and categories come from the contract; which
fields the client of a type needs is defined here, independently of the mock.

`integrations` and `broken` draw unusual strings, to find bugs in a client. `requests` and `sessions` draw malformed
requests and the whole life of an integration, to find bugs in a server. `realistic`, `conversations` and
`breaking` draw the cases of `central-contract fixtures`: realistic values and whole sequences of requests.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from contract_tests.engine.exchange import COLLECTION
from contract_tests.engine.integrations import SERVICE_ACCOUNT, Body, without
from contract_tests.fixtures.bodies import VARIANTS
from contract_tests.fixtures.cases import GROUPS, Case, catalogue
from contract_tests.fixtures.choices import Choices
from contract_tests.fixtures.scene import UNKNOWN_ID, Scene, Step
from contract_tests.oracle.variants import BROKEN
from mock_server.contract import tables as contracts
from mock_server.contract.tables import MASK, Contract, Field, Message, Rule

INT32 = 2**31
DOCKER_FAMILY = contracts.load().types_of("docker")
CREATABLE = tuple(
    type
    for type in contracts.load().types
    if all(type in each.creatable_types for each in contracts.load().every_release)
)
"""Types that can be created in every release of Central."""

_HOSTS = (
    "a.example.com",
    "registry.example.com",
    "eu-1.registry.example.com",
    "UPPER.example.com",
    "xn--bcher-kva.example.com",
)
_TEXTS = (
    "a",
    "",
    "Robot 1",
    "ünïcode",
    "日本",
    "a/b?c=d&e#f",
    '"quoted"',
    "<tag>",
    " blanks ",
    "back\\slash",
    "%41",
    "null",
    "😀",
)
_TIMES = ("2030-01-02T03:04:05Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "2030-01-02T03:04:05.120Z")


# -- values ---------------------------------------------------------------------------------------


def names() -> SearchStrategy[str]:
    """Draw a name. Names are unique in a store: pass your own strategy if you send several integrations."""
    return st.integers(0, 10**6).map("name-{}".format)


def credentials() -> SearchStrategy[str]:
    """Draw a credential that is not empty."""
    return st.integers(0, 10**6).map("secret-{}".format)


def texts() -> SearchStrategy[str]:
    """Draw a string for a field that Central stores unchanged."""
    return st.sampled_from(_TEXTS) | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


def endpoints() -> SearchStrategy[str]:
    """Draw an endpoint that Central accepts: a host under example.com, with optional scheme, port and path."""
    return st.builds(
        "{}{}{}{}".format,
        st.sampled_from(("", "https://", "http://")),
        st.sampled_from(_HOSTS),
        st.sampled_from(("", ":8443", ":65535")),
        st.sampled_from(("", "/", "/v2/path", "/?q=1")),
    )


def _int32() -> SearchStrategy[int]:
    return st.sampled_from((0, 1, 5, -1, INT32 - 1, -INT32)) | st.integers(-INT32, INT32 - 1)


def sources() -> SearchStrategy[Body | None]:
    """Draw the source of an integration that Sensor found, or None."""
    return st.none() | st.fixed_dictionaries(
        {"clusterId": texts(), "namespace": texts(), "imagePullSecretName": texts()}
    )


# -- arguments ------------------------------------------------------------------------------------


def _check_known(what: str, names: Sequence[str], known: Iterable[str]) -> None:
    """Check the names that a caller passes.

    Raises:
        ValueError: a name is unknown, or the names are a single string.
    """
    listed = list(known)
    if isinstance(names, str):
        raise ValueError(f"{what}={names!r} is a string; pass a list, such as [{names!r}]")  # noqa: TRY004 (a value)
    if not names and what == "types":
        raise ValueError(f"{what} is empty; known are {', '.join(listed)}")
    for name in names:
        if name not in listed:
            close = difflib.get_close_matches(str(name), listed, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(listed)}"
            raise ValueError(f"{what}: there is no {name!r}; {hint}")


def _check_strategies(**given: SearchStrategy[str] | None) -> None:
    for what, strategy in given.items():
        if strategy is not None and not isinstance(strategy, SearchStrategy):
            raise ValueError(f"{what}={strategy!r} is not a strategy; pass one, such as st.just({strategy!r})")


# -- configurations -------------------------------------------------------------------------------


def _at(version: str | None) -> Contract:
    return contracts.load() if version is None else contracts.load().at(version)


def configs(
    type: str,
    *,
    categories: Sequence[Any] | None = None,
    secrets: SearchStrategy[str] | None = None,
    version: str | None = None,
) -> SearchStrategy[Body]:
    """Draw a config from which Central can build the clients of the categories (default: all of the type).

    `version`: the release that has its fields (default: the newest).
    """
    contract = _at(version)
    _check_known("type", [type], contract.types)
    known = contract.types[type]
    _check_strategies(secrets=secrets)
    _check_known("categories", categories or (), known.categories)
    secrets = credentials() if secrets is None else secrets
    wanted = tuple(known.categories if categories is None else categories)
    later = {
        field.name: _field_values(field, secrets)
        for field in contract.later_fields(contract.config_message(type))
        if field.kind in _KINDS
    }
    drawn = _CONFIGS[known.member](secrets, wanted)
    return st.builds(lambda body, more: body | more, drawn, _fields({}, later)) if later else drawn


_KINDS = ("string", "bool", "int32")


def _field_values(field: Field, secrets: SearchStrategy[str]) -> SearchStrategy[Any]:
    """Draw a value for a field that a later release added."""
    if field.kind == "string":
        return secrets if field.scrub == "always" else endpoints() if field.validate else texts()
    return st.booleans() if field.kind == "bool" else _int32()


def _fields(needed: Mapping[str, SearchStrategy[Any]], more: Mapping[str, SearchStrategy[Any]]) -> SearchStrategy[Body]:
    return st.fixed_dictionaries(dict(needed), optional=dict(more))


def _empty_or(secrets: SearchStrategy[str]) -> SearchStrategy[str]:
    return st.just("") | secrets


def _docker(secrets: SearchStrategy[str], _: tuple[Any, ...]) -> SearchStrategy[Body]:
    more = {"endpoint": endpoints(), "username": texts(), "password": _empty_or(secrets), "insecure": st.booleans()}
    return _fields({}, more)


def _quay(secrets: SearchStrategy[str], categories: tuple[Any, ...]) -> SearchStrategy[Body]:
    usual = _fields({"endpoint": endpoints()}, {"oauthToken": _empty_or(secrets), "insecure": st.booleans()})
    names = texts().filter(bool)
    robot = st.fixed_dictionaries({"username": names, "password": secrets})
    with_robot = {"endpoint": endpoints(), "registryRobotCredentials": robot}
    if categories == ("REGISTRY",):
        return usual | _fields(with_robot, {"insecure": st.booleans()})
    if len(categories) > 1:
        return usual | _fields(with_robot | {"oauthToken": secrets}, {"insecure": st.booleans()})
    return usual


def _ecr(secrets: SearchStrategy[str], _: tuple[Any, ...]) -> SearchStrategy[Body]:
    filled = texts().filter(bool)
    needed = {
        "registryId": st.sampled_from(("123456789012", "000000000000")),
        "region": st.sampled_from(("us-east-1", "eu-west-2", "cn-north-1", "us-gov-west-1")),
    }
    keys = needed | {"accessKeyId": secrets, "secretAccessKey": secrets}
    container = needed | {"useIam": st.just(True)}
    role = {"useAssumeRole": st.just(True), "assumeRoleId": st.sampled_from(("role", "payments-reader", "path/role"))}
    data = {"username": filled, "password": secrets, "expiresAt": st.sampled_from(_TIMES)}
    roles = {"assumeRoleId": texts(), "assumeRoleExternalId": texts()}
    return st.one_of(
        _fields(keys, {"endpoint": endpoints(), **roles}),
        _fields(keys | role, {"assumeRoleExternalId": texts()}),
        _fields(container, {"endpoint": endpoints(), **roles}),
        _fields(container | role, {"assumeRoleExternalId": texts()}),
        _fields(needed | {"authorizationData": st.fixed_dictionaries(data)}, {"endpoint": endpoints(), **roles}),
    )


def _google(secrets: SearchStrategy[str], categories: tuple[Any, ...]) -> SearchStrategy[Body]:
    accounts = secrets.map(lambda secret: SERVICE_ACCOUNT % secret)
    by_key = _fields(
        {"endpoint": endpoints(), "serviceAccount": accounts, "project": st.just("example-project")},
        {"wifEnabled": st.just(False)},
    )
    if "SCANNER" in categories:  # workload identity does not work for scanners
        return by_key
    project = st.sampled_from(("example-project", "p-1", ""))
    return by_key | _fields({"endpoint": endpoints(), "wifEnabled": st.just(True)}, {"project": project})


def _azure(secrets: SearchStrategy[str], _: tuple[Any, ...]) -> SearchStrategy[Body]:
    by_password = _fields({"endpoint": endpoints(), "password": secrets}, {"username": texts()})
    return by_password | _fields({"endpoint": endpoints(), "wifEnabled": st.just(True)}, {"username": texts()})


def _ibm(secrets: SearchStrategy[str], _: tuple[Any, ...]) -> SearchStrategy[Body]:
    return _fields({"endpoint": endpoints(), "apiKey": secrets}, {})


def _clair(_secrets: SearchStrategy[str], _: tuple[Any, ...]) -> SearchStrategy[Body]:
    return _fields({"endpoint": endpoints()}, {"insecure": st.booleans()})


def _clairify(_secrets: SearchStrategy[str], _: tuple[Any, ...]) -> SearchStrategy[Body]:
    hosts = st.sampled_from(("", "a.example.com:8443", "scanner.example.com"))
    return _fields({"endpoint": endpoints()}, {"grpcEndpoint": hosts, "numConcurrentScans": _int32()})


def _scanner_v4(_secrets: SearchStrategy[str], _: tuple[Any, ...]) -> SearchStrategy[Body]:
    hosts = st.sampled_from(("", "a.example.com:8443", ":8443", "[2001:db8::1]:8443", "scanner example:8443"))
    more = {"numConcurrentScans": _int32(), "indexerEndpoint": hosts, "matcherEndpoint": hosts}
    return _fields({}, more)


_CONFIGS: Mapping[str, Callable[[SearchStrategy[str], tuple[Any, ...]], SearchStrategy[Body]]] = {
    "docker": _docker,
    "quay": _quay,
    "ecr": _ecr,
    "google": _google,
    "azure": _azure,
    "ibm": _ibm,
    "clair": _clair,
    "clairV4": _clair,
    "clairify": _clairify,
    "scannerV4": _scanner_v4,
}


# -- integrations ---------------------------------------------------------------------------------


@st.composite
def integrations(
    draw: st.DrawFn,
    *,
    types: Sequence[str] = CREATABLE,
    names: SearchStrategy[str] | None = None,
    secrets: SearchStrategy[str] | None = None,
    version: str | None = None,
    tested: bool | None = False,
) -> Body:
    """Draw an integration that Central accepts.

    `version`: the release of Central (default: the newest). `tested`: whether Central tests the connection first (None:
    either); the registry must answer then, which the mock simulates. Types scannerv4 and, since Central 5.0, google
    cannot be created: send those with PUT, or to a test.

    Raises:
        ValueError: the release does not have a type, or another argument is wrong.
    """
    _check_known("types", types, _at(version).types)
    _check_strategies(names=names, secrets=secrets)
    if tested not in (True, False, None):
        raise ValueError(f"tested={tested!r} must be True, False or None")
    type = draw(st.sampled_from(list(types)))
    known = _at(version).types[type]
    categories = draw(st.sampled_from(_category_lists(known.categories)))
    integration: Body = {
        "name": draw(_default_names() if names is None else names),
        "type": type,
        "categories": categories,
        known.member: draw(configs(type, categories=categories, secrets=secrets, version=version)),
        "skipTestIntegration": not (draw(st.booleans()) if tested is None else tested),
    }
    if known.member == "docker" and not integration["skipTestIntegration"]:  # a test needs a host
        integration["docker"]["endpoint"] = integration["docker"].get("endpoint") or draw(endpoints())
    more = {"autogenerated": st.booleans(), "clusterId": texts(), "source": sources(), "id": st.just("")}
    return integration | draw(st.fixed_dictionaries({}, optional=more))


_default_names = names


def _category_lists(categories: Sequence[str]) -> list[list[str]]:
    single = [[each] for each in categories]
    several = [list(categories), list(reversed(categories))] if len(categories) > 1 else []
    return [*single, *several]


# -- integrations that break one rule -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Breach:
    """How an integration breaks a rule: its possible types, and the changes to it (None removes a field)."""

    types: tuple[str, ...] = CREATABLE
    changes: Mapping[str, SearchStrategy[Any]] = field(default_factory=dict)
    config: Mapping[str, SearchStrategy[Any]] = field(default_factory=dict)
    member: bool = True
    categories: tuple[str, ...] | None = None


_LOCAL = ("localhost", "localhost:5000", "https://localhost", "127.0.0.1", "http://127.0.0.1:80/v2")
_METADATA = ("169.254.169.254", "http://metadata.google.internal/computeMetadata", "https://169.254.169.254:80")
_NO_URL = ("a b.example.com", "a.example.com:port", "https://a.example.com/%zz")
_WITH_ENDPOINT = tuple(type for type in CREATABLE if type != "scannerv4")
_EMPTY = st.sampled_from((None, ""))
_NO_WIF = {"wifEnabled": st.just(False)}


def _lacks(
    field: str,
    *types: str,
    categories: tuple[str, ...] | None = None,
    more: Mapping[str, SearchStrategy[Any]] | None = None,
) -> _Breach:
    return _Breach(types, config={field: _EMPTY, **(more or {})}, categories=categories)


def _endpoint(values: Sequence[str]) -> _Breach:
    return _Breach(_WITH_ENDPOINT, config={"endpoint": st.sampled_from(values)})


def _no_config(*types: str, categories: tuple[str, ...] | None = None) -> _Breach:
    return _Breach(types, member=False, categories=categories)


_BREACHES: Mapping[str, _Breach] = {
    "id-empty-on-create": _Breach(changes={"id": st.sampled_from((UNKNOWN_ID, "x", " "))}),
    "scanner-v4-not-created": _Breach(("scannerv4",)),
    "google-not-created": _Breach(("google",)),
    "endpoint-not-local": _endpoint(_LOCAL),
    "endpoint-not-metadata": _endpoint(_METADATA),
    "endpoint-parses": _endpoint(_NO_URL),
    "category-required": _Breach(changes={"categories": st.sampled_from((None, []))}),
    "name-required": _Breach(changes={"name": _EMPTY}),
    "type-defined": _Breach(changes={"type": _EMPTY}),
    "category-implemented": _Breach(changes={"categories": st.sampled_from(([7], [-1]))}),
    "registry-type-known": _Breach(("clair", "clairV4", "clairify"), changes={"categories": st.just(["REGISTRY"])}),
    "scanner-type-known": _Breach((*DOCKER_FAMILY, "ibm"), changes={"categories": st.just(["SCANNER"])}),
    "node-scanner-type-known": _Breach(("docker", "quay", "clair"), changes={"categories": st.just(["NODE_SCANNER"])}),
    "docker-config-required": _no_config(*DOCKER_FAMILY),
    "quay-config-required": _no_config("quay"),
    "quay-endpoint-required": _lacks("endpoint", "quay"),
    "ecr-config-required": _no_config("ecr"),
    "ecr-registry-id-required": _lacks("registryId", "ecr"),
    "ecr-region-required": _lacks("region", "ecr"),
    "google-config-required": _no_config("artifactregistry"),
    "google-endpoint-required": _lacks("endpoint", "artifactregistry"),
    "google-service-account-required": _lacks("serviceAccount", "artifactregistry", more=_NO_WIF),
    "azure-config-required": _no_config("azure"),
    "azure-endpoint-required": _lacks("endpoint", "azure"),
    "azure-password-required": _lacks("password", "azure", more=_NO_WIF),
    "ibm-config-required": _no_config("ibm"),
    "ibm-endpoint-required": _lacks("endpoint", "ibm"),
    "ibm-api-key-required": _lacks("apiKey", "ibm"),
    "clair-config-required": _no_config("clair"),
    "clair-endpoint-required": _lacks("endpoint", "clair"),
    "clair-v4-config-required": _no_config("clairV4"),
    "clair-v4-endpoint-required": _lacks("endpoint", "clairV4"),
    "clairify-config-required": _no_config("clairify", categories=("SCANNER",)),
    "clairify-node-config-required": _no_config("clairify", categories=("NODE_SCANNER",)),
    "clairify-endpoint-required": _lacks("endpoint", "clairify", categories=("SCANNER",)),
}

BREAKABLE = (*_BREACHES, *(rule for rule in BROKEN if rule not in _BREACHES))
"""Rules that `broken` can break."""


@st.composite
def broken(
    draw: st.DrawFn,
    rule: str,
    *,
    names: SearchStrategy[str] | None = None,
    secrets: SearchStrategy[str] | None = None,
    version: str | None = None,
) -> tuple[Body, Rule]:
    """Draw an integration that breaks this rule, and no other, when it is created; return it with the rule.

    `version`: the release of Central (default: the newest).

    Raises:
        ValueError: no single integration breaks the rule, the release does not have it, or this module does not know
            how.
    """
    _check_known("rule", [rule], contracts.load().history)
    if rule not in BREAKABLE:
        raise ValueError(
            f"no integration breaks {rule!r} by itself; `breaking` draws requests that do, "
            f"`broken` knows {', '.join(BREAKABLE)}"
        )
    contract = _at(version)
    if rule not in contract.rules:
        raise ValueError(f"Central {contract.release} does not have the rule {rule!r}")
    if rule not in _BREACHES:
        like, changes = draw(st.sampled_from(BROKEN[rule]))
        body = Scene(Drawn(draw), version=contract.release.line).complete(like, **changes)
        return body | ({} if names is None else {"name": draw(names)}), contract.rules[rule]
    breach = _BREACHES[rule]
    types = [type for type in breach.types if type in contract.types]
    integration = draw(integrations(types=types, names=names, secrets=secrets, version=version))
    known = contract.types[integration["type"]]
    if breach.categories is not None:
        integration["categories"] = list(breach.categories)
    if not breach.member:
        del integration[known.member]
    else:
        message = contract.config_message(integration["type"])
        integration[known.member] = _with_changes(draw, integration[known.member], breach.config, message)
    return _with_changes(draw, integration, breach.changes, contract.integration), contract.rules[rule]


def _with_changes(draw: st.DrawFn, value: Body, changes: Mapping[str, SearchStrategy[Any]], message: Message) -> Body:
    drawn = {name: draw(values) for name, values in changes.items() if name in message.by_name}
    return {name: each for name, each in {**value, **drawn}.items() if each is not None or name not in drawn}


# -- cases of the fixture catalogue ---------------------------------------------------------------


class Drawn(Choices):
    """Choices made by hypothesis."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def below(self, count: int) -> int:
        """Draw a whole number from 0 to `count` - 1; it shrinks to 0, the simplest choice."""
        return self._draw(st.integers(0, count - 1))


@st.composite
def realistic(
    draw: st.DrawFn, *, types: Sequence[str] = CREATABLE, form: str | None = None, version: str | None = None
) -> Body:
    """Draw a realistic integration, with one or all categories of its type.

    `form` is "minimal" or "full", or None for either and for each way to sign in (IAM, AssumeRole, workload identity,
    robot account).

    Raises:
        ValueError: the type or form is unknown.
    """
    if form not in (None, "minimal", "full"):
        raise ValueError(f"form={form!r} is neither 'minimal' nor 'full'; leave it out for either")
    contract = _at(version)
    _check_known("types", types, contract.types)
    scene = Scene(Drawn(draw), version=version or contract.release.line, form=form)
    type = draw(st.sampled_from(list(types)))
    if form is None:
        variants = [each for each in VARIANTS if each.type == type]
        wanted = draw(st.none() | st.sampled_from(variants)) if variants else None
        if wanted is not None:
            return scene.variant(wanted)
    categories = draw(st.sampled_from(_category_lists(contract.types[type].categories)))
    body = scene.integration(type, categories=categories)
    if draw(st.booleans()):
        body["source"] = {
            "clusterId": scene.values.cluster(""),
            "namespace": scene.values.team(""),
            "imagePullSecretName": "registry-pull-secret",
        }
    return body


@st.composite
def conversations(
    draw: st.DrawFn,
    *,
    rules: Sequence[str] = (),
    types: Sequence[str] = (),
    group: str | None = None,
    version: str | None = None,
    large: bool = False,
) -> tuple[Case, list[Step]]:
    """Draw a case of the fixture catalogue, with its requests.

    `rules`, `types` and `group` ("requests", "surprising", "conversations", "lists", "as-the-ui-sends", "combinations")
    select cases; empty or None selects all. `{ID}` in a request is the placeholder for the id from an earlier answer.

    Raises:
        ValueError: no case matches.
    """
    version = version or contracts.load().release.line
    _check_known("rules", rules, contracts.load().history)
    if types:
        _check_known("types", types, _at(version).types)
    _check_known("group", [] if group is None else [group], GROUPS)
    found = [
        case
        for case in catalogue().values()
        if case.in_force(version)
        and (not rules or case.rule in rules)
        and (not types or case.type in types)
        and group in (None, case.group)
        and (large or not case.large)
    ]
    if not found:
        raise ValueError(f"no case of Central {version} has rules {rules}, types {types} and group {group}")
    case = draw(st.sampled_from(found))
    scene = Scene(Drawn(draw), version=version)
    case.build(scene)
    return case, scene.steps


@st.composite
def breaking(draw: st.DrawFn, rule: str, *, version: str | None = None) -> tuple[Case, list[Step]]:
    """Draw requests, the last of which breaks a rule, by any operation that the rule can refuse.

    `broken` draws a single integration, for the rules that one integration can break.

    Raises:
        ValueError: the rule is unknown, not part of the release, or refuses nothing.
    """
    _check_known("rule", [rule], contracts.load().history)
    contract = _at(version)
    if rule not in contract.rules:
        raise ValueError(f"Central {contract.release} does not have the rule {rule!r}")
    if contract.rules[rule].kind == "behaviour":
        raise ValueError(f"the rule {rule!r} refuses nothing; conversations(rules=[{rule!r}]) shows what it does")
    return draw(conversations(rules=[rule], version=version, large=rule == "message-size"))


# -- requests of any kind -------------------------------------------------------------------------

_JUNK: tuple[Any, ...] = (None, True, 0, -1, 1.5, "", "x", "a\0b", [], [None], ["x"], {}, {"x": 1}, INT32)
"""Values of every JSON type; most fields accept only some of them."""
_FAULTS: Mapping[str, tuple[str, ...]] = {
    "string": ("left out", "junk", "proto name", "unknown field", "characters"),
    "enum": ("enum", "enum", "left out", "junk"),
    "message": ("left out", "junk", "proto name", "unknown field"),
    "int32": ("left out", "junk", "proto name", "number"),
    "timestamp": ("left out", "junk", "proto name", "time"),
}
"""Mutations of a field by its kind; fields of other kinds get those of a message."""
_ODD_VALUES: Mapping[str, tuple[Any, ...]] = {
    "characters": ("\0", "a\0b", "\ud800", "a\udfffb"),  # NUL or half a surrogate pair, which JSON writes as an escape
    "number": ("5", "1e1", 5.0, 100.0, "0.5", INT32),
    "time": (
        "2030-01-02 03:04:05Z",
        "2030-01-02",
        "2030-01-02T03:04:05",
        "0000-01-01T00:00:00Z",
        "2030-13-01T00:00:00Z",
    ),
}
"""Values by the mutation that draws them; the field accepts only some of them."""
_RARELY = st.sampled_from((False, False, False, True))
_ODD_CATEGORIES: tuple[Any, ...] = ("BOGUS", "registry", "1", 0, 1, 7, -1, None)
_ANY_CATEGORIES = st.lists(st.sampled_from((*contracts.load().categories, *_ODD_CATEGORIES)), min_size=1, max_size=3)


@st.composite
def requests(draw: st.DrawFn, *, types: Sequence[str] = CREATABLE, version: str | None = None) -> tuple[str, str, Any]:
    """Draw a method, a path and a JSON body for an operation that reads an integration, valid or invalid in any way.

    The integration may lack fields (even name and categories), or have values of a wrong JSON type, unknown categories,
    NUL or half a surrogate pair in strings, either spelling of a name, or unknown fields. Its config may have a
    forbidden endpoint, belong to another type, or appear twice. The id in a path is unknown, or that of an integration
    of a fresh Central.

    Raises:
        ValueError: a type is unknown.
    """
    contract = _at(version)
    body = draw(integrations(types=types, version=version, tested=None))
    wrong = draw(st.sampled_from((*[()] * 3, ("endpoint",), ("member",), ("endpoint", "member"), ("categories",))))
    if "endpoint" in wrong:
        member, endpoint = contract.types[body["type"]].member, draw(st.sampled_from((*_LOCAL, *_METADATA, *_NO_URL)))
        body = body | {member: body[member] | {"endpoint": endpoint}}
    if "member" in wrong:
        body = _with_other_member(draw, body, contract)
    if "categories" in wrong:
        body = body | {"categories": draw(_ANY_CATEGORIES)}
    for _ in range(draw(st.integers(0, 3))):
        body = _with_one_fault(draw, body, contract.integration)
    operation = draw(st.sampled_from([each for each in contract.operations.values() if each.request]))
    id = draw(st.sampled_from((UNKNOWN_ID, *(each["id"] for each in contract.defaults))))
    sent: Any = body
    if operation.request != contract.integration.name:
        flags = draw(st.fixed_dictionaries({}, optional={"updatePassword": st.booleans() | st.sampled_from(_JUNK)}))
        sent = flags | draw(st.sampled_from(({"config": body}, {"config": body}, {"config": None}, {})))
    return operation.method, operation.path.replace("{id}", id), sent


def _with_other_member(draw: st.DrawFn, body: Body, contract: Contract) -> Body:
    """Move or copy the config to the member of another type."""
    member = contract.types[body["type"]].member
    others = [each.name for each in contract.integration.fields if each.oneof and each.name != member]
    moved = body | {draw(st.sampled_from(others)): body[member]}
    return moved if draw(_RARELY) else without(member, moved)


def _with_one_fault(draw: st.DrawFn, body: Body, message: Message) -> Body:
    """Make one change to a message or to one nested in it."""
    inner = [name for name, value in body.items() if isinstance(value, dict) and name in message.by_name and value]
    known = [field.name for field in message.fields]
    name: str = draw(st.sampled_from([name for name in known if name in body] or known) | st.sampled_from(known))
    goes_deeper: bool = draw(st.booleans())
    if inner and goes_deeper:
        name = draw(st.sampled_from(inner))
        within = message.by_name[name].message
        if within is not None:
            return body | {name: _with_one_fault(draw, body[name], within)}
    field = message.by_name[name]
    how = draw(st.sampled_from(_FAULTS.get(field.kind, _FAULTS["message"])))
    rest = without(name, body)
    if how == "left out":
        return rest
    if how in _ODD_VALUES:
        return rest | {name: draw(st.sampled_from(_ODD_VALUES[how]))}
    if how == "proto name":
        return rest | {field.proto_name: body.get(name, draw(st.sampled_from(_JUNK)))}
    if how == "unknown field":
        return body | {draw(st.sampled_from(("clusters", "Name", "labels"))): draw(st.sampled_from(_JUNK))}
    if how == "enum":
        return rest | {name: draw(_ANY_CATEGORIES)}
    return rest | {name: draw(st.sampled_from(_JUNK))}


# -- sessions of a client -------------------------------------------------------------------------

_QUERIES = (
    "", "", "?name=first", "?name=second", "?name=Dritte+%C3%BC", "?name=nobody",
    "?cluster=x", "?pretty", "?nosuch=x", "?name=a&name=b",
)  # fmt: skip
_UNKNOWN_IDS = (UNKNOWN_ID, "a/b", "%61%20b")
_CHANGING = ("PutImageIntegration", "UpdateImageIntegration", "TestUpdatedImageIntegration")
"""Operations on a stored integration, which are drawn twice as often."""
_METHODS = ("POST", "PUT", "PATCH", "DELETE")
_NOT_INTEGRATIONS = (None, b"", b"x", b"{'name': 'a'}", b'{"name": "a"', b'{"name": "\xff"}', b"[]", b"null")
_CALLERS = (None, "Bearer {{READ_ONLY}}", "Bearer {{INVALID}}")


@st.composite
def sessions(draw: st.DrawFn, *, types: Sequence[str] = CREATABLE, version: str | None = None) -> list[Step]:
    """Draw the requests of a client that creates integrations, and reads, changes, tests and deletes them.

    It sends credentials, masks or neither, changes that need the credentials again, duplicate names, callers without
    write access, faults as `requests` does, bodies that are not integrations, and wrong methods. At the end it deletes
    what it has created. `{ID}`, `{ID2}` and so on are placeholders for the ids in the answers to the creates; other ids
    are unknown, or those of a fresh Central.

    Raises:
        ValueError: a type is unknown.
    """
    _check_known("types", types, _at(version).types)
    scene = Scene(Drawn(draw), version=_at(version).release.line)
    special = [each["id"] for each in scene.contract.defaults if not scene.can_create(each["type"])]
    names = st.sampled_from(("first", "second", "Dritte ü"))
    few = draw(st.lists(st.sampled_from(list(types)), min_size=1, max_size=2))  # so that most changes keep the type
    drawn = integrations(types=few, names=names, version=version, tested=None)
    stored = [(scene.create(body), body) for body in draw(st.lists(drawn, min_size=1, max_size=2))]
    ids = [id for id, _ in stored]
    for id, body in stored:
        if draw(_RARELY):  # Central stores a PUT without a config, although it fails
            sent = without(scene.member(body["type"]), body) | {"skipTestIntegration": True}
            scene.ask(draw(st.sampled_from(_CHANGING)), sent, id, keeps=draw(st.booleans()))
            if draw(st.booleans()):
                scene.ask("UpdateImageIntegration", scene.hidden(body, MASK), id, keeps=True)
    operations = list(scene.contract.operations.values())
    changing = [each for each in operations if each.id in _CHANGING]
    for _ in range(draw(st.integers(1, 6))):
        id, body = draw(st.sampled_from(stored))
        operation = draw(st.sampled_from((*operations, *changing, None, None)))
        place = draw(st.sampled_from((id, id, id, *ids, *special, *special, *_UNKNOWN_IDS)))
        caller = draw(st.sampled_from(({}, {}, {"Authorization": draw(st.sampled_from(_CALLERS))})))
        if operation is None:
            path = draw(st.sampled_from((COLLECTION, f"{COLLECTION}/test", f"{COLLECTION}/{place}")))
            method, text = draw(st.sampled_from(_METHODS)), draw(st.sampled_from(_NOT_INTEGRATIONS))
            scene.send(method, path, text, headers=caller)
        elif operation.request:
            of_central = [dict(each) for each in scene.contract.defaults if each["id"] == place]
            sent = _with_credentials(draw, scene, draw(st.sampled_from((body, *of_central)) | drawn), ids)
            if operation.id == "PostImageIntegration":
                ids.append(scene.create(sent, headers=caller))
            else:
                scene.ask(operation.id, sent, place, keeps=draw(st.booleans()), headers=caller)
        elif "{id}" in operation.path:
            scene.send(operation.method, operation.path.replace("{id}", place), headers=caller)
        else:
            scene.list(draw(st.sampled_from(_QUERIES)), headers=caller)
        read = draw(st.sampled_from((None, None, scene.get, lambda _: scene.list(draw(st.sampled_from(_QUERIES))))))
        if read is not None:
            read(id)
    scene.list()
    for id in ids:
        scene.delete(id)
    scene.list()
    return scene.steps


def _with_credentials(draw: st.DrawFn, scene: Scene, body: Body, ids: Sequence[str]) -> Body:
    """Return an integration with its credentials, with masks or without either, and sometimes with a fault."""
    hidden = draw(st.sampled_from((None, MASK, "")))
    sent = body if hidden is None else scene.hidden(body, hidden)
    how = draw(st.sampled_from(("", "", "id", "other config", *["left out"] * 3, "fault", "fault", "fault")))
    if how == "id":
        return sent | {"id": draw(st.sampled_from((*ids, _UNKNOWN_IDS[0])))}
    if how == "left out":
        return without(draw(st.sampled_from((scene.member(body["type"]), "source"))), sent)
    if how == "other config":
        return _with_other_member(draw, sent, scene.contract)
    return _with_one_fault(draw, sent, scene.contract.integration) if how == "fault" else sent
