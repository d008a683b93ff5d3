"""Names that the recorded requests use, so that a rename in the mock is one edit."""

from typing import Any

from mock_server.central.registry_test_rules import RegistryTestRule
from mock_server.settings import Settings
from mock_server.simulation.fault_forms import parse

COLLECTION = "/v1/imageintegrations"

SANDBOX_HEADER = "Mock-Central-Sandbox"
SANDBOX_PATH = "/__sandbox"
RULE_HEADER = "Mock-Central-Rule"

CONTROL = "/__admin"
HEALTH = f"{CONTROL}/health"
RESET = f"{CONTROL}/reset"
SETTINGS = f"{CONTROL}/settings"
JOURNAL = f"{CONTROL}/requests"
SCENARIOS = f"{CONTROL}/scenarios"
SCENARIO = f"{CONTROL}/scenario"
STATE = f"{CONTROL}/state"
INTEGRATIONS = f"{CONTROL}/integrations"
FAULTS = f"{CONTROL}/faults"
MUTANTS = f"{CONTROL}/mutants"
REGISTRY_TESTS = f"{CONTROL}/registry-tests"
SANDBOXES = f"{CONTROL}/sandboxes"

SEED = 20240229
RELEASE = "5.0"
"""The release that is played where a group does not name one."""

_KEYWORDS = {
    "release": "central_version",
    "deployed": "as_deployed",
    "auth": "auth",
    "managed": "managed",
    "empty": "empty",
    "strict": "strict",
    "validation": "validation",
    "seed": "seed",
    "cors": "cors",
    "namespace": "namespace",
    "registry_tests": "registry_tests",
    "mutants": "mutants",
    "scenario": "scenario",
    "faults": "faults",
    "journal": "journal",
    "max_sandboxes": "max_sandboxes",
    "control": "control",
    "control_token": "control_token",
    "companions": "companions",
}


def settings(*, registry_tests: dict[str, str] | None = None, faults: tuple[str, ...] = (), **more: Any) -> Settings:
    """Return the settings of a group; `registry_tests` are outcomes by host, `faults` are written as options."""
    words: dict[str, Any] = {"seed": SEED, "release": RELEASE, "faults": tuple(map(parse, faults)), **more}
    if registry_tests is not None:
        words["registry_tests"] = tuple(RegistryTestRule(host, outcome) for host, outcome in registry_tests.items())
    return Settings(**{_KEYWORDS[word]: value for word, value in words.items()})
