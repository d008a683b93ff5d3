"""The only way to the target: every request of a run goes through `Transport.send`.

It lets the write guard check each request, keeps the budget and the rate, waits if the target requests it,
and records every exchange.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from contract_tests.engine.exchange import Exchange, Reply
from contract_tests.engine.failures import CheckFailed, HarnessError
from contract_tests.engine.guard import WriteGuard
from contract_tests.engine.http import BoundedSession, reason, session_for, why_unanswered
from contract_tests.engine.ledger import Ledger
from contract_tests.engine.options import Options, is_secret_header
from contract_tests.engine.ownership import Ownership
from contract_tests.engine.pace import ATTEMPTS, Pace
from contract_tests.engine.redaction import REDACTED, Redaction
from mock_server import bounded_http

_RECONNECTS = 2
_IDLE = 1.0
"""Seconds without a request after which a server may close a connection."""
_KEPT_BODY = 20_000
"""Bytes of a body that a report keeps."""
_KEPT_BODIES = 40_000_000
"""Bytes of all kept bodies together, after which only the beginning of each body is kept."""
_KEPT_BODY_LATER = 1_000
_KEPT_HEADERS = 16_000
"""Characters of an answer's headers that are kept."""
_ALWAYS = {"User-Agent": "central-contract", "Accept-Encoding": "gzip"}
"""Headers of every request that does not set them itself."""

Observer = Callable[[Exchange, Reply], None]


class Transport:
    """Sends the requests of one run."""

    def __init__(self, options: Options, run: str, ledger: Ledger) -> None:
        self.options = options
        self.run = run
        self.ledger = ledger
        self.ownership = Ownership(run, ledger)
        self.pace = Pace(options)
        self.base = options.base
        self.observers: list[Observer] = []
        self.exchanges: list[Exchange] = []
        self.guard = WriteGuard(
            options, self.ownership, send=self.send, exchanges=self.exchanges, on_delete=self.pace.extend_clean_up
        )
        self._roles = options.credentials.by_role | {"nobody": None}
        secret = [f"{name}: {value}" for name, value in options.headers if is_secret_header(name, value)]
        self._redaction = Redaction([*self._roles.values(), *secret])
        self._headers = dict(options.headers)
        self._local = threading.local()
        self._lock = threading.Lock()
        self._kept_bytes = 0
        self.dropped: list[tuple[Exchange, str]] = []
        """Requests that were answered only when sent again, and the errors before."""
        if options.insecure:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    @property
    def name_prefix(self) -> str:
        """Prefix of the names of all integrations that the run creates."""
        return self.ownership.prefix

    @property
    def count(self) -> int:
        """Number of requests sent."""
        return self.pace.count

    # -- sending ----------------------------------------------------------------------------------

    def has_credential(self, text: str) -> bool:
        """Return whether a text holds a credential of the run, spelt in any way that `Redaction` finds."""
        return self._redaction.text(text) != text

    def send(
        self,
        method: str,
        path: str,
        *,
        value: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str | None] | None = None,
        role: str = "admin",
        check: str = "",
    ) -> Reply:
        """Send one request; `value` is sent as JSON, `body` as it is.

        An Authorization header in `headers` takes precedence over the credentials of `role`. A header whose value
        is None is not sent.

        Raises:
            OwnershipError: not sent, because it could change something that the run did not create.
            NoRoomError: not sent, because more integrations of the run would exist than `max_live`.
            BudgetSpent: not sent, because the run has used up its time or its requests.
            Busy: the target still limits requests after several attempts.
            CheckFailed: the target gave no answer to several attempts. Or it was not sent, because the target shows
                one of the run's integrations as somebody else's.
        """
        if value is not None:
            body = json.dumps(value).encode()
        wanted: dict[str, str | None] = {"Accept": "application/json"}
        if body is not None:
            wanted["Content-Type"] = "application/json"
        wanted |= dict(headers or {})
        sent = {name: text for name, text in wanted.items() if text is not None}
        ids = self.guard.check(method, path, self._headers | sent, body or b"")
        exchange = Exchange(0, check, method, path, role, sent, body or b"")
        try:
            reply = self._send_until_answered(exchange, ids)
        finally:
            exchange.headers = {name: self._redacted_header(value) for name, value in sent.items()}
        self.guard.learn(exchange, reply)
        for observe in self.observers:
            observe(exchange, reply)
        return reply

    def _send_until_answered(self, exchange: Exchange, ids: Sequence[str]) -> Reply:
        """Send a request, again if a busy target requests a wait, and record the last answer."""
        for attempt in range(ATTEMPTS):
            reply = self._send_once(exchange, ids)
            if not self.pace.wait_to_retry(reply.status, reply.headers, reply.message, attempt):
                break
        with self._lock:
            exchange.number = len(self.exchanges) + 1
            exchange.status = reply.status
            exchange.reply_headers = dict(reply.headers)
            exchange.reply = reply.content[: _KEPT_BODY if self._kept_bytes < _KEPT_BODIES else _KEPT_BODY_LATER]
            self._kept_bytes += len(exchange.reply)
            exchange.elapsed, exchange.at = reply.elapsed, self.pace.elapsed
            self.exchanges.append(exchange)
        return reply

    def _send_once(self, exchange: Exchange, ids: Sequence[str]) -> Reply:
        """Prove the ownership of `ids`, send a request and return its answer; send it again if the connection broke.

        Raises:
            HarnessError: the first request of the run got no answer.
            CheckFailed: the request got no answer, or the ownership of an id cannot be proven.
        """
        self.guard.prove(ids, exchange.check)
        self.pace.spend()
        headers = self._with_authorization(exchange)
        failure: Exception | None = None
        idle = time.monotonic() - getattr(self._local, "used", 0.0)
        deadline = time.monotonic() + self.pace.seconds()
        previous = getattr(self._local, "began", 0.0)
        # A new connection may lead to another server. It is allowed only if the previous request, which may have
        # ended its connection, has proven the ids; otherwise they are read again.
        may_connect = all(self.ownership.is_proven_since(id, previous) for id in ids)
        for _ in range(_RECONNECTS + 1):
            self._local.began = started = time.monotonic()
            kept = bounded_http.KeptConnection()
            try:
                with nullcontext() if may_connect else kept:
                    response = self._request(exchange, headers, max(deadline - started, 0.001))
            except requests.RequestException as error:
                if not kept.refused:
                    failure = error
                    self._local.session = None
                    if not isinstance(error, requests.ConnectionError) or isinstance(error, requests.Timeout):
                        break  # the answer was broken, or another attempt would take as long
                    time.sleep(0.05)
                self.ownership.expire_proofs(ids if kept.refused else None)  # another server may answer by now
                self.guard.prove(ids, exchange.check)
                may_connect = True
                continue
            reply = self._reply(response, time.monotonic() - started)
            if headers.get("Connection") == "close":
                self._local.session = None  # otherwise the next request may meet the end of this connection
            if failure is not None:
                self._record_dropped(exchange, failure, idle)
            self._local.used = time.monotonic()
            self.pace.record_answer()
            return reply
        raise self._unanswered(exchange, failure)

    def _with_authorization(self, exchange: Exchange) -> dict[str, str]:
        """Return the headers of a request, with the credentials of its role unless it has its own."""
        authorization = self._roles.get(exchange.role)
        if authorization is None or "Authorization" in exchange.headers:
            return dict(exchange.headers)
        return {**exchange.headers, "Authorization": authorization}

    def _request(self, exchange: Exchange, headers: Mapping[str, str], timeout: float) -> requests.Response:
        session = self._session()
        session.most = bounded_http.MOST + 2 * len(exchange.body)  # an answer may repeat the request
        request = self._prepared(exchange, headers, session)
        with bounded_http.exact_target(str(request.url)):
            return session.send(request, timeout=timeout, allow_redirects=False)

    def _unanswered(self, exchange: Exchange, failure: Exception | None) -> CheckFailed:
        """Record a request without an answer; return the failure to raise.

        Raises:
            HarnessError: it was the first request of the run, or could not be sent, as with an unusable proxy.
            BudgetSpent: the budget cut its timeout short.
        """
        self.pace.record_no_answer(timed_out=isinstance(failure, requests.Timeout))
        if isinstance(failure, ValueError) or (
            self.count <= 1 and isinstance(failure, (requests.ConnectionError, requests.Timeout))
        ):
            why = self._redaction.text(why_unanswered(failure, self._session(), self.base))
            raise HarnessError(f"{self.base} does not answer: {why}")
        with self._lock:
            exchange.number, exchange.at = len(self.exchanges) + 1, self.pace.elapsed
            self.exchanges.append(exchange)
        return CheckFailed(
            "a request got no complete answer",
            expected="an answer",
            got=f"{exchange.method} {exchange.path}: {self._reason(failure)}",
            check="every-request-answered",
        )

    def _reply(self, response: requests.Response, seconds: float) -> Reply:
        """Return an answer without the run's credentials, and with at most `_KEPT_HEADERS` characters of headers."""
        headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        redacted, room = False, _KEPT_HEADERS
        for name, value in response.headers.items():
            safe_name, safe_value = self._redaction.text(name), self._redaction.text(value)
            redacted = redacted or safe_value != value or safe_name != name
            headers[safe_name[:room]] = safe_value[:room]
            room -= len(safe_name) + len(safe_value)
            if room <= 0:
                break
        content = self._redaction.content(response.content)
        return Reply(response.status_code, headers, content, seconds, redacted or content != response.content)

    def _reason(self, failure: Exception | None) -> str:
        return self._redaction.text(reason(failure))

    def _prepared(
        self, exchange: Exchange, headers: Mapping[str, str], session: requests.Session
    ) -> requests.PreparedRequest:
        """Prepare a request with its exact path; requests itself would decode escapes that it considers unnecessary."""
        request = requests.PreparedRequest()
        request.method = exchange.method
        request.url = self._root + exchange.path
        request.headers = CaseInsensitiveDict({**_ALWAYS, **self._headers, **headers})
        if request.headers.get("Transfer-Encoding") == "chunked":
            middle = len(exchange.body) // 2
            request.body = iter((exchange.body[:middle], exchange.body[middle:]))  # type: ignore[assignment]
        else:
            request.body = exchange.body or None
            request.prepare_content_length(request.body)
        request.prepare_cookies(session.cookies)
        request.prepare_hooks({})
        return request

    @cached_property
    def _root(self) -> str:
        """The base URL with its host in ASCII.

        Raises:
            requests.RequestException: the URL is invalid.
        """
        return str(requests.Request("GET", self.base).prepare().url).rstrip("/")

    def _record_dropped(self, exchange: Exchange, failure: Exception, idle: float) -> None:
        # A server may close an idle connection, but not one that was just used.
        if idle < _IDLE:
            self.dropped.append((exchange, self._reason(failure)))

    def _session(self) -> BoundedSession:
        session: BoundedSession | None = getattr(self._local, "session", None)
        if session is None:
            session = session_for(self.options)
            self._local.session = session
        return session

    # -- secrets ----------------------------------------------------------------------------------

    def _redacted_header(self, value: str) -> str:
        """Return the value of a sent header without secrets; a check may have sent a modified secret."""
        halves = [half for each in self._redaction.secrets for half in (each[: len(each) // 2], each[len(each) // 2 :])]
        redacted = self._redaction.text(value)
        return REDACTED if any(len(half) > 3 and half in redacted.lower() for half in halves) else redacted
