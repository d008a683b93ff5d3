"""Each log record is one line, whatever a client or an upstream sent."""

import json
import logging
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.tests.conftest import Api, ask
from mock_server.tests.echo import address, echoing
from mock_server.tests.hostile import HOST, get, send
from mock_server.tests.test_cli import serve_command, url_in
from mock_server.web.access_log import _Json, _Text, one_line

FORGED = "2026-01-01 00:00:00,000 ERROR   FORGED"
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARNING|ERROR) |  \| ")


def record(message, *arguments, error=None):
    logger = logging.getLogger("another")
    return logger.makeRecord("another", logging.ERROR, "", 0, message, arguments, error)


@given(st.text())
def test_a_line_is_printable_and_complete(text):
    assert one_line(text).isprintable()
    assert not text.isprintable() or one_line(text) == text
    assert "\n" not in _Text().format(record("%s", text))
    line = _Json().format(record("%s", text))
    assert line.isprintable()
    assert json.loads(line)["message"] == text


def test_no_line_of_a_traceback_looks_like_another_line():
    try:
        raise ValueError(f"a\n{FORGED}\x1b[2J")
    except ValueError:
        text = _Text().format(record("failed", error=sys.exc_info()))
    first, *rest = text.split("\n")
    assert LINE.match(first)
    assert any("FORGED" in line for line in rest)
    assert all(line.startswith("  | ") and line.isprintable() for line in rest)


@pytest.mark.heavy
@pytest.mark.served
@pytest.mark.parametrize(
    ("form", "options"), [("text", []), ("json", ["--upstream"]), ("text", ["--upstream", "--ui"])], ids=str
)
def test_no_request_can_forge_a_log_line(tmp_path, form, options):
    (tmp_path / "index.html").write_text("page")
    forged = "%0a" + FORGED.replace(" ", "%20") + "%1b[2J%c2%85%e2%80%a8"
    long = "a" * 300 + forged
    header = forged.replace("%20", "_").encode()
    with echoing() as there:
        words = {"--upstream": address(there), "--ui": str(tmp_path)}
        chosen = [word for option in options for word in (option, words[option])]
        with serve_command("--log-format", form, *chosen) as (process, banner):
            port = int(url_in(banner).rpartition(":")[2])
            for target in (forged, f"v1/imageintegrations/{forged}", f"v1/imageintegrations?{forged}=1", long):
                assert send(port, get(f"/{target}")).statuses[0] not in (0, 500)
            send(
                port,
                b"OPTIONS / HTTP/1.1\r\n"
                + HOST
                + b"Access-Control-Request-Method: GET\r\nOrigin: "
                + header
                + b"\r\n\r\n",
            )
            send(port, b"GET / HTTP/1.1\r\n" + HOST + b"Prefer: " + header + b"\r\n\r\n")
            raw = "HTTP/1.1 200 OK%0d%0aContent-Length: 9%0d%0aX" + forged + ": y%0d%0a%0d%0ahalf"
            send(port, get(f"/v1/raw?{raw.replace(' ', '%20')}"), wait=1)
            process.terminate()
            process.wait(10)
            lines = process.stderr.read().splitlines()
    assert lines
    for line in lines:
        assert line.isprintable()
        assert json.loads(line) if form == "json" else LINE.match(line)
        assert not line.startswith(FORGED)


@pytest.mark.usefixtures("pages")
def test_other_handlers_get_one_line_too(caplog, monkeypatch):
    api = Api(fatal_answers=False)

    def fail(*_):
        raise RuntimeError("broken")

    (view,) = (name for name in api.app.view_functions if name.endswith("GET /v1/ping"))
    monkeypatch.setitem(api.app.view_functions, view, fail)
    assert ask(api.app, "GET", "/v1/ping?%0a").status == 500
    logging.getLogger("mock_central").error("failed on %s", "/a\nb")
    assert all("\n" not in each.getMessage() for each in caplog.records)
    assert "failed on /a\\nb" in caplog.text


@pytest.mark.parametrize("path", ["//u:s3cr3t@x/", "/v1/imageintegrations/https://u:s3cr3t@x.example.com/"])
def test_a_path_shows_no_password_of_a_url(api, caplog, path):
    with caplog.at_level("INFO"):
        ask(api.app, "GET", path)
    assert "307" in caplog.text
    assert "s3cr3t" not in caplog.text
