"""The judgement on one exchange, by the contract and by what earlier traffic showed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from contract_tests.engine.exchange import Exchange
from contract_tests.engine.failures import Failure
from contract_tests.engine.integrations import Body, masked, read_answer, with_masks
from contract_tests.oracle.model import constant_pieces
from contract_tests.oracle.steps import HEALTH_IS_WRITTEN
from contract_tests.traffic.exchanges import NOT_SHOWN, Seen, json_of
from contract_tests.traffic.parsing import Request, parse
from contract_tests.traffic.record import Record, State
from contract_tests.traffic.rules import Refusals, broken, broken_with_unknown, depends_on_store, status_fits
from contract_tests.traffic.secrets import path_of
from mock_server.contract.routes import Match

HELD, BROKEN, UNDECIDABLE = "held", "broken", "undecidable"
NOT_CENTRALS = (429, 502, 503, 504)
"""Statuses that a proxy in front of Central may answer, too."""
WRITES = ("PostImageIntegration", "PutImageIntegration", "UpdateImageIntegration", "DeleteImageIntegration")
OVERRIDE = "X-HTTP-Method-Override"
"""A header that changes the method, so that the effect of a request is unknown."""
_OF_CREDENTIALS = frozenset(("credentials-masked", "credential-leak", "create-answer-in-clear"))
_UPDATE_MAY = ("update-missing", "scanner-v4-type-fixed", "database-error")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_OF_STRICT = "the request leaves the contract: "
"""Start of the errors of a mock that was started with --strict; Central has no such error."""
_UNKNOWN_TO_DATABASE = re.compile("[\0\ufffd]")
"""NUL, or the replacement for invalid UTF-8: for such an id the database words the error."""
_SLOW = 5.0
"""Seconds from which an answer that waits for no registry is slow."""
_OFTEN = 4
"""Least number of slow answers of one kind, and of quick answers of other kinds, that show a fault."""


class Case:
    """The judgement on one exchange with a Central in a known state.

    `overlapping` are the writes that were under way at the same time.
    """

    def __init__(
        self,
        record: Record,
        central: State,
        exchange: Exchange,
        seen: Seen,
        match: Match | None,
        overlapping: Sequence[tuple[Match, Seen]],
    ) -> None:
        self.record = record
        self.contract = record.contract
        self.findings = record.observers.findings
        self.central = central
        self.follower = central.follower
        self.exchange = exchange
        self.seen = seen
        self.match = match
        self.operation = match.operation.id if match else "none"
        self.overlapping = overlapping

    def judge(self) -> None:
        """Judge the exchange, and update the state by it."""
        seen = self.seen
        if seen.dropped:
            self.record.dropped += 1
            again = self.record.dropped > 1  # once may be a kept connection that had expired
            what = "there is no whole answer: the connection ends before it, or it cannot be unpacked"
            self.count_outcome("every-request-answered", BROKEN if again else UNDECIDABLE, what)
        if not seen.status or seen.dropped:
            self._unknown_outcome("a request that was not answered")
        elif seen.status in NOT_CENTRALS and "code" not in (json_of(seen.reply) or {}):
            self._unknown_outcome(f"{seen.status} from a proxy in front of Central")
        elif 300 <= seen.status < 400 or OVERRIDE in seen.headers or self._repeats_last_read():
            return
        elif _is_grpc(seen) or (self.match is not None and _UNKNOWN_TO_DATABASE.search(self.match.id)):
            self._unknown_outcome("a request whose answer the contract does not define")
        else:
            before = self.follower.state, Counter(self.record.tally)
            self._observe()
            if self.match is None:
                self._judge_unknown_route()
            else:
                self._judge_operation(self._parsed(self.match))
            self._remember(*before)

    def _repeats_last_read(self) -> bool:
        """Count a read that repeats the last one while nothing changed: web pages poll the list."""
        seen = self.seen
        is_quick = seen.ended - seen.began < _SLOW
        if self.overlapping or not is_quick or (self.follower.state, _shown(seen)) != self.central.last:
            return False
        self.record.tally.update(self.central.last_outcomes)
        self.central.paces[self.operation, seen.status, True] += 1
        self.record.observers.covered[self.operation, "", seen.status] += 1
        return True

    def _remember(self, state: tuple[int, bool], tally: Counter[tuple[str, str, str]]) -> None:
        """Remember a read that was correct and changed nothing in the model."""
        seen = self.seen
        self.central.last = None
        if seen.method == "GET" and seen.status == 200 and state == self.follower.state and not self.overlapping:
            outcomes = self.record.tally - tally
            if all(outcome != BROKEN for _, _, outcome in outcomes):
                self.central.last, self.central.last_outcomes = (state, _shown(seen)), outcomes

    def count_outcome(
        self, rule: str, outcome: str, what: str = "", *, expected: Any = None, got: Any = None, stored: bool = False
    ) -> None:
        """Count an outcome of a rule. `stored`: it depends on the store, so another writer may be the cause."""
        stored = stored or depends_on_store(rule)
        if outcome == BROKEN and stored and self.record.others_write:
            outcome = UNDECIDABLE
        self.record.tally[self.operation, rule, outcome] += 1
        if outcome == BROKEN:
            likely = " (likely: no other writer was seen)" if stored else ""
            self.findings.add(rule, f"{self.operation}: {what}{likely}", self.exchange, expected=expected, got=got)

    def check(self, rule: str, held: bool, what: str, **more: Any) -> bool:
        """Count whether a rule held, and return that."""
        self.count_outcome(rule, HELD if held else BROKEN, what, **more)
        return held

    def _check_empty_answer(self, check: str) -> None:
        """Check that the answer is an empty object, if it was kept."""
        if self.seen.reply is not None:
            answer = json_of(self.seen.reply)
            self.check(check, answer == {}, "the answer is not {}", expected={}, got=answer)

    def _observe(self) -> None:
        """Run the general observers if the whole answer was kept."""
        seen = self.seen
        if seen.reply is None or not seen.whole:
            return
        before = _counts(self.findings.failures)
        self.record.observers.seen = set()
        self.record.observers(self.exchange, seen.answer())
        found = _counts(self.findings.failures) - before
        for check in (self.record.observers.seen | found.keys()) - (_OF_CREDENTIALS if seen.blind else frozenset()):
            self.record.tally[self.operation, check, BROKEN if found[check] else HELD] += 1
        if seen.headers_kept and self.operation != "none":
            for name, wanted in (("Cache-Control", "no-store"), ("Vary", "accept-encoding")):
                kept = seen.reply_headers.get(name, "")
                what = f"the header {name} does not say {wanted}"
                self.check("answer-headers", wanted in kept.lower(), what, expected=wanted, got=kept)

    def _judge_unknown_route(self) -> None:
        path = path_of(self.seen.target)
        if "//" in path or "/." in path or "%" in path:
            return
        rule, status = ("method-not-allowed", 501) if self.record.routes.has_path(path) else ("unknown-route", 404)
        what = f"the answer is {self.seen.status}, not {status}"
        self.check(
            rule, self.seen.status == status, what, expected={"status": status}, got={"status": self.seen.status}
        )

    def _unknown_outcome(self, why: str) -> None:
        """Mark as unknown the integration that a write without a known outcome may have changed."""
        if self.match is None or self.operation not in WRITES:
            return
        if self.match.id:
            self.follower.doubt(self.match.id, why)
        self.follower.complete = False

    def _parsed(self, match: Match) -> Request:
        request, is_valid = parse(self.seen, match, self.contract, self.record.observers.validator)
        if not is_valid:
            self.record.explain(request)
        return request

    def _judge_operation(self, request: Request) -> None:
        seen = request.seen
        self._access()
        self._pace(request)
        if seen.status in (401, 403) or seen.status in NOT_CENTRALS:
            self._refused(Refusals(), of_access=True)
            return
        judges: Mapping[str, Callable[[Request], None]] = {
            "GetImageIntegrations": self._list,
            "GetImageIntegration": self._get,
            "PostImageIntegration": self._create,
            "PutImageIntegration": self._update,
            "UpdateImageIntegration": self._update,
            "DeleteImageIntegration": self._delete,
        }
        judges.get(self.operation, self._test)(request)

    # -- access and response time -------------------------------------------------------------------

    def _access(self) -> None:
        """Judge access: a caller without credentials must be refused if another one was.

        Some programs omit credentials from the recording of every request.
        """
        seen, central = self.seen, self.central
        central.shows_credentials |= "Authorization" in seen.headers
        has_credentials = "Authorization" in seen.headers or "Cookie" in seen.headers
        is_nobody = central.shows_credentials and not has_credentials
        central.asks_credentials |= seen.status == 401 or (is_nobody and seen.status == 403)
        if is_nobody and seen.status == 200 and central.asks_credentials:
            rule = "read-permission" if seen.method == "GET" else "credentials-missing"
            self.count_outcome(rule, BROKEN, "a caller without credentials is accepted; another was refused")

    def _pace(self, request: Request) -> None:
        """Judge the time of answers that wait for no registry, relative to those of other kinds."""
        operation, whole, seen = request.operation.id, request.whole, request.seen
        if operation.startswith("Test") or (whole and (whole["type"] == "ecr" or not whole["skipTestIntegration"])):
            return
        is_quick = seen.ended - seen.began < _SLOW
        self.central.paces[operation, seen.status, is_quick] += 1
        slow, quick = (self.central.paces[operation, seen.status, each] for each in (False, True))
        others = sum(number if each else -number for (*_, each), number in self.central.paces.items()) - quick + slow
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
        answer = json_of(self.seen.reply)
        if not isinstance(answer, dict):
            self.count_outcome("refusal", UNDECIDABLE)
            return set()
        message = str(answer.get("message", "")).replace("\u00a0", " ")
        same = bool(message) and answer.get("error") == answer.get("message")
        self.check("error-shape", same, "`error` does not repeat `message`", expected=message, got=answer)
        if not message:
            return set()
        if message.startswith(_OF_STRICT) or (self.seen.blind and NOT_SHOWN.fullmatch(message)):
            self.count_outcome("refusal", UNDECIDABLE)
            return set()
        named = self.record.texts.named(message)
        fitting = {rule.id for rule in named if status_fits(rule, self.seen.status, answer.get("code"), tested=tested)}
        if named and not fitting:
            rule = named[0]
            what = f"the refusal has the status {self.seen.status} and the code {answer.get('code')}"
            fits = {"status": rule.status, "code": rule.code}
            self.count_outcome(rule.id, BROKEN, what, expected=fits, got=answer)
        elif due := fitting & (refusals.must | refusals.may):
            for rule_id in due:
                self.count_outcome(rule_id, HELD if rule_id in refusals.must else UNDECIDABLE)
        elif of_access:
            self._refused_access(fitting, message)
        else:
            self._refused_without_reason(refusals, check, fitting, answer, tested=tested)
        return fitting

    def _refused_access(self, fitting: set[str], message: str) -> None:
        for rule_id in fitting:
            self.count_outcome(rule_id, HELD)
        challenge = self.seen.reply_headers.get("WWW-Authenticate", "")
        if fitting and self.seen.status == 401 and self.seen.headers_kept and message.isascii():
            what = "WWW-Authenticate of a 401 does not say what the message says"
            self.check("www-authenticate", challenge == message, what, expected=message, got=challenge)

    def _refused_without_reason(
        self, refusals: Refusals, check: str, fitting: set[str], answer: Mapping[str, Any], *, tested: bool
    ) -> None:
        """Judge a refusal that names no rule which the request breaks."""
        if refusals.must:
            rule = self.contract.rules[self._first(refusals.must)]
            expected = {"message contains": constant_pieces(rule.message)}
            self.count_outcome(rule.id, BROKEN, "another refusal is due", expected=expected, got=answer)
        elif fitting:
            what = "a request is refused that does not break the rule"
            self.count_outcome(self._first(fitting), BROKEN, what, got=answer)
        elif check and not tested and not self.overlapping and not refusals.may & self.record.texts.silent:
            got = {"status": self.seen.status, **answer}
            self.count_outcome(check, BROKEN, "a request that Central accepts is refused", got=got)
        else:
            self.count_outcome("registry-reachable" if tested else "refusal", UNDECIDABLE)

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

    def _integration_rules(self, request: Request) -> Refusals:
        """Return the rules that the integration of a request breaks, whatever is stored."""
        assert request.whole is not None
        if request.credentials_known:
            return broken(self.contract, request.whole)
        return broken_with_unknown(self.contract, request.whole)

    def _name_rule(self, request: Request, refusals: Refusals) -> None:
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
        for match, seen in self.overlapping:
            answer = json_of(seen.reply)
            found.add(match.id or (str(answer.get("id")) if isinstance(answer, dict) else ""))
        return found

    def _names_in_flight(self, name: str) -> bool:
        quoted = name.encode()
        return any(seen.body is None or quoted in seen.body for _, seen in self.overlapping)

    # -- reads --------------------------------------------------------------------------------------

    def _list(self, request: Request) -> None:
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
                if follower.is_absent(id) and not self.overlapping and each.get("name") in follower.refused:
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

    def _get(self, request: Request) -> None:
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
        if expected is not None and seen.status == 404:
            self._compare(id, expected, None)
            follower.remove(id, deleted=False)
        must = {"id-required"} if not id else {"get-missing"} if absent else set()
        may = {"get-missing", "id-required"} if expected is None else set()
        self._refused(Refusals(must, may), "" if seen.status == 404 else "reads-steady")

    # -- writes -------------------------------------------------------------------------------------

    def _create(self, request: Request) -> None:
        whole, is_created = request.whole, self.seen.status == 200
        if whole is None:
            self.count_outcome("create", UNDECIDABLE)
        elif is_created:
            self._accepted(self._create_rules(request), "create")
        else:
            self._refused(self._create_rules(request), "create", tested=not whole["skipTestIntegration"])
            if not self.overlapping and self.follower.is_free(whole["name"]):
                self.follower.refused.add(whole["name"])
        if is_created:
            self.follower.wrote("read-after-create")
            self._learn_created(request)

    def _create_rules(self, request: Request) -> Refusals:
        """Return the rules that must, or may, refuse a create."""
        assert request.whole is not None
        refusals = self._integration_rules(request)
        own = {"scannerv4": "scanner-v4-not-created", "google": "google-not-created"}.get(request.whole["type"])
        if request.whole["id"]:
            refusals.must.add("id-empty-on-create")
        if own in self.contract.rules:
            refusals.must.add(str(own))
        self._name_rule(request, refusals)
        return refusals

    def _learn_created(self, request: Request) -> None:
        """Judge the answer to a successful create, and learn from it."""
        seen, follower = self.seen, self.follower
        answer = json_of(seen.reply)
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
            what = "the answer differs from the request"
            self.check("create-answer", shown == expected, what, expected=expected, got=shown)
        if id in self._touched():
            follower.doubt(id, "it was written to before the create was answered")

    def _update(self, request: Request) -> None:
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
            self._check_empty_answer("update")
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

    def _store_update(self, request: Request, *, is_open: bool, blame: str = "update") -> None:
        assert request.whole is not None
        self.follower.wrote("update-changes-one")
        self.follower.write(request.id, request.whole, blame)
        if is_open:
            self.follower.doubt(request.id, "it was written to by two requests at once")

    def _update_rules(self, request: Request) -> Refusals:
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

    def _reconcile(self, request: Request, stored: Body, refusals: Refusals) -> None:
        assert request.whole is not None
        if request.whole["type"] != stored["type"] and "scannerv4" in (request.whole["type"], stored["type"]):
            refusals.must.add("scanner-v4-type-fixed")
        if request.update_password:
            return
        config = request.whole
        if request.seen.blind:
            refusals.may.add("reconcile-credential-masked")
            config = masked(self.contract.integration, config)
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

    def _test(self, request: Request) -> None:
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
            self._check_empty_answer("test")
        else:
            self._refused(refusals, tested=True)

    def _delete(self, request: Request) -> None:
        seen, id, follower = request.seen, request.id, self.follower
        is_open = id in self._touched()
        expected = None if is_open else follower.sure(id)
        is_central = expected is not None and expected["type"] == "scannerv4"
        absent = follower.is_absent(id) and not is_open
        must: set[str] = set()
        if is_central:
            must = {"scanner-v4-not-deleted"}
        elif not id:
            must = {"id-required"}
        elif absent:
            must = {"delete-missing"}
        if seen.status == 200:
            self._accepted(Refusals(must), "delete-answer")
            self._check_empty_answer("delete-answer")
            follower.wrote("delete-answer")
            follower.remove(id, deleted=True)
            return
        if seen.status == 404 and expected is not None and not is_central:
            self._not_deleted(id)
        self._refused(Refusals(must, {"delete-missing", "scanner-v4-not-deleted", "id-required", "database-error"}))

    def _not_deleted(self, id: str) -> None:
        """Judge a DELETE of an existing integration that was answered 404; Central does so soon after the create."""
        known = self.follower.known[id]
        if known.created is not None and self.seen.ended - known.created < HEALTH_IS_WRITTEN + 1:
            self.count_outcome("delete-answer", UNDECIDABLE)
        else:
            what = "an existing integration is not deleted"
            self.count_outcome("delete-answer", BROKEN, what, expected=200, got=404, stored=True)
        self.follower.doubt(id, "a DELETE was answered 404")


def _shown(seen: Seen) -> tuple[Any, ...]:
    """Return the parts of a read by which it is compared with another one: all but the date."""
    headers = {name.lower(): value for name, value in seen.reply_headers.items()}
    headers.pop("date", None)
    return seen.method, seen.target, seen.body, seen.reply, seen.whole, seen.blind, headers


def _is_grpc(seen: Seen) -> bool:
    """Return whether a request is gRPC, or has headers that Central's gRPC server obeys, such as a timeout."""
    speaks = seen.headers.get("Content-Type", "").lower().startswith("application/grpc")
    return speaks or any(name.lower().startswith("grpc-") for name in seen.headers)


def _counts(failures: Iterable[Failure]) -> Counter[str]:
    found: Counter[str] = Counter()
    for each in failures:
        found[each.check] += each.also + 1
    return found
