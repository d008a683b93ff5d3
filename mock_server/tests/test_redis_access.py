"""Access to the server of the store: TLS, users and rights; its credentials are never shown."""

import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest
import redis
import trustme

from mock_server.settings import Settings
from mock_server.state import redis_connection
from mock_server.state.memory import address
from mock_server.tests.conftest import PATH, Api, ask, docker
from mock_server.tests.redis_server import PROGRAMS, RedisServer, free_port
from mock_server.tests.test_cli import run, serve_command, url_in

pytestmark = [pytest.mark.served, pytest.mark.usefixtures("pages")]

USER, PASSWORD = "team-1", "s3cr3t/?#@:% é"
SECRETS = (USER, PASSWORD, quote(PASSWORD, safe=""), "s3cr3t")
RIGHTS = "+get +set +del +pexpire +hget +hmget +hgetall +hset +hdel +hexists +hincrby +evalsha +script|load"
"""What the documentation says that the mock needs."""


def with_credentials(url, user=USER, password=PASSWORD):
    return url.replace("//", f"//{quote(user, safe='')}:{quote(password, safe='')}@")


def let_in(server, *rules):
    """Create a user of the server."""
    redis.Redis.from_url(server.url).execute_command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", *rules)


def refused(url, prefix="test"):
    """Return the error of a start with this server."""
    with pytest.raises(redis_connection.StoreError) as raised:
        redis_connection.check(url, prefix)
    assert not any(each in str(raised.value) for each in SECRETS)
    return str(raised.value)


# -- TLS -------------------------------------------------------------------------------------------

with_tls = pytest.mark.skipif("redis" not in PROGRAMS, reason="needs redis-server: the Valkey of the wheel has no TLS")


class Files(NamedTuple):
    ca: Path
    cert: Path
    key: Path
    client_cert: Path
    client_key: Path
    stranger: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return the files of an authority, of its certificates, and of an unknown authority."""
    files = Files(*(tmp_path_factory.mktemp("tls") / f"{name}.pem" for name in Files._fields))
    ca = trustme.CA()
    ca.cert_pem.write_to_path(files.ca)
    trustme.CA().cert_pem.write_to_path(files.stranger)
    server, client = ca.issue_cert("127.0.0.1"), ca.issue_cert("mock-central.example.com")
    for made, cert, key in ((server, files.cert, files.key), (client, files.client_cert, files.client_key)):
        made.cert_chain_pems[0].write_to_path(cert)
        made.private_key_pem.write_to_path(key)
    return files


def tls_server(files, *options):
    words = ("--tls-cert-file", files.cert, "--tls-key-file", files.key, "--tls-ca-cert-file", files.ca)
    return RedisServer("--save", "", *map(str, words), *options, kind="redis", tls=True)


@with_tls
def test_the_store_works_over_tls(files):
    with tls_server(files, "--tls-auth-clients", "no", "--requirepass", PASSWORD) as server:
        url = with_credentials(f"{server.url}?ssl_ca_certs={files.ca}", user="")
        redis_connection.check(url, "test")
        one, two = (Api(store=url, store_prefix="tls") for _ in range(2))
        assert one.get(two.created(docker(name="mine"))).json["name"] == "mine"
        server.kill()
        answer = one.ask("GET")
        assert (answer.status, answer.rule) == (503, "store")
        assert str(files.ca) not in answer.message
        server.start()
        assert one.create(docker(name="mine")).status == 200


@with_tls
def test_the_client_certificate_is_sent_on_request(files):
    with tls_server(files, "--tls-auth-clients", "yes") as server:
        url = f"{server.url}?ssl_ca_certs={files.ca}"
        assert refused(url)
        redis_connection.check(f"{url}&ssl_certfile={files.client_cert}&ssl_keyfile={files.client_key}", "test")


@with_tls
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("", "CERTIFICATE_VERIFY_FAILED"),
        ("?ssl_ca_certs={stranger}", "CERTIFICATE_VERIFY_FAILED"),
        ("?ssl_ca_certs=/nowhere/ca.pem", "ssl_ca_certs: /nowhere/ca.pem: No such file"),
        ("?ssl_ca_certs={ca}&ssl_certfile=/nowhere/c.pem", "ssl_certfile: /nowhere/c.pem: No such file"),
        ("?ssl_cert_reqs=perhaps", "perhaps"),
    ],
)
def test_an_untrusted_certificate_is_reported(files, options, text):
    with tls_server(files, "--tls-auth-clients", "no") as server:
        assert text in refused(f"{server.url}{options.format(**files._asdict())}")


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])
def test_an_unreadable_file_is_reported_before_connecting(option):
    url = "rediss://127.0.0.1:1"
    assert refused(f"{url}?{option}=/nowhere/x.pem") == f"{url}: {option}: /nowhere/x.pem: No such file or directory"


@with_tls
def test_a_certificate_for_another_name_is_reported(files):
    with tls_server(files, "--tls-auth-clients", "no") as server:
        url = f"{server.url.replace('127.0.0.1', 'localhost')}?ssl_ca_certs={files.ca}"
        assert "localhost" in refused(url).partition("CERTIFICATE_VERIFY_FAILED")[2]
        redis_connection.check(f"{url}&ssl_check_hostname=false", "test")


@with_tls
def test_a_plain_connection_to_a_tls_server_is_reported(files):
    with tls_server(files, "--tls-auth-clients", "no") as server:
        assert refused(server.url.replace("rediss", "redis"))
        assert "has no option 'ssl_ca_certs'; those of TLS are for rediss://" in refused(
            f"{server.url.replace('rediss', 'redis')}?ssl_ca_certs={files.ca}"
        )


def test_tls_to_a_server_without_it_is_reported(redis_server, monkeypatch):
    monkeypatch.setattr(redis_connection, "ANSWER_SECONDS", 0.5)  # it waits for the rest of the command
    assert refused(redis_server.url.replace("redis", "rediss", 1))


# -- users and rights ------------------------------------------------------------------------------


def statuses_of_all(api):
    """Use every operation of the store, and return the statuses."""
    yield ask(api.app, "GET", f"/__sandbox/a{PATH}").status
    created = api.create(docker(name="mine"))
    yield created.status
    id = created.json.get("id", "none")
    for method, path, *body in (
        ("GET", f"{PATH}/{id}"),
        ("GET", f"{PATH}?name=mine"),
        ("GET", PATH),
        ("PUT", f"{PATH}/{id}", docker(name="renamed")),
        ("DELETE", f"{PATH}/{id}"),
        ("GET", "/__admin/health"),
        ("POST", "/__admin/reset"),
        ("DELETE", "/__admin/sandboxes/a"),
    ):
        yield ask(api.app, method, path, *body).status


def test_the_documented_rights_are_sufficient(own_server):
    assert RIGHTS in Path(__file__).parents[2].joinpath("docs/how-to/replicas.md").read_text("utf-8")
    with own_server() as server:
        let_in(server, "resetkeys", "~{mine:*", "-@all", *RIGHTS.split())
        url = with_credentials(server.url)
        redis_connection.check(url, "mine")
        assert {*statuses_of_all(Api(store=url, store_prefix="mine", seed=1))} == {200}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("right", RIGHTS.split())
def test_the_documented_rights_are_all_necessary(own_server, right):
    with own_server() as server:
        let_in(server, "resetkeys", "~{mine:*", "-@all", *(each for each in RIGHTS.split() if each != right))
        assert 503 in statuses_of_all(Api(store=with_credentials(server.url), store_prefix="mine", seed=1))


@pytest.mark.usefixtures("impatient")
def test_missing_rights_are_reported_without_the_user_name(own_server):
    with own_server() as server:
        let_in(server, "resetkeys", "~{mine:*", "+@all")
        url = with_credentials(server.url)
        assert "permission" in refused(url, "another")
        api = Api(store=url, store_prefix="mine")
        api.list()
        let_in(server, "-evalsha")
        answer = api.create(docker())
        assert answer.status == 503
        assert "permission" in answer.message
        assert not any(each in answer.message for each in SECRETS)
        let_in(server, "+evalsha")
        assert api.create(docker()).status == 200
        let_in(server, "off")
        assert refused(url, "mine")


# -- credentials are shown nowhere -----------------------------------------------------------------


def texts_of(url):
    """Return the answers that show most of a mock's settings, and errors."""
    for path in ("/__admin/settings", "/__admin/health", "/__admin/", "/__admin/state", "/__admin/sandboxes", PATH):
        try:
            with urllib.request.urlopen(f"{url}{path}") as answer:
                yield answer.read().decode()
        except urllib.error.HTTPError as error:
            yield error.read().decode()


def command_line(process):
    return Path(f"/proc/{process.pid}/cmdline").read_text() if sys.platform == "linux" else ""


@pytest.mark.heavy
@pytest.mark.parametrize("given", ["variable", "file"])
def test_credentials_from_a_variable_or_a_file_are_never_shown(own_server, tmp_path, given):
    settings = tmp_path / "settings.toml"
    with own_server() as server:
        let_in(server, "allkeys", "+@all")
        url = with_credentials(server.url)
        settings.write_text(f'store = "{url}"\n', "utf-8")
        way = {"env": {"MOCK_CENTRAL_STORE": url}} if given == "variable" else {}
        words = () if way else ("--config", str(settings))
        with serve_command("--log-level", "debug", *words, **way) as (process, banner):
            assert f"store    {server.url}, shared by all" in banner
            outputs = [banner, command_line(process), *texts_of(url_in(banner))]
            assert f'"store":"{server.url}"' in outputs[2].replace(" ", "")
            let_in(server, "-@all")
            outputs += texts_of(url_in(banner))
            server.kill()
            outputs += texts_of(url_in(banner))
            assert "fails: " in outputs[-1]
            process.terminate()
            outputs.append(process.stderr.read())
    assert "fails, requests are refused" in outputs[-1]
    assert [each for each in SECRETS if each in "".join(outputs)] == []


def test_settings_do_not_show_the_credentials():
    settings = Settings(store=with_credentials("redis://redis.example.com:6379/0?ssl_password=s3cr3t"))
    assert address(settings.store) == "redis://redis.example.com:6379/0"
    assert not any(each in repr(settings) for each in SECRETS)


# -- a cluster -------------------------------------------------------------------------------------


def cluster_node(own_server):
    return own_server("--save", "", "--cluster-enabled", "yes", "--cluster-port", str(free_port()))


def wait_for_cluster(client):
    until = time.monotonic() + 20
    while client.cluster("INFO")["cluster_state"] != "ok":
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_cluster_of_one_node_keeps_every_sandbox(own_server):
    with cluster_node(own_server) as server:
        client = redis.Redis.from_url(server.url)
        assert "slot" in refused(server.url)  # no node serves these yet
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        wait_for_cluster(client)
        redis_connection.check(server.url, "test")
        api = Api(store=server.url)
        for number in range(20):
            assert ask(api.app, "POST", f"/__sandbox/w{number}{PATH}", docker(name="mine")).status == 200


def test_one_of_several_nodes_of_a_cluster_is_refused(own_server):
    with cluster_node(own_server) as one, cluster_node(own_server) as two:
        client, other = redis.Redis.from_url(one.url), redis.Redis.from_url(two.url)
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 8191)
        other.execute_command("CLUSTER ADDSLOTSRANGE", 8192, 16383)
        bus = other.config_get("cluster-port")["cluster-port"]
        client.execute_command("CLUSTER MEET", "127.0.0.1", two.port, bus)
        wait_for_cluster(client)
        assert "is one of 2 nodes of a cluster" in refused(one.url)
        api = Api(store=one.url)
        answers = [ask(api.app, "POST", f"/__sandbox/w{number}{PATH}", docker(name="mine")) for number in range(20)]
        moved = [each.message for each in answers if each.status != 200]
        assert 0 < len(moved) < 20  # a sandbox and its lock are on the same node
        assert all(f"is on another node, 127.0.0.1:{two.port}" in each for each in moved)


# -- choosing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "",
        "redis",
        "http://x:1/",
        "redis://",
        "redis://x:0/",
        "redis://x/name",
        "redis://:s3cr3t@x:99999/",
        "redis://user:12/s3cr3t@x:6379/0",
        "redis://user:12?s3cr3t@x:6379/0",
        "redis://user:12#s3cr3t@x:6379/0",
        "redis://:s3cr3t@redis..example.com",
    ],
)
def test_an_invalid_store_is_refused_without_showing_it(url):
    with pytest.raises(ValueError, match=r"store: is neither memory nor a URL") as raised:
        Settings(store=url)
    assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize("prefix", ["", "a b", "a{b}", "a:b"])
def test_an_invalid_prefix_is_refused(prefix):
    with pytest.raises(ValueError, match="store_prefix"):
        Settings(store="redis://x/", store_prefix=prefix)


@pytest.mark.parametrize("end", ["/0", "/0?made_up=1"])
def test_an_unreachable_server_is_reported_before_serving(end):
    result = run("serve", "--store", f"redis://user:s3cr3t@127.0.0.1:1{end}")
    assert result.exit_code == 1
    assert "--store redis://127.0.0.1:1/" in result.output
    assert "s3cr3t" not in result.output
    assert "Traceback" not in result.output


def test_a_wrong_password_is_reported_before_serving():
    with RedisServer("--requirepass", "another", "--save", "") as server:
        result = run("serve", "--store", server.url.replace("//", "//:s3cr3t@"))
    assert result.exit_code == 1
    assert f"--store {server.url}: " in result.output
    assert "s3cr3t" not in result.output


def test_a_missing_client_library_is_reported_with_a_fix(monkeypatch):
    monkeypatch.delitem(sys.modules, "mock_server.state.redis_connection")
    monkeypatch.delattr("mock_server.state.redis_connection")
    monkeypatch.setitem(sys.modules, "redis", None)
    result = run("serve", "--store", "redis://127.0.0.1:1/0")
    assert result.exit_code == 1
    assert "pip install '.[redis]'" in result.output
