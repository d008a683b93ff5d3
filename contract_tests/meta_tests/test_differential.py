"""The differential finds no difference between equal mocks, and the changes between mocks of two releases."""

import gzip
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from click.testing import CliRunner, Result

from contract_tests.differential import shapes
from contract_tests.differential.__main__ import main
from contract_tests.differential.classes import Classes, comparable, masked, where
from contract_tests.differential.conversations import Generator
from contract_tests.differential.targets import Reply, Target, parsed
from mock_server.contract import tables as contracts


def served(*options: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start a mock in a separate process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "mock_server",
        "serve",
        "--as-deployed",
        "--port",
        str(port),
        "--log-level",
        "error",
    ]
    return subprocess.Popen([*command, *options]), f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def mocks() -> Iterator[dict[str, str]]:
    started = {"one": served(), "other": served(), "old": served("--central-version", "4.11.0")}
    until = time.monotonic() + 60
    for _, url in started.values():
        while not is_up(url):
            assert time.monotonic() < until
            time.sleep(0.1)
    yield {name: url for name, (_, url) in started.items()}
    for server, _ in started.values():
        server.terminate()
    for server, _ in started.values():
        server.wait(30)


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/v1/ping", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.served
def test_two_equal_mocks_do_not_differ(mocks: dict[str, str]) -> None:
    options = ["--conversations", "60", "--raw", "200", "--races", "3"]
    result = CliRunner().invoke(main, [mocks["one"], mocks["other"], *options])
    assert result.exit_code == 0, result.output
    assert "classes of differences: 0" in result.output
    left = Target(mocks["one"]).ask_once("GET", "/v1/imageintegrations").json["integrations"]
    assert [each["name"] for each in left if each["name"].startswith("differential-")] == []


@pytest.mark.served
def test_change_between_releases_is_found_with_a_short_example(mocks: dict[str, str]) -> None:
    options = ["--conversations", "200", "--raw", "100", "--races", "0"]
    result = CliRunner().invoke(main, [mocks["old"], mocks["one"], *options])
    assert result.exit_code == 1
    assert "create | 500 / 400" in result.output or "create | 200 / 400" in result.output
    assert "raw | 301 / 307" in result.output


def test_equal_seeds_draw_equal_requests() -> None:
    contract = contracts.load()
    drawn = [Generator(contract, 5, "p-").steps() for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert shapes.draw(5, "Bearer x") == shapes.draw(5, "Bearer x") != shapes.draw(6, "Bearer x")


def test_no_raw_request_changes_what_is_stored() -> None:
    for seed in range(5000):
        line = shapes.draw(seed, "").split(b"\r\n", 1)[0]
        assert not (line.startswith((b"DELETE", b"PUT", b"PATCH")) and shapes.ID.encode() in line)


def test_shorter_example_replaces_a_longer_one() -> None:
    classes = Classes()
    for example in (["a", "b"], ["a"], ["a", "b", "c"]):
        classes.add(("key",), example, ("1", "2"))
    (found,) = classes.found.values()
    assert (found.count, found.example) == (3, ["a"])


def test_answers_are_compared_without_varying_parts() -> None:
    one = Reply(200, {"content-type": "application/json", "date": "today"}, b'{"integrations":[{"id":"x"},{"id":"a"}]}')
    other = Reply(200, {"content-type": "application/json"}, b'{"integrations":[{"id":"a"},{"id":"y"}]}')
    assert comparable(one, {"x": "{0}"}) == comparable(other, {"y": "{0}"})
    assert masked('no "a" after 12') == masked('no "bc" after 7')
    assert where({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == "$.a[].b"


def read(raw: bytes) -> Reply:
    one, other = socket.socketpair()
    with one, other:
        one.sendall(raw)
        one.shutdown(socket.SHUT_WR)
        return parsed(other)


def test_compressed_answers_are_compared_by_content() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    one, other = b'{"integrations":[{"id":"a"},{"id":"b"}]}', b'{"integrations":[{"id":"b"},{"id":"a"}]}'
    packed = [read(head + gzip.compress(body)) for body in (one, other)]
    assert packed[0].body == one
    assert comparable(packed[0], {}) == comparable(packed[1], {})
    assert read(head + b"no gzip").body == b"no gzip"


@pytest.mark.parametrize(
    ("raw", "reply"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", Reply(204, {}, b"")),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\n\r\n",
            Reply(200, {"transfer-encoding": "chunked"}, b"{}"),
        ),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n{}", Reply(200, {"content-length": "9"}, b"{}")),
        (b"hello", Reply(0, {}, b"hello")),
        (b"", Reply(0, {}, b"Remote end closed connection without response")),
    ],
)
def test_every_answer_can_be_compared(raw: bytes, reply: Reply) -> None:
    assert read(raw) == reply


def differences(*words: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(main, [*words, "--conversations", "2", "--raw", "2", "--races", "0"])


@pytest.mark.parametrize("url", ["central.example.com", "ftp://x", "http://"])
def test_invalid_url_is_refused(url: str) -> None:
    result = differences(url, url)
    assert (result.exit_code, "is not a URL such as" in result.output) == (2, True)


def test_unreachable_servers_are_not_equal() -> None:
    result = differences("http://127.0.0.1:1", "http://127.0.0.1:1")
    assert (result.exit_code, result.output) == (2, "Error: http://127.0.0.1:1 does not answer\n")


def test_writes_to_other_hosts_need_permission() -> None:
    result = differences("http://127.0.0.1:1", "https://central.example.com")
    assert (result.exit_code, "--allow-writes" in result.output) == (2, True)


def test_invalid_token_is_not_shown() -> None:
    result = differences("http://127.0.0.1:1", "http://127.0.0.1:1", ROX_API_TOKEN="not-a\nreal-token")
    assert result.exit_code == 2
    assert "ROX_API_TOKEN does not hold a token" in result.output
    assert "real-token" not in result.output


@pytest.mark.heavy
@pytest.mark.served
def test_comparison_without_requests_is_an_error(mocks: dict[str, str]) -> None:
    result = CliRunner().invoke(
        main, [mocks["one"], mocks["other"], "--conversations", "0", "--raw", "0", "--races", "0"]
    )
    assert (result.exit_code, "nothing was sent" in result.output) == (2, True)


@pytest.mark.heavy
@pytest.mark.served
def test_foreign_id_from_a_create_is_not_deleted(mocks: dict[str, str]) -> None:
    target = Target(mocks["one"])
    scanner = next(each["id"] for each in contracts.load().defaults if each["type"] == "scannerv4")
    assert not target.has(scanner, "differential-abc-")
    target.close()


ANSWERS = {
    "cut": (b"Content-Length: 10\r\n\r\nabc", b"abc"),
    "cut-in-chunks": (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"abc"),
    "not-gzip": (b"Content-Length: 3\r\nContent-Encoding: gzip\r\n\r\nabc", b"abc"),
}


@pytest.mark.served
@pytest.mark.parametrize(("answer", "body"), ANSWERS.values(), ids=list(ANSWERS))
def test_broken_body_of_an_answer_is_compared_as_far_as_it_came_and_not_asked_for_again(
    answer: bytes, body: bytes
) -> None:
    requests = []

    def answer_each(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    requests.append(connection.recv(65536))
                    connection.sendall(b"HTTP/1.1 200 OK\r\n" + answer)

    with socket.create_server(("127.0.0.1", 0)) as server, closing(Target(address_of(server))) as target:
        threading.Thread(target=answer_each, args=(server,), daemon=True).start()
        reply = target.ask("POST", "/v1/imageintegrations")
        server.shutdown(socket.SHUT_RDWR)
    assert (reply.status, reply.body, len(requests)) == (200, body, 1)


def address_of(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.heavy
@pytest.mark.served
def test_target_with_any_certificate_is_read_without_warnings() -> None:
    started, url = served("--tls")
    script = (
        "import sys, time; from contract_tests.differential.targets import Target\n"
        "target = Target(sys.argv[1], is_insecure=True)\n"
        "while not target.ask('GET', '/v1/metadata').status: time.sleep(0.05)\n"
    )
    try:
        command = [sys.executable, "-c", script, url.replace("http:", "https:")]
        ended = subprocess.run(command, capture_output=True, timeout=60, check=False)
    finally:
        started.terminate()
        started.wait(10)
    assert (ended.returncode, ended.stderr) == (0, b"")
