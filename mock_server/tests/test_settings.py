"""Settings in Python: accepted values, and errors."""

from pathlib import Path

import pytest

from mock_server import create_app
from mock_server.central.auth import Credentials
from mock_server.central.registry_test_rules import RegistryTestRule
from mock_server.settings import VALIDATION_MODES, Settings, from_names
from mock_server.simulation.faults import Fault
from mock_server.state.files import document, write


def test_a_file_can_be_a_text(tmp_path):
    write(tmp_path / "state.json", document([]))
    settings = Settings(load=str(tmp_path / "state.json"))
    assert settings.load == tmp_path / "state.json"
    assert len(create_app(settings).central.store) == 0


def test_a_state_file_is_indented_utf_8(tmp_path):
    write(tmp_path / "state.json", {"name": "Zürich"})
    assert (tmp_path / "state.json").read_text("utf-8") == '{\n  "name": "Zürich"\n}\n'


def test_a_folder_of_the_ui_can_be_a_text(tmp_path):
    (tmp_path / "index.html").touch()
    assert Settings(ui=str(tmp_path)).ui == Path(tmp_path)


def test_lists_can_hold_the_texts_of_options():
    settings = Settings(
        faults=[
            "PostImageIntegration code=503 times=2",
            Fault(delay="1"),
            {"code": 503, "match-query": {"name": "x*"}},
        ],
        registry_tests=["*.example.com=timeout", {"host": "x", "outcome": "pass"}],
        mutants=["name-unique"],
    )
    third = Fault(code=503, match_query=(("name", "x*"),))
    assert settings.faults == (Fault(code=503, operation="PostImageIntegration", times=2), Fault(delay="1"), third)
    assert settings.registry_tests == (RegistryTestRule("*.example.com", "timeout"), RegistryTestRule("x", "pass"))
    assert settings.mutants == ("name-unique",)
    assert hash(settings)


WRONG = {
    "central_version": ("3.74", r"central_version: '3\.74' is not a release of Central; did you mean 4\.8"),
    "validation": ("lax", f"validation: 'lax' is unknown; use one of {', '.join(VALIDATION_MODES)}"),
    "scenario": ("fresch", "scenario: .*'fresch'.*fresh"),
    "empty": (True, "empty: .*'many:3'; choose one"),
    "auth": ("no", "auth: 'no' is not true or false"),
    "seed": (True, "seed: True is not a number"),
    "namespace": ("A b", "namespace: 'A b' is not the name of a namespace, such as stackrox"),
    "load": (5, "load: 5 is not a path"),
    "permissions": ([5], "permissions: 5 is not a string$"),
    "allow_hosts": (5, "allow_hosts: 5 is not a list"),
    "faults": (["code=100"], "faults: 'code=100': .*between 200 and 599"),
    "mutants": ("name-unique", r"mutants: 'name-unique' is a single string; give a list, such as \['name-unique'\]"),
    "registry_tests": (["x=y"], "registry_tests: 'x=y' is not HOST=OUTCOME; the outcome is one of pass, "),
    "sandbox_ttl": (0, "sandbox_ttl: 0 is out of range; give seconds above 0 and up to 1000000000"),
    "journal": (-1, "journal: -1 is below 0; give 0 or more"),
    "max_sandboxes": (-1, "max_sandboxes: -1 is below 0; give 0 or more"),
    "store": ("memry", "store: is neither memory nor a URL such as redis://"),
    "store_prefix": ("team-a", "store_prefix: 'team-a' needs a Redis as the store; give its URL, too"),
    "cors": ("localhost", "cors: 'localhost' is not an origin .*; give one such as http://localhost"),
    "ui": (".", r"ui: \. has no index\.html; give the folder of a production build"),
    "upstream": ("x", "upstream: 'x' is not the URL of a server; give one such as https://"),
    "upstream_ca": ("ca.pem", "upstream_ca: ca.pem needs an upstream; give its URL"),
    "strict": (True, "strict: .*; choose the validation fast or full"),
    "upstream_insecure": (True, "upstream_insecure: needs an upstream; give its URL"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_error_names_setting_value_and_remedy(name):
    value, message = WRONG[name]
    others = {"empty": {"scenario": "many:3"}, "strict": {"validation": "none"}}.get(name, {})
    with pytest.raises(ValueError, match=f"^{message}"):
        Settings(**{name: value}, **others)


def test_an_error_of_a_store_shows_no_password():
    with pytest.raises(ValueError, match=r"^store: ") as error:
        Settings(store="redis://:secret@host:port/0")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("admin_token", "two words", "is not a token; give one line of ASCII without spaces"),
        ("no_role_token", "mock-admin-token", "is the same as the admin token; give each token a different value"),
    ],
)
def test_an_error_of_a_token_does_not_show_it(name, value, message):
    with pytest.raises(ValueError, match=f"^{name}: {message}$") as error:
        Credentials(**{name: value})
    assert value not in str(error.value)


def test_an_unknown_name_is_refused_with_a_suggestion():
    with pytest.raises(ValueError, match=r"unknown setting 'fault'; did you mean 'faults'\?"):
        from_names(fault=["code=503"])
    with pytest.raises(ValueError, match="unknown setting 'zzz'; known: central_version, as_deployed, "):
        from_names(zzz=1)
