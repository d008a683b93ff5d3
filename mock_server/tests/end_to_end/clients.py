"""Unchanged public clients: what they print against the mock, or against `central-contract proxy` in front of it.

`PUBLIC_CLIENTS` names a folder with clones of their repositories, which are not part of this project:

    infra.rhacs_configuration   github.com/redhat-cop   the acceptance test of its Ansible collection
    tssc-cli                    github.com/redhat-appstudio
    hummingbird-showroom        github.com/rhpds
    lightwell-tssc-workshop     github.com/rhpds
    enablement-framework        github.com/rht-labs
    workflow                    github.com/stackrox
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from mock_server.tests.test_cli import serve_command, url_in

CLONES = Path(os.environ.get("PUBLIC_CLIENTS", "/nowhere"))
PASSWORD, TOKEN = "mock-password", "mock-admin-token"
QUIET = ("--log-level", "warning")  # nobody reads the pipe while a client is at work


def needs(*repositories: str) -> pytest.MarkDecorator:
    """Skip a test without these clones."""
    missing = [each for each in repositories if not (CLONES / each).is_dir()]
    reason = f"PUBLIC_CLIENTS names no folder with clones of {', '.join(missing)}"
    return pytest.mark.skipif(bool(missing), reason=reason)


# -- the proxy ---------------------------------------------------------------------------------------------------------


@contextmanager
def judged(url: str, folder: Path, *options: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run the judging proxy in front of a Central; yield its URL, and its report once it has ended.

    What `audit` makes of the HAR of the proxy is in the report as "audit".
    """
    report: dict[str, Any] = {}
    har, live, later = folder / "traffic.har", folder / "live.json", folder / "audit.json"
    contract = [sys.executable, "-m", "contract_tests"]
    words = [*contract, "proxy", url, "--port", "0", "--insecure", "--har", str(har), "--report-json", str(live)]
    process = subprocess.Popen([*words, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        listening = re.search(r"Listening on (\S+),", process.stderr.readline())
        assert listening, process.stderr.read()
        yield listening[1], report
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert live.exists(), said
    subprocess.run([*contract, "audit", str(har), "--report-json", str(later)], capture_output=True, check=False)
    report |= json.loads(live.read_text("utf-8")) | {"audit": json.loads(later.read_text("utf-8"))}


def is_green(report: Mapping[str, Any]) -> bool:
    """Return whether nothing was found live, and the recording is judged in the same way."""
    assert (report["verdict"], report["counts"]["failed"]) == ("passed", 0)
    return is_judged_alike(report)


def is_judged_alike(report: Mapping[str, Any]) -> bool:
    """Return whether `audit` judges the recording as the proxy judged what passed."""
    later = report["audit"]
    for name in ("verdict", "requests", "counts", "traffic"):
        assert later[name] == report[name]
    return True


@contextmanager
def central(
    folder: Path, *options: str, proxied: bool, version: str | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Serve a mock that requires credentials, with or without the proxy; yield its URL and the proxy's report."""
    release = () if version is None else ("--central-version", version)
    with serve_command("--auth", *QUIET, *options, *release) as (_, banner):
        if not proxied:
            yield url_in(banner), {}
            return
        tls = ("--tls",) if "--tls" in options else ()
        with judged(url_in(banner), folder, *tls, *release) as (url, report):
            yield url, report


# -- scripts: over HTTPS, certificates unchecked, and with nothing but a token of OpenShift's `oc` ---------------------

OC = """#!/bin/sh
case "$*" in
  *"get route central"*) printf %s "$CENTRAL" ;;
  *central-htpasswd*jsonpath*) printf %s "$PASSWORD" | base64 ;;
  *"get secret rhacs-ci-secrets"*) exit 1 ;;
  *"create token"*) printf %s a-pull-token ;;
esac
"""


class Script(NamedTuple):
    """A script, its arguments, and its output at the first and the second run."""

    repository: str
    path: str
    words: tuple[str, ...]
    says: tuple[str, str]
    variables: Mapping[str, str] = {}
    step: str = ""
    """The part of a job's script that is run, from this line on."""


def _helper(registry: str) -> Script:
    variables = {
        "REGISTRY_ENDPOINT": f"{registry}.example.com",
        "REGISTRY_USERNAME": "robot",
        "REGISTRY_PASSWORD": "not-a-real-password",
    }
    path, says = "installer/scripts/acs-integration-helper.sh", ('"id":"', "{}\n# [INFO] ACS helper succeeded")
    return Script("tssc-cli", path, ("bash", "{}", registry), says, variables)


SCRIPTS = {
    **{f"installer-{registry}": _helper(registry) for registry in ("quay", "nexus", "artifactory")},
    "showroom": Script(
        "hummingbird-showroom",
        "scripts/setup-acs-image-integrations.py",
        (sys.executable, "{}", "--quay-endpoint", "https://quay.example.com", "--users", "user-1:one", "user-2:two"),
        ("Done: 2 created, 0 already existed, 0 errors.", "Done: 0 created, 2 already existed, 0 errors."),
    ),
    "workshop": Script(
        "lightwell-tssc-workshop",
        "automation/gitops/components/rhacs/files/mint-ci-token.sh",
        ("bash", "{}"),
        ("Created image integration internal", "Updated image integration internal"),
        {
            "NAMESPACE": "stackrox",
            "WAIT_SECONDS": "10",
            "SECRET_NAME": "rhacs-ci-secrets",
            "TOKEN_ROLE": "Continuous Integration",
            "TOKEN_NAME": "ci",
            "FALLBACK_ENDPOINT": "central.example.com:443",
            "PULLER_SA": "puller",
            "REGISTRY_ENDPOINT": "registry.example.com:5000",
            "INTEGRATION_NAME": "internal",
        },
    ),
    "course": Script(
        "enablement-framework",
        "tooling/charts/tl500-course-content/templates/stackrox/configure-stackrox-job.yaml",
        ("bash", "{}"),
        ("configured successfully", "already exists"),
        {"REGISTRY_ENDPOINT": "image-registry.openshift-image-registry.svc:5000"},
        step="Step 5",
    ),
    "roxcurl": Script(
        "workflow",
        "scripts/runtime/roxcurl.sh",
        ("bash", "{}", "v1/imageintegrations"),
        ('{"integrations":[', '{"integrations":['),
    ),
}


def run_script(name: str, url: str, folder: Path) -> str:
    """Run a script at a Central and return what it prints."""
    script = SCRIPTS[name]
    source = CLONES / script.repository / script.path
    if script.step:
        source = folder / "job.sh"
        source.write_text(_step_of(CLONES / script.repository / script.path, script.step), "utf-8")
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "oc").write_text(OC, "utf-8")
    (tools / "oc").chmod(0o755)
    host = url.removeprefix("https://")
    environment = {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "CENTRAL": host,
        "PASSWORD": PASSWORD,
        **dict.fromkeys(("ROX_CENTRAL_ENDPOINT", "ROX_ENDPOINT", "ACS_ROUTE"), host),
        "ROX_BASE_URL": url,
        **dict.fromkeys(("ROX_API_TOKEN", "ACS_ADMIN_TOKEN"), TOKEN),
        "ROX_ADMIN_PASSWD": PASSWORD,
        **script.variables,
    }
    command = [each.replace("{}", str(source)) for each in script.words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
    )
    try:
        return process.communicate(timeout=25)[0]  # the installer waits half a minute before it tries again
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0]


def _step_of(job: Path, step: str) -> str:
    """Return the part of a job's script from a step to the end of the script."""
    lines = job.read_text("utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if step in line)
    indent = len(lines[first]) - len(lines[first].lstrip())
    rest = lines[first:]
    length = next(n for n, line in enumerate(rest) if line.strip() and not line.startswith(" " * indent))
    return "\n".join(line[indent:] for line in rest[:length])


# -- Ansible -----------------------------------------------------------------------------------------------------------

ROLE = "rhacs_image_integration"
TARGETS = "tests/integration/targets"


def run_ansible(url: str, folder: Path, *, without: str = "", tasks: int | None = None) -> dict[str, int]:
    """Run the acceptance test of the collection at a Central; return the counts of its recap.

    `without` leaves out the tasks of a type and what is asserted of them, `tasks` all but so many of the first.
    """
    clone, collections, roles = CLONES / "infra.rhacs_configuration", folder / "collections", folder / "roles"
    (collections / "ansible_collections/infra").mkdir(parents=True)
    (collections / "ansible_collections/infra/rhacs_configuration").symlink_to(clone)
    source = clone / TARGETS / ROLE
    (roles / ROLE / "tasks").mkdir(parents=True)
    shutil.copytree(source / "files", roles / ROLE / "files")
    all_tasks = yaml.safe_load((source / "tasks/main.yml").read_text("utf-8"))
    kept = _without_type(all_tasks, without)[:tasks]
    (roles / ROLE / "tasks/main.yml").write_text(yaml.safe_dump(kept, sort_keys=False), "utf-8")
    play = [{"hosts": "localhost", "gather_facts": False, "roles": [ROLE]}]
    (folder / "play.yml").write_text(yaml.safe_dump(play), "utf-8")
    variables = {"rhacs_host": url, "rhacs_token": TOKEN, "ansible_python_interpreter": sys.executable}
    command = ["ansible-playbook", "-i", "localhost,", "-c", "local", "play.yml", "-e", json.dumps(variables)]
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_ROLES_PATH": str(roles),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_NOCOLOR": "1",
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=3000, check=False
    )
    (folder / "ansible.log").write_text(done.stdout + done.stderr, "utf-8")
    recap = re.search(r"^localhost +: (.*)$", done.stdout, re.MULTILINE)
    assert recap, done.stdout[-3000:] + done.stderr[-3000:]
    return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", recap[1])}


def _without_type(tasks: list[dict[str, Any]], type: str) -> list[dict[str, Any]]:
    """Leave out the tasks of a type, and the assertions that follow them."""
    kept, leaving = [], False
    for task in tasks:
        arguments = next((value for name, value in task.items() if name.endswith(f".{ROLE}")), None)
        if arguments is not None:
            leaving = bool(type) and arguments.get("type") == type
        if not leaving:
            kept.append(task)
    return kept
