"""Ways to reach a target: headers, client certificates, proxies, a config file; and unreachable targets."""

import datetime as dt
import http.server
import re
import shlex
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from click.testing import CliRunner, Result

from contract_tests.cli.main import main
from contract_tests.reports import curl
from contract_tests.runner.arguments import parsed
from mock_server.serving.server import serving
from mock_server.settings import Settings


def check(tmp_path: Path, *words: str, **environment: str) -> Result:
    words = ("check", *words, "--quick", "--only", "list", "--state-dir", str(tmp_path / "state"))
    return CliRunner().invoke(main, words, env=environment, prog_name="central-contract")


@contextmanager
def before(url: str, context: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Serve an empty list, over TLS if there is a context; record the headers of the requests."""
    seen: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen.append(dict(self.headers))
            body = b'{"integrations":[]}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # a client that does not take the certificate goes

    with Server(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield url.format(port=server.server_port), seen
        server.shutdown()


# -- headers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["X-Api-Key: not-a-real-secret", "X-Iap: Bearer not-a-real-secret"])
def test_headers_are_always_sent_and_secret_ones_never_shown(tmp_path: Path, secret: str) -> None:
    report = tmp_path / "report.json"
    name, value = secret.split(": ")
    with before("http://127.0.0.1:{port}") as (url, seen):
        headers = ("--header", "X-Route: blue", "--header", secret)
        result = check(tmp_path, url, *headers, "--only", "error-shape", "--report-json", str(report))
    assert result.exit_code == 1
    assert seen
    assert all((each["X-Route"], each[name]) == ("blue", value) for each in seen)
    for text in (result.output, report.read_text("utf-8")):
        assert "not-a-real-secret" not in text
        assert f"$HEADER_{name.upper().replace('-', '_')}" in text
        assert "X-Route: blue" in text


@pytest.mark.parametrize("header", ["X-Route", "X Route: blue", ": blue", "X-Route:", "X-Route: bl\nue"])
def test_invalid_header_is_refused_without_showing_its_value(tmp_path: Path, header: str) -> None:
    result = check(tmp_path, "http://127.0.0.1:9", "--header", header)
    assert result.exit_code == 2
    assert "is not a header with a value" in result.output


def test_credentials_are_refused_as_headers(tmp_path: Path) -> None:
    result = check(tmp_path, "http://127.0.0.1:9", "--header", "Authorization: Bearer not-a-real-secret")
    assert result.exit_code == 2
    assert "--token-file" in result.output
    assert "not-a-real-secret" not in result.output


# -- certificates ------------------------------------------------------------------------------------


class Authority:
    """A certificate authority, and files of its certificates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = trustme.CA()
        self.file = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(str(self.file))

    def server(self, name: str = "127.0.0.1", **more: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(name, **more).configure_cert(context)
        return context

    def client(self) -> tuple[str, str]:
        issued = self.ca.issue_cert("client@example.com")
        certificate, key = self.folder / "client.pem", self.folder / "client.key"
        issued.cert_chain_pems[0].write_to_path(str(certificate))
        issued.private_key_pem.write_to_path(str(key))
        return str(certificate), str(key)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.served
def test_client_certificate_is_also_used_by_the_script(tmp_path: Path, authority: Authority) -> None:
    context = authority.server()
    authority.ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    certificate, key = authority.client()
    words = ("--ca-file", str(authority.file), "--client-cert", certificate, "--client-key", key)
    with before("https://127.0.0.1:{port}", context) as (url, _):
        assert check(tmp_path, url, *words).exit_code == 0
        assert check(tmp_path, url, *words[:2]).exit_code == 2
        flags = curl.access(parsed(url, words)).flags
        command = ["curl", "-sS", *shlex.split(flags), f"{url}/v1/imageintegrations"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == '{"integrations":[]}', done.stderr


def test_client_certificate_may_contain_its_key(tmp_path: Path, authority: Authority) -> None:
    certificate, key = map(Path, authority.client())
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    context = authority.server()
    authority.ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with before("https://127.0.0.1:{port}", context) as (url, _):
        words = ("--ca-file", str(authority.file), "--client-cert", str(both))
        result = CliRunner().invoke(main, ["drift", url, *words])
    assert result.exit_code == 2
    assert "is not Swagger 2.0" in result.output, result.exception


def test_unusable_client_certificate_is_named(tmp_path: Path, authority: Authority) -> None:
    certificate, _ = authority.client()
    result = check(tmp_path, "https://127.0.0.1:9", "--client-cert", certificate)
    assert result.exit_code == 2
    assert "--client-cert" in result.output
    result = check(tmp_path, "https://127.0.0.1:9", "--client-key", certificate)
    assert "--client-key needs --client-cert" in result.output


@pytest.mark.parametrize(
    ("name", "days", "text"),
    [
        ("127.0.0.1", -1, "renew its certificate"),
        ("central.example.com", 30, "is for another host"),
    ],
)
def test_wrong_certificate_gives_no_advice_to_trust_its_authority(
    tmp_path: Path, authority: Authority, name: str, days: int, text: str
) -> None:
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    context = authority.server(name, not_before=until - dt.timedelta(days=60), not_after=until)
    with before("https://127.0.0.1:{port}", context) as (url, _):
        result = check(tmp_path, url, "--ca-file", str(authority.file))
    assert result.exit_code == 2
    assert text in result.output
    assert "--ca-file" not in result.output.splitlines()[-1]


def test_unknown_authority_gives_advice_to_use_ca_file(tmp_path: Path, authority: Authority) -> None:
    with before("https://127.0.0.1:{port}", authority.server()) as (url, _):
        result = check(tmp_path, url)
    assert result.exit_code == 2
    assert "trust your authority with --ca-file FILE" in result.output


def test_dead_proxy_is_named_without_its_password(tmp_path: Path) -> None:
    proxy = "http://someone:not-a-real-secret@127.0.0.1:9"
    result = check(tmp_path, "http://central.example.com", HTTP_PROXY=proxy, http_proxy=proxy, NO_PROXY="", no_proxy="")
    assert result.exit_code == 2
    assert "the proxy 127.0.0.1:9 cannot reach it" in result.output
    assert "NO_PROXY=central.example.com" in result.output
    assert "not-a-real-secret" not in result.output


@pytest.mark.parametrize("proxy", ["someone:not-a-real-secret@127.0.0.1:9", "foo://u:not-a-real-secret@proxy"])
def test_unusable_proxy_is_no_failure_of_the_target(tmp_path: Path, proxy: str) -> None:
    result = check(tmp_path, "http://central.example.com", HTTP_PROXY=proxy, http_proxy=proxy, NO_PROXY="", no_proxy="")
    assert result.exit_code == 2, result.output
    assert "choose another with HTTP_PROXY" in result.output
    assert "not-a-real-secret" not in result.output


# -- config files ------------------------------------------------------------------------------------


def config(tmp_path: Path, text: str) -> str:
    path = tmp_path / "contract.toml"
    path.write_text(text, "utf-8")
    return str(path)


def test_command_line_overrides_the_config_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("mock-admin-token")
    file = config(
        tmp_path,
        'profile = "deep"\nseed = 7\ntoken-file = "token"\nskip = ["list-order", "create"]\nallow_load = true\n'
        'time-budget = "5m"\nheader = ["X-Route: blue"]\nmax-requests = 100\nrequire-rules = 90.5\ninsecure = false\n',
    )
    options = parsed("http://127.0.0.1:9", ["--config", file, "--seed", "8"])
    assert options.seed == 8
    assert options.profile == "deep"
    assert options.credentials.admin == "Bearer mock-admin-token"
    assert options.skip == ("list-order", "create")
    assert options.allow_load
    assert options.time_budget == 300
    assert options.headers == (("X-Route", "blue"),)
    assert options.max_requests == 100
    assert options.require_rules == 90.5
    assert not options.insecure


@pytest.mark.parametrize("option", ["--config", "--known"])
def test_deeply_nested_file_is_refused_in_one_line(tmp_path: Path, option: str) -> None:
    (tmp_path / "deep.toml").write_text("a=" + "[" * 5000)
    result = check(tmp_path, "http://127.0.0.1:9", option, str(tmp_path / "deep.toml"))
    assert (result.exit_code, "deep.toml: " in result.output) == (2, True), result.exception


@pytest.mark.parametrize("key", ["quick = true", 'profile = "quick"'])
def test_config_file_selects_the_profile(tmp_path: Path, key: str) -> None:
    assert parsed("http://127.0.0.1:9", ["--config", config(tmp_path, key)]).profile == "quick"
    assert parsed("http://127.0.0.1:9", ["--config", config(tmp_path, key), "--deep"]).profile == "deep"


def test_config_file_supports_every_option_of_check() -> None:
    """Every option has a form that a file can contain."""
    for parameter in main.commands["check"].params:
        assert parameter.nargs == 1, parameter.name


@pytest.mark.served
def test_config_file_supports_url_and_reports(tmp_path: Path) -> None:
    with serving() as mock:
        file = config(tmp_path, f'url = "{mock.url}"\nquick = true\nonly = ["list"]\nreport-json = "r.json"\n')
        result = CliRunner().invoke(main, ["check", "--config", file, "--state-dir", str(tmp_path / "state")])
    assert result.exit_code == 0, result.output
    assert f"The check of {mock.url} passed" in result.output
    assert (tmp_path / "r.json").exists(), "a path in a file begins at its folder"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quik = true", "unknown key 'quik'; did you mean quick?"),
        ("time-buget = '5m'", "did you mean time-budget or"),
        ("[check]\nquick = true", "unknown key 'check'"),
        ("quick = 'yes'", "quick: 'yes' is not true or false"),
        ("profile = 'quik'", "profile: 'quik' is not one of quick, default, deep"),
        ("seed = true", "seed: True is not a text or a number"),
        ("skip = 'create'", "skip: 'create' is not a list"),
        ("seed = [1]", "seed: [1] is not a text or a number"),
        ("seed = 'x'", "'x' is not a valid integer"),
        ("skip = ['creat']", "did you mean create"),
        ("rate = 'fast'", "is not a rate"),
        ("quick = ", "Invalid value"),
    ],
)
def test_error_in_a_config_file_names_the_key(tmp_path: Path, text: str, message: str) -> None:
    result = CliRunner().invoke(main, ["check", "--config", config(tmp_path, text)])
    assert result.exit_code == 2
    assert message in re.sub(r"\s+", " ", result.output), result.output


# -- a server that dies ------------------------------------------------------------------------------


@pytest.mark.served
def test_dying_server_is_reported_in_one_failure(tmp_path: Path) -> None:
    words = ("check", "--quick", "--seed", "1", "--state-dir", str(tmp_path / "state"))
    with serving(Settings()) as mock, dying(mock.url, after=80) as url:
        result = CliRunner().invoke(main, [words[0], url, *words[1:]])
    assert result.exit_code == 1, result.output
    failed = [line for line in result.output.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 1, failed
    assert failed[0].startswith("FAILED every-request-answered")
    assert re.search(r"a request got no complete answer \(and [3-5] more times\)", result.output)
    assert "Incomplete: " in result.output
    assert "the target no longer answers (6 requests without an answer)" in result.output
    assert result.output.count("curl") <= 8, result.output


@contextmanager
def dying(url: str, after: int) -> Iterator[str]:
    """Serve the answers of `url` until it stops."""
    from contract_tests.meta_tests.test_compare import behind

    with behind(url, last=after) as front:
        yield front
