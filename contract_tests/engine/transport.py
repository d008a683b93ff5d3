"""The one way to the target: everything that a run sends passes `Transport.send`.

Here, and nowhere else, the harness ensures that a run changes only what it created, keeps its budget
and its rate, waits where the target asks it to, and records what it did.
"""

from __future__ import annotations

import json
import posixpath
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from contract_tests.engine.failures import CheckFailed, HarnessError, NoRoomError, OwnershipError
from contract_tests.engine.http import BoundedSession
from contract_tests.engine.ledger import Ledger
from contract_tests.engine.options import Options, is_secret_header
from contract_tests.engine.ownership import ITS_OWN, NOT_ITS_OWN, Ownership, texts_in
from contract_tests.engine.pace import ATTEMPTS, Pace
from contract_tests.engine.redaction import REDACTED, Redaction
from contract_tests.engine.text import one_line
from mock_server import bounded_http

COLLECTION = "/v1/imageintegrations"
PROOF = "ownership"
"""What stands for a check beside reads that prove whose an integration is."""
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
_RECONNECTS = 2
_IDLE = 1.0
"""Seconds after which a kept connection may have been closed by the server."""
_KEPT_BODY = 20_000
"""Bytes of a body that a report keeps."""
_KEPT_BODIES = 40_000_000
"""Bytes of all bodies together; of those that come later less is kept."""
_KEPT_BODY_LATER = 1_000
_LONG_BODY = 1_000_000
_KEPT_HEADERS = 16_000
"""Characters of the headers of an answer that are read."""
_ALWAYS = {"User-Agent": "central-contract", "Accept-Encoding": "gzip"}
"""Headers of every request that has none of its own by these names."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `elapsed` is seconds until the whole answer was read."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    elapsed: float
    redacted: bool = False
    """Credentials of the run stood in it, and were taken out."""

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
        self.ownership = Ownership(run, ledger)
        self.pace = Pace(options)
        self.base = options.url.rstrip("/")
        self.observers: list[Observer] = []
        self.exchanges: list[Exchange] = []
        self.invented: set[str] = set()
        """Ids made up by the run, which no integration has."""
        self.expendable: set[str] = set()
        """Ids of the target's own that a run may write to, because the target is disposable."""
        self._roles = options.credentials.by_role | {"nobody": None}
        secret = [f"{name}: {value}" for name, value in options.headers if is_secret_header(name)]
        self._redaction = Redaction([*self._roles.values(), *secret])
        self._proxies = {} if is_loopback(self.base) else requests.utils.get_environ_proxies(self.base)
        self._headers = dict(options.headers)
        certificate = str(options.client_cert) if options.client_cert else None
        self._certificate = (
            (certificate, str(options.client_key)) if certificate and options.client_key else certificate
        )
        self._verify: bool | str = str(options.ca_file) if options.ca_file else not options.insecure
        self._local = threading.local()
        self._lock = threading.Lock()
        self._first_create = threading.Lock()
        self._kept = 0
        self.creations: dict[str, Exchange] = {}
        """By the id that a create was answered with, the create."""
        self.dropped: list[tuple[Exchange, str]] = []
        """Requests that were answered only when they were sent again, and what went wrong before."""
        if options.insecure:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    @property
    def name_prefix(self) -> str:
        """What the names of everything the run creates begin with."""
        return self.ownership.prefix

    @property
    def live(self) -> set[str]:
        """Ids of the run's integrations that were created and not yet deleted."""
        return self.ownership.live

    @property
    def count(self) -> int:
        """Requests sent."""
        return self.pace.count

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self.pace.elapsed

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
            Busy: the target answers again and again that there are too many requests.
            CheckFailed: the target gave no answer, also when asked again, or it shows what a create was answered with
                as somebody else's; then it was not sent.
        """
        if value is not None:
            body = json.dumps(value).encode()
        wanted: dict[str, str | None] = {"Accept": "application/json"}
        if body is not None:
            wanted["Content-Type"] = "application/json"
        wanted |= dict(headers or {})
        sent = {name: text for name, text in wanted.items() if text is not None}
        ids = self._guard(method, path, sent, body or b"")
        exchange = Exchange(0, check, method, path, role, sent, body or b"")
        try:
            reply = self._answered(exchange, ids)
        finally:
            exchange.headers = {name: self._without_secret(value) for name, value in sent.items()}
        self._learn(exchange, reply)
        for observe in self.observers:
            observe(exchange, reply)
        return reply

    def _answered(self, exchange: Exchange, ids: Sequence[str]) -> Reply:
        for attempt in range(ATTEMPTS):
            reply = self._once(exchange, ids)
            if not self.pace.is_to_wait(reply.status, reply.headers, reply.message, attempt):
                break
        with self._lock:
            exchange.number = len(self.exchanges) + 1
            exchange.status = reply.status
            exchange.reply_headers = dict(reply.headers)
            exchange.reply = reply.content[: _KEPT_BODY if self._kept < _KEPT_BODIES else _KEPT_BODY_LATER]
            self._kept += len(exchange.reply)
            exchange.elapsed, exchange.at = reply.elapsed, self.elapsed
            self.exchanges.append(exchange)
        return reply

    def _once(self, exchange: Exchange, ids: Sequence[str]) -> Reply:
        """Send a request once, or again where the connection broke; `ids` are proven to be the run's before."""
        self._prove(ids, exchange.check)
        self.pace.spend()
        authorization = self._roles.get(exchange.role)
        headers = dict(exchange.headers)
        if authorization is not None and "Authorization" not in headers:
            headers["Authorization"] = authorization
        failure: Exception | None = None
        idle = time.monotonic() - getattr(self._local, "used", 0.0)
        until = time.monotonic() + self.pace.seconds()
        previous = getattr(self._local, "began", 0.0)
        # A server that closes each connection has shown the ids in the request before, or is asked again.
        may_connect = all(self.ownership.is_proven_since(id, previous) for id in ids)
        for _ in range(_RECONNECTS + 1):
            self._local.began = started = time.monotonic()
            kept = bounded_http.KeptConnection()
            try:
                session = self._session()
                session.most = bounded_http.MOST + 2 * len(exchange.body)  # what was sent may be shown
                with nullcontext() if may_connect else kept:
                    response = session.send(
                        self._prepared(exchange, headers, session),
                        timeout=max(until - started, 0.001),
                        allow_redirects=False,
                        proxies=self._proxies,
                        verify=self._verify,
                        cert=self._certificate,
                    )
            except requests.RequestException as error:
                if kept.refused:  # another server may answer by now: what was proven is read again
                    self.ownership.doubt(ids)
                    self._prove(ids, exchange.check)
                    may_connect = True
                    continue
                failure = error
                self._local.session = None
                if not isinstance(error, requests.ConnectionError) or isinstance(error, requests.Timeout):
                    break  # there was an answer, if a broken one, or waiting again would only take as long
                time.sleep(0.05)
                self.ownership.doubt()
                self._prove(ids, exchange.check)
                may_connect = True
                continue
            reply = self._reply(response, time.monotonic() - started)
            if failure is not None:
                self._dropped(exchange, failure, idle)
            self._local.used = time.monotonic()
            self.pace.was_answered()
            return reply
        if self.count <= 1 and isinstance(failure, (requests.ConnectionError, requests.Timeout)):
            raise HarnessError(f"{self.base} does not answer: {self._why(failure)}")
        self.pace.was_not_answered(timed_out=isinstance(failure, requests.Timeout))
        with self._lock:
            exchange.number, exchange.at = len(self.exchanges) + 1, self.elapsed
            self.exchanges.append(exchange)
        raise CheckFailed(
            "a request got no whole answer",
            expected="an answer",
            got=f"{exchange.method} {exchange.path}: {self._reason(failure)}",
            check="every-request-answered",
        )

    def _reply(self, response: requests.Response, seconds: float) -> Reply:
        """Take over an answer, without the credentials of the run and without more headers than anyone looks at."""
        headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        redacted, room = False, _KEPT_HEADERS
        for name, value in response.headers.items():
            shown_name, shown = self._redaction.text(name), self._redaction.text(value)
            redacted = redacted or shown != value or shown_name != name
            headers[shown_name[:room]] = shown[:room]
            room -= len(shown_name) + len(shown)
            if room <= 0:
                break
        content = self._redaction.content(response.content)
        return Reply(response.status_code, headers, content, seconds, redacted or content != response.content)

    def _reason(self, failure: Exception | None) -> str:
        return self._redaction.text(reason(failure))

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
                f"its proxy {host} does not let it be reached ({self._reason(failure)}); "
                f"{scheme.upper()}_PROXY chooses another, NO_PROXY={urlsplit(self.base).hostname} none"
            )
        return f"{self._reason(failure)}{way_out(failure)}"

    def _dropped(self, exchange: Exchange, failure: Exception, idle: float) -> None:
        # A server may close a connection that nobody used; one that was just used it may not.
        if idle < _IDLE:
            self.dropped.append((exchange, self._reason(failure)))

    def _session(self) -> BoundedSession:
        session: BoundedSession | None = getattr(self._local, "session", None)
        if session is None:
            session = BoundedSession()  # proxies are read once
            self._local.session = session
        return session

    # -- ownership --------------------------------------------------------------------------------

    @property
    def may_write(self) -> bool:
        """The run may change something here at all."""
        return self.options.allow_writes or is_loopback(self.base)

    def _guard(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> list[str]:
        """Refuse to send what could change something that is not the run's; give the ids that have to be proven.

        A server may read a path less strictly than this one: with slashes that are doubled, in small letters.
        """
        override = CaseInsensitiveDict(headers).get("X-HTTP-Method-Override", method)
        if {method.upper(), override.upper()} <= set(_SAFE_METHODS):
            return []
        if not self.may_write:
            raise OwnershipError(f"{method} {path}: writing to {self.base} was not allowed")
        route = unquote(urlsplit(path).path)
        if route == COLLECTION and method == "POST":
            if len(self.live) >= self.options.max_live:
                raise NoRoomError(f"more than {self.options.max_live} integrations of this run would exist")
            self._see_what_is_there()
        is_test = method.upper() == override.upper() == "POST" and route.removeprefix(f"{COLLECTION}/") in (
            "test",
            "test/updated",
        )
        written = set() if is_test else {_id_in(route), _id_in(_plain(route))} - {""}
        for id in written - self.invented - self.expendable:
            if not self.ownership.owns(id):
                self._refuse(id, f"{method} {path}")
        value = read_json(body) if len(body) < _LONG_BODY else None
        named = texts_in(value, "id")
        for id in {*written, *named} - self.expendable:
            if self.ownership.is_foreign(id):
                self._refuse(id, f"{method} {path}")
        for name in texts_in(value, "name") if not is_test else ():
            self.ledger.naming(name)
        alike = {own for id in {*written, *named} for own in self.ownership.alike(id)}
        self.ownership.doubt(alike)  # whoever has it now, a write under another spelling may reach it
        return sorted(alike | {id for id in {*written, *named} if self.ownership.owns(id)})

    def _refuse(self, id: str, request: str) -> None:
        if id not in self.ownership.refused:
            raise OwnershipError(f"{request}: integration {id!r} was not created by this run")
        raise CheckFailed(
            NOT_ITS_OWN,
            expected={"name": f"{self.name_prefix}…"},
            got={"id": id, "name": self.ownership.refused[id]},
            check=ITS_OWN,
        )

    def prove_all(self) -> None:
        """Read the list if something that the run has created was not read for a while; writes can then begin at once.

        Raises:
            CheckFailed: the list gives no answer.
        """
        if self.ownership.unproven():
            self.send("GET", COLLECTION, check=PROOF)

    def _prove(self, ids: Iterable[str], check: str) -> None:
        """Check that the target shows ids under the run's name; one list may prove many."""
        for id in ids:
            if not self.ownership.is_proven(id):
                self._prove_one(id, check)

    def _prove_one(self, id: str, check: str) -> None:
        item = f"{COLLECTION}/{id}"
        mark = len(self.exchanges)
        for path in (COLLECTION, item) if self.ownership.unproven() > 1 else (item, COLLECTION):
            self.send("GET", path, check=PROOF)
            if self.ownership.is_proven(id):
                return
        for each in self.exchanges[mark:]:
            if each.check == PROOF and each.path in (COLLECTION, item):
                each.check = check  # what disproves is shown
        if self.ownership.name_shown(id) is not None:
            self.ownership.refuse(id)
            self._refuse(id, item)
        raise CheckFailed(
            "what was created cannot be read, so nothing is written to it",
            expected={"id": id, "name": f"{self.name_prefix}…"},
            check="read-after-create",
        )

    def adopt(self, id: str, name: Any) -> bool:
        """Own what a list shows under a name that was sent, if a read of it says the same; return whether it is owned.

        This finds what was created by requests whose answers were lost. Where answers and reads contradict each
        other it is left, and reported as left behind.
        """
        own = self.ownership
        if own.owns(id):
            return True
        if not own.may_own(id) or not own.is_missed(name) or own.is_contradicted():
            return False
        shown = self.send("GET", f"{COLLECTION}/{id}", check=PROOF)
        agrees = shown.status == 200 and (str(shown.object.get("id")), shown.object.get("name")) == (id, name)
        return agrees and own.answered(id)

    def _see_what_is_there(self) -> None:
        """Read the list before the first create: what is in it is not the run's, whatever a create is answered."""
        with self._first_create:
            if not self.ownership.knows_before:
                self.send("GET", COLLECTION, check=PROOF)
                self.ownership.knows_before = True  # a target that does not tell is not asked again

    def _learn(self, exchange: Exchange, reply: Reply) -> None:
        path, _, query = exchange.path.partition("?")
        method, id = exchange.method, _id_in(unquote(path))
        if method == "POST" and path == COLLECTION and reply.status < 300:
            made = reply.object.get("id")
            if isinstance(made, str) and made:
                self.creations[made] = exchange
                self.ownership.answered(made)
        elif method == "DELETE" and id and (reply.status < 300 or reply.status == 404):
            # Central deletes what is very new and says 404.
            self.ownership.deleted(id)
            self.pace.was_cleaned()
        elif method == "GET" and path == COLLECTION and reply.status == 200:
            self._learn_from_list(reply, whole=not query)
        elif method == "GET" and id and exchange.role == "admin":
            if reply.status == 404:
                self.ownership.is_absent(id)
            elif reply.status == 200 and str(reply.object.get("id")) == id:
                self.ownership.saw(id, reply.object.get("name"))

    def _learn_from_list(self, reply: Reply, *, whole: bool) -> None:
        items = reply.object.get("integrations")
        found = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
        if whole and isinstance(items, list) and not self.ownership.knows_before:
            self.ownership.existed(str(item.get("id")) for item in found)
        for item in found:
            self.ownership.saw(str(item.get("id")), item.get("name"), by="list")

    # -- secrets ----------------------------------------------------------------------------------

    def _without_secret(self, value: str) -> str:
        """Return a header as it may be shown; a check may have sent a secret with a change to it."""
        halves = [half for each in self._redaction.secrets for half in (each[: len(each) // 2], each[len(each) // 2 :])]
        shown = self._redaction.text(value)
        return REDACTED if any(len(half) > 3 and half in shown.lower() for half in halves) else shown


def read_json(content: bytes) -> Any:
    """Return what JSON text says, None where it is none: JSON is UTF-8, begins with no mark and has no NaN.

    What is nested too deep to be read counts as none, and what has so many parts that it would fill the memory.
    """
    if bounded_http.is_expensive(content):
        return None
    try:
        return _JSON.decode(content.decode())
    except (ValueError, RecursionError):
        return None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_no_constant)


def _id_in(route: str) -> str:
    """Return the id that a path names, "" where it names none."""
    return route.removeprefix(f"{COLLECTION}/") if route.startswith(f"{COLLECTION}/") else ""


def _plain(route: str) -> str:
    """Return a path as a server may read it that is not strict."""
    path = posixpath.normpath(re.sub(r"[/\\]+", "/", route))
    return COLLECTION + path[len(COLLECTION) :] if path.casefold().startswith(COLLECTION) else path


def credentials_refused(*, given: bool) -> str:
    """Return what a target does that answers 401 or 403, with or without credentials `given`."""
    return "refuses the credentials" if given else "asks for credentials (--token-file, --basic-file)"


_LOOPBACK = re.compile(r"127(?:\.[0-9]{1,3}){1,3}", re.ASCII)  # 127.example.com is somebody's host


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or _LOOPBACK.fullmatch(host) is not None


def reason(failure: Exception | None) -> str:
    """Return what went wrong at the bottom of an error of requests."""
    cause: BaseException | None = failure
    while cause is not None and (cause.__cause__ or cause.__context__) is not None:
        cause = cause.__cause__ or cause.__context__
    return one_line(f"{type(cause).__name__}: {cause}", 300) if cause else "no answer"


def way_out(failure: Exception) -> str:
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
