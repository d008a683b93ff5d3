"""The differential finds nothing between two mocks, and what a release changed between two others."""

import gzip
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from contract_tests.differential import shapes
from contract_tests.differential.__main__ import main
from contract_tests.differential.classes import Classes, comparable, masked, where
from contract_tests.differential.conversations import Generator
from contract_tests.differential.targets import Reply, Target, parsed
from mock_server.contract import tables as contracts


def served(*options: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start a mock in a process of its own."""
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
def test_two_mocks_do_not_differ(mocks: dict[str, str]) -> None:
    options = ["--conversations", "60", "--raw", "200", "--races", "3"]
    result = CliRunner().invoke(main, [mocks["one"], mocks["other"], *options])
    assert result.exit_code == 0, result.output
    assert "0 classes of differences" in result.output
    left = Target(mocks["one"]).ask_once("GET", "/v1/imageintegrations").json["integrations"]
    assert [each["name"] for each in left if each["name"].startswith("differential-")] == []


@pytest.mark.served
def test_what_a_release_changed_is_found_with_a_short_example(mocks: dict[str, str]) -> None:
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


def test_a_shorter_example_takes_the_place_of_a_longer_one() -> None:
    classes = Classes()
    for example in (["a", "b"], ["a"], ["a", "b", "c"]):
        classes.add(("key",), example, ("1", "2"))
    (found,) = classes.found.values()
    assert (found.count, found.example) == (3, ["a"])


def test_answers_are_compared_without_what_varies() -> None:
    one = Reply(200, {"content-type": "application/json", "date": "today"}, b'{"integrations":[{"id":"x"},{"id":"a"}]}')
    other = Reply(200, {"content-type": "application/json"}, b'{"integrations":[{"id":"a"},{"id":"y"}]}')
    assert comparable(one, {"x": "{0}"}) == comparable(other, {"y": "{0}"})
    assert masked('no "a" after 12') == masked('no "bc" after 7')
    assert where({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == "$.a[].b"


def test_a_compressed_answer_is_compared_by_what_it_says() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    one, other = b'{"integrations":[{"id":"a"},{"id":"b"}]}', b'{"integrations":[{"id":"b"},{"id":"a"}]}'
    packed = [parsed(head + gzip.compress(body)) for body in (one, other)]
    assert packed[0].body == one
    assert comparable(packed[0], {}) == comparable(packed[1], {})
    assert parsed(head + b"no gzip").body == b"no gzip"


@pytest.mark.parametrize("url", ["central.example.com", "ftp://x", "http://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not the URL of a Central"):
        Target(url)
