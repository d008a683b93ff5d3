"""What the recorded requests call by its name: a rename in the mock is one edit here."""

from typing import Any

from mock_server.probe import ProbeRule
from mock_server.settings import Settings
from mock_server.trouble import parse

COLLECTION = "/v1/imageintegrations"

WORLD_HEADER = "Mock-Central-World"
WORLD_PATH = "/__world"
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
TROUBLES = f"{CONTROL}/troubles"
PLANTED = f"{CONTROL}/faults"
PROBES = f"{CONTROL}/probe"
WORLDS = f"{CONTROL}/worlds"

SEED = 20240229

_KEYWORDS = {
    "release": "version",
    "deployed": "as_deployed",
    "auth": "auth",
    "managed": "managed",
    "empty": "empty",
    "strict": "strict",
    "validation": "validation",
    "seed": "seed",
    "cors": "cors",
    "namespace": "namespace",
    "probes": "probe_rules",
    "planted": "faults",
    "scenario": "scenario",
    "troubles": "troubles",
    "journal": "journal",
    "max_worlds": "max_worlds",
    "control": "control",
    "control_token": "control_token",
    "companions": "companions",
}


def settings(*, probes: dict[str, str] | None = None, troubles: tuple[str, ...] = (), **more: Any) -> Settings:
    """Make the settings of a group; `probes` are outcomes by host, `troubles` are written as options are."""
    words: dict[str, Any] = {"seed": SEED, "troubles": tuple(map(parse, troubles)), **more}
    if probes is not None:
        words["probes"] = tuple(ProbeRule(host, outcome) for host, outcome in probes.items())
    return Settings(**{_KEYWORDS[word]: value for word, value in words.items()})
