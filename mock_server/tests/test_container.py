"""The Dockerfile and the compose file, without a container engine: their steps are run on this machine."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pathspec
import pytest
import yaml

from mock_server.cli.main import main
from mock_server.serving.server import serving
from mock_server.tests.npm import installed
from mock_server.tests.redis_server import RedisServer, missing

pytestmark = pytest.mark.served

ROOT = Path(__file__).parents[2]
TOOLS = Path(__file__).parent / "javascript"
COMPOSE = ROOT / "compose.yaml"
HOME = "/opt/mock-central"
"""Where the image holds the environment."""
USER = 65532


class Instruction(NamedTuple):
    name: str
    words: str

    @property
    def command(self):
        """The command of an instruction in exec form."""
        return json.loads(re.search(r"\[.*\]$", self.words)[0])


def stages():
    """The instructions of each stage of the Dockerfile."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    found = [Instruction(*line.split(maxsplit=1)) for line in lines if line]
    starts = [at for at, each in enumerate(found) if each.name == "FROM"]
    return [found[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


BUILD, IMAGE = stages()


def only(name, stage=IMAGE):
    (found,) = (each for each in stage if each.name == name)
    return found


def context():
    """The files that .dockerignore does not exclude."""
    git = shutil.which("git")
    kept = git and subprocess.run([git, "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    if not kept:
        pytest.skip("git is not here, or this is no checkout")
    ignored = pathspec.PathSpec.from_lines("gitignore", (ROOT / ".dockerignore").read_text("utf-8").splitlines())
    return [name for name in kept.splitlines() if not ignored.match_file(name)]


def see_options(words):
    main.commands["serve"].make_context("serve", list(words))  # raises the error that a user would see
    return True


# -- what the files say ----------------------------------------------------------------------------


def test_the_build_context_has_every_copied_file_and_no_tests():
    names = context()
    assert {"requirements/serve.txt", "pyproject.toml", "README.md", "LICENSE", "openapi.yaml"} <= {*names}
    assert "mock_server/web/control.yaml" in names
    assert not [name for name in names if "/tests/" in name or "meta_tests" in name or name.startswith(("docs", "."))]
    for each in BUILD:
        if each.name == "COPY":
            source, _ = each.words.split()
            assert source == "." or source in names


def test_the_image_listens_on_all_addresses_as_an_unprivileged_user():
    command = only("ENTRYPOINT").command
    assert command[:2] == ["mock-central", "serve"]
    assert see_options(command[2:])
    assert command[2:4] == ["--host", "0.0.0.0"]
    assert command[4:] == ["--port", only("EXPOSE").words]
    assert only("USER").words == f"{USER}:{USER}"
    assert only("ENV").words == f"PATH={HOME}/bin:$PATH"


def test_compose_binds_to_loopback_and_drops_every_capability():
    (service,) = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"].values()
    port = only("EXPOSE").words
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert (service["read_only"], service["tmpfs"], service["cap_drop"]) == (True, ["/tmp"], ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert (COMPOSE.parent / service["build"] / "Dockerfile").exists()
    assert see_options(service["command"])


def test_the_page_starts_the_container_with_real_options():
    text = (ROOT / "docs/how-to/docker-and-kubernetes.md").read_text("utf-8")
    commands = re.findall(r"^docker run (?:.* )?mock-central(?: (.*))?$", text, re.MULTILINE)
    assert len(commands) >= 2
    assert all(see_options(shlex.split(words, comments=True)) for words in commands)


# -- linters ---------------------------------------------------------------------------------------


def dclint(path):
    command = [installed(TOOLS) / ".bin/dclint", "--max-warnings", "0", path]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_dclint_accepts_the_compose_file(tmp_path):
    done = dclint(COMPOSE)
    assert done.returncode == 0, done.stdout + done.stderr
    broken = tmp_path / "compose.yaml"
    broken.write_text(COMPOSE.read_text("utf-8").replace("127.0.0.1:8080:", "8080:"), "utf-8")
    done = dclint(broken)
    assert done.returncode == 1
    assert "no-unbound-port-interfaces" in done.stdout


# -- the steps -------------------------------------------------------------------------------------


def health(url):
    """Run the health check of the image against a given URL."""
    there = url.removeprefix("http://")
    command = [word.replace("127.0.0.1:8080", there) for word in only("HEALTHCHECK").command]
    assert there in command[-1]
    command[0] = sys.executable
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode


def test_the_health_check_passes_only_for_a_serving_mock():
    with serving() as mock:
        assert health(mock.url) == 0
        url = mock.url
    assert health(url) == 1


@pytest.fixture(scope="module")
def image():
    """A world-readable folder in which the steps of the build were run."""
    with tempfile.TemporaryDirectory(prefix="mock-central-image-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for path in context():
            (folder / "src" / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, folder / "src" / path)
        for each in BUILD:
            if each.name == "RUN":
                step(each.words, folder)
        yield folder


def step(words, folder):
    command = re.sub(rf"{HOME}|/data", lambda found: str(folder / found[0][1:]), words)
    (folder / "opt").mkdir(exist_ok=True)
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(
        ["/bin/sh", "-ec", command],
        cwd=folder / "src",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment,
    )
    if "connection broken" in done.stderr:
        pytest.skip("pip reaches no package index")
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def started(folder, *words, **options):
    """Run the image's command on a free loopback port; yield its URL."""
    name, *rest = only("ENTRYPOINT").command
    command = [folder / HOME[1:] / "bin" / name, *rest, "--host", "127.0.0.1", "--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PATH": "/usr/bin"}, **options) as process:
        try:
            yield re.search(r"listens on (\S+)", process.stdout.readline())[1]
        finally:
            process.terminate()
            assert process.wait(10) == 0


@pytest.mark.slow
def test_the_installed_mock_serves_and_is_healthy(image):
    with started(image, "--scenario", "empty", cwd="/") as url:
        assert health(url) == 0
    tools = {path.name for path in (image / HOME[1:] / "bin").iterdir()}
    assert "mock-central" in tools
    assert "pip" not in tools


@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_the_installed_mock_reaches_a_store(image):
    with RedisServer() as server, started(image, "--store", server.url, cwd="/") as url:
        assert health(url) == 0
        server.kill()
        assert health(url) == 1


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_it_serves_as_a_user_without_a_home_and_keeps_its_state_in_data(image):
    who = {"user": USER, "group": USER, "extra_groups": []}
    try:
        subprocess.run([image / HOME[1:] / "bin/python", "--version"], check=True, **who)
    except PermissionError:
        pytest.skip(f"{sys.base_prefix} is not for every user")
    step(only("RUN").words, image)
    with started(image, "--tls", "--save", "state.json", cwd=image / "data", **who) as url:
        assert url.startswith("https://")
    assert (image / "data/state.json").stat().st_uid == USER
