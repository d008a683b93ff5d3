"""Reconcile: an update without credentials keeps the stored ones (pkg/secrets/reconcile.go).

The fields are checked in the order of their declaration, up to the first error. ``x-scrub`` in the contract marks
credentials, and fields that depend on them.
"""

from __future__ import annotations

from typing import Any

from mock_server.central.errors import Refusal, Rules
from mock_server.central.integration import Integration, Values
from mock_server.central.validation import config_member
from mock_server.contract.tables import MASK, Contract, Field, Message


class Reconcile:
    """The rules about stored credentials."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.rules = Rules(contract)

    def with_stored(self, sent: Integration, stored: Integration | None) -> dict[str, Any]:
        """Return `sent` with the stored credentials for empty and masked ones.

        `stored` is None when `sent` names no integration.

        Raises:
            Refusal: 400, with the path of the field in the names of Central's Go code.
        """
        self.reconcile_needs_id(sent)
        self.reconcile_needs_config(sent)
        if stored is None:
            return dict(sent)
        self._verify(self.contract.integration, sent, stored, ())
        return self.stored_credentials_kept(self.contract.integration, sent, stored)

    def reconcile_needs_id(self, sent: Integration) -> None:
        """central/imageintegration/service/service_impl.go."""
        if sent["id"] == "":
            raise self.rules.refusal("reconcile-needs-id")

    def reconcile_needs_config(self, sent: Integration) -> None:
        """central/imageintegration/service/service_impl.go."""
        if config_member(self.contract.integration, sent) is None:
            raise self.rules.refusal("reconcile-needs-config")

    def _verify(self, message: Message, sent: Values, stored: Values, path: tuple[str, ...]) -> None:
        path = (*path, message.go_name)
        for field in message.fields:
            if field.oneof:
                if field is message.members[0]:
                    self._verify_member(message, sent, stored, path)
                continue
            self._verify_message(field, sent[field.name], stored[field.name], path)
            self.reconcile_credential_masked(field, sent[field.name], path)
            self.reconcile_dependent_unchanged(field, sent[field.name], stored[field.name], path)

    def _verify_member(self, message: Message, sent: Values, stored: Values, path: tuple[str, ...]) -> None:
        new, old = config_member(message, sent), config_member(message, stored)
        assert new is not None  # reconcile_needs_config
        if old is None:
            self.reconcile_message_not_added(sent[new], None)
            return
        self.reconcile_same_member(message.by_name[new], message.by_name[old])
        config = message.by_name[new].message
        assert config is not None  # a config member is a message
        wrapper = f"{message.go_name}_{message.by_name[new].go_name}"
        if new == old:
            self._verify(config, sent[new], stored[old], (*path, wrapper))

    def _verify_message(self, field: Field, sent: Any, stored: Any, path: tuple[str, ...]) -> None:
        if field.kind not in ("message", "timestamp"):
            return
        self.reconcile_message_kept(field, sent, stored, path)
        self.reconcile_message_not_added(sent, stored)
        if field.message is not None and sent is not None and stored is not None:
            self._verify(field.message, sent, stored, path)

    def reconcile_same_member(self, sent: Field, stored: Field) -> None:
        """pkg/secrets/reconcile.go: the wrappers of the two members are of one Go type."""
        if sent != stored:
            raise self.rules.refusal("reconcile-same-member", sent=sent.go_name, stored=stored.go_name)

    def reconcile_message_kept(self, field: Field, sent: Any, stored: Any, path: tuple[str, ...]) -> None:
        """pkg/secrets/reconcile.go: a stored sub-message may not be left out."""
        if sent is None and stored is not None:
            raise self._field("reconcile-message-kept", path, field)

    def reconcile_message_not_added(self, sent: Any, stored: Any) -> None:
        """pkg/secrets/reconcile.go: no sub-message is stored to reconcile it with."""
        if sent is not None and stored is None:
            raise self.rules.refusal("reconcile-message-not-added")

    def reconcile_credential_masked(self, field: Field, sent: Any, path: tuple[str, ...]) -> None:
        """pkg/secrets/reconcile.go: even the right credential is refused."""
        if field.scrub == "always" and sent not in ("", MASK):
            raise self._field("reconcile-credential-masked", path, field)

    def reconcile_dependent_unchanged(self, field: Field, sent: Any, stored: Any, path: tuple[str, ...]) -> None:
        """pkg/secrets/reconcile.go: compared literally, even if no credential is stored."""
        if field.scrub == "dependent" and sent != stored:
            raise self._field("reconcile-dependent-unchanged", path, field)

    def _field(self, rule: str, path: tuple[str, ...], field: Field) -> Refusal:
        return self.rules.refusal(rule, field=".".join((*path, field.go_name)))

    def stored_credentials_kept(self, message: Message, sent: Values, stored: Values) -> dict[str, Any]:
        """Copy the stored credentials over the sent ones."""
        kept = dict(sent)
        for field in message.fields:
            if field.scrub == "always":
                kept[field.name] = stored[field.name]
            elif field.message is not None and sent.get(field.name) and stored.get(field.name):
                kept[field.name] = self.stored_credentials_kept(field.message, sent[field.name], stored[field.name])
        return kept
