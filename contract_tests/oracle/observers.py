"""Observers: checks on every answer of a run, no matter which check sent the request."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from contract_tests.drift.documents import PUBLISHED
from contract_tests.engine.central import Shared
from contract_tests.engine.exchange import Exchange, Reply
from contract_tests.engine.failures import Failure
from contract_tests.engine.redaction import REDACTED, in_base64
from mock_server.contract import tables as contracts
from mock_server.contract import validator as validators
from mock_server.contract.routes import Routes
from mock_server.contract.tables import MASK, Contract, Message, Operation

OBSERVED = {
    "answer-schema": "An answer violates the contract's schema: its status, a field or a value",
    "answer-media-type": "An answer is not JSON in Central's shape, but HTML or plain text",
    "every-request-answered": "A request gets no answer: the connection is dropped",
    "no-server-error": "A request makes the server fail, and no rule of Central explains it",
    "credentials-masked": "A read does not show a credential as six asterisks",
    "credential-leak": "A credential that was sent is in another answer, a header or an error",
    "create-answer-in-clear": "The answer to a create shows a credential in clear",
}
"""Titles of the observed checks by id."""

_EXPLAINING = ("answer-media-type", "answer-schema", "credentials-masked")
"""Observed checks whose failures explain why other checks fail on the same answer."""

UNTOUCHED = "others-untouched"
"""The check that compares the integrations of others before and after the run."""

UNMASKED = "a credential is not masked in a read"
"""Failure text that other checks share, so that the fault is reported once."""


_TYPE = re.compile(rb'"type": ?"([^"\\]+)"')
_NOT_ASCII = "header key .* contains value with non-printable ASCII characters"
"""Text with which Central answers 500 to credentials beyond ASCII; it comes from its gRPC client."""


class Findings:
    """Failures that observers have found, one per fault; further occurrences are only counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str], Failure] = {}
        self.shown_by: dict[int, str] = {}
        """The observed check that an answer fails, by the number of its exchange."""

    def add(
        self,
        check: str,
        what: str,
        exchange: Exchange,
        *,
        expected: Any = None,
        got: Any = None,
        about: tuple[str, ...] = (),
    ) -> None:
        """Report a fault of an answer; `about` are the ids of the list items that show it."""
        with self._lock:
            if check in _EXPLAINING:
                self.shown_by.setdefault(exchange.number, check)
            key = (check, what)
            if key in self._found:
                self._found[key].also += 1
            else:
                self._found[key] = Failure(check, what, expected, got, [exchange], about=about)

    @property
    def failures(self) -> list[Failure]:
        """The faults in the order of their first occurrence."""
        return list(self._found.values())


class Observers:
    """Checks each answer and reports faults to `findings`."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.findings = Findings()
        self.contract = shared.contract
        self.validator = validators.of(self.contract)
        self.covered: Counter[tuple[str, str, int]] = Counter()
        """Number of answers by operation, sent type ("" for none or an unknown one) and status."""
        self.seen: set[str] = set()
        """The checks of `OBSERVED` that could judge at least one answer."""
        # The pattern also matches the beginning of a credential.
        self._canary = re.compile(rf"canary-{re.escape(shared.run)}[a-z0-9-]*")
        self._encoded_canary = encoded_forms(f"canary-{shared.run}-")
        self._expected_failures = expected_failures(self.contract)

    def __call__(self, exchange: Exchange, reply: Reply) -> None:
        """Check one answer."""
        operation = operation_of(exchange, self.contract)
        if operation is not None:
            sent = _TYPE.search(exchange.body)
            type = sent[1].decode() if sent else ""
            self.covered[operation.id, type if type in self.contract.types else "", reply.status] += 1
        self.seen |= {"every-request-answered", "no-server-error"}
        if exchange.method == "HEAD" or exchange.path == PUBLISHED:  # not a JSON answer of the API
            return
        self.seen.add("answer-media-type")
        value = reply.json
        self._check_media_type(exchange, reply, value)
        self._check_server_error(operation, exchange, reply)
        if value is not None:
            self._check_schema(operation, exchange, reply, value)
        self._check_leaks(exchange, reply)
        self._check_fields(operation, exchange, reply, integrations_of(value) if reply.status == 200 else [])

    # -- shape of answers -------------------------------------------------------------------------

    def _check_media_type(self, exchange: Exchange, reply: Reply, value: Any) -> None:
        media_type = reply.headers.get("Content-Type", "")
        if value is None or media_type.partition(";")[0].strip().lower() != "application/json":
            self.findings.add(
                "answer-media-type",
                f"an answer {reply.status} is not JSON",
                exchange,
                expected="application/json with a JSON body",
                got={"status": reply.status, "content type": media_type, "body": reply.text[:300]},
            )
        elif key := duplicate_key(reply.content):
            what = "an object in an answer has a duplicate key"
            self.findings.add("answer-schema", what, exchange, expected="each key once", got={"key": key})

    def _check_server_error(self, operation: Operation | None, exchange: Exchange, reply: Reply) -> None:
        """Accept a status of 500 or more only with a message of Central's rules."""
        if reply.status < 500 or reply.status == 501 or not reply.message:
            return  # an error without a message fails the check of its shape
        if reply.object.get("code") == 13 and self._expected_failures.search(reply.message):
            return
        where = operation.id if operation is not None else "a request outside the contract"
        text = re.sub(r'"[^"]*"|[0-9a-f]{8}-[0-9a-f-]+|[0-9]+', "…", reply.message)[:80]
        self.findings.add(
            "no-server-error",
            f"{where} answers {reply.status}: {text}",
            exchange,
            expected="a status below 500, or code 13 with an error of Central",
            got={"status": reply.status, "code": reply.object.get("code"), "message": reply.message[:500]},
        )

    def _check_schema(self, operation: Operation | None, exchange: Exchange, reply: Reply, value: Any) -> None:
        schema = operation.answer if operation is not None and reply.status == 200 else "GooglerpcStatus"
        if reply.status < 300 and operation is not None and reply.status != 200:
            self.findings.add(
                "answer-schema",
                f"the status {reply.status} is not documented for {operation.id}",
                exchange,
                expected={"status": 200},
                got={"status": reply.status},
            )
            return
        if operation is None and reply.status < 300:
            return  # a path outside the contract
        self.seen.add("answer-schema")
        if self.validator.accepts(schema, value, answer=True):
            return
        described = operation or self.contract.operations["GetImageIntegrations"]
        status = reply.status if operation is not None else 501
        violations = self.validator.answer_violations(described, status, reply.content)
        for violation in violations:
            what = f"{re.sub(r'[0-9]+', 'n', violation.path)} {violation.reason} ({schema})"
            about = _ids_at(value, violation.path)
            self.findings.add("answer-schema", what, exchange, expected=schema, got=str(violation), about=about)

    # -- credentials ------------------------------------------------------------------------------

    def _check_leaks(self, exchange: Exchange, reply: Reply) -> None:
        """Check that no header has a sent credential, and that the answer has none of the run's own."""
        if self._canary.search(exchange.body.decode("utf-8", "replace")):
            self.seen.add("credential-leak")
        for name, value in reply.headers.items():
            if self._canary.search(value) or self._encoded_canary.search(value):
                self.findings.add(
                    "credential-leak", f"the header {name} contains a credential", exchange, got=f"{name}: {value}"
                )
        if reply.redacted:
            answer = "\n".join([*(f"{name}: {value}" for name, value in reply.headers.items()), reply.text])
            start = max(answer.find(REDACTED) - 200, 0)
            self.findings.add(
                "credential-leak",
                "an answer contains the run's own credentials",
                exchange,
                got=answer[start : start + 500],
            )

    def _check_fields(
        self, operation: Operation | None, exchange: Exchange, reply: Reply, integrations: Sequence[Mapping[str, Any]]
    ) -> None:
        """Check that credential fields are masked, and that no other part of the body has a sent credential."""
        is_create = operation is not None and operation.id == "PostImageIntegration" and reply.status == 200
        by_id = [
            (str(integration.get("id")), path, value)
            for integration in integrations
            for path, value in credentials_of(self.contract.integration, integration)
        ]
        credentials = [(path, value) for _, path, value in by_id]
        if credentials:
            self.seen.add("create-answer-in-clear" if is_create else "credentials-masked")
        for id, path, value in by_id:
            if value == MASK:
                continue
            check = "create-answer-in-clear" if is_create else "credentials-masked"
            what = "a credential is not masked in the answer to a create" if is_create else UNMASKED
            self.findings.add(check, what, exchange, expected={path: MASK}, got={path: value}, about=(id,))
        # A credential in a credential field was reported as not masked.
        allowed = {text for _, value in credentials if isinstance(value, str) for text in self._canary.findall(value)}
        leaked = set(self._canary.findall(reply.text)) - allowed
        if leaked or self._encoded_canary.search(reply.text):
            where = "an error" if reply.status >= 400 else "an answer"
            self.findings.add(
                "credential-leak", f"{where} contains a credential that was sent", exchange, got=reply.text[:500]
            )


def duplicate_key(json_text: bytes) -> str:
    """Return the first key that occurs twice in an object of JSON text, or "" if none does."""
    duplicates: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> None:
        duplicates.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)

    json.loads(json_text, object_pairs_hook=collect)
    return duplicates[0] if duplicates else ""


def encoded_forms(text: str) -> re.Pattern[str]:
    """Return a pattern that matches a text in base64 (at any alignment), in hexadecimal, in upper case or reversed."""
    data = text.encode()
    forms = {text.upper(), text[::-1], data.hex(), data.hex().upper(), *(each.decode() for each in in_base64(data))}
    return re.compile("|".join(map(re.escape, sorted(forms))))


def expected_failures(contract: Contract) -> re.Pattern[str]:
    """Return a pattern that matches the messages with which Central itself answers 500, from the texts of its rules."""
    texts = [
        ".*".join(map(re.escape, parts))
        for rule in contract.rules.values()
        if (rule.kind == "build" or rule.status >= 500) and rule.code in (0, 13)
        if any(parts := re.split(r"\{[a-z]+\}", rule.message))
    ]
    return re.compile("|".join([*texts, _NOT_ASCII]), re.DOTALL)


def operation_of(exchange: Exchange, contract: Contract | None = None) -> Operation | None:
    """Return the operation of a request in a contract (default: the newest release), or None."""
    method = exchange.headers.get("X-HTTP-Method-Override", exchange.method).upper()
    match = _routes(contract or contracts.load()).match(method, urlsplit(exchange.path).path)
    return match.operation if match is not None else None


@lru_cache(maxsize=8)
def _routes(contract: Contract) -> Routes:
    return Routes(contract)


def _ids_at(value: Any, path: str) -> tuple[str, ...]:
    """Return the id of the list item in a path such as `$.integrations[3].type`, or () if there is none."""
    match = re.search(r"integrations\[(\d+)\]", path)
    try:
        return (str(value["integrations"][int(match[1])]["id"]),) if match else ()
    except (LookupError, TypeError):
        return ()


def integrations_of(value: Any) -> list[Mapping[str, Any]]:
    """Return the integrations of an answer, which is a list of them or one."""
    if not isinstance(value, dict):
        return []
    items = value.get("integrations", [value])
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def credentials_of(message: Message, value: Mapping[str, Any], path: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the path and the value of each credential in an answer."""
    for field in message.fields:
        part = value.get(field.name)
        if part is None:
            continue
        if field.scrub == "always":
            yield path + field.name, part
        elif field.message is not None and isinstance(part, dict):
            yield from credentials_of(field.message, part, f"{path}{field.name}.")
