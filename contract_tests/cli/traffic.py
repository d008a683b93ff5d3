"""The commands that judge the requests of others: `audit` for recorded traffic, `proxy` for live traffic."""

from __future__ import annotations

import datetime as dt
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contract_tests.engine.failures import Failure, HarnessError
from contract_tests.engine.options import Credentials, Options
from contract_tests.engine.text import printable
from contract_tests.reports import requested
from contract_tests.runner import known
from contract_tests.runner.arguments import FILE, NEW_FILE, InputFile, certificates, check_url, traffic_options
from contract_tests.runner.environment import bearer
from contract_tests.runner.report import ASSUMED, GIVEN, REPORTED, TRAFFIC
from mock_server.contract import tables as contracts

if TYPE_CHECKING:
    from contract_tests.traffic.exchanges import Seen
    from contract_tests.traffic.judge import Judge


class _Judging:
    """What `audit` and `proxy` have in common: options, the release to judge by, and the report at the end."""

    def __init__(self, target: str, chosen: dict[str, Any]) -> None:
        """Take the options from `chosen`, and create the folders of the reports.

        Raises:
            HarnessError: a report cannot be written, or a file of known differences is invalid.
        """
        self.files = requested(chosen)
        self.given: str | None = chosen["central_version"]
        self.others_write: bool = chosen["others_write"]
        self.client_fails: bool = chosen["client_fails"]
        self.options = Options(
            target,
            TRAFFIC,
            skip=chosen["skip"],
            known=chosen["known"],
            no_known=chosen["no_known"],
            central_version=self.given,
        )
        self._differences = known.given(self.options.known, self.options.no_known)
        self._started = dt.datetime.now(dt.UTC)
        self._version_from = GIVEN

    def judge(self, reported: str = "") -> Judge:
        """Return a judge for the release; `reported` is the release in the traffic, or "" if it has none.

        Raises:
            HarnessError: the release is unknown.
        """
        from contract_tests.traffic.judge import Judge

        self._version_from = GIVEN if self.given else REPORTED if reported else ASSUMED
        version = self.given or reported or contracts.load().releases.newest.line
        try:
            return Judge(version, others_write=self.others_write)
        except ValueError as error:
            raise HarnessError(f"{error}; choose one with --central-version") from None

    def conclude(self, judge: Judge, origin: str) -> int:
        """Print the verdict, write the reports and return the exit status; `origin` is the URL of the Central."""
        from contract_tests.reports import terminal, write
        from contract_tests.runner.traffic_report import report_on

        report = report_on(
            judge,
            self.options,
            origin,
            self._differences,
            version_from=self._version_from,
            started=self._started,
            client_fails=self.client_fails,
        )
        try:
            write(report, self.files)
        finally:
            terminal.traffic(report)
        return report.exit_code


@click.command(
    context_settings={"show_default": True},
    short_help="Check recorded traffic: a HAR, a request journal, fixtures.",
    epilog="""\b
Exit status: 0 nothing is wrong, 1 an answer violates the contract,
2 the file could not be read, 3 no request in it could be judged.
\b
Examples:
  central-contract audit traffic.har
  central-contract audit traffic.har --redact harmless.har --report-html report.html
  curl -s http://127.0.0.1:8080/__admin/requests | central-contract audit -
""",
)
@click.argument("file", type=InputFile(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--redact", type=NEW_FILE, help="Write the judged requests as a HAR without credentials, to share.")
@traffic_options
def audit(file: Path, *, redact: Path | None, **chosen: Any) -> None:
    """Check the requests and answers of the image-integration API in FILE; nothing is sent.

    FILE is a HAR (of a browser, Charles, mitmproxy or `central-contract proxy`), the mock's answer to
    `GET /__admin/requests`, or JSON Lines of fixtures.
    """
    from contract_tests.engine.exchange import COLLECTION
    from contract_tests.traffic import har, sources

    judging = _Judging(str(file), chosen)
    recording = sources.read(file)
    judge = judging.judge(recording.version)
    with ExitStack() as stack:
        writer = None
        if redact is not None:
            writer = stack.enter_context(har.Writer(redact, recording.origin))
            writer.version = judge.version
        for origin, conversation in recording.conversations.items():
            judge.begin()
            if writer is not None:
                writer.origin = origin
            judge.judge((each for each in conversation if judge.concerns(each.target)), writer.add if writer else None)
        if not judge.judged:
            click.echo(f"{file}: contains no request whose path begins with {COLLECTION}", err=True)
        status = judging.conclude(judge, recording.origin)  # before the end of --redact, which may fail
    sys.exit(status)


@click.command(
    context_settings={"show_default": True},
    short_help="Check live traffic between clients and a Central.",
    epilog="""\b
Ctrl-C or SIGTERM ends it: it prints the verdict and writes the reports.
Exit status: 0 nothing was wrong, 1 an answer violates the contract,
2 it could not start, 3 no request could be judged.
\b
Examples:
  central-contract proxy https://central.example.com --port 8443 --tls
  central-contract proxy https://central.example.com --ca-file ca.pem \\
    --har traffic.har --report-html report.html
""",
)
@click.argument("url")
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8443, help="Port to listen on; 0 takes a free one.")
@click.option("--tls", is_flag=True, help="Serve HTTPS with a certificate made at the start.")
@click.option("--cert", type=FILE, help="Certificate to serve HTTPS with (PEM).")
@click.option("--key", type=FILE, help="Private key of --cert (PEM).")
@click.option("--ca-file", type=FILE, callback=certificates, help="Certificate authority of URL to trust (PEM).")
@click.option("--insecure", is_flag=True, help="Do not check the certificate of URL.")
@click.option("--har", "archive", type=NEW_FILE, help="Write the judged traffic as a HAR without credentials.")
@click.option(
    "--read-list",
    is_flag=True,
    help="Read the list once at the start, with --token-file: the only request that the proxy makes itself.",
)
@click.option("--token-file", type=FILE, help="File with a bearer token for --read-list [env: CENTRAL_TOKEN].")
@traffic_options
def proxy(
    url: str,
    *,
    host: str,
    port: int,
    tls: bool,
    cert: Path | None,
    key: Path | None,
    ca_file: Path | None,
    insecure: bool,
    archive: Path | None,
    read_list: bool,
    token_file: Path | None,
    **chosen: Any,
) -> None:
    """Forward requests to the Central at URL, and check those of the image-integration API.

    Every path is forwarded unchanged, with streams, redirects and credentials. Only --har stores traffic, without
    credentials.
    """
    from contract_tests.traffic.har import Writer
    from contract_tests.traffic.proxy import JudgeThread, serve
    from mock_server.cli.startup import require_certificate
    from mock_server.serving.addresses import ServeError, check_upstream, free_port, resolve
    from mock_server.serving.tls import Tls, self_signed
    from mock_server.settings import Settings

    check_url(url)
    if bool(cert) != bool(key):
        raise click.UsageError("--cert and --key need each other")
    if cert and key:
        require_certificate(cert, key)
    judging = _Judging(url, chosen)
    with ExitStack() as stack:
        try:
            settings = Settings(upstream=url.rstrip("/"), upstream_ca=ca_file, upstream_insecure=insecure)
            address = resolve(host)
            port = free_port(address, port)
            check_upstream(url, address, port)
            files = Tls(cert, key) if cert and key else stack.enter_context(self_signed(host)) if tls else None
            writer = stack.enter_context(Writer(archive, url)) if archive else None
        except (ServeError, ValueError) as error:
            raise HarnessError(str(error)) from None
        thread = JudgeThread(judging.judge, writer.add if writer else lambda _: None, _print_failure)
        thread.start()
        if read_list:
            credentials = Credentials(admin=bearer(token_file, "CENTRAL_TOKEN"))
            thread.take(*_list(Options(url, credentials=credentials, ca_file=ca_file, insecure=insecure)))
        hostname = f"[{address}]" if ":" in address else address
        own_url = f"{'https' if files else 'http'}://{hostname}:{port}"
        serve(settings, address, port, thread.take, tls=files, announce=partial(_announce, own_url, url))
        judge = thread.close()
        if thread.error:
            raise HarnessError(f"some exchanges were not judged or not kept: {thread.error}")
        if writer is not None:
            writer.version = judge.version
        status = judging.conclude(judge, url)  # before the end of --har, which may fail
    sys.exit(status)


def _announce(own_url: str, url: str) -> None:
    click.echo(f"Listening on {own_url}, in front of {url}. Press Ctrl-C to stop and see the verdict.", err=True)


def _print_failure(failure: Failure) -> None:
    click.echo(printable(f"BROKEN {failure.check}: {failure.what}"), err=True)


def _list(options: Options) -> tuple[Seen, float]:
    """Read the list once; return the exchange and the time at which it ended.

    Raises:
        HarnessError: the target does not answer, or not with 200.
    """
    from contract_tests.engine.exchange import COLLECTION
    from contract_tests.engine.http import fetch
    from contract_tests.traffic.exchanges import Seen, headers_of

    began = time.time()
    answer = fetch(options, COLLECTION)
    if answer.status != 200:
        raise HarnessError(f"--read-list: {options.url} answers {answer.status}; give a token with --token-file")
    ended = time.time()
    token = options.credentials.admin
    sent, replied = headers_of([("Authorization", token)] if token else []), headers_of(answer.headers.items())
    return Seen("GET", COLLECTION, 200, began, ended, sent, b"", replied, answer.content), ended
