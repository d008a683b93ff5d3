"""The simulated network of registry tests: rules decide how each request ends, and no host is ever contacted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase

from mock_server.central.delays import drawn
from mock_server.central.registry_outcomes import ANSWERS, PASSES, network_failure
from mock_server.central.registry_test_rules import RegistryTestRule
from mock_server.golang import grpc
from mock_server.golang import http as gohttp
from mock_server.golang import url as gourl
from mock_server.golang.http import Reply
from mock_server.golang.text import quote

_DIAL_TIMEOUT = "dial tcp: i/o timeout"


class GivenReason(Exception):  # noqa: N818 (a rule has decided, nothing is in error)
    """The `reason` of a rule, which replaces the text of the client."""


class Network:
    """The hosts of one sandbox. The first matching rule decides; a host without one answers."""

    def __init__(self, rules: Sequence[RegistryTestRule], syntax: gourl.UrlSyntax) -> None:
        self.syntax = syntax
        self._lock = threading.Lock()
        self._looking = threading.local()
        self.rules = rules

    @property
    def rules(self) -> Sequence[RegistryTestRule]:
        """The rules. Setting them resets how often each has decided."""
        return self._rules

    @rules.setter
    def rules(self, rules: Sequence[RegistryTestRule]) -> None:
        with self._lock:
            self._rules = tuple(rules)
            self._decided = [0] * len(self._rules)

    def adopt(self, other: Network) -> None:
        """Take over the rules of another network, and how often each has decided."""
        with self._lock:
            self._rules, self._decided = other._rules, other._decided

    @contextmanager
    def only_looking(self) -> Iterator[None]:
        """Make requests of this thread neither use up rules nor wait for their delays."""
        self._looking.now = True
        try:
            yield
        finally:
            self._looking.now = False

    def ask(self, method: str, url: str) -> Reply:
        """Return the reply to a request, or the error of Go's client, which does not parse every URL."""
        try:
            asked = gohttp.asked(url, self.syntax)
        except gourl.UrlError as error:
            return Reply(str(error))
        return self.reply(method, asked)

    def reply(self, method: str, asked: gohttp.Asked) -> Reply:
        """Return the reply to a request whose URL is parsed already."""
        outcome = PASSES if asked.failure else self._outcome(asked.host, asked.url.host_name.decode("utf-8", "replace"))
        failure = asked.failure or network_failure(outcome, asked.host, asked.address)
        if failure is not None:
            return Reply(f"{method} {quote(str(asked.url))}: {failure}")
        return ANSWERS.get(outcome, Reply())

    def call(self, target: grpc.Target) -> str | None:
        """Return the error of a gRPC call, or None if the host answers."""
        outcome = self._outcome(target.host)
        failure = _DIAL_TIMEOUT if outcome == "timeout" else network_failure(outcome, target.host, target.address)
        if found := grpc.unreachable(target, failure or ""):
            return found
        return grpc.answered(ANSWERS[outcome].status) if outcome in ANSWERS else None

    def _outcome(self, *hosts: str) -> str:
        """Return the outcome of the rule that matches one of these spellings of a host.

        Raises:
            GivenReason: the rule has a reason.
        """
        names = {host.lower() for host in hosts}
        is_looking = getattr(self._looking, "now", False)
        with self._lock:
            for at, rule in enumerate(self._rules):
                is_used_up = rule.times is not None and self._decided[at] >= rule.times
                if not is_used_up and any(fnmatchcase(name, rule.host.lower()) for name in names):
                    self._decided[at] += not is_looking
                    break
            else:
                return PASSES
        if rule.delay and not is_looking:
            time.sleep(drawn(rule.delay))
        if rule.reason:
            raise GivenReason(rule.reason)
        return rule.outcome
