"""Judges each exchange by the contract and by what earlier traffic showed."""

from __future__ import annotations

import heapq
import json
import math
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count, takewhile
from typing import Any
from urllib.parse import parse_qs

from contract_tests.engine.central import Shared
from contract_tests.engine.failures import Failure
from contract_tests.engine.integrations import Body, read_answer, with_defaults, with_masks
from contract_tests.oracle.model import constant_pieces
from contract_tests.oracle.observers import Observers
from contract_tests.oracle.steps import HEALTH_IS_WRITTEN
from contract_tests.traffic.exchanges import NOT_SHOWN, Seen, json_of
from contract_tests.traffic.follow import Follower
from contract_tests.traffic.rules import (
    Refusals,
    Texts,
    broken,
    broken_with_unknown,
    canonical,
    depends_on_store,
    status_fits,
    with_credentials,
)
from contract_tests.traffic.secrets import RUN, Secrets, path_of
from mock_server.contract.routes import Match, Routes
from mock_server.contract.tables import MASK, Operation

HELD, BROKEN, UNDECIDABLE = "held", "broken", "undecidable"
NOT_CENTRALS = (429, 502, 503, 504)
"""Statuses that a proxy in front of Central may answer, too."""
_WRITES = ("PostImageIntegration", "PutImageIntegration", "UpdateImageIntegration", "DeleteImageIntegration")
_OF_CREDENTIALS = frozenset(("credentials-masked", "credential-leak", "create-answer-in-clear"))
_UPDATE_MAY = ("update-missing", "scanner-v4-type-fixed", "database-error")
_SANDBOX = "Mock-Central-Sandbox"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_OF_STRICT = "the request leaves the contract: "
"""Start of the errors of a mock that was started with --strict; Central has no such error."""
_UNKNOWN_TO_DATABASE = re.compile("[\0\ufffd]")
"""NUL, or the replacement for invalid UTF-8: for such an id the database words the error."""
_SLOW = 5.0
"""Seconds from which an answer that waits for no registry is slow."""
_OFTEN = 4
"""Least number of slow answers of one kind, and of quick answers of other kinds, that show a fault."""
_MOST_EXPLAINED = 100
"""Greatest number of invalid requests that are explained; an explanation takes milliseconds."""
_MOST_WRITES = 1_000
"""Greatest number of writes that are remembered, to find those that overlap a later request."""


@dataclass(slots=True)
class _Request:
    """A request for an operation; `whole` is the integration in it, None if it cannot be read."""

    seen: Seen
    operation: Operation
    id: str
    whole: Body | None = None
    update_password: bool = True

    @property
    def credentials_known(self) -> bool:
        return self.update_password and not self.seen.blind


@dataclass(slots=True)
class _Central:
    """The state of one Central, as far as the traffic shows it."""

    follower: Follower
    writes: deque[Seen] = field(default_factory=lambda: deque(maxlen=_MOST_WRITES))
    last: tuple[tuple[int, bool], tuple[Any, ...]] | None = None
    """The last read, and the state of the model before it."""
    last_outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    shows_credentials: bool = False
    """Whether a request with credentials was seen."""
    asks_credentials: bool = False
    """Whether a request without credentials was refused."""
    paces: Counter[tuple[str, int, bool]] = field(default_factory=Counter)
    """Number of answers by operation, status and whether they were quick."""


class Judge:
    """Judges exchanges in the order in which they ended.

    `others_write`: other clients may write without being observed, so a difference that depends on the store is not
    reported as a failure.
    """

    def __init__(self, version: str, *, others_write: bool = False) -> None:
        shared = Shared(RUN, version)
        self.contract = shared.contract
        self.version = shared.version
        self.others_write = others_write
        self.secrets = Secrets(self.contract)
        self.routes = Routes(self.contract)
        self.observers = Observers(shared)
        self.findings = self.observers.findings
        self.tally: Counter[tuple[str, str, str]] = Counter()
        """Number of times that a rule held, was broken or was undecidable, by operation, rule and outcome."""
        self.client: Counter[str] = Counter()
        """Number of invalid requests by operation and place."""
        self.judged = 0
        self._texts = Texts(self.contract)
        self._waiting: list[tuple[float, int, Seen]] = []
        self._arrivals = count()
        self._explained = self._dropped = 0
        self._centrals: dict[str, _Central] = {}
        """By sandbox, because each sandbox of the mock behaves like a separate Central."""

    # -- order --------------------------------------------------------------------------------------

    def concerns(self, target: str) -> bool:
        """Return whether a request belongs to the API under judgement."""
        return self.routes.is_below(path_of(target))

    def add(self, seen: Seen) -> Seen:
        """Queue an exchange of the API to be judged, and return it without credentials."""
        safe = self.secrets.hide(seen)
        heapq.heappush(self._waiting, (safe.ended, next(self._arrivals), safe))
        return safe

    def settle(self, until: float = math.inf) -> None:
        """Judge all exchanges that ended before `until`, the time at which the oldest pending request began."""
        while self._waiting and self._waiting[0][0] < until:
            self._judge(heapq.heappop(self._waiting)[2])

    def begin(self) -> None:
        """Forget the state: the following traffic belongs to another Central."""
        self._centrals.clear()

    @property
    def follower(self) -> Follower:
        """The model of the Central that is being judged."""
        return self._central.follower

    def judge(self, traffic: Iterable[Seen], keep: Callable[[Seen], object] | None = None) -> None:
        """Judge recorded traffic; call `keep` with each exchange without credentials."""
        for seen in sorted(traffic, key=lambda each: each.began):
            self.settle(seen.began)
            safe = self.add(seen)
            if keep is not None:
                keep(safe)
        self.settle()

    def _overlapping_writes(self, seen: Seen) -> list[Seen]:
        """Return the writes that overlap an exchange."""
        before = takewhile(lambda each: each.ended > seen.began, reversed(self._central.writes))
        sandbox = _sandbox(seen)
        waiting = (each for _, _, each in self._waiting if _sandbox(each) == sandbox and self._is_write(each))
        others = (*before, *waiting)
        return [each for each in others if each.overlaps(seen)]

    def _is_write(self, seen: Seen) -> bool:
        match = self._match(seen)
        return match is not None and match.operation.id in _WRITES

    def _match(self, seen: Seen) -> Match | None:
        return self.routes.match(seen.method, path_of(seen.target))

    # -- one exchange -------------------------------------------------------------------------------

    def _judge(self, seen: Seen) -> None:
        match = self._match(seen)
        name = match.operation.id if match else "none"
        self.judged += 1
        self._seen, self._operation = seen, name
        self._exchange = seen.exchange(self.judged)
        sandbox = _sandbox(seen)
        if sandbox not in self._centrals:
            self._centrals[sandbox] = _Central(Follower(self.contract))
        self._central = self._centrals[sandbox]
        self._overlapping = self._overlapping_writes(seen)
        self.follower.now = seen.ended
        if match is not None and match.operation.id in _WRITES:
            self._central.writes.append(seen)
        if seen.dropped:
            self._dropped += 1
            again = self._dropped > 1  # once may be a kept connection that had expired
            what = "there is no whole answer: the connection ends before it, or it cannot be unpacked"
            self.count_outcome("every-request-answered", BROKEN if again else UNDECIDABLE, what)
        if not seen.status or seen.dropped:
            self._unknown_outcome(match, "a request that was not answered")
        elif seen.status in NOT_CENTRALS and "code" not in (json_of(seen.reply) or {}):
            self._unknown_outcome(match, f"{seen.status}  from a proxy in front of Central")
        elif not 300 <= seen.status < 400 and not self._repeats_last_read(seen):
            before = self.follower.state, Counter(self.tally)
            if "X-HTTP-Method-Override" in seen.headers:
                del self._centrals[sandbox]  # its effect is unknown
                return
            if _is_grpc(seen) or (match is not None and _UNKNOWN_TO_DATABASE.search(match.id)):
                self._unknown_outcome(match, "a request whose answer the contract does not define")
                return
            self._observe(seen)
            if match is None:
                self._judge_unknown_route(seen)
            else:
                self._judge_operation(self._parsed(seen, match))
            self._remember(seen, *before)

    def _repeats_last_read(self, seen: Seen) -> bool:
        """Count a read that repeats the last one while nothing changed: web pages poll the list."""
        is_quick = seen.ended - seen.began < _SLOW
        if self._overlapping or not is_quick or (self.follower.state, _shown(seen)) != self._central.last:
            return False
        self.tally.update(self._central.last_outcomes)
        self._central.paces[self._operation, seen.status, True] += 1
        self.observers.covered[self._operation, "", seen.status] += 1
        return True

    def _remember(self, seen: Seen, state: tuple[int, bool], tally: Counter[tuple[str, str, str]]) -> None:
        """Remember a read that was correct and changed nothing in the model."""
        self._central.last = None
        if seen.method == "GET" and seen.status == 200 and state == self.follower.state and not self._overlapping:
            outcomes = self.tally - tally
            if all(outcome != BROKEN for _, _, outcome in outcomes):
                self._central.last, self._central.last_outcomes = (state, _shown(seen)), outcomes

    def count_outcome(
        self,
        rule: str,
        outcome: str,
        what: str = "",
        *,
        expected: Any = None,
        got: Any = None,
        stored: bool = False,
    ) -> None:
        """Count an outcome of a rule. `stored`: it depends on the store, so another writer may be the cause."""
        stored = stored or depends_on_store(rule)
        if outcome == BROKEN and stored and self.others_write:
            outcome = UNDECIDABLE
        self.tally[self._operation, rule, outcome] += 1
        if outcome == BROKEN:
            likely = " (likely: no other writer was seen)" if stored else ""
            self.findings.add(rule, f"{self._operation}: {what}{likely}", self._exchange, expected=expected, got=got)

    def check(self, rule: str, held: bool, what: str, **more: Any) -> bool:
        """Count whether a rule held, and return that."""
        self.count_outcome(rule, HELD if held else BROKEN, what, **more)
        return held

    def _observe(self, seen: Seen) -> None:
        """Run the general observers if the whole answer was kept."""
        if seen.reply is None or not seen.whole:
            return
        before = _counts(self.findings.failures)
        self.observers.seen = set()
        self.observers(self._exchange, seen.answer())
        found = _counts(self.findings.failures) - before
        for check in (self.observers.seen | found.keys()) - (_OF_CREDENTIALS if seen.blind else frozenset()):
            self.tally[self._operation, check, BROKEN if found[check] else HELD] += 1
        if seen.headers_kept and self._operation != "none":
            for name, wanted in (("Cache-Control", "no-store"), ("Vary", "accept-encoding")):
                kept = seen.reply_headers.get(name, "")
                what = f"the header {name} does not say {wanted}"
                self.check("answer-headers", wanted in kept.lower(), what, expected=wanted, got=kept)

    def _judge_unknown_route(self, seen: Seen) -> None:
        path = path_of(seen.target)
        if "//" in path or "/." in path or "%" in path:
            return
        rule, status = ("method-not-allowed", 501) if self.routes.has_path(path) else ("unknown-route", 404)
        what = f"the answer is {seen.status}, not {status}"
        self.check(rule, seen.status == status, what, expected={"status": status}, got={"status": seen.status})

    def _unknown_outcome(self, match: Match | None, why: str) -> None:
        """Mark as unknown the integration that a write without a known outcome may have changed."""
        if match is None or match.operation.id not in _WRITES:
            return
        if match.id:
            self.follower.doubt(match.id, why)
        self.follower.complete = False

    # -- requests -----------------------------------------------------------------------------------

    def _parsed(self, seen: Seen, match: Match) -> _Request:
        request = _Request(seen, match.operation, match.id)
        if match.operation.request is None or seen.body is None:
            return request
        value = json_of(seen.body)
        if not _is_strict(seen.body):
            return request
        if seen.body and not self._accepts(match.operation, value):
            self._explain(request)
        try:
            message = canonical(self.contract.message(match.operation.request), value) if seen.body else {}
        except ValueError:
            return request
        if not isinstance(message, dict) or not self._accepts(match.operation, message):
            return request
        if "Test" in match.operation.id or match.operation.id == "UpdateImageIntegration":
            wrapped = "config" in self.contract.message(match.operation.request).by_name
            if wrapped:
                request.update_password = bool(message.get("updatePassword", False))
                message = message.get("config")
        if isinstance(message, dict):
            request.whole = with_defaults(self.contract.integration, message)
            if request.operation.id.startswith("Test"):
                request.id = request.whole["id"]
        return request

    def _accepts(self, operation: Operation, value: Any) -> bool:
        return self.observers.validator.accepts(str(operation.request), value)

    def _explain(self, request: _Request) -> None:
        """Count the places in which a request violates the contract."""
        if self._explained >= _MOST_EXPLAINED:
            self.client[f"{request.operation.id}: further invalid requests"] += 1
            return
        self._explained += 1
        found = self.observers.validator.request_violations(
            request.operation, request.operation.path, {}, request.seen.body or b"", "application/json"
        )
        for each in found:
            self.client[f"{request.operation.id}: {re.sub(r'[0-9]+', 'n', str(each))}"] += 1

    def _judge_operation(self, request: _Request) -> None:
        seen = request.seen
        self._access(seen)
        self._pace(request)
        if seen.status in (401, 403) or seen.status in NOT_CENTRALS:
            self._refused(Refusals(), of_access=True)
            return
        judge = {
            "GetImageIntegrations": self._list,
            "GetImageIntegration": self._get,
            "PostImageIntegration": self._create,
            "PutImageIntegration": self._update,
            "UpdateImageIntegration": self._update,
            "DeleteImageIntegration": self._delete,
        }.get(request.operation.id, self._test)
        judge(request)

    # -- access and response time -------------------------------------------------------------------

    def _access(self, seen: Seen) -> None:
        """Judge access: a caller without credentials must be refused if another one was.

        Some programs omit credentials from the recording of every request.
        """
        central = self._central
        central.shows_credentials |= "Authorization" in seen.headers
        has_credentials = "Authorization" in seen.headers or "Cookie" in seen.headers
        is_nobody = central.shows_credentials and not has_credentials
        central.asks_credentials |= seen.status == 401 or (is_nobody and seen.status == 403)
        if is_nobody and seen.status == 200 and central.asks_credentials:
            rule = "read-permission" if seen.method == "GET" else "credentials-missing"
            self.count_outcome(rule, BROKEN, "a caller without credentials is accepted; another was refused")

    def _pace(self, request: _Request) -> None:
        """Judge the time of answers that wait for no registry, relative to those of other kinds."""
        operation, whole, seen = request.operation.id, request.whole, request.seen
        if operation.startswith("Test") or (whole and (whole["type"] == "ecr" or not whole["skipTestIntegration"])):
            return
        is_quick = seen.ended - seen.began < _SLOW
        self._central.paces[operation, seen.status, is_quick] += 1
        slow, quick = (self._central.paces[operation, seen.status, each] for each in (False, True))
        others = sum(number if each else -number for (*_, each), number in self._central.paces.items()) - quick + slow
        if is_quick:
            self.count_outcome("response-time", HELD)
        elif quick or min(slow, others) < _OFTEN:
            self.count_outcome("response-time", UNDECIDABLE)
        else:
            self.count_outcome(
                "response-time", BROKEN, f"every answer {seen.status} takes more than {_SLOW:.0f} seconds"
            )

    # -- refusals -----------------------------------------------------------------------------------

    def _refused(
        self, refusals: Refusals, check: str = "", *, of_access: bool = False, tested: bool = False
    ) -> set[str]:
        """Judge a refusal, and return the ids of the rules that its text names.

        `check` fails if no rule explains the refusal. `tested`: a registry may be the cause.
        """
        answer = json_of(self._seen.reply)
        if not isinstance(answer, dict):
            self.count_outcome("refusal", UNDECIDABLE)
            return set()
        message = str(answer.get("message", "")).replace("\u00a0", " ")
        same = bool(message) and answer.get("error") == answer.get("message")
        self.check("error-shape", same, "`error` does not repeat `message`", expected=message, got=answer)
        if not message:
            return set()
        if message.startswith(_OF_STRICT) or (self._seen.blind and NOT_SHOWN.fullmatch(message)):
            self.count_outcome("refusal", UNDECIDABLE)
            return set()
        named = self._texts.named(message)
        fitting = {rule.id for rule in named if status_fits(rule, self._seen.status, answer.get("code"), tested=tested)}
        if named and not fitting:
            rule = named[0]
            what = f"the refusal has the status {self._seen.status} and the code {answer.get('code')}"
            fits = {"status": rule.status, "code": rule.code}
            self.count_outcome(rule.id, BROKEN, what, expected=fits, got=answer)
        elif due := fitting & (refusals.must | refusals.may):
            for rule_id in due:
                self.count_outcome(rule_id, HELD if rule_id in refusals.must else UNDECIDABLE)
        elif of_access:
            for rule_id in fitting:
                self.count_outcome(rule_id, HELD)
            challenge = self._seen.reply_headers.get("WWW-Authenticate", "")
            if fitting and self._seen.status == 401 and self._seen.headers_kept and message.isascii():
                what = "WWW-Authenticate of a 401 does not say what the message says"
                self.check("www-authenticate", challenge == message, what, expected=message, got=challenge)
        elif refusals.must:
            rule = self.contract.rules[self._first(refusals.must)]
            expected = {"message contains": constant_pieces(rule.message)}
            self.count_outcome(rule.id, BROKEN, "another refusal is due", expected=expected, got=answer)
        elif fitting:
            self.count_outcome(
                self._first(fitting), BROKEN, "a request is refused that does not break the rule", got=answer
            )
        elif check and not tested and not self._overlapping and not refusals.may & self._texts.silent:
            self.count_outcome(
                check, BROKEN, "a request that Central accepts is refused", got={"status": self._seen.status, **answer}
            )
        else:
            self.count_outcome("registry-reachable" if tested else "refusal", UNDECIDABLE)
        return fitting

    def _first(self, rules: Iterable[str]) -> str:
        """Return the rule that Central checks first."""
        return min(rules, key=[*self.contract.rules].index)

    def _accepted(self, refusals: Refusals, check: str) -> None:
        """Judge that a request was accepted."""
        for rule in refusals.may:
            self.count_outcome(rule, UNDECIDABLE)
        for rule in refusals.must:
            title = self.contract.rules[rule].title
            self.count_outcome(rule, BROKEN, f"Central accepted what this rule refuses: {title}")
        if not refusals.must:
            self.count_outcome(check, HELD)

    def _integration_rules(self, request: _Request) -> Refusals:
        """Return the rules that the integration of a request breaks, whatever is stored."""
        assert request.whole is not None
        if request.credentials_known:
            return broken(self.contract, request.whole)
        return broken_with_unknown(self.contract, request.whole)

    def _name_rule(self, request: _Request, refusals: Refusals) -> None:
        assert request.whole is not None
        name = request.whole["name"]
        owner = self.follower.owner(name)
        if not name or owner == request.id != "":
            return
        touched = self._touched()
        if owner is not None and owner not in touched and not self._names_in_flight(name):
            refusals.must.add("name-unique")
        elif not self.follower.is_free(name) or touched or self._names_in_flight(name):
            refusals.may.add("name-unique")

    def _touched(self) -> set[str]:
        """Return the ids of the integrations that an overlapping request may have changed."""
        found = set()
        for each in self._overlapping:
            match = self._match(each)
            assert match is not None
            answer = json_of(each.reply)
            found.add(match.id or (str(answer.get("id")) if isinstance(answer, dict) else ""))
        return found

    def _names_in_flight(self, name: str) -> bool:
        quoted = name.encode()
        return any(each.body is None or quoted in each.body for each in self._overlapping)

    # -- reads --------------------------------------------------------------------------------------

    def _list(self, request: _Request) -> None:
        seen, follower = request.seen, self.follower
        if seen.status != 200:
            may = {"query-value-once", "query-encoding"} if "?" in seen.target else set()
            self._refused(Refusals(may=may), "list")
            return
        answer = json_of(seen.reply)
        items = answer.get("integrations") if isinstance(answer, dict) else None
        if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
            return
        query = parse_qs(seen.target.partition("?")[2], keep_blank_values=True)
        if any(len(query.get(key, [])) > 1 for key in ("name", "cluster")):
            self.count_outcome("query-value-once", BROKEN, "a query with a repeated key is accepted")
            return
        name, cluster = (query.get(key, [""])[0] for key in ("name", "cluster"))
        if cluster:
            self.check("list-by-cluster", not items, "the list of a cluster is not empty", expected=[], got=answer)
            return
        if name:
            right = all(each.get("name") == name for each in items)
            self.check("list-by-name", right, "the list filtered by name holds other names", got=answer)
        by_id: dict[str, Mapping[str, Any]] = {}
        for each in items:
            by_id.setdefault(str(each.get("id")), each)
        once = len(by_id) == len(items)
        self.check("many-kept", once, "the list holds an integration twice", got=answer)
        touched = self._touched()
        for id, expected in list(follower.expected(name)):
            if id in touched:
                continue
            self._compare(id, expected, by_id.get(id), missing="list-by-name" if name else "")
        for id in [each for each in by_id if each in follower.gone and each not in touched]:
            self.count_outcome(
                "delete-answer", BROKEN, "the list holds a deleted integration", got=by_id[id], stored=True
            )
        self._learn_list(by_id, touched, is_filtered=bool(name))

    def _learn_list(self, by_id: Mapping[str, Mapping[str, Any]], touched: set[str], *, is_filtered: bool) -> None:
        follower = self.follower
        for id, each in by_id.items():
            if id not in touched:
                if follower.is_absent(id) and not self._overlapping and each.get("name") in follower.refused:
                    what = "the list holds an integration whose create was refused"
                    self.count_outcome("create-rolled-back", BROKEN, what, got=each, stored=True)
                follower.show(id, each)
            elif id not in follower.known and id not in follower.gone:
                follower.doubt(id, "it was written to at the same time")
        if not is_filtered:
            for id in [each for each in follower.known if each not in by_id and each not in touched]:
                follower.remove(id, deleted=False)
            follower.complete = "" not in touched

    def _compare(self, id: str, expected: Body, got: Mapping[str, Any] | None, missing: str = "") -> None:
        """Compare an integration as it is shown with the model."""
        shown = got if got is None or got == expected else with_masks(self.contract, dict(got))
        check = self.follower.blame(id)
        if shown is None:
            check, what = missing or check, "an integration is missing"
        else:
            what = "an integration differs from what the traffic stored"
        self.check(check, shown == expected, what, expected=expected, got=shown, stored=True)

    def _get(self, request: _Request) -> None:
        seen, id, follower = request.seen, request.id, self.follower
        is_open = id in self._touched()
        expected = None if is_open else follower.sure(id)
        if seen.status == 200:
            got = json_of(seen.reply)
            if not isinstance(got, dict):
                return
            self.check("id-exact", got.get("id") == id, "the answer shows another integration", expected=id, got=got)
            if expected is not None:
                self._compare(id, expected, got)
            elif id in follower.gone and not is_open:
                self.count_outcome("delete-answer", BROKEN, "GET answers a deleted integration", got=got, stored=True)
            else:
                self.count_outcome("read-after-create", UNDECIDABLE)
            if got.get("id") == id and not is_open:
                follower.show(id, got)
            return
        absent = follower.is_absent(id) and not is_open
        rules = {"get-missing", "id-required"}
        if expected is not None and seen.status == 404:
            self._compare(id, expected, None)
            follower.remove(id, deleted=False)
            rules = set()
        must = {"id-required"} if not id else {"get-missing"} if absent else set()
        if expected is not None and seen.status != 404:
            rules = set()
        self._refused(Refusals(must, rules), "" if seen.status == 404 else "reads-steady")

    # -- writes -------------------------------------------------------------------------------------

    def _create(self, request: _Request) -> None:
        seen, follower = request.seen, self.follower
        answer = json_of(seen.reply)
        refusals = Refusals()
        tested = True
        if request.whole is not None:
            refusals = self._integration_rules(request)
            tested = not request.whole["skipTestIntegration"]
            own = {"scannerv4": "scanner-v4-not-created", "google": "google-not-created"}.get(request.whole["type"])
            if request.whole["id"]:
                refusals.must.add("id-empty-on-create")
            if own in self.contract.rules:
                refusals.must.add(str(own))
            self._name_rule(request, refusals)
        if seen.status != 200:
            if request.whole is None:
                self.count_outcome("create", UNDECIDABLE)
                return
            self._refused(refusals, "create", tested=tested)
            if not self._overlapping and follower.is_free(request.whole["name"]):
                follower.refused.add(request.whole["name"])
            return
        follower.wrote("read-after-create")
        if request.whole is None:
            self.count_outcome("create", UNDECIDABLE)
        else:
            self._accepted(refusals, "create")
        id = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(id, str) or not id:
            if seen.reply is not None:
                self.count_outcome("create", BROKEN, "the answer has no id", got=answer)
            follower.complete = False
            return
        if seen.whole:
            self.check("create-assigns-id", _UUID.fullmatch(id) is not None, f"the id {id} is no UUID of version 4")
        before = follower.known.get(id)
        is_old = id in follower.gone or (before is not None and before.first < seen.began)
        what = f"the id {id} is, or was, that of another integration"
        self.check("create-answers-its-own", not is_old, what, stored=True)
        if request.whole is None:
            follower.show(id, answer)
            return
        expected = read_answer(self.contract, request.whole, id)
        follower.write(id, request.whole, "read-after-create", seen.ended)
        if follower.sure(id) is not None and seen.whole:
            shown = with_masks(self.contract, answer)
            self.check(
                "create-answer", shown == expected, "the answer differs from the request", expected=expected, got=shown
            )
        if id in self._touched():
            follower.doubt(id, "it was written to before the create was answered")

    def _update(self, request: _Request) -> None:
        seen, id, follower = request.seen, request.id, self.follower
        if request.whole is None:
            self.count_outcome("update", UNDECIDABLE)
            if seen.status == 200 or seen.status >= 500:
                follower.wrote("update-changes-one")
                follower.doubt(id, "the request body cannot be read")
            return
        tested = not request.whole["skipTestIntegration"]
        refusals = self._update_rules(request)
        is_open = id in self._touched()
        if seen.status == 200:
            self._accepted(refusals, "update")
            if seen.reply is not None:
                answer = json_of(seen.reply)
                self.check("update", answer == {}, "the answer is not {}", expected={}, got=answer)
            self._store_update(request, is_open=is_open)
            return
        named = self._refused(refusals, "update", tested=tested)
        if seen.status >= 500 and not is_open:
            # An update whose client cannot be built is stored all the same.
            kinds = {self.contract.rules[each].kind for each in named}
            if kinds == {"build"} and id in follower.known and "update-missing" not in refusals.must:
                self._store_update(request, is_open=is_open, blame="update-not-rolled-back")
            else:
                follower.doubt(id, f"an update was answered {seen.status}")

    def _store_update(self, request: _Request, *, is_open: bool, blame: str = "update") -> None:
        assert request.whole is not None
        self.follower.wrote("update-changes-one")
        self.follower.write(request.id, request.whole, blame)
        if is_open:
            self.follower.doubt(request.id, "it was written to by two requests at once")

    def _update_rules(self, request: _Request) -> Refusals:
        """Return the rules that must, or may, refuse an update or a test."""
        assert request.whole is not None
        refusals = self._integration_rules(request)
        self._name_rule(request, refusals)
        id = request.id
        stored = self.follower.sure(id) if id and id not in self._touched() else None
        if stored is None:
            reconcile = [rule for rule in self.contract.rules if rule.startswith("reconcile-")]
            refusals.may |= {*_UPDATE_MAY, *(reconcile if not request.update_password else ())}
            if not id and request.operation.id.startswith("Test"):
                refusals.may -= {*_UPDATE_MAY, *reconcile}
                refusals.must |= set() if request.update_password else {"reconcile-needs-id"}
            elif id and self.follower.is_absent(id) and id not in self._touched():
                refusals.must.add("update-missing")
        else:
            self._reconcile(request, stored, refusals)
        return refusals

    def _reconcile(self, request: _Request, stored: Body, refusals: Refusals) -> None:
        assert request.whole is not None
        if request.whole["type"] != stored["type"] and "scannerv4" in (request.whole["type"], stored["type"]):
            refusals.must.add("scanner-v4-type-fixed")
        if request.update_password:
            return
        config = request.whole
        if request.seen.blind:
            refusals.may.add("reconcile-credential-masked")
            config = with_credentials(self.contract.integration, config, MASK)
        refusal = self.follower.model.update_refusal(
            request.id, {**config, "name": stored["name"]}, update_password=False
        )
        if refusal is None:
            return
        rules = {rule for rule in self.contract.rules if rule.startswith("reconcile-")}
        if request.whole["type"] == "azure" and "docker" in stored:
            refusals.may |= rules  # a stored docker member is read as one of azure
        else:
            refusals.must.add(refusal.rule)

    def _test(self, request: _Request) -> None:
        seen = request.seen
        if request.whole is None:
            self.count_outcome("test", UNDECIDABLE)
            return
        refusals = self._update_rules(request)
        if not request.whole["type"]:
            refusals.must.discard("type-defined")
            refusals.may.add("type-defined")
        if seen.status == 200:
            self.follower.wrote("test-stores-nothing")
            self._accepted(refusals, "test")
            if seen.reply is not None:
                answer = json_of(seen.reply)
                self.check("test", answer == {}, "the answer is not {}", expected={}, got=answer)
        else:
            self._refused(refusals, tested=True)

    def _delete(self, request: _Request) -> None:
        seen, id, follower = request.seen, request.id, self.follower
        is_open = id in self._touched()
        expected = None if is_open else follower.sure(id)
        is_central = expected is not None and expected["type"] == "scannerv4"
        absent = follower.is_absent(id) and not is_open
        if seen.status == 200:
            must = {"scanner-v4-not-deleted"} if is_central else {"delete-missing"} if absent else set()
            self._accepted(Refusals(must), "delete-answer")
            if seen.reply is not None:
                answer = json_of(seen.reply)
                self.check("delete-answer", answer == {}, "the answer is not {}", expected={}, got=answer)
            follower.wrote("delete-answer")
            follower.remove(id, deleted=True)
            return
        known = follower.known.get(id)
        early = known is not None and known.created is not None and seen.ended - known.created < HEALTH_IS_WRITTEN + 1
        if seen.status == 404 and expected is not None and not is_central:
            if early:
                self.count_outcome("delete-answer", UNDECIDABLE)
            else:
                self.count_outcome(
                    "delete-answer",
                    BROKEN,
                    "an existing integration is not deleted",
                    expected=200,
                    got=404,
                    stored=True,
                )
            follower.doubt(id, "a DELETE was answered 404")
        may = {"delete-missing", "scanner-v4-not-deleted", "id-required", "database-error"}
        must = (
            {"scanner-v4-not-deleted"}
            if is_central
            else {"delete-missing"}
            if absent and id
            else {"id-required"}
            if not id
            else set()
        )
        self._refused(Refusals(must, may))


def _shown(seen: Seen) -> tuple[Any, ...]:
    """Return the parts of a read by which it is compared with another one: all but the date."""
    headers = {name.lower(): value for name, value in seen.reply_headers.items()}
    headers.pop("date", None)
    return seen.method, seen.target, seen.body, seen.reply, seen.whole, seen.blind, headers


def _sandbox(seen: Seen) -> str:
    return seen.headers.get(_SANDBOX, "")


def _is_grpc(seen: Seen) -> bool:
    """Return whether a request is gRPC, or has headers that Central's gRPC server obeys, such as a timeout."""
    speaks = seen.headers.get("Content-Type", "").lower().startswith("application/grpc")
    return speaks or any(name.lower().startswith("grpc-") for name in seen.headers)


def _is_strict(body: bytes) -> bool:
    """Return whether Central reads a JSON text as Python does: it has no NaN, no lone surrogate, and no NUL."""
    if b"\\u0000" in body:
        return False
    try:
        json.dumps(json_of(body), ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True


def _counts(failures: Iterable[Failure]) -> Counter[str]:
    found: Counter[str] = Counter()
    for each in failures:
        found[each.check] += each.also + 1
    return found
