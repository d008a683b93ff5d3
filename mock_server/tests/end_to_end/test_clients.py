"""Public scripts and the Ansible collection, as they are, against the mock and through the judging proxy."""

import shutil

import pytest

from mock_server.tests.end_to_end.clients import SCRIPTS, central, is_green, needs, run_ansible, run_script

pytestmark = [pytest.mark.slow, pytest.mark.served]
each_way = pytest.mark.parametrize("proxied", [False, True], ids=["direct", "proxied"])
ACCEPTED = [("4.11", "", {"ok": 161}), ("5.0", "google", {"ok": 139})]


@each_way
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs(script.repository)) for name, script in SCRIPTS.items()]
)
def test_a_script_says_what_it_says_of_central(tmp_path, name, proxied):
    with central(tmp_path, "--tls", proxied=proxied) as (url, report):
        for says in SCRIPTS[name].says:
            assert says in run_script(name, url, tmp_path)
    assert is_green(report) if proxied else not report


@needs("infra.rhacs_configuration")
@pytest.mark.skipif(shutil.which("ansible-playbook") is None, reason="ansible-playbook is not on the PATH")
@each_way
@pytest.mark.parametrize(("version", "without", "counts"), ACCEPTED, ids=[each[0] for each in ACCEPTED])
def test_the_ansible_collection_passes_its_acceptance_test(tmp_path, version, without, counts, proxied):
    with central(tmp_path, proxied=proxied, version=version) as (url, report):
        recap = run_ansible(url, tmp_path, without=without)
    assert (recap["failed"], recap["unreachable"]) == (0, 0)
    assert recap | counts == recap
    assert is_green(report) if proxied else not report
