"""Credentials: situations in which one would show, if the target let it.

Observers look at every answer for a credential in clear (`credentials-masked`, `credential-leak`).
Here the situations arise, and the mask itself is checked, also where nothing was ever set.
"""

from __future__ import annotations

from typing import Any

from contract_tests.central import Central
from contract_tests.checks.lifecycle import own
from contract_tests.checks.reconcile import DATA, KEYLESS, keeping
from contract_tests.failures import CheckFailed
from contract_tests.integrations import Body, read_answer
from contract_tests.registry import check


def with_canaries(central: Central) -> list[tuple[str, dict[str, Any]]]:
    """Give types and changes that together set every credential of the contract."""
    robot = {"username": "org+robot", "password": central.secret()}
    data = DATA | {"password": central.secret()}
    return [
        *((type, {}) for type in central.creatable_types),
        ("quay", {"quay": {"oauthToken": "", "registryRobotCredentials": robot}}),
        ("ecr", {"ecr": KEYLESS | {"authorizationData": data}}),
    ]


@check(
    "masks-everywhere",
    "secrets",
    needs=("create",),
    title="The mask stands for each credential in every read: set, empty, changed or never set",
)
def masks_everywhere(central: Central) -> None:
    variants = with_canaries(central)
    # Types that share a config member share its masks: one of each member is enough in a quick run.
    members = {"docker", "quay", "ecr", "artifactregistry", "azure", "ibm"}
    with central.case():
        for type, changes in variants:
            if central.options.profile != "quick" or type in members:
                id, sent = central.created(type, **changes)
                central.same(
                    central.get(id).json, read_answer(central.contract, sent, id), f"GET of type {type}", masks=True
                )
        own(central)  # the observers see to the masks of the list
    for type, changes in central.some(variants, 2):
        with central.case():
            id, sent = central.created(type, **changes)
            expected = read_answer(central.contract, sent, id)
            items = central.list(f"?name={sent['name']}").object.get("integrations")
            central.same(items, [expected], f"type {type} in the list by name", masks=True)
            central.put(id, sent)
            central.same(central.get(id).json, expected, f"GET of type {type} after PUT", masks=True)
            central.patch(id, keeping(central, sent))
            central.same(
                central.get(id).json, expected, f"GET of type {type} after PATCH with stored credentials", masks=True
            )
            # Stored although it is refused: its client cannot be built.
            central.put(id, sent | {"type": "harbor"})
            central.get(id)
            own(central)


@check("masks-empty", "secrets", needs=("create",), title="Credentials that are empty read as the mask, too")
def masks_empty(central: Central) -> None:
    cases: list[tuple[str, dict[str, Any]]] = [
        ("docker", {"docker": {"password": ""}}),
        ("quay", {"quay": {"oauthToken": ""}}),
        ("ecr", {"ecr": KEYLESS | {"useIam": True}}),
        ("azure", {"azure": {"password": "", "wifEnabled": True}}),
        ("artifactregistry", {"google": {"serviceAccount": "", "wifEnabled": True}}),
    ]
    for type, changes in central.some(cases, 2):
        with central.case():
            id, sent = central.created(type, **changes)
            central.same(
                central.get(id).json,
                read_answer(central.contract, sent, id),
                f"GET of {type} without credentials",
                masks=True,
            )


@check("refusals-silent", "secrets", needs=("create",), title="Refusals of every kind show no credential that was sent")
def refusals_silent(central: Central) -> None:
    for type in central.some(central.creatable_types, 2):
        with central.case():
            id, sent = central.created(type)
            member = next(field.name for field in central.contract.integration.members if field.name in sent)
            fresh: list[Body] = [central.integration(type) for _ in range(6)]
            central.create(fresh[0] | {"name": sent["name"]})
            central.create(fresh[1] | {"categories": []})
            central.create(fresh[2] | {"type": "harbor"})
            central.create(fresh[3] | {"skipTestIntegration": "yes"})
            central.test(fresh[4] | {"type": "harbor"})
            central.patch(id, fresh[5] | {"name": sent["name"]})
            if "endpoint" in sent[member]:
                body = central.integration(type)
                central.create(body | {member: body[member] | {"endpoint": "localhost"}})
            central.put(central.unknown_id(), central.integration(type))


@check("credential-in-error", "secrets", title="A credential of the wrong JSON type is not shown in the refusal")
def credential_in_error(central: Central) -> None:
    number = central.random.randrange(10**9, 10**10)
    for member, place in (("docker", "password"), ("ibm", "apiKey")):
        with central.case():
            reply = central.create({"name": central.name(), member: {place: number}})
            if str(number) in reply.text:
                raise CheckFailed("a refusal shows the credential", expected="a mask or nothing", got=reply.text[:300])
