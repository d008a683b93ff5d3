"""Named starting states (`scenarios.yaml`), built from the contract where possible."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from mock_server.central import registry_test_rules
from mock_server.central.registry_test_rules import RegistryTestRule
from mock_server.contract import yaml_files
from mock_server.contract.tables import Contract

PATH = Path(__file__).with_name("scenarios.yaml")
DEFAULT = "fresh"
MOST = 100_000
"""Largest NUMBER of a scenario."""

Sparse = dict[str, Any]
"""An integration without its unset fields."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One entry of `scenarios.yaml`, which says what the fields mean."""

    name: str
    title: str
    holds: str = ""
    number: int | None = None
    integrations: tuple[Sparse, ...] = ()
    registry_tests: tuple[RegistryTestRule, ...] = ()
    broken: str = ""


@cache
def known() -> Mapping[str, Scenario]:
    """Return every scenario by its name. Only `read_again` changes the mapping."""
    return _read()


def _read() -> dict[str, Scenario]:
    entries = yaml_files.read(PATH)
    try:
        return {
            name: Scenario(
                name,
                **{
                    **entry,
                    "integrations": tuple(entry.get("integrations", ())),
                    "registry_tests": tuple(map(registry_test_rules.of, entry.get("registry_tests", ()))),
                },
            )
            for name, entry in entries.items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{PATH}: {error}") from None


def read_again() -> None:
    """Read a changed `scenarios.yaml`.

    Raises:
        ValueError: it is invalid; the known scenarios stay.
    """
    found = _read()
    scenarios = known()
    assert isinstance(scenarios, dict)
    scenarios.clear()
    scenarios.update(found)


def parse(text: str) -> tuple[Scenario, int]:
    """Read ``NAME`` or ``NAME:NUMBER``.

    Raises:
        ValueError: the scenario is unknown, or the number is not allowed.
    """
    name, colon, number = text.partition(":")
    scenario = known().get(name)
    if scenario is None:
        raise ValueError(f"unknown scenario {name!r}; known: {', '.join(known())}")
    if not colon:
        return scenario, scenario.number or 0
    if scenario.number is None:
        raise ValueError(f"scenario {name!r} takes no number, but {text!r} has one")
    if not (re.fullmatch(r"[0-9]{1,9}", number) and int(number) <= MOST):
        raise ValueError(f"scenario {text!r}: the number is not between 0 and {MOST}")
    return scenario, int(number)


def integrations(contract: Contract, text: str, namespace: str) -> list[Sparse]:
    """List the integrations of a scenario; their ids are the same at each start.

    Raises:
        ValueError: as `parse`.
    """
    scenario, number = parse(text)
    held = [*_made(contract, scenario.holds, number, namespace), *scenario.integrations]
    return [{**each, "id": each.get("id") or _id(each["name"])} for each in held]


def _made(contract: Contract, holds: str, number: int, namespace: str) -> Iterator[Sparse]:
    if holds == "defaults":
        yield from json.loads(json.dumps(contract.defaults).replace("{namespace}", namespace))
    elif holds == "each-type":
        yield from (contract.example(type) for type in contract.types)
    elif holds == "numbered":
        examples = [contract.example(type) for type in contract.creatable_types]
        for at, example in enumerate(islice(cycle(examples), number)):
            yield {**example, "name": f"{example['name']} {at + 1:0{len(str(number))}}"}


def _id(name: str) -> str:
    digest = hashlib.md5(name.encode(), usedforsecurity=False).digest()
    return str(uuid.UUID(bytes=digest, version=4))
