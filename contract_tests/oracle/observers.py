"""What is checked on every answer of a run, whichever check asked for it."""

from __future__ import annotations

import base64
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
from contract_tests.engine.redaction import REDACTED
from mock_server.contract import tables as contracts
from mock_server.contract import validator as validators
from mock_server.contract.routes import Routes
from mock_server.contract.tables import MASK, Contract, Message, Operation

OBSERVED = {
    "answer-schema": "An answer breaks the schema of the contract: its status, a field or a value",
    "answer-media-type": "An answer is not JSON in Central's shape, but HTML or plain text",
    "every-request-answered": "A request gets no answer: the connection is dropped",
    "no-server-error": "A request makes the server fail where no rule of Central says so",
    "credentials-masked": "A read does not show a credential as six asterisks",
    "credential-leak": "A credential that was sent is in another answer, a header or an error",
    "create-answer-in-clear": "The answer to a create shows a credential in clear",
}
"""The checks that observers report: id and title."""

_TELLING = ("answer-media-type", "answer-schema", "credentials-masked")
"""Observed checks that say what is wrong with an answer: another check that fails by it shows nothing new."""

UNTOUCHED = "others-untouched"
"""The check that compares what a run does not own with what it was before."""

UNMASKED = "a credential is not masked in a read"
"""What is reported of it, also by checks that see it themselves: the same fault is reported once."""


_TYPE = re.compile(rb'"type": ?"([^"\\]+)"')
_NOT_ASCII = "header key .* contains value with non-printable ASCII characters"
"""What Central's gRPC client says of credentials beyond ASCII, with 500."""


class Findings:
    """Failures found on the way, one for each fault: the same one again is only counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str], Failure] = {}
        self.shown_by: dict[int, str] = {}
        """By number of an exchange the check that its answer fails by itself, whoever asked."""

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
        """Report a fault that an answer shows; `about` are ids of a list that show it."""
        with self._lock:
            if check in _TELLING:
                self.shown_by.setdefault(exchange.number, check)
            key = (check, what)
            if key in self._found:
                self._found[key].also += 1
            else:
                self._found[key] = Failure(check, what, expected, got, [exchange], about=about)

    @property
    def failures(self) -> list[Failure]:
        """The faults in the order in which they showed."""
        return list(self._found.values())


class Observers:
    """Looks at each answer and reports to `findings`."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.findings = Findings()
        self.contract = shared.contract
        self.validator = validators.of(self.contract)
        self.covered: Counter[tuple[str, str, int]] = Counter()
        """Answers by operation, by the type that was sent ("" for none or an unknown one) and by status."""
        self.seen: set[str] = set()
        """The checks of `OBSERVED` whose matter some answer has shown, well or badly."""
        # Also the first part of a credential tells.
        self._canary = re.compile(rf"canary-{re.escape(shared.run)}[a-z0-9-]*")
        self._disguised = disguises(f"canary-{shared.run}-")
        self._own_failures = own_failures(self.contract)

    def __call__(self, exchange: Exchange, reply: Reply) -> None:
        """Look at one answer."""
        operation = operation_of(exchange, self.contract)
        if operation is not None:
            sent = _TYPE.search(exchange.body)
            type = sent[1].decode() if sent else ""
            self.covered[operation.id, type if type in self.contract.types else "", reply.status] += 1
        self.seen |= {"every-request-answered", "no-server-error"}
        if exchange.method == "HEAD" or exchange.path == PUBLISHED:  # a document is no answer of the API
            return
        self.seen.add("answer-media-type")
        value = reply.json
        self._is_json(exchange, reply, value)
        self._is_no_server_error(operation, exchange, reply)
        if value is not None:
            self._keeps_schema(operation, exchange, reply, value)
        self._hides_credentials(operation, exchange, reply, _integrations_of(value) if reply.status == 200 else [])

    # -- schema -----------------------------------------------------------------------------------

    def _is_json(self, exchange: Exchange, reply: Reply, value: Any) -> None:
        media_type = reply.headers.get("Content-Type", "")
        if value is None or media_type.partition(";")[0].strip().lower() != "application/json":
            self.findings.add(
                "answer-media-type",
                f"an answer {reply.status} is not JSON",
                exchange,
                expected="application/json with a JSON body",
                got={"status": reply.status, "content type": media_type, "body": reply.text[:300]},
            )
        elif double := double_key(reply.content):
            what = "an object in an answer has a key twice"
            self.findings.add("answer-schema", what, exchange, expected="each key once", got={"key": double})

    def _is_no_server_error(self, operation: Operation | None, exchange: Exchange, reply: Reply) -> None:
        """Central fails where it cannot build a client or its database says no, and then says so."""
        if reply.status < 500 or reply.status == 501 or not reply.message:
            return  # what has no message is reported as not being in Central's shape
        if reply.object.get("code") == 13 and self._own_failures.search(reply.message):
            return
        where = operation.id if operation is not None else "a request that is of no operation"
        text = re.sub(r'"[^"]*"|[0-9a-f]{8}-[0-9a-f-]+|[0-9]+', "…", reply.message)[:80]
        self.findings.add(
            "no-server-error",
            f"{where} answers {reply.status}: {text}",
            exchange,
            expected="a status below 500, or code 13 with a reason that Central has",
            got={"status": reply.status, "code": reply.object.get("code"), "message": reply.message[:500]},
        )

    def _keeps_schema(self, operation: Operation | None, exchange: Exchange, reply: Reply, value: Any) -> None:
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
            return  # a path that is not the contract's
        self.seen.add("answer-schema")
        if self.validator.accepts(schema, value, answer=True):
            return
        described = operation or self.contract.operations["GetImageIntegrations"]
        status = reply.status if operation is not None else 501
        violations = self.validator.answer_violations(described, described.path, status, reply.content)
        for violation in violations:
            what = f"{re.sub(r'[0-9]+', 'n', violation.path)} {violation.reason} ({schema})"
            about = _ids_at(value, violation.path)
            self.findings.add("answer-schema", what, exchange, expected=schema, got=str(violation), about=about)

    # -- credentials ------------------------------------------------------------------------------

    def _hides_credentials(
        self,
        operation: Operation | None,
        exchange: Exchange,
        reply: Reply,
        integrations: Sequence[Mapping[str, Any]],
    ) -> None:
        if self._canary.search(exchange.body.decode("utf-8", "replace")):
            self.seen.add("credential-leak")
        is_create = operation is not None and operation.id == "PostImageIntegration" and reply.status == 200
        for name, value in reply.headers.items():
            if self._canary.search(value) or self._disguised.search(value):
                self.findings.add(
                    "credential-leak", f"a credential stands in the header {name}", exchange, got=f"{name}: {value}"
                )
        if reply.redacted:
            whole = "\n".join([*(f"{name}: {value}" for name, value in reply.headers.items()), reply.text])
            start = max(whole.find(REDACTED) - 200, 0)
            self.findings.add(
                "credential-leak",
                "credentials of the run stand in an answer",
                exchange,
                got=whole[start : start + 500],
            )
        by_id = [
            (str(one.get("id")), *each)
            for one in integrations
            for each in credentials_of(self.contract.integration, one)
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
        # What stands in a field of a credential is reported as not masked.
        allowed = {found for _, value in credentials if isinstance(value, str) for found in self._canary.findall(value)}
        leaked = set(self._canary.findall(reply.text)) - allowed
        if leaked or self._disguised.search(reply.text):
            where = "an error" if reply.status >= 400 else "an answer"
            self.findings.add(
                "credential-leak", f"a credential that was sent stands in {where}", exchange, got=reply.text[:500]
            )


def double_key(json_text: bytes) -> str:
    """Return the first key that stands twice in one object of JSON text, "" where none does."""
    found: list[str] = []

    def see(pairs: list[tuple[str, Any]]) -> None:
        found.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)

    json.loads(json_text, object_pairs_hook=see)
    return found[0] if found else ""


def disguises(text: str) -> re.Pattern[str]:
    """Find a text written as base64 (wherever it begins), in hexadecimal, in capitals or backwards."""
    data = text.encode()
    forms = {text.upper(), text[::-1], data.hex(), data.hex().upper()}
    for before in range(3):
        # The characters at both ends depend on what stands beside the text.
        coded = base64.b64encode(b" " * before + data).rstrip(b"=").decode()
        forms.add(coded[(0, 2, 3)[before] : -1])
    return re.compile("|".join(map(re.escape, sorted(forms))))


def own_failures(contract: Contract) -> re.Pattern[str]:
    """Find the reasons for which Central itself answers 500: the constant parts of the texts of its rules."""
    texts = [
        ".*".join(map(re.escape, parts))
        for rule in contract.rules.values()
        if (rule.kind == "build" or rule.status >= 500) and rule.code in (0, 13)
        if any(parts := re.split(r"\{[a-z]+\}", rule.message))
    ]
    return re.compile("|".join([*texts, _NOT_ASCII]), re.DOTALL)


def operation_of(exchange: Exchange, contract: Contract | None = None) -> Operation | None:
    """Return the operation that a request is of; without a `contract`, of the newest release."""
    method = exchange.headers.get("X-HTTP-Method-Override", exchange.method).upper()
    found = _routes(contract or contracts.load()).match(method, urlsplit(exchange.path).path)
    return found.operation if found is not None else None


@lru_cache(maxsize=8)
def _routes(contract: Contract) -> Routes:
    return Routes(contract)


def _ids_at(value: Any, path: str) -> tuple[str, ...]:
    """Return the id of the item of a list that a path such as `$.integrations[3].type` leads to."""
    found = re.search(r"integrations\[(\d+)\]", path)
    try:
        return (str(value["integrations"][int(found[1])]["id"]),) if found else ()
    except (LookupError, TypeError):
        return ()


def _integrations_of(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, dict):
        return []
    items = value.get("integrations", [value])
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def credentials_of(message: Message, value: Mapping[str, Any], path: str = "") -> Iterable[tuple[str, Any]]:
    """Return path and value of each credential in an answer."""
    for field in message.fields:
        found = value.get(field.name)
        if field.name not in value or found is None:
            continue
        if field.scrub == "always":
            yield path + field.name, found
        elif field.message is not None and isinstance(found, dict):
            yield from credentials_of(field.message, found, f"{path}{field.name}.")
