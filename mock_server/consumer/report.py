"""The parts of the contract that clients covered, computed from the counts of one or several runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from mock_server.contract.tables import Contract, Message
from mock_server.simulation.faults import ANSWER_FAULTS
from mock_server.simulation.usage import (
    BY_CLUSTER,
    BY_NAME,
    DEPLOYED,
    MASK_READ,
    MASK_SENT,
    OTHER_ANSWER,
    STORED,
    Kind,
    Usage,
)


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a section: how often clients covered it, and how to reproduce it."""

    name: str
    title: str
    count: int
    how: str


@dataclass(frozen=True, slots=True)
class Section:
    """Items of one kind, such as the rules."""

    name: str
    verb: str
    items: tuple[Item, ...]

    @property
    def met(self) -> list[Item]:
        """The items that clients covered."""
        return [each for each in self.items if each.count]

    @property
    def gaps(self) -> list[Item]:
        """The items that clients did not cover."""
        return [each for each in self.items if not each.count]

    @property
    def percent(self) -> float:
        """The percentage of items that clients covered."""
        return 100 * len(self.met) / len(self.items) if self.items else 100.0


@dataclass(frozen=True, slots=True)
class Report:
    """The consumer report."""

    release: str
    requests: int
    sections: tuple[Section, ...]
    warnings: tuple[tuple[str, str, int], ...]
    """Operation, text and count for requests that violated the contract."""
    survived: Mapping[str, int]
    """Faults after which the same operation succeeded, with their counts."""
    problems: tuple[str, ...] = ()
    """Thresholds that were missed."""

    def section(self, name: str) -> Section:
        """Return a section by its name."""
        return next(each for each in self.sections if each.name == name)


Seen = Callable[[Kind], bool]


def _rule(*rules: str) -> Seen:
    return lambda kind: kind.rule in rules


def _status(*statuses: int) -> Seen:
    return lambda kind: bool(kind.operation) and kind.status in statuses


def _succeeded(*operations: str, mark: str = "") -> Seen:
    """Return a condition: one of these operations (empty: any) succeeded, with this mark if one is named."""
    return lambda kind: (
        kind.status == 200 and (not operations or kind.operation in operations) and (not mark or mark in kind.marks)
    )


_WRITES = ("PostImageIntegration", "PutImageIntegration", "UpdateImageIntegration")
_TESTS = ("TestImageIntegration", "TestUpdatedImageIntegration")

_BEHAVIOURS: Mapping[str, Seen] = {
    "answer-headers": lambda kind: bool(kind.operation),
    "error-shape": lambda kind: kind.status >= 400,
    "create-assigns-id": _succeeded("PostImageIntegration"),
    "create-rolled-back": lambda kind: kind.operation == "PostImageIntegration" and kind.status == 500,
    "update-not-rolled-back": lambda kind: kind.operation in _WRITES[1:] and kind.status == 500,
    "path-id-wins": _succeeded(*_WRITES[1:]),
    "update-replaces": _succeeded(*_WRITES[1:]),
    "test-stores-nothing": _succeeded(*_TESTS),
    "list-by-name": _succeeded(mark=BY_NAME),
    "list-by-cluster": _succeeded(mark=BY_CLUSTER),
    "credentials-masked": _succeeded(mark=MASK_READ),
    "stored-credentials-kept": _succeeded(mark=STORED),
    "mask-taken-literally": lambda kind: _succeeded(*_WRITES, mark=MASK_SENT)(kind) and STORED not in kind.marks,
    "zero-values-emitted": _succeeded("GetImageIntegration", "GetImageIntegrations"),
}
"""Rules that refuse nothing, but are visible in a kind of request. Other such rules are not counted."""

_AUTH = "mock-central serve --auth"
_SITUATIONS: tuple[tuple[str, str, Seen, str], ...] = (
    ("name-taken", "a taken name", _rule("name-unique"), "central-contract fixtures --rule name-unique"),
    ("credential-asked-again", "a credential asked for again", _rule("reconcile-dependent-unchanged",
     "reconcile-credential-masked"), "central-contract fixtures --rule reconcile-dependent-unchanged"),
    ("mask-stored", "a mask that was sent back and stored as the credential", _BEHAVIOURS["mask-taken-literally"],
     "central-contract fixtures --rule mask-taken-literally"),
    ("registry-refuses", "a registry test that fails", _rule("registry-reachable"),
     "mock-central serve --registry-test '*=unauthorized'"),
    ("ecr-token-expired", "a registry test of ecr that fails", lambda kind: kind.type == "ecr" and
     kind.rule == "registry-reachable", "mock-central serve --registry-test '*.amazonaws.com=ecr-token-expired'"),
    ("not-there", "an integration that somebody else deleted", _status(404),
     "central-contract fixtures --rule get-missing"),
    ("not-logged-in", "a 401", _status(401), f"{_AUTH}, with a wrong token"),
    ("forbidden", "a 403", _status(403), f"{_AUTH}, with the read-only token"),
    ("too-many-requests", "a 429", _status(429), "mock-central serve --fault 'code=429 every=3'"),
    ("server-error", "a 5xx", lambda kind: bool(kind.operation) and kind.status >= 500,
     "mock-central serve --fault 'code=503 every=3'"),
    ("other-order", "a list in another order", _succeeded("GetImageIntegrations", mark=DEPLOYED),
     "mock-central serve --as-deployed"),
    ("credential-in-answer", "an answer to a create with unmasked credentials",
     _succeeded("PostImageIntegration", mark=DEPLOYED), "mock-central serve --as-deployed"),
)  # fmt: skip
"""Common stumbling blocks for clients: id, description, condition, and how to reproduce it."""

_MISSING = {"GetImageIntegration": "get-missing", "DeleteImageIntegration": "delete-missing"}
_FAULTS: Mapping[str, str] = {
    "code": "a refusal",
    "delay": "a late answer",
    OTHER_ANSWER: "a custom answer",
    **ANSWER_FAULTS,
}
_OPTIONS = {
    **dict.fromkeys(
        ("credentials-missing", "token-invalid", "basic-invalid", "basic-malformed", "role-missing"), _AUTH
    ),
    **dict.fromkeys(("write-permission", "read-permission"), _AUTH),
    "ecr-iam-managed": "mock-central serve --managed",
    "registry-reachable": "mock-central serve --registry-test '*=unauthorized'",
}
"""How to trigger a rule if a request alone is not enough."""


def report(usage: Usage, contract: Contract) -> Report:
    """Return the report on the release of a contract."""
    kinds = usage.copied()
    sections = tuple(Section(name, verb, tuple(items(kinds, contract))) for name, (verb, items) in _SECTIONS.items())
    warnings = sorted((*key, count) for key, count in usage.warnings.items())
    requests = sum(count for kind, count in kinds.items() if kind.operation)
    return Report(str(contract.release), requests, sections, tuple(warnings), dict(usage.survived))


def _count(kinds: Mapping[Kind, int], seen: Seen) -> int:
    return sum(count for kind, count in kinds.items() if seen(kind))


def _counts(kinds: Mapping[Kind, int], keys: Callable[[Kind], Iterable[object]]) -> Counter[object]:
    """Count the requests by keys of their kinds."""
    found = Counter[object]()
    for kind, count in kinds.items():
        for key in keys(kind):
            found[key] += count
    return found


def _situations(kinds: Mapping[Kind, int], _contract: Contract) -> Iterator[Item]:
    for id, title, seen, how in _SITUATIONS:
        yield Item(id, title, _count(kinds, seen), how)


def _operations(kinds: Mapping[Kind, int], contract: Contract) -> Iterator[Item]:
    counts = _counts(kinds, lambda kind: [kind.operation])
    for each in contract.operations.values():
        yield Item(each.id, each.summary, counts[each.id], f"{each.method} {each.path}")


def _types(kinds: Mapping[Kind, int], contract: Contract) -> Iterator[Item]:
    counts = _counts(kinds, lambda kind: [kind.type])
    for type in contract.types:
        yield Item(type, "", counts[type], f"central-contract fixtures --type {type}")


def _statuses(kinds: Mapping[Kind, int], contract: Contract) -> Iterator[Item]:
    counts = _counts(kinds, lambda kind: [(kind.operation, kind.status)])
    for each in contract.operations.values():
        for status in contract.document["paths"][each.path][each.method.lower()]["responses"]:
            if status.isdecimal():
                yield Item(f"{each.id} {status}", "", counts[each.id, int(status)], _how_of_status(each.id, status))


def _how_of_status(operation: str, status: str) -> str:
    if status in ("401", "403"):
        return _AUTH
    if status in ("200", "400"):
        return f"central-contract fixtures --{'valid' if status == '200' else 'invalid'}"
    if status == "404":
        return f"central-contract fixtures --rule {_MISSING.get(operation, 'update-missing')}"
    return f"mock-central serve --fault '{operation} code={status} times=1'"


def _rules(kinds: Mapping[Kind, int], contract: Contract) -> Iterator[Item]:
    for each in contract.rules.values():
        if each.kind == "behaviour" and each.id not in _BEHAVIOURS:
            continue
        seen = _BEHAVIOURS.get(each.id, _rule(each.id))
        how = _OPTIONS.get(each.id, f"central-contract fixtures --rule {each.id}")
        yield Item(each.id, each.title, _count(kinds, seen), how)


def _fields(kinds: Mapping[Kind, int], contract: Contract) -> Iterator[Item]:
    counts = _counts(kinds, lambda kind: kind.fields)
    for path, member in _paths(contract.integration):
        types = contract.types_of(member) if member else ()
        yield Item(path, "", counts[path], f"central-contract fixtures --full{f' --type {types[0]}' if types else ''}")


def _paths(message: Message, prefix: str = "", member: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path of each field that a client can set, with the name of its config member."""
    for field in message.fields:
        if field.message is not None:
            yield from _paths(field.message, f"{prefix}{field.name}.", member or (field.name if field.oneof else ""))
        elif (prefix, field.name) != ("", "id"):  # Central sets it
            yield prefix + field.name, member


def _faults(kinds: Mapping[Kind, int], _contract: Contract) -> Iterator[Item]:
    counts = _counts(kinds, lambda kind: [kind.fault.partition("=")[0]])
    for name, title in _FAULTS.items():
        text = {"code": "code=503", "delay": "delay=2", OTHER_ANSWER: "html=<p>Hello</p>"}.get(name, f"fault={name}")
        yield Item(name, title, counts[name], f"mock-central serve --fault '{text} every=5'")


_SECTIONS = {
    "situations": ("saw", _situations),
    "operations": ("called", _operations),
    "types": ("sent the type", _types),
    "statuses": ("saw", _statuses),
    "rules": ("triggered the rule", _rules),
    "fields": ("set the field", _fields),
    "faults": ("met", _faults),
}
"""The verb of a section in the sentence about its gaps ("Your tests never saw …"), and the function of its items."""


def thresholds(texts: Iterable[str]) -> dict[str, float]:
    """Parse thresholds such as ``rules=40%``.

    Raises:
        ValueError: a text is not a threshold.
    """
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        number = value.strip().removesuffix("%")
        if name not in _SECTIONS or not number.replace(".", "", 1).isdecimal() or float(number) > 100:
            raise ValueError(f"{text!r} is not SECTION=PERCENT, such as rules=40%; sections: {', '.join(_SECTIONS)}")
        found[name] = float(number)
    return found


def problems(found: Report, wanted: Mapping[str, float], *, no_warnings: bool) -> tuple[str, ...]:
    """Return the thresholds that a report misses."""
    missed = [
        f"{name}: {found.section(name).percent:.1f}% covered, {percent:g}% required"
        for name, percent in wanted.items()
        if found.section(name).percent < percent
    ]
    if no_warnings and found.warnings:
        missed.append(f"{sum(count for *_, count in found.warnings)} requests violated the contract")
    return tuple(missed)
