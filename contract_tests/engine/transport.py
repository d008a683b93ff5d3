"""The one way to the target: everything that a run sends passes `Transport.send`.

Here, and nowhere else, it is seen to that a run changes only what it created, keeps its budget
and its rate, waits where the target asks it to, and records what it did.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from contract_tests.engine.failures import BudgetSpent, CheckFailed, HarnessError, NoRoomError, OwnershipError
from contract_tests.engine.ledger import Ledger
from contract_tests.engine.options import NAME_PREFIX, Options, is_secret_header

COLLECTION = "/v1/imageintegrations"
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
_WAITS = 5
"""How often a target that is busy is asked again."""
_LONGEST_WAIT = 60.0
_RECONNECTS = 2
_IDLE = 1.0
"""Seconds after which a kept connection may have been closed by the server."""
_PATIENCE = 6
"""Requests without an answer after which a run gives up."""
_KEPT_BODY = 20_000
"""Bytes of a body that a report keeps."""
_ALWAYS = {"User-Agent": "central-contract", "Accept-Encoding": "gzip"}
"""Headers of every request that has none of its own by these names."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `elapsed` is seconds until the whole answer was read."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    elapsed: float

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        """The body as JSON, None where it is not."""
        return read_json(self.content)

    @property
    def object(self) -> dict[str, Any]:
        """The body as a JSON object, empty where it is none."""
        value = self.json
        return value if isinstance(value, dict) else {}

    @property
    def message(self) -> str:
        """The message of an error body."""
        message = self.object.get("message")
        # protobuf-go writes a no-break space in some builds.
        return message.replace("\u00a0", " ") if isinstance(message, str) else ""


@dataclass(slots=True)
class Exchange:
    """One request and its answer, fit to be shown: no header of it is a secret of the user.

    `elapsed` is seconds until the answer had come, `at` seconds of the run by then.
    """

    number: int
    check: str
    method: str
    path: str
    role: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    status: int = 0
    reply_headers: dict[str, str] = field(default_factory=dict)
    reply: bytes = b""
    elapsed: float = 0.0
    at: float = 0.0


Observer = Callable[[Exchange, Reply], None]


class Transport:
    """Sends the requests of one run."""

    def __init__(self, options: Options, run: str, ledger: Ledger) -> None:
        self.options = options
        self.run = run
        self.ledger = ledger
        self.base = options.url.rstrip("/")
        self.observers: list[Observer] = []
        self.exchanges: list[Exchange] = []
        self.invented: set[str] = set()
        """Ids made up by the run, which no integration has."""
        self.count = 0
        self.started = time.monotonic()
        self._roles = options.credentials.by_role | {"nobody": None}
        self._proxies = {} if is_loopback(self.base) else requests.utils.get_environ_proxies(self.base)
        self._headers = dict(options.headers)
        certificate = str(options.client_cert) if options.client_cert else None
        self._certificate = (
            (certificate, str(options.client_key)) if certificate and options.client_key else certificate
        )
        self._verify: bool | str = str(options.ca_file) if options.ca_file else not options.insecure
        self._local = threading.local()
        self._lock = threading.Lock()
        self._next_slot = 0.0
        self.live: set[str] = set()
        """Ids of the run's integrations that were created and not yet deleted."""
        self.closing = False
        """True while the run cleans up, which no budget stops."""
        self.stopped = False
        """True once the run was interrupted: what still runs sends no more."""
        self.unanswered = 0
        self.dropped: list[tuple[Exchange, str]] = []
        """Requests that were answered only when they were sent again, and what went wrong before."""
        if options.insecure:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    @property
    def name_prefix(self) -> str:
        """What the names of everything the run creates begin with."""
        return f"{NAME_PREFIX}-{self.run}-"

    # -- sending ----------------------------------------------------------------------------------

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

        `headers` may hold an Authorization header of the run's own making; `role` then says nothing.
        A header that is None there is not sent.

        Raises:
            OwnershipError: it would change what the run did not create; it was not sent.
            NoRoomError: more integrations of the run would exist than may; it was not sent.
            BudgetSpent: the run has used up its time or requests.
            CheckFailed: the target gave no answer, also when asked again.
        """
        if value is not None:
            body = json.dumps(value).encode()
        wanted: dict[str, str | None] = {"Accept": "application/json"}
        if body is not None:
            wanted["Content-Type"] = "application/json"
        wanted |= dict(headers or {})
        sent = {name: text for name, text in wanted.items() if text is not None}
        self._guard(method, path, sent)
        exchange = Exchange(0, check, method, path, role, sent, body or b"")
        try:
            reply = self._answered(exchange)
        finally:
            exchange.headers = {name: self._without_secret(value) for name, value in sent.items()}
        self._learn(method, path, reply)
        for observe in self.observers:
            observe(exchange, reply)
        return reply

    def _answered(self, exchange: Exchange) -> Reply:
        for attempt in range(_WAITS):
            self._spend()
            reply = self._once(exchange)
            wait = _retry_after(reply)
            if wait is None or attempt == _WAITS - 1:
                break
            time.sleep(min(wait, _LONGEST_WAIT))
        with self._lock:
            exchange.number = len(self.exchanges) + 1
            exchange.status = reply.status
            exchange.reply_headers = dict(reply.headers)
            exchange.reply = self._without_secrets(reply.content[:_KEPT_BODY])
            exchange.elapsed, exchange.at = reply.elapsed, self.elapsed
            self.exchanges.append(exchange)
        return reply

    def _once(self, exchange: Exchange) -> Reply:
        authorization = self._roles.get(exchange.role)
        headers = dict(exchange.headers)
        if authorization is not None and "Authorization" not in headers:
            headers["Authorization"] = authorization
        failure: Exception | None = None
        idle = time.monotonic() - getattr(self._local, "used", 0.0)
        for _ in range(_RECONNECTS + 1):
            started = time.monotonic()
            try:
                session = self._session()
                response = session.send(
                    self._prepared(exchange, headers, session),
                    timeout=self.options.timeout,
                    allow_redirects=False,
                    proxies=self._proxies,
                    verify=self._verify,
                    cert=self._certificate,
                )
            except requests.RequestException as error:
                failure = error
                self._local.session = None
                if not isinstance(error, requests.ConnectionError) or isinstance(error, requests.Timeout):
                    break  # there was an answer, if a broken one, or waiting again would only take as long
                time.sleep(0.05)
                continue
            reply = Reply(response.status_code, response.headers, response.content, time.monotonic() - started)
            if failure is not None:
                self._dropped(exchange, failure, idle)
            self._local.used = time.monotonic()
            return reply
        if self.count <= 1 and isinstance(failure, (requests.ConnectionError, requests.Timeout)):
            raise HarnessError(f"{self.base} does not answer: {self._why(failure)}")
        self.unanswered += 1
        with self._lock:
            exchange.number, exchange.at = len(self.exchanges) + 1, self.elapsed
            self.exchanges.append(exchange)
        raise CheckFailed(
            "a request got no whole answer",
            expected="an answer",
            got=f"{exchange.method} {exchange.path}: {reason(failure)}",
            check="every-request-answered",
        )

    def _prepared(
        self, exchange: Exchange, headers: Mapping[str, str], session: requests.Session
    ) -> requests.PreparedRequest:
        """Make a request as it is; requests itself decodes the escapes of a path that it holds to be needless."""
        request = requests.PreparedRequest()
        request.method = exchange.method
        request.url = self._root + exchange.path
        request.headers = CaseInsensitiveDict({**_ALWAYS, **self._headers, **headers})
        request.body = exchange.body or None
        request.prepare_content_length(request.body)
        request.prepare_cookies(session.cookies)
        request.prepare_hooks({})
        return request

    @cached_property
    def _root(self) -> str:
        """The base URL as requests writes it: the host in ASCII.

        Raises:
            requests.RequestException: it is none.
        """
        return str(requests.Request("GET", self.base).prepare().url).rstrip("/")

    def _why(self, failure: Exception) -> str:
        """Say why there is no answer, and what can be done about it."""
        if isinstance(failure, requests.exceptions.ProxyError):
            proxy = requests.utils.select_proxy(self.base, self._proxies) or ""
            host = proxy.rpartition("@")[2].rpartition("//")[2]  # what stands before may be a password
            scheme = urlsplit(self.base).scheme
            return (
                f"its proxy {host} does not let it be reached ({reason(failure)}); "
                f"{scheme.upper()}_PROXY chooses another, NO_PROXY={urlsplit(self.base).hostname} none"
            )
        return f"{reason(failure)}{_way_out(failure)}"

    def _dropped(self, exchange: Exchange, failure: Exception, idle: float) -> None:
        # A server may close a connection that nobody used; one that was just used it may not.
        if idle < _IDLE:
            self.dropped.append((exchange, reason(failure)))

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # proxies are read once; .netrc is not the user's choice of credentials
            self._local.session = session
        return session

    # -- budget -----------------------------------------------------------------------------------

    def _spend(self) -> None:
        """Take one request out of the budget, waiting for its turn."""
        with self._lock:
            if not self.closing:
                if self.options.max_requests is not None and self.count >= self.options.max_requests:
                    raise BudgetSpent(f"{self.options.max_requests} requests")
                if self.stopped:
                    raise BudgetSpent("a run that was interrupted")
                if self.unanswered >= _PATIENCE:
                    raise BudgetSpent(f"{_PATIENCE} requests without an answer")
                if self.options.time_budget is not None and self.elapsed >= self.options.time_budget:
                    raise BudgetSpent(f"{self.options.time_budget:g} seconds")
            self.count += 1
            now = time.monotonic()
            slot = max(now, self._next_slot)
            if self.options.rate:
                self._next_slot = slot + 1 / self.options.rate
        if slot > now:
            time.sleep(slot - now)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started

    # -- ownership --------------------------------------------------------------------------------

    @property
    def may_write(self) -> bool:
        """The run may change something here at all."""
        return self.options.allow_writes or is_loopback(self.base)

    def _guard(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Refuse to send what could change something that is not the run's."""
        method = headers.get("X-HTTP-Method-Override", method).upper()
        if method in _SAFE_METHODS:
            return
        if not self.may_write:
            raise OwnershipError(f"{method} {path}: writing to {self.base} was not allowed")
        route = unquote(urlsplit(path).path)
        if not route.startswith(COLLECTION + "/"):
            if method == "POST" and route == COLLECTION and len(self.live) >= self.options.max_live:
                raise NoRoomError(f"more than {self.options.max_live} integrations of this run would exist")
            return
        id = route.removeprefix(COLLECTION + "/")
        if id in ("test", "test/updated") and method == "POST":
            return
        if id and id not in self.ledger.ids and id not in self.invented:
            raise OwnershipError(f"{method} {path}: integration {id!r} was not created by this run")

    def _learn(self, method: str, path: str, reply: Reply) -> None:
        route = urlsplit(path).path
        if method == "POST" and route == COLLECTION and reply.status < 300:
            id = reply.object.get("id")
            if isinstance(id, str) and id:
                self.ledger.created(id)
                self.live.add(id)
        elif method == "DELETE" and (reply.status < 300 or reply.status == 404):
            # Central deletes what is very new and says 404.
            self.live.discard(route.removeprefix(COLLECTION + "/"))

    # -- secrets ----------------------------------------------------------------------------------

    @property
    def _secrets(self) -> list[str]:
        headers = [value for name, value in self.options.headers if is_secret_header(name)]
        return [secret for role in self._roles.values() if role and (secret := role.partition(" ")[2])] + headers

    def _without_secret(self, value: str) -> str:
        """Return a header as it may be shown; a check may have sent a secret with a change to it."""
        secrets = [secret.lower() for secret in self._secrets]
        halves = [half for each in secrets for half in (each[: len(each) // 2], each[len(each) // 2 :])]
        shown = self._without_secrets(value.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
        return "[credential]" if any(len(half) > 3 and half in shown.lower() for half in halves) else shown

    def _without_secrets(self, content: bytes) -> bytes:
        for secret in self._secrets:
            content = content.replace(secret.encode(), b"[credential]")
        return content


def read_json(content: bytes) -> Any:
    """Return what JSON text says, None where it is none: JSON is UTF-8, begins with no mark and has no NaN.

    What is nested too deep to be read counts as none.
    """
    try:
        return _JSON.decode(content.decode())
    except (ValueError, RecursionError):
        return None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_no_constant)


def _retry_after(reply: Reply) -> float | None:
    """Return the seconds that a busy target asks to wait, None where it does not."""
    if reply.status not in (429, 503) or "Retry-After" not in reply.headers:
        return None
    try:
        return max(0.0, float(reply.headers["Retry-After"]))
    except ValueError:
        return 1.0


def credentials_refused(*, given: bool) -> str:
    """Return what a target does that answers 401 or 403, with or without credentials `given`."""
    return "refuses the credentials" if given else "asks for credentials (--token-file, --basic-file)"


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def reason(failure: Exception | None) -> str:
    """Return what went wrong at the bottom of an error of requests."""
    cause: BaseException | None = failure
    while cause is not None and (cause.__cause__ or cause.__context__) is not None:
        cause = cause.__cause__ or cause.__context__
    return f"{type(cause).__name__}: {cause}" if cause else "no answer"


def _way_out(failure: Exception) -> str:
    """Return what a user can do about a target that cannot be reached, where something can be done here."""
    text = str(failure)
    if "certificate has expired" in text:
        return "; its certificate has to be renewed, --insecure goes on without looking at it"
    if "Hostname mismatch" in text or "IP address mismatch" in text:
        return "; its certificate is of another host: give the URL with that one"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "; --ca-file FILE trusts an authority of yours, --insecure any certificate"
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
        return "; perhaps it speaks plain HTTP there: try http://"
    if "BadStatusLine" in text:
        return "; perhaps it speaks TLS there: try https://"
    return "; --timeout waits longer" if isinstance(failure, requests.Timeout) else ""
