"""Attacks on a served mock, each with what must not happen.

`python -m mock_server.tests.attacks [SHARE [NAME ...]]` makes them and prints the rows of
docs/reference/hostile-input.md; a share of 0.1 makes a tenth of each.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from mock_server.contract import tables as contracts
from mock_server.tests.conftest import PATH, docker, example
from mock_server.tests.echo import address, echoing
from mock_server.tests.hostile import SHAPES, get, post, send
from mock_server.tests.test_cli import children, serve_command, url_in
from mock_server.tests.test_log_lines import LINE

CANARY = "cAnArY-9f3"
NOTHING: Mapping[str, str] = {}


class Mock:
    """A served mock whose log is recorded."""

    def __init__(self, process: Any, port: int) -> None:
        self.process = process
        self.port = port
        self._log: list[str] = []
        self._reader = threading.Thread(target=self._log.extend, args=(process.stderr,))
        self._reader.start()

    def ask(self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] = NOTHING) -> Any:
        """Send a request over a new connection, and return status, headers and body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest(method, target, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found

    def end(self) -> list[str]:
        """End the mock and return the lines of its log."""
        self.process.terminate()
        self._reader.join(30)
        return [line.removesuffix("\n") for line in self._log]


@contextmanager
def mock(*words: object) -> Iterator[Mock]:
    with serve_command(*map(str, words)) as (process, banner):
        found = Mock(process, int(url_in(banner).rpartition(":")[2]))
        yield found
        found.end()


def some(choices: random.Random, parts: str, most: int) -> str:
    """Join a few of these words."""
    return "".join(choices.choices(parts.split(), k=choices.randrange(1, most + 1)))


KEYS = "{} %70assword pass%2577ord docker.{} docker%5B{}%5D {}+ {}%20 A.{} docker_{}"
LETS_IN = "Authorization X-Api-Key X-Auth-Token X-Registry-Auth Cookie X-Amz-Security-Token Private-Token"


def wrapped(choices: random.Random, value: Any) -> Any:
    """Wrap a JSON value in texts, lists and objects."""
    for _ in range(choices.randrange(3)):
        value = choices.choice([json.dumps(value), [value], {"docker": value}, json.dumps(json.dumps(value))])
    return value


def credentials(number: int) -> list[str]:
    """Put credentials wherever a request can have them, and search journal and log for them."""
    choices, wrong = random.Random(1), []
    names, types = sorted(contracts.load().credential_names), list(contracts.load().types)
    with mock("--as-deployed", "--journal", 100) as found:
        for at in range(1, number + 1):
            name, secret = choices.choice(names), choices.choice([CANARY, f"{CANARY} x", f'{CANARY}"\n', f"p/{CANARY}"])
            place = choices.randrange(5)
            body: Any = {}
            query, headers = "", {"Content-Type": "application/json"}
            if place == 0:
                body = wrapped(choices, {name: choices.choice([secret, [secret], {"a": secret}])})
            elif place == 1:
                type = choices.choice(types)
                body = example(type, name=choices.choice(["", f"n{at}", "\u2028"]))
                body[type] = {**body.get(type, {}), name: secret}
            elif place == 2:
                query = f"?{choices.choice(KEYS.split()).format(name)}={quote(secret)}"
            elif place == 3:
                headers[choices.choice(LETS_IN.split())] = choices.choice(["", "Bearer ", "Custom a "]) + quote(secret)
            else:
                endpoint = f"{choices.choice(['https://', ''])}u:{quote(secret, safe='/')}@x.invalid/"
                body = docker(docker={"endpoint": endpoint})
            target = PATH + choices.choice(["", "/test", "/x"]) + query
            found.ask("POST", target, json.dumps(body).encode(), headers)
            if at % 50 == 0 or at == number:
                before, canary, _ = found.ask("GET", "/__admin/requests")[2].decode().partition(CANARY)
                wrong += [f"journal: {before[-300:]}{canary}"] if canary else []
        return wrong + [line for line in found.end() if CANARY in line]


ENDS = f"%0a %0d%0a %1b[2J %c2%85 %e2%80%a8 %00 %ff / %7f {'a' * 300} 2026-01-01%20ERROR%20FORGED"
PLACES = f"/ /v1/ {PATH}/ {PATH}? /__admin/ /__sandbox/ /static/"


def log_lines(number: int) -> list[str]:
    """Send line ends and escapes in paths, queries and headers, past a built UI and an upstream."""
    choices, wrong = random.Random(2), []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "index.html").write_text("page")
        there = stack.enter_context(echoing())
        found = stack.enter_context(mock("--ui", folder, "--upstream", address(there), "--cors", "http://a"))
        for _ in range(number):
            text = some(choices, ENDS, 5)
            line = f"{some(choices, 'GET POST OPTIONS PURGE', 1)} {some(choices, PLACES, 1)}{text} HTTP/1.1"
            name = some(choices, "Origin Prefer Mock-Central-Sandbox User-Agent Host X", 1)
            value = text.replace("%1b", "\x1b").replace("%ff", "\xff")
            sent = f"{line}\r\nHost: localhost\r\nConnection: close\r\n{name}: {value}\r\n\r\n".encode("latin-1")
            wrong += [f"500: {sent!r}"] if 500 in send(found.port, sent).statuses else []
        return wrong + [line for line in found.end() if not line.isprintable() or not LINE.match(line)]


def redirects(number: int) -> list[str]:
    """Request paths that look like other hosts; redirects must stay on the mock."""
    choices, wrong = random.Random(3), []
    with mock() as found:
        for _ in range(number):
            target = "/" + some(choices, r"/ // \ %5c %2f %09 . .. evil.example @ : __admin v1 %2e%2e ;", 6)
            location = found.ask("GET", target)[1].get("Location", "")
            leads = urlsplit(urljoin("http://here.example/start", location.replace("\\", "/"))).netloc
            wrong += [f"{target} -> {location}"] if leads != "here.example" else []
    return wrong


NAMES = "evil.example 127.0.0.1.evil.example localhost.evil.example evil-localhost central 0x7f.1 a.b"
FOREIGN = (
    *({"Origin": each} for each in ("null", "http://evil.example", "http://[", "http://localhost:1")),
    *({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "cross-site", "Origin": ""}),
)
CALLS = "/state /reset /requests/wait?count=9&timeout=9 /requests/stream /faults /settings /scenario"


def foreign(number: int) -> list[str]:
    """Make control calls with foreign host names and from foreign pages."""
    choices, wrong = random.Random(4), []
    with mock() as found:
        found.ask("POST", PATH, json.dumps(docker(name="kept")).encode())
        for _ in range(number):
            target = some(choices, "/__admin /__sandbox/a/__admin /%5f%5fadmin", 1) + some(choices, CALLS, 1)
            headers = {"Host": some(choices, NAMES, 1) + choices.choice(["", f":{found.port}", ".", ":1"])}
            if choices.random() < 0.5:
                headers = {"Host": f"localhost:{found.port}", **choices.choice(FOREIGN)}
            method = some(choices, "GET POST PUT DELETE", 1)
            status = found.ask(method, target, b"{}", headers)[0]
            wrong += [f"{status} {method} {target} {headers}"] if status not in (403, 404, 501) else []
        wrong += ["the state was reset"] if b'"kept"' not in found.ask("GET", PATH)[2] else []
        sandboxes = json.loads(found.ask("GET", "/__admin/sandboxes")[2])["sandboxes"]
        return wrong + (["a sandbox was made"] if len(sandboxes) > 1 else [])


def tokens(number: int) -> list[str]:
    """Request control paths in many spellings, without the required token."""
    choices, wrong = random.Random(5), []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "token")
        file.write_text("not-a-real-token")
        with mock("--control-token-file", file) as found:
            for _ in range(number):
                target = some(choices, "/__admin/ / /__sandbox/a/__admin/", 1)
                target += some(choices, "__admin / %2f // /./ /../ %5f%5fadmin state settings v1 __sandbox/a ; %00", 5)
                sent = choices.choice(
                    [{}, *({"Authorization": each} for each in ("Bearer x", "Bearer", "", "bearer  "))]
                )
                status, _, body = found.ask("GET", target, headers=sent)
                shows = status == 200 and (b'"format"' in body or b"central_version" in body)
                wrong += [f"{target} {sent}"] if shows else []
    return wrong


def raw(number: int) -> list[str]:
    """Mutate bytes of malformed requests: each gets at most one answer, and the mock survives."""
    choices, wrong = random.Random(6), []
    shapes = [each for each in SHAPES.values() if len(each) < 5000] + [get(PATH), post(json.dumps(docker()).encode())]
    with mock("--body-timeout", 1) as found:
        for _ in range(number):
            changed = bytearray(choices.choice(shapes))
            for _ in range(choices.randrange(1, 5)):
                at = choices.randrange(len(changed))
                inserted = choices.choice([b"\r\n", b"\0", b"\xff", b" ", b":", b"0", choices.randbytes(1)])
                changed[at : at + choices.randrange(2)] = inserted
            sent = bytes(changed).replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: close\r\n", 1)
            seen = [each for each in send(found.port, sent, wait=0.3).statuses if each]
            wrong += [f"{seen} {sent!r}"] if len(seen) > 1 or 500 in seen else []
        wrong += ["the mock does not answer"] if found.ask("GET", PATH)[0] != 200 else []
        return wrong + [line for line in found.end() if "Traceback" in line]


VALUES = f"1e999 {'9' * 400} -1 nan inf 0x1 1..2 lognormal(1,99999) exponential(1e-400) .."
FIELDS = r"code delay name format rules scenario mutants version integrations path times \ud800"
TEXTS = rf'"\ud800" "\udc00x" 1e999 {"9" * 400} -0 null [] {{}} "many:99999999999" NaN {"[" * 5000 + "]" * 5000}'


def numbers_and_texts(number: int) -> list[str]:
    """Send huge numbers, half surrogate pairs and deep JSON in Prefer and control bodies; no answer may be a 500."""
    choices, wrong = random.Random(7), []
    with mock() as found:
        for _ in range(number):
            if choices.random() < 0.4:
                sent = f'{some(choices, "delay code times every fault", 1)}="{some(choices, VALUES, 1)}"'
                status = found.ask("GET", f"{PATH}/x", headers={"Prefer": sent})[0]
            else:
                fields = ",".join(f'"{some(choices, FIELDS, 1)}":{some(choices, TEXTS, 1)}' for _ in range(2))
                path = some(choices, "faults state scenario mutants registry-tests", 1)
                method = "POST" if path == "faults" else "PUT"
                status = found.ask(method, f"/__admin/{path}", f"{{{fields}}}".encode())[0]
                sent = f"{path} {fields}"
                if status == 200:
                    found.ask("POST", "/__admin/reset")
            wrong += [f"{status} {sent[:300]}"] if status == 500 else []
        return wrong + [line for line in found.end() if "Traceback" in line]


def files(number: int) -> list[str]:
    """Request files outside of the folder of a built UI, by dots, links and hidden names."""
    choices, wrong = random.Random(8), []
    parts = "../ %2e%2e/ / %2f link/ static/ linked secret.txt .env .git/ config %5c %00 link%2f .git%2fconfig"
    with tempfile.TemporaryDirectory() as top:
        outside, folder = Path(top, "outside"), Path(top, "build")
        for each in (outside, folder / ".git", folder / "static"):
            each.mkdir(parents=True)
        (folder / "index.html").write_text("page")
        for each in (outside / "secret.txt", folder / ".env", folder / ".git" / "config"):
            each.write_text(CANARY)
        (folder / "link").symlink_to(outside)
        (folder / "static" / "linked").symlink_to(outside / "secret.txt")
        with mock("--ui", folder) as found:
            for _ in range(number):
                target = f"/{some(choices, parts, 4)}"
                status, _, body = found.ask("GET", target)
                wrong += [f"{status} {target}"] if CANARY.encode() in body or status == 500 else []
    return wrong


def kills(number: int) -> list[str]:
    """Kill worker or server at random moments of a write; no acknowledged change may be lost."""
    choices, wrong = random.Random(9), []
    acknowledged: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "state.json")
        for at in range(number):
            victim = ("worker", "server", "hang-up")[at % 3]
            with mock("--save", file, "--log-level", "error") as found:
                until = time.monotonic() + choices.uniform(0.02, 0.25)
                while time.monotonic() < until:
                    name = f"k{len(acknowledged)}"
                    if found.ask("POST", PATH, json.dumps(docker(name=name)).encode())[0] == 200:
                        acknowledged.append(name)
                killed = int(children(found.process)[0]) if victim == "worker" else found.process.pid
                os.kill(killed, signal.SIGHUP if victim == "hang-up" else signal.SIGKILL)
                if victim != "worker":
                    found.process.wait(20)
            held = {each["name"] for each in json.loads(file.read_text())["integrations"]}
            wrong += [f"{victim}: {name} is lost" for name in acknowledged if name not in held]
            unfinished = [each.name for each in file.parent.glob(f".{file.name}.*.tmp")]
            wrong += [f"left behind: {unfinished}"] if len(unfinished) > 1 else []  # the next start removes one
    return wrong


class Attack(NamedTuple):
    """One kind of attack, the number of tries, and the result."""

    title: str
    make: Callable[[int], list[str]]
    number: int
    result: str


ATTACKS = (
    Attack("credentials in bodies, texts in them, queries, headers, URLs", credentials, 4000, "none in journal or log"),
    Attack("line ends and escapes, with `--ui` and `--upstream`", log_lines, 3000, "one log line each, no 500"),
    Attack("paths that look like another host", redirects, 4000, "no redirect leads away"),
    Attack("control calls by foreign names and from foreign pages", foreign, 4000, "none answered, no sandbox made"),
    Attack("spellings of control paths without the token", tokens, 4000, "none answered"),
    Attack("changed bytes of the requests above", raw, 1500, "no second answer, no 500"),
    Attack("huge numbers, half surrogates, deep JSON to control calls", numbers_and_texts, 1500, "no 500"),
    Attack("files beside the folder of `--ui`", files, 4000, "none served, no 500"),
    Attack("SIGKILL and SIGHUP under writes, with `--save`", kills, 21, "nothing acknowledged is lost"),
)


def main(share: float = 1.0, *names: str) -> int:
    """Run the attacks, or those with these names, and print their rows."""
    failed = False
    for each in ATTACKS:
        if names and each.make.__name__ not in names:
            continue
        began, number = time.monotonic(), max(1, round(each.number * share))
        wrong = each.make(number)
        failed = failed or bool(wrong)
        result = f"{len(wrong)} WRONG, such as {wrong[0][:1000]}" if wrong else each.result
        print(f"| {each.title} | {number:,} | {result} | `attacks.{each.make.__name__}` |", flush=True)
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:2]), *sys.argv[2:]))
