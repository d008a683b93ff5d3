"""Sessions of requests that limit the time and the size of answers, single reads, and advice on failed connections."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from contract_tests.engine.exchange import Reply
from contract_tests.engine.failures import HarnessError
from contract_tests.engine.options import Credentials, Options, is_loopback
from contract_tests.engine.redaction import Redaction
from contract_tests.engine.text import one_line
from mock_server import bounded_http


class TooLong(requests.RequestException):
    """The body of an answer exceeds the limit."""


class _Adapter(HTTPAdapter):
    """Adapter whose connections obey the deadline."""

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        """Create the connection pools for a server."""
        super().init_poolmanager(*arguments, **named)
        bounded_http.bounded(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        """Return the connection pools for a proxy."""
        manager = super().proxy_manager_for(proxy, **named)
        return manager if proxy.lower().startswith("socks") else bounded_http.bounded(manager)


class BoundedSession(requests.Session):
    """A session whose timeout covers the whole answer, and whose answers have at most `most` bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.most = bounded_http.MOST
        self.trust_env = False  # .netrc is not the user's choice of credentials
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter())

    def send(self, request: requests.PreparedRequest, **named: Any) -> requests.Response:
        """Send a request and read the answer.

        Raises:
            requests.RequestException: the answer is late, incomplete or too long.
        """
        seconds = named["timeout"]
        with bounded_http.deadline(seconds):
            response = super().send(request, **{**named, "stream": True})
            try:
                response._content = bounded_http.read(response.raw, self.most)  # noqa: SLF001 (what `content` would set)
            except bounded_http.BodyTooLongError as error:
                raise TooLong(error, response=response) from None
            except (TimeoutError, urllib3.exceptions.TimeoutError) as error:
                raise requests.ReadTimeout(f"no complete answer in {seconds:g} s") from error
            except urllib3.exceptions.DecodeError as error:
                raise requests.exceptions.ContentDecodingError(error) from None
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise requests.exceptions.ChunkedEncodingError(error) from error
            vars(response)["_content_consumed"] = True
        return response


def session_for(options: Options) -> BoundedSession:
    """Return a session with the proxies and the certificates of a run."""
    session = BoundedSession()
    session.proxies = {} if is_loopback(options.base) else requests.utils.get_environ_proxies(options.base)
    session.verify = str(options.ca_file) if options.ca_file else not options.insecure
    certificate, key = options.client_cert, options.client_key
    session.cert = (str(certificate), str(key)) if certificate and key else str(certificate) if certificate else None
    return session


def fetch(options: Options, path: str, most: int = bounded_http.MOST) -> Reply:
    """Read a path of the target with the run's credentials, without following redirects.

    Raises:
        HarnessError: the target gives no answer, or one of more than `most` bytes.
    """
    headers = dict(options.headers)
    if options.credentials.admin:
        headers["Authorization"] = options.credentials.admin
    redaction = Redaction(headers.values())
    with session_for(options) as session:
        session.most = most
        try:
            answer = session.get(options.base + path, headers=headers, timeout=options.timeout, allow_redirects=False)
        except requests.RequestException as error:
            why = redaction.text(why_unanswered(error, session, options.base))
            raise HarnessError(f"{options.base} does not answer: {why}") from None
    content = redaction.content(answer.content)
    return Reply(answer.status_code, answer.headers, content, answer.elapsed.total_seconds())


def why_unanswered(failure: Exception, session: requests.Session, base: str) -> str:
    """Return why there is no answer, and how the user can fix it."""
    proxy = requests.utils.select_proxy(base, session.proxies) or ""
    if isinstance(failure, requests.exceptions.ProxyError) or (proxy and isinstance(failure, ValueError)):
        host = proxy.rpartition("@")[2].rpartition("//")[2]  # the part before @ may be a password
        url = urlsplit(base)
        return (
            f"the proxy {host} cannot reach it ({reason(failure)}); choose another with "
            f"{url.scheme.upper()}_PROXY, or none with NO_PROXY={url.hostname}"
        )
    return f"{reason(failure)}{_way_out(failure)}"


def credentials_refused(given: Credentials) -> str:
    """Return the predicate of a message about a 401 or 403 for a request of the administrator."""
    return "refuses the credentials" if given.admin else "asks for credentials (--token-file, --basic-file)"


def reason(failure: Exception | None) -> str:
    """Return the root cause of an error of requests as one line."""
    cause: BaseException | None = failure
    while cause is not None and (cause.__cause__ or cause.__context__) is not None:
        cause = cause.__cause__ or cause.__context__
    return one_line(f"{type(cause).__name__}: {cause}", 300) if cause else "no answer"


def _way_out(failure: Exception) -> str:
    """Return advice on how to reach the target, to append to the error; "" if there is none."""
    text = str(failure)
    if "certificate has expired" in text:
        return "; renew its certificate, or skip the check of it with --insecure"
    if "Hostname mismatch" in text or "IP address mismatch" in text:
        return "; its certificate is for another host: use the URL of that host"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "; trust your authority with --ca-file FILE, or any certificate with --insecure"
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
        return "; it may speak plain HTTP: try http://"
    if "BadStatusLine" in text:
        return "; it may speak TLS: try https://"
    return "; wait longer with --timeout" if isinstance(failure, requests.Timeout) else ""
