"""Send conversations, raw requests and races to two targets, and print classes of differences."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import click

from contract_tests.differential import conversations, races, shapes
from contract_tests.differential.classes import Classes, comparable, shape, short, where
from contract_tests.differential.targets import Target
from contract_tests.engine.exchange import COLLECTION
from contract_tests.engine.options import is_loopback
from contract_tests.engine.redaction import Redaction
from contract_tests.engine.text import printable
from contract_tests.runner.arguments import Unable, check_url
from contract_tests.runner.environment import bearer
from contract_tests.runner.own_mock import own_mock

_BATCH = 20
_MOCK_AUTHORIZATION = "Bearer mock-admin-token"
"""For the first of two URLs, if the last one has a token."""


@click.command()
@click.argument("urls", nargs=-1, required=True, metavar="URL [URL]")
@click.option("--conversations", "spoken", default=1000, show_default=True, help="Number of conversations.")
@click.option("--raw", default=500, show_default=True, help="Number of raw HTTP requests.")
@click.option("--races", "raced", default=10, show_default=True, help="Number of rounds of each race.")
@click.option("--seed", default="1", show_default=True, help="Seed of the requests; the same seed repeats them.")
@click.option("--seconds", type=float, help="Time limit in seconds.")
@click.option("--workers", default=2, show_default=True, help="Number of parallel conversations.")
@click.option(
    "--token-variable",
    default="ROX_API_TOKEN",
    show_default=True,
    help="Environment variable with the token of the last URL.",
)
@click.option("--insecure", is_flag=True, help="Trust any certificate.")
@click.option("--allow-writes", is_flag=True, help="Allow writes to targets that are not on loopback.")
@click.option("--release", help="Release of the mock that is started if only one URL is given.")
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
    allow_writes: bool,
    release: str | None,
) -> None:
    """Compare two Centrals; with one URL, compare it with a mock that is started for it.

    Integrations whose names begin with "differential-" are created and deleted at both; nothing else changes. Registry
    tests go to hosts that do not exist, and to AWS and Google with invented credentials. Exit status: 0 no differences,
    1 differences, 2 nothing could be compared.
    """
    for url in urls:
        check_url(url)
        if not (allow_writes or is_loopback(url)):
            raise click.UsageError(f"{url} is not on loopback; allow writes to it with --allow-writes")
    authorization = bearer(None, token_variable) or ""
    ends = time.monotonic() + seconds if seconds else None

    def is_over() -> bool:
        return ends is not None and time.monotonic() > ends

    last = Target(urls[-1], authorization, insecure)
    with closing(last), _first(urls, release, is_guarded=bool(authorization)) as first, closing(first):
        for target in (first, last):
            if not target.ask("GET", COLLECTION).status:
                raise Unable(f"{target.url} does not answer")
        classes, counted = _compared(first, last, (spoken, raw, raced), seed, is_over, workers)
    redaction = Redaction([authorization])
    for line in classes.lines():
        click.echo(printable(redaction.text(line)))
    click.echo(f"{counted}: classes of differences: {len(classes.found)}")
    sys.exit(1 if classes.found else 0)


@contextmanager
def _first(urls: tuple[str, ...], release: str | None, *, is_guarded: bool) -> Iterator[Target]:
    """Return the first target; start a mock if only one URL is given."""
    settings = {"as_deployed": True, **({"central_version": release} if release else {})}
    if len(urls) > 1:
        yield Target(urls[0], _MOCK_AUTHORIZATION if is_guarded else "")
        return
    with own_mock(auth=is_guarded, **settings) as mock:
        yield Target(mock.url, mock.credentials.admin or "")


def _compared(
    first: Target, last: Target, counts: tuple[int, int, int], seed: str, is_over: Callable[[], bool], workers: int
) -> tuple[Classes, str]:
    """Send everything to both targets until `is_over`; return the differences, and what was sent in words."""
    spoken, raw, raced = counts
    classes = Classes()
    prefix = f"differential-{secrets.token_hex(3)}-"

    def play(batch: range) -> tuple[int, int]:
        if is_over():
            return 0, 0
        seeds = [f"{seed} {number}" for number in batch]
        return len(batch), conversations.play(first, last, classes, seeds, prefix)

    with ThreadPoolExecutor(workers) as pool:
        played = list(pool.map(play, (range(at, min(at + _BATCH, spoken)) for at in range(0, spoken, _BATCH))))
    sent = 0
    while sent < raw and not is_over():
        _raw(first, last, classes, f"{seed} {sent}")
        sent += 1
    if raced:
        races.compare(first, last, classes, prefix, raced)
    talks, requests = (sum(each) for each in zip(*played, strict=True)) if played else (0, 0)
    if not talks + sent + raced:
        raise Unable("nothing was sent, so nothing was compared")
    return classes, f"{talks} conversations of {requests} requests, {sent} raw requests, {raced} rounds of each race"


def _raw(first: Target, last: Target, classes: Classes, seed: str) -> None:
    bytes_of = [shapes.draw(seed, target.authorization) for target in (first, last)]
    replies = [target.send(sent) for target, sent in zip((first, last), bytes_of, strict=True)]
    values = [comparable(reply, {}) for reply in replies]
    if values[0] == values[1]:
        return
    both = [shape(reply) for reply in replies]
    if both[0] == both[1]:
        both[1] = f"differs at {where([*values[0]], [*values[1]])}"
    line = bytes_of[0].split(b"\r\n", 1)[0].decode("latin-1")
    key = ("raw", f"{replies[0].status} / {replies[1].status}", *both)
    classes.add(key, [line, repr(bytes_of[0])], (short(replies[0]), short(replies[1])))


if __name__ == "__main__":
    main()
