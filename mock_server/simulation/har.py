"""The request journal as HAR 1.2, for browser tools, proxies and load generators."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qsl, quote

_SAFE = "/:@!$&'()*+,;=-._~"
_JSON = "application/json"

Json = dict[str, Any]


def har(shown: Iterable[Mapping[str, Any]], base: str) -> Json:
    """Return requests, in the form of `Journal.shown`, as HAR; `base` is the URL in front of their paths.

    Credentials stay masked. The journal does not have the headers of answers.
    """
    creator = {"name": "mock-central", "version": version("mock-central")}
    return {"log": {"version": "1.2", "creator": creator, "entries": [_entry(each, base) for each in shown]}}


def har_entry(began: str, milliseconds: float, request: Json, response: Json, **more: Any) -> Json:
    """Return an entry of HAR 1.2; `request` and `response` need only the fields that are known."""
    unknown = {"httpVersion": "HTTP/1.1", "cookies": [], "headersSize": -1, "bodySize": -1}
    return {
        "startedDateTime": began,
        "time": milliseconds,
        "request": {"queryString": [], **unknown, **request},
        "response": {"statusText": "", "redirectURL": "", **unknown, **response},
        "cache": {},
        "timings": {"send": 0, "wait": milliseconds, "receive": 0},
        **more,
    }


def pairs(items: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Return headers or query parameters in the form of HAR."""
    return [{"name": name, "value": value} for name, value in items]


def _entry(shown: Mapping[str, Any], base: str) -> Json:
    milliseconds = shown["ms"]
    began = datetime.fromisoformat(shown["time"]) - timedelta(milliseconds=milliseconds)
    more = {f"_{name}": shown[name] for name in ("operation", "rule", "fault", "warnings")}
    time = began.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return har_entry(time, milliseconds, _request(shown, base), _response(shown), **more)


def _request(shown: Mapping[str, Any], base: str) -> Json:
    path = quote(shown["path"], safe=_SAFE, errors="replace")
    made: Json = {
        "method": shown["method"],
        "url": f"{base}{path}{'?' if shown['query'] else ''}{shown['query']}",
        "headers": pairs(shown["headers"].items()),
        "queryString": pairs(parse_qsl(shown["query"], keep_blank_values=True)),
    }
    if shown["body"] is not None:
        made["postData"] = {"mimeType": shown["headers"].get("content-type", _JSON), "text": _text(shown["body"])}
    return made


def _response(shown: Mapping[str, Any]) -> Json:
    status, answer = shown["status"], shown["answer"]
    text = "" if answer is None else _text(answer)
    media_type = "text/plain" if isinstance(answer, str) else _JSON
    return {
        "status": status,
        "statusText": HTTPStatus(status).phrase if status in set(HTTPStatus) else "",
        "headers": pairs({"content-type": media_type}.items() if text else ()),
        "content": {"size": len(text.encode("utf-8", "surrogatepass")), "mimeType": media_type, "text": text},
    }


def _text(body: Any) -> str:
    """Return a body as text; a string is the placeholder of a body that is not shown."""
    return body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
