"""A session of requests that limits the time and the size of answers."""

from __future__ import annotations

from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

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
