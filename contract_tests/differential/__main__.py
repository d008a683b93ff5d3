"""Send conversations, raw requests and races to two targets, and print classes of differences."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import chain

import click

from contract_tests.differential import conversations, races, shapes
from contract_tests.differential.classes import Classes, comparable, shape, short, where
from contract_tests.differential.targets import Target
from mock_server.contract import tables as contracts

_BATCH = 20
_TOKEN = "mock-admin-token"  # noqa: S105 (a mock's)


@click.command()
@click.argument("urls", nargs=-1, required=True, metavar="URL [URL]")
@click.option("--conversations", "spoken", default=1000, show_default=True, help="Conversations to play.")
@click.option("--raw", default=500, show_default=True, help="Raw HTTP requests to send.")
@click.option("--races", "raced", default=10, show_default=True, help="Rounds of each race.")
@click.option("--seed", default="1", show_default=True, help="Equal seeds play equal requests.")
@click.option("--seconds", type=float, help="End after so many seconds, whatever is left to play.")
@click.option("--workers", default=2, show_default=True, help="Conversations at once.")
@click.option("--token-variable", default="ROX_API_TOKEN", show_default=True, help="Holds the token of the last URL.")
@click.option("--insecure", is_flag=True, help="Trust any certificate.")
@click.option("--release", help="The release that the mock plays where only one URL is given.")
def main(
    urls: tuple[str, ...],
    *,
    spoken: int,
    raw: int,
    raced: int,
    seed: str,
    seconds: float | None,
    workers: int,
    token_variable: str,
    insecure: bool,
    release: str | None,
) -> None:
    """Compare two Centrals; with one URL, compare it with a mock that is started for it.

    Integrations whose names begin with "differential-" are created and deleted at both; nothing else changes. Registry
    tests go to hosts that do not exist, and to AWS and Google with invented credentials. The exit status is 1 if there
    are differences.
    """
    token = os.environ.get(token_variable, "")
    last = Target(urls[-1], f"Bearer {token}" if token else "", insecure)
    with closing(last), _first(urls, release, is_guarded=bool(token)) as first, closing(first):
        classes, counted = _compared(first, last, (spoken, raw, raced), seed, seconds, workers)
    for line in classes.lines():
        click.echo(line)
    click.echo(f"{counted}: {len(classes.found)} classes of differences")
    sys.exit(1 if classes.found else 0)


@contextmanager
def _first(urls: tuple[str, ...], release: str | None, *, is_guarded: bool) -> Iterator[Target]:
    """Return the first target; start a mock if only one URL is given."""
    token = f"Bearer {_TOKEN}" if is_guarded else ""
    if len(urls) > 1:
        yield Target(urls[0], token)
        return
    command = [sys.executable, "-m", "mock_server", "serve", "--as-deployed", "--port", "0", "--log-level", "error"]
    command += ["--auth"] if is_guarded else []
    command += ["--central-version", release] if release else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 (its own)
        assert server.stdout is not None
        try:
            yield Target(_address(server.stdout), token)
        finally:
            server.terminate()


def _address(lines: Iterator[str]) -> str:
    """Return the URL on which a started mock listens."""
    for line in lines:
        words = [word for word in line.split() if word.startswith(("http://", "https://"))]
        if words:
            return words[0].rstrip(".,/")
    raise click.ClickException("the mock did not start")


def _compared(
    first: Target, last: Target, counts: tuple[int, int, int], seed: str, seconds: float | None, workers: int
) -> tuple[Classes, str]:
    spoken, raw, raced = counts
    classes = Classes()
    until = time.monotonic() + seconds if seconds else None
    prefix = f"differential-{secrets.token_hex(3)}-"
    path = contracts.load().operations["GetImageIntegrations"].path
    batches = [range(at, min(at + _BATCH, spoken)) for at in range(0, spoken, _BATCH)]

    def play(batch: range) -> tuple[int, int]:
        if until is not None and time.monotonic() > until:
            return 0, 0
        seeds = [f"{seed} {number}" for number in batch]
        return len(batch), conversations.play(first, last, classes, seeds, prefix)

    with ThreadPoolExecutor(workers) as pool:
        played = list(pool.map(play, batches))
    sent = 0
    for number in range(raw):
        if until is not None and time.monotonic() > until:
            break
        _raw(first, last, classes, f"{seed} {number}")
        sent += 1
    if raced:
        races.compare(first, last, classes, path, prefix, raced)
    talks, requests = sum(each for each, _ in played), sum(chain(each for _, each in played))
    return classes, f"{talks} conversations of {requests} requests, {sent} raw requests, {raced} rounds of each race"


def _raw(first: Target, last: Target, classes: Classes, seed: str) -> None:
    bytes_of = [shapes.draw(seed, target.authorization) for target in (first, last)]
    replies = [target.send(sent) for target, sent in zip((first, last), bytes_of, strict=True)]
    values = [comparable(reply, {}) for reply in replies]
    if values[0] == values[1]:
        return
    told = [shape(reply) for reply in replies]
    if told[0] == told[1]:
        told[1] = f"differs at {where([*values[0]], [*values[1]])}"
    line = bytes_of[0].split(b"\r\n", 1)[0].decode("latin-1")
    key = ("raw", f"{replies[0].status} / {replies[1].status}", *told)
    classes.add(key, [line, repr(bytes_of[0])], (short(replies[0]), short(replies[1])))


if __name__ == "__main__":
    main()
