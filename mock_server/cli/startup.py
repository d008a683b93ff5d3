"""The start of `serve`: checks, background tasks, and the first lines of output."""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mock_server.cli.options import AT_START, KEPT, settings_of
from mock_server.serving.addresses import url_of
from mock_server.simulation.faults import FaultError
from mock_server.state.memory import MEMORY, address

if TYPE_CHECKING:
    from mock_server.settings import Settings
    from mock_server.web.app import MockCentral

log = logging.getLogger("mock_central")

_LOOPBACK = ("127.", "localhost", "::1", "[::1]")


@dataclasses.dataclass(frozen=True, slots=True)
class Running:
    """Background tasks of a server: saving, counting and watching."""

    save: Path | None
    usage: Path | None
    reload: bool
    files: Mapping[str, Path]
    """The files of the options, by purpose."""
    again: Callable[[], Settings]
    """Reads the options again.

    Raises:
        click.ClickException: a value has become invalid.
    """

    def start(self, app: MockCentral) -> None:
        """Start watching and counting, in the process that serves."""
        if self.usage is not None:
            from mock_server.cli.report import Keeper

            Keeper(app.gateway.record_usage(), self.usage).start()
        if self.reload:
            from mock_server.serving.reload import Watcher

            Watcher(app, self.files, self.again).start()


def running(context: click.Context, settings: Settings) -> Running:
    """Return the background tasks of the options.

    Raises:
        click.ClickException: the initial state cannot be read, or a file cannot be written.
    """
    save: Path | None = context.params["save"]
    if save is not None:
        require_replaceable("--save", save)
    usage: Path | None = context.params["usage"]
    if usage is not None:
        require_replaceable("--usage", usage)
        _require_usage(usage)
    _require_states({"--load": settings.load, "--save": save})
    _require_store(settings)
    _require_operations(settings)
    watched = {"settings": context.meta.get("mock_central.config"), "state": settings.load}
    if settings.load is not None and save is not None and settings.load.resolve() == save.resolve():
        del watched["state"]  # the mock writes this file itself
    return Running(
        save,
        usage,
        context.params["reload"],
        {what: path for what, path in watched.items() if path is not None},
        lambda: dataclasses.replace(
            settings_of(_read_again(context)), **{name: getattr(settings, name) for name in KEPT}
        ),
    )


def _read_again(context: click.Context) -> click.Context:
    """Parse the command line again, and log the options that need a restart."""
    now = context.command.make_context(context.info_name, list(context.meta["mock_central.words"]))
    needs_restart = [
        each.opts[0]
        for each in context.command.params
        if each.name in (*AT_START, *KEPT) and now.params[each.name] != context.params[each.name]
    ]
    if needs_restart:
        log.warning("restart to apply: %s", ", ".join(needs_restart))
    return now


# -- checks before the start -------------------------------------------------------------------------


def require_tls(cert: Path | None, key: Path | None, ca_out: Path | None, *, self_signed: bool) -> None:
    """Raise click.UsageError unless the options of TLS go together and their files can be used."""
    if (cert is None) != (key is None):
        raise click.UsageError("--cert and --key must be given together")
    if cert is not None and key is not None:
        require_certificate(cert, key)
    if ca_out is not None:
        if cert is not None or not self_signed:
            raise click.UsageError("--tls-ca-out: needs --tls without --cert, which creates a certificate authority")
        require_writable("--tls-ca-out", ca_out)


def require_certificate(cert: Path, key: Path) -> None:
    """Raise click.UsageError unless two files are a certificate and its key."""
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except OSError as error:
        raise click.UsageError(
            f"--cert {cert} and --key {key}: are not a certificate and its key without a password (PEM): {error}"
        ) from None


def require_writable(option: str, file: Path) -> None:
    """Raise click.BadParameter unless the file of an option can be written."""
    try:
        with tempfile.TemporaryFile(dir=file.parent):
            return
    except FileNotFoundError:
        raise click.BadParameter(f"{file}: the folder {file.parent} does not exist", param_hint=option) from None
    except OSError as error:
        raise click.BadParameter(f"{file}: cannot be written: {error.strerror or error}", param_hint=option) from None


def require_replaceable(option: str, file: Path) -> None:
    """Raise click.BadParameter unless the file can be replaced; a device would become a file."""
    try:
        file.resolve()
    except (OSError, RuntimeError):  # Python 3.13 has an OSError for it
        raise click.BadParameter(f"{file}: is a symbolic link to itself", param_hint=option) from None
    if file.exists() and not file.is_file():
        raise click.BadParameter(f"{file}: is not a regular file; give the name of one", param_hint=option)
    require_writable(option, file)


@contextmanager
def _blaming(option: str, *errors: type[Exception]) -> Iterator[None]:
    """Raise click.BadParameter of an option for errors of these types."""
    try:
        yield
    except errors as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _require_usage(file: Path) -> None:
    if file.exists():
        from mock_server.simulation import usage

        with _blaming("--usage", usage.UsageError):
            usage.read(file)


def _require_states(files: Mapping[str, Path | None]) -> None:
    present = {option: file for option, file in files.items() if file is not None and file.exists()}
    if not present:
        return
    from mock_server.contract import tables as contract
    from mock_server.contract import validator
    from mock_server.state import files as states

    for option, file in present.items():
        with _blaming(option, states.StateError):
            states.read(file, contract.load(), validator.shared())


def _require_operations(settings: Settings) -> None:
    if not any(fault.operation for fault in settings.faults):
        return
    from mock_server.web.app import create_app  # only the app knows every operation

    with _blaming("--fault", FaultError):
        create_app(settings)


def _require_store(settings: Settings) -> None:
    if settings.store == MEMORY:
        return
    try:
        from mock_server.state import redis_connection

        redis_connection.check(settings.store, settings.store_prefix)
    except ImportError:
        raise click.ClickException(
            "--store: the client library is missing; install it from a checkout: pip install '.[redis]'"
        ) from None
    except redis_connection.StoreError as error:
        raise click.ClickException(f"--store {error}") from None


# -- the first lines ---------------------------------------------------------------------------------


def announce(
    settings: Settings, host: str, port: int, *, secure: bool, ca: Path | None, control_token_file: Path | None
) -> None:
    """Print the address of the mock and commands to paste, after a warning if anyone can control the mock.

    `host` is as given; `ca` is the file with the certificate authority.
    """
    if settings.control and settings.control_token is None and not host.startswith(_LOOPBACK):
        click.echo(
            f"NOTE: anyone who can reach {host or 'this machine'} can control the mock and read what it stores; "
            f"--control-token-file FILE requires a token, --no-control turns the calls off",
            err=True,
        )
    url = url_of(host, port, secure=secure)
    manner = "as deployed" if settings.as_deployed else "as documented"
    curl = ("curl -k" if ca is None else f"curl --cacert {ca}") if secure else "curl"
    token = f" -H 'Authorization: Bearer {settings.credentials.admin_token}'" if settings.auth else ""
    lines = [
        f"mock-central listens on {url} and simulates Central {settings.central_version} {manner}.",
        f"  try      {curl}{token} {url}/v1/imageintegrations",
    ]
    if settings.control:
        control = f' -H "Authorization: Bearer $(cat {control_token_file})"' if control_token_file else ""
        lines += [f"  reset    {curl}{control} -X POST {url}/__admin/reset", f"  console  {url}/__admin/"]
    lines += _places(settings, url)
    if ca is not None:
        lines.append(f"  trust    {ca} is the certificate authority")
    click.echo("\n".join([*lines, "  stop     Ctrl-C"]))


def _places(settings: Settings, url: str) -> Iterator[str]:
    if settings.ui is not None:
        login = f"{settings.credentials.username} / {settings.credentials.password}" if settings.auth else "any name"
        if settings.upstream is not None:
            login = "as there"
        yield f"  ui       {url}/main/integrations (log in: {login})"
    if settings.store != MEMORY:
        store = address(settings.store)
        yield f"  store    {store}, shared by all replicas with the prefix {settings.store_prefix}"
    if settings.upstream is not None:
        yield f"  rest     forwarded to {settings.upstream}"
