"""One Central: the parts that answer, put together from settings.

Nothing outside the store keeps state, so one process can hold many.
"""

from __future__ import annotations

import copy
import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mock_server.central import protojson, releases
from mock_server.central.auth import Auth
from mock_server.central.clients import Clients
from mock_server.central.errors import Refusal, refuse
from mock_server.central.masking import Masking
from mock_server.central.reconcile import Reconcile
from mock_server.central.registry_tests import RegistryTestRule, RegistryTests
from mock_server.central.service import Service
from mock_server.central.store import Store
from mock_server.central.validation import Integration, Validation
from mock_server.contract import tables as contracts
from mock_server.contract import validator as validators
from mock_server.contract.tables import Operation
from mock_server.contract.validator import Violation
from mock_server.golang import url as gourl
from mock_server.settings import Settings
from mock_server.state import files as states
from mock_server.state import scenarios
from mock_server.state.memory import MEMORY, MemoryStore

log = logging.getLogger("mock_central")

MAX_MESSAGE = 24 * 1024 * 1024
"""Bytes of the largest message Central receives (pkg/env/grpc_max_message_size.go)."""


LARGEST_GROWTH = 4
"""How much longer than its JSON the binary form can be: ``-1,`` in a list of categories takes ten bytes."""
_BOUND = 16
"""Bytes around the id of the path at most, in protobuf's binary form."""
_LONGEST_EXPLAINED = 16 * 1024
"""Bytes of a body whose violations are told one by one: a long list of them takes seconds to find."""


class AnswerContractError(AssertionError):
    """The mock gave an answer that breaks the contract: a fault of ours."""


class Decoded(NamedTuple):
    """A body as Central understands it, and where it left the contract."""

    message: dict[str, Any]
    violations: list[Violation]


class Central:
    """The parts of one Central; each can be changed without touching another app's."""

    def __init__(self, settings: Settings, contract: contracts.Contract | None = None) -> None:
        """`contract`: another one than the shipped one; of either, what the release of the settings has."""
        self.settings = settings
        self.contract = (contract or contracts.load()).at(settings.version)
        self.build = releases.of(self.contract.release)
        self.validator = validators.of(self.contract)
        self.decoder = protojson.Decoder(
            self.contract, show_credentials=settings.as_deployed, whole_numbers=self.build.whole_numbers
        )
        self.masking = Masking(self.contract)
        self.auth = Auth(self.contract, settings.credentials, enforced=settings.auth)
        self.store = self._store()
        self.reconcile = Reconcile(self.contract)
        self.clients = Clients(self.contract, self.build)
        self.bind_to_store(settings.registry_tests)

    def _store(self) -> Store:
        settings = self.settings
        first = self.first_state()
        ways: dict[str, Any] = {"seed": settings.seed, "shuffled": settings.as_deployed}
        if settings.store == MEMORY:
            return MemoryStore(first, self.read_answer, **ways)
        from mock_server.state.redis_store import RedisStore  # its client library is an extra

        prefix, seconds = settings.store_prefix, settings.sandbox_ttl
        return RedisStore(settings.store, first, self.read_answer, prefix=prefix, sandbox_seconds=seconds, **ways)

    def bind_to_store(self, registry_tests: Sequence[RegistryTestRule]) -> None:
        """Make the parts that know the store, or that differ from sandbox to sandbox."""
        self.validation = Validation(self.contract, self.store, self.build, managed=self.settings.managed)
        self.registry_tests = RegistryTests(self.contract, self.build, registry_tests, self.settings.namespace)
        self.service = Service(
            self.contract,
            self.store,
            self.validation,
            self.reconcile,
            self.clients,
            self.registry_tests,
            self.build,
            as_deployed=self.settings.as_deployed,
        )

    def fork(self) -> Central:
        """Return a Central with a state and registries of its own; what keeps no state is shared with this one."""
        other = copy.copy(self)
        other.store = self.store.fork()
        other.bind_to_store(self.settings.registry_tests)
        return other

    def first_state(self) -> list[Integration]:
        """List what the settings say the Central starts with."""
        if self.settings.load is not None:
            return states.read(self.settings.load, self.contract, self.validator)
        return self.scenario("empty" if self.settings.empty else self.settings.scenario)

    def scenario(self, text: str) -> list[Integration]:
        """List what the scenario ``NAME`` or ``NAME:NUMBER`` holds.

        Raises:
            ValueError: there is none of that name.
        """
        sparse = scenarios.integrations(self.contract, text, self.settings.namespace)
        return [protojson.complete(self.contract.integration, each) for each in sparse]

    def empty_integration(self) -> dict[str, Any]:
        """Return an integration of which nothing is set."""
        return protojson.complete(self.contract.integration, {})

    # -- requests ---------------------------------------------------------------------------------

    def decode(self, operation: Operation, body: bytes, content_type: str, id: str = "") -> Decoded:
        """Read the body of an operation as Central does; the `id` of the path counts for the size of the message.

        Raises:
            Refusal: Central cannot read it, or (only with `strict`) the contract does not promise it.
        """
        assert operation.request is not None  # operations without a body do not decode
        message = self.contract.message(operation.request)
        sent = _plain_json(body)
        if sent is not None and _is_json(content_type) and self.validator.accepts(operation.request, sent):
            decoded = self.completed(message, sent)
            if decoded is not None:
                self._check_size(message, decoded, body, id)
                if self.settings.validation == "full":
                    return Decoded(decoded, self._violations(operation, body, content_type))
                return Decoded(decoded, [])
        decoded = self.decoder.decode(message, body)
        self._check_size(message, decoded, body, id)
        return Decoded(decoded, self._violations(operation, body, content_type))

    def completed(self, message: contracts.Message, sent: Mapping[str, Any]) -> dict[str, Any] | None:
        """Fill the gaps of a body that the contract accepts; None where only `decoder` can tell."""
        try:
            return protojson.complete(message, sent)
        except ValueError:
            return None

    def _check_size(self, message: contracts.Message, decoded: Mapping[str, Any], body: bytes, id: str) -> None:
        if LARGEST_GROWTH * len(body) + 4 * len(id) + _BOUND <= MAX_MESSAGE:
            return
        if id and "config" in message.by_name:
            decoded = {**decoded, "config": {**(decoded["config"] or {}), "id": id}}
        elif id:
            decoded = {**decoded, "id": id}
        size = protojson.size(message, decoded, self.contract.categories)
        if size > MAX_MESSAGE:
            raise refuse(self.contract.rules["message-size"], size=size)

    def _violations(self, operation: Operation, body: bytes, content_type: str) -> list[Violation]:
        found: list[Violation] = []
        value = body.strip(b" \t\r\n")
        if not _is_json(content_type):
            found.append(Violation("$", "the content type is not application/json"))
        end = protojson.value_end(value)
        if end < len(value):
            found.append(Violation("$", "something follows the JSON value"))
        try:
            if end <= _LONGEST_EXPLAINED:
                found += self.validator.request_violations(
                    operation, operation.path, {}, value[:end], "application/json"
                )
            elif not self.validator.accepts(str(operation.request), _plain_json(value[:end])):
                found.append(Violation("$", f"leaves the contract; with {end} bytes it is too long to say where"))
        except (RecursionError, UnicodeError):
            found.append(Violation("$", "nests too deep or is not UTF-8"))
        if found and self.settings.strict:
            raise _strict_refusal(found)
        return found

    def query(self, operation: Operation, query_string: str) -> tuple[dict[str, str], list[Violation]]:
        """Read the query of the list: the filters that are set, by name.

        Raises:
            Refusal: a filter twice, or a query that cannot be decoded.
        """
        known = [parameter["name"] for parameter in self._parameters(operation)]
        most = gourl.MOST_PARAMETERS if self.build.bounded_query else None
        try:
            values = dict(
                _query_field(key, values, known) for key, values in gourl.parse_query(query_string, most).items()
            )
        except gourl.UrlError as error:
            raise refuse(self.contract.rules["query-encoding"], reason=error) from None
        for name in known:
            if len(values.get(name, ())) > 1:
                raise self.query_value_once(name, values[name])
        found = [
            Violation(f"?{name}", "is not a parameter of the contract")
            for name in values
            if name not in (*known, "pretty")
        ]
        if found and self.settings.strict:
            raise _strict_refusal(found)
        return {name: values[name][0] for name in known if name in values}, found

    def query_value_once(self, name: str, values: list[str]) -> Refusal:
        """grpc-gateway runtime/query.go."""
        return refuse(self.contract.rules["query-value-once"], field=name, values=", ".join(values))

    def _parameters(self, operation: Operation) -> list[dict[str, Any]]:
        entry = self.contract.document["paths"][operation.path][operation.method.lower()]
        return [each for each in entry.get("parameters", []) if each["in"] == "query"]

    # -- answers ----------------------------------------------------------------------------------

    def read_answer(self, integration: Integration) -> bytes:
        """Render what reads show of an integration, checked against the contract once."""
        shown = self.masking.credentials_masked(integration)
        self.check_answer("StorageImageIntegration", shown)
        return protojson.render(shown)

    def create_answer(self, created: Integration, stored_answer: bytes, stored: Integration) -> bytes:
        """Render the answer to a create: in clear as deployed, else masked as the document says."""
        if self.settings.as_deployed:
            self.check_answer("StorageImageIntegration", created)
            return protojson.render(created)
        if created is stored:
            return stored_answer
        return self.read_answer(created)

    def error_answer(self, refusal: Refusal) -> bytes:
        """Render a refusal."""
        if refusal.form == "text":
            return f"{refusal.message}\n".encode()
        body = refusal.body()
        if refusal.form == "status":
            self.check_answer("GooglerpcStatus", body)
        return protojson.render(body)

    def check_answer(self, schema: str, value: Any) -> None:
        """See that an answer keeps the contract; a violation is logged, or raised in tests."""
        if not self.validator.accepts(schema, value, answer=True):
            self.answer_broken([Violation("$", f"is no {schema}")])

    def answer_broken(self, violations: list[Violation]) -> None:
        """Report an answer of ours that breaks the contract."""
        text = "the mock's answer breaks the contract: " + "; ".join(map(str, violations))
        log.error(text)
        if self.settings.fatal_answers:
            raise AnswerContractError(text)


_KEYED = re.compile(r"(.*)\[(.*)\]")


def _query_field(key: str, values: list[str], known: list[str]) -> tuple[str, list[str]]:
    """Return the field that a key names and its values; brackets hold one more (grpc-gateway runtime/query.go).

    Raises:
        UrlError: a path leads into a field of `known`, none of which is a message.
    """
    match = _KEYED.fullmatch(key)
    name, values = (match[1], [match[2], *values]) if match else (key, values)
    field, dot, _ = name.partition(".")
    if field not in known:
        return key, values
    if dot:
        raise gourl.UrlError(f'invalid path: "{field}" is not a message')
    return field, values


def _strict_refusal(violations: list[Violation]) -> Refusal:
    text = "; ".join(map(str, violations))
    return Refusal("strict", 400, 3, f"the request leaves the contract: {text}")


def _is_json(content_type: str) -> bool:
    return content_type == "application/json" or (content_type.partition(";")[0].strip().lower() == "application/json")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_PLAIN = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def _plain_json(body: bytes) -> Any:
    """Read JSON that every reader reads alike, else give None."""
    if _SURROGATE.search(body):  # half a pair is text for Python and a fault for Go
        return None
    try:
        return _PLAIN.decode(body.decode())
    except (ValueError, RecursionError):
        return None
