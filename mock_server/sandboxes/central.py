"""One Central: its parts, built from settings."""

from __future__ import annotations

import copy
from typing import Any

from mock_server.central import protojson
from mock_server.central.auth import Auth
from mock_server.central.clients import Clients
from mock_server.central.decoding import Decoding
from mock_server.central.integration import Integration
from mock_server.central.network import Network
from mock_server.central.reconcile import Reconcile
from mock_server.central.registry_test_rules import RegistryTestRule
from mock_server.central.registry_tests import RegistryTests
from mock_server.central.releases import Build
from mock_server.central.rendering import Rendering
from mock_server.central.service import Service
from mock_server.central.store import Store
from mock_server.central.validation import Validation
from mock_server.contract import tables as contracts
from mock_server.contract import validator as validators
from mock_server.settings import Settings
from mock_server.state import files as states
from mock_server.state import scenarios
from mock_server.state.memory import MEMORY, MemoryStore


class Central:
    """The parts of one Central."""

    def __init__(self, settings: Settings, contract: contracts.Contract | None = None) -> None:
        """`contract`: replaces the shipped contract. It is viewed at the release of the settings."""
        self.settings = settings
        self.contract = (contract or contracts.load()).at(settings.central_version)
        self.build = Build(self.contract.release)
        self.validator = validators.of(self.contract)
        self.decoding = Decoding(
            self.contract,
            self.validator,
            self.build,
            strict=settings.strict,
            explains=settings.validation != "none",
            show_credentials=settings.as_deployed,
        )
        self.rendering = Rendering(
            self.contract, self.validator, in_clear=settings.as_deployed, fatal=settings.fatal_answers
        )
        self.auth = Auth(self.contract, settings.credentials, enforced=settings.auth)
        self.reconcile = Reconcile(self.contract)
        self.clients = Clients(self.contract, self.build)
        self.store = self._store()
        self._bind_to_store()

    def _store(self) -> Store:
        settings = self.settings
        initial = self.initial_state()
        answer = self.rendering.read_answer
        options: dict[str, Any] = {"seed": settings.seed, "shuffled": settings.as_deployed}
        if settings.store == MEMORY:
            return MemoryStore(initial, answer, **options)
        from mock_server.state.redis_store import RedisStore  # its client library is an extra

        prefix, seconds = settings.store_prefix, settings.sandbox_ttl
        return RedisStore(settings.store, initial, answer, prefix=prefix, sandbox_seconds=seconds, **options)

    def _bind_to_store(self) -> None:
        """Create the parts that depend on the store or the sandbox."""
        self.validation = Validation(self.contract, self.store, self.build, managed=self.settings.managed)
        self.network = Network(self.initial_registry_tests(), self.build.urls)
        self.registry_tests = RegistryTests(self.contract, self.network, self.settings.namespace)
        self.service = Service(
            self.contract,
            self.store,
            self.validation,
            self.reconcile,
            self.clients,
            self.registry_tests,
            self.settings.as_deployed,
        )

    def fork(self) -> Central:
        """Return a Central with its own state and network; it shares the stateless parts with this one."""
        other = copy.copy(self)
        other.store = self.store.fork()
        other._bind_to_store()  # noqa: SLF001 (it is one of us)
        return other

    def initial_registry_tests(self) -> tuple[RegistryTestRule, ...]:
        """Return the rules of the settings, followed by those of the initial scenario."""
        settings = self.settings
        if settings.load is not None or settings.empty:
            return settings.registry_tests
        return settings.registry_tests + scenarios.parse(settings.scenario)[0].registry_tests

    def initial_state(self) -> list[Integration]:
        """List the initial integrations."""
        if self.settings.load is not None:
            return states.read(self.settings.load, self.contract, self.validator)
        return self.scenario("empty" if self.settings.empty else self.settings.scenario)

    def scenario(self, text: str) -> list[Integration]:
        """List the integrations of the scenario ``NAME`` or ``NAME:NUMBER``.

        Raises:
            ValueError: the scenario is unknown.
        """
        sparse = scenarios.integrations(self.contract, text, self.settings.namespace)
        return [protojson.complete(self.contract.integration, each) for each in sparse]
