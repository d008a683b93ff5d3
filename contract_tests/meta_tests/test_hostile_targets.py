"""Hostile servers: reports contain no secrets and nothing that a terminal or CI service acts on, and every run ends."""

import base64
import html
import json
import re
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from contract_tests.engine.options import Credentials, Options
from contract_tests.engine.redaction import REDACTED, Redaction
from contract_tests.meta_tests.evil_server import EVILS, PASSWORD, SECRETS, TOKEN, USER, after, serving
from contract_tests.runner.run import Run
from mock_server.serving.server import serving as mock
from mock_server.settings import Settings

pytestmark = pytest.mark.served

BUDGET = 2
LONGER = 10
"""Seconds that a run may take beyond its budget."""
START = 60
"""Seconds that a busy machine may need to start it; a run that never ends takes longer."""
MOST_MEMORY = 200
REPORTS = ("json", "junit", "markdown", "html")


@dataclass
class Done:
    status: int
    output: str
    seconds: float
    megabytes: float


def run(folder: Path, *words: str) -> Done:
    """Run a command of this project in a separate process, and measure its memory."""
    out = folder / "output"
    started = time.monotonic()
    with out.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", *words], stdout=file, stderr=subprocess.STDOUT, cwd=folder)
        most = 0.0
        while process.poll() is None:
            most = max(most, peak(process.pid))
            time.sleep(0.01)
    output = out.read_bytes().decode("utf-8", "replace")
    return Done(process.returncode, output, time.monotonic() - started, most)


def peak(pid: int) -> float:
    """Return the peak memory of a process in megabytes; the figure at its exit would include its parent's."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("ascii"))
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def see_harmless(text: str, what: str) -> None:
    for secret in SECRETS:
        assert secret.lower() not in text.lower(), f"{what} holds {secret}"
    acting = re.findall(r"[^\n\t\x20-\x7e\xa1-\u2027\u202f-\ud7ff\ue000-\U0010ffff]|[\u202a-\u202e]", text)
    assert not acting, f"{what} holds {acting[:5]!r}"
    commands = re.findall(r"(?m)^\s*::.*|.*##(?:\[|vso\[).*", text)
    assert not commands, f"{what} holds {commands[:3]}"
    assert "Traceback" not in text


def check(evil: str, folder: Path, *words: str) -> Done:
    reports = [word for kind in REPORTS for word in (f"--report-{kind}", str(folder / f"report.{kind}"))]
    bounds = ["--time-budget", f"{BUDGET}s", "--timeout", "1s", "--seed", "1", "--state-dir", str(folder / "state")]
    with serving(EVILS[evil]) as url:
        return run(folder, "contract_tests", "check", url, *bounds, *reports, *words)


@pytest.mark.heavy
@pytest.mark.parametrize("credentials", ["token", "basic"])
@pytest.mark.parametrize("evil", EVILS)
def test_check_ends_in_time_without_secrets_and_with_little_memory(evil: str, credentials: str, tmp_path: Path) -> None:
    if credentials == "basic" and "echo" not in evil:
        pytest.skip("only what echoes differs")
    secret = tmp_path / "secret"
    secret.write_text(TOKEN if credentials == "token" else f"{USER}:{PASSWORD}")
    done = check(evil, tmp_path, f"--{credentials}-file", str(secret))
    assert done.status >= 0, done.output  # no signal ended it
    assert done.seconds < BUDGET + LONGER + START, done
    assert done.megabytes < MOST_MEMORY
    see_harmless(done.output, "the terminal")
    for kind in REPORTS:
        path = tmp_path / f"report.{kind}"
        if path.exists():
            see_harmless(path.read_text("utf-8"), kind)
    if (tmp_path / "report.markdown").exists():
        prose = re.sub(r"(?ms)^(`{3,})\w*$.*?^\1$", "", (tmp_path / "report.markdown").read_text("utf-8"))
        assert not re.search(r"<script|<img|\]\(https|\*\*bold", prose)
    if (tmp_path / "report.html").exists():
        assert not re.search(r"<script>alert|<img src", (tmp_path / "report.html").read_text("utf-8"))


@pytest.mark.timing
@pytest.mark.parametrize(
    "evil",
    [
        "expensive JSON",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("body a byte at a time", "continues for ever")),
    ],
)
def test_run_ends_in_time_if_the_target_turns_evil(evil: str, tmp_path: Path) -> None:
    """By then the run has created an integration, which it tries to delete."""
    with mock(Settings(seed=1)) as central, serving(after(12, central.url, EVILS[evil])) as url:
        report = Run(Options(url=url, time_budget=BUDGET, timeout=1, seed=1, state_dir=tmp_path))()
    assert report.seconds < BUDGET + LONGER
    assert report.incomplete


@pytest.mark.heavy
@pytest.mark.parametrize(
    "evil",
    [
        "errors that echo",
        "lists that echo",
        "broken status line",
        "gzip bomb",
        "body a byte at a time",
        "deep JSON",
        pytest.param("expensive JSON", marks=pytest.mark.slow),
        pytest.param("wide lists and headers", marks=pytest.mark.slow),
        "too many requests",
    ],
)
def test_other_commands_end_in_time_and_show_no_secret(evil: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(TOKEN)
    token = ("--token-file", str(secret))
    (tmp_path / "0badc0de.ledger").write_text("")
    (tmp_path / "report.json").write_text(json.dumps(recorded()))
    with serving(EVILS[evil]) as url:
        ledger = json.dumps({"run": "0badc0de", "target": url, "pid": 1})
        (tmp_path / "0badc0de.ledger").write_text(ledger + "\n")
        bounds = ("--timeout", "1s", "--state-dir", str(tmp_path))
        commands = [
            ("contract_tests", "clean", url, *bounds, *token),
            ("contract_tests", "replay", str(tmp_path / "report.json"), "create", "--url", url, *bounds, *token),
            ("contract_tests", "fixtures", "--from-url", url, "--timeout", "1s", *token),
            ("contract_tests", "compare", url, url, "--only", "list", *bounds, *token),
            ("contract_tests.meta_tests.hurried_record", "record", url, "-o", str(tmp_path / "state.json"), *token),
        ]
        for words in commands:
            done = run(tmp_path, *words)
            assert done.seconds < LONGER + START, (words, done)
            assert done.megabytes < MOST_MEMORY, (words, done.megabytes)
            see_harmless(done.output, f"{words[1]} {done.output}")


@pytest.mark.parametrize("evil", ["errors that echo", "refusals that echo", "lists that echo"])
def test_recorded_fixture_shows_no_secret(evil: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(TOKEN)
    with serving(EVILS[evil]) as url:
        words = ("--at", url, "--allow-writes", "--name", "conversation/life-quay", "--token-file", "secret")
        done = run(tmp_path, "contract_tests", "fixtures", *words)
    assert "Traceback" not in done.output
    for secret in SECRETS:
        assert secret.lower() not in done.output.lower()


def recorded() -> dict[str, object]:
    exchange = {"method": "GET", "path": "/v1/imageintegrations", "role": "admin", "headers": {}, "body": "",
                "status": 200, "replyHeaders": {}, "reply": "{}"}  # fmt: skip
    failure = {"check": "create", "what": "x", "exchanges": [exchange]}
    return {"target": "http://127.0.0.1:9", "run": "0badc0de", "results": [{"check": "create", "failures": [failure]}]}


def test_own_credentials_in_an_answer_are_a_leak(tmp_path: Path) -> None:
    with serving(EVILS["lists that echo"]) as url:
        options = Options(
            url=url, profile="quick", state_dir=tmp_path, credentials=Credentials(admin=f"Bearer {TOKEN}")
        )
        report = Run(options)()
    leaks = [each for each in report.failures if each.check == "credential-leak"]
    assert [each.what for each in leaks] == ["an answer contains the run's own credentials"]
    assert "[credential]" in str(leaks[0].got)


@pytest.mark.parametrize(
    ("header", "found", "kept"),
    [
        ("Bearer abcdef123", ["abcdef123", "ABCDEF123", "YWJjZGVmMTIz"], ["abcdef12"]),
        ("Bearer abc", ["Bearer abc"], ["abc", "abcd-abc"]),  # too short: it may occur by chance
        ("Basic dXNlcjpwYXNzd29yZA==", ["dXNlcjpwYXNzd29yZA==", "user:password"], ["password", "user"]),
        ("Basic dXNlcjpzM2NyZXQtcHc=", ["s3cret-pw", "user:s3cret-pw"], ["user"]),
        (None, [], ["anything"]),
    ],
)
def test_credentials_are_redacted_in_every_encoding(header: str | None, found: list[str], kept: list[str]) -> None:
    redaction = Redaction([header])
    for text in found:
        assert REDACTED in redaction.text(f"x{text}x"), text
        assert text not in redaction.text(f"x{text}x")
    for text in kept:
        assert redaction.text(f"x {text} x") == f"x {text} x"


SECRET = "p?ss>w~rd/5f2d<é"
WRITTEN = {
    "JSON": "".join(f"\\u{ord(each):04x}" for each in SECRET),
    "JSON of Go": SECRET.replace("<", "\\u003c").replace(">", "\\u003e"),
    "JSON of PHP": SECRET.replace("/", "\\/"),
    "URL": "".join(f"%{each:02X}" for each in SECRET.encode()),
    "HTML": html.escape(SECRET),
    "HTML by number": "".join(f"&#{ord(each)};" for each in SECRET),
    "HTML by hexadecimal number": "".join(f"&#x{ord(each):x};" for each in SECRET),
    "base64 of URLs": base64.urlsafe_b64encode(SECRET.encode()).decode(),
    "base64, twice": base64.b64encode(base64.b64encode(SECRET.encode())).decode(),
    "base32": base64.b32encode(SECRET.encode()).decode(),
    "hexadecimal, apart": SECRET.encode().hex(" "),
    "backwards": SECRET[::-1],
    "base64 in lines": "\\n".join(textwrap.wrap(base64.b64encode(SECRET.encode()).decode(), 10)),
    "URL, twice": "".join(f"%25{each:02X}" for each in SECRET.encode()),
    "JSON, twice": "".join(f"\\\\u{ord(each):04x}" for each in SECRET),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_escaped_credential_is_redacted(form: str) -> None:
    redaction = Redaction([f"Basic {base64.b64encode(f'user:{SECRET}'.encode()).decode()}"])
    body = redaction.text(f'{{"message": "no: {WRITTEN[form]}"}}')
    message = json.loads(body)["message"]
    assert re.fullmatch(r"no: \[credential\].{0,6}", message), message  # such as the padding of base64
    assert REDACTED in redaction.text(WRITTEN[form])


@pytest.mark.parametrize(
    "between", ["\n", r"\n", " ", "\0", "\u200b", r"\u200b", "\x1b[31m", r"\u001b[0m", '", "', "\\\\n"]
)
@pytest.mark.parametrize("size", [1, 7, 10])
def test_separated_credential_is_redacted(between: str, size: int) -> None:
    apart = between.join(TOKEN[start : start + size] for start in range(0, len(TOKEN), size))
    assert Redaction([f"Bearer {TOKEN}"]).text(f"no: {apart}.") == f"no: {REDACTED}."


@pytest.mark.parametrize("piece", ["\\", "e\\", "e ", "\x1b[", TOKEN[:12], "e-v-i-l-"])
def test_redaction_is_fast(piece: str) -> None:
    began = time.thread_time()
    Redaction([f"Bearer {TOKEN}"]).content((" ".join(TOKEN) + piece * (2**19 // len(piece))).encode())
    assert time.thread_time() - began < 3


def test_harmless_escapes_stay() -> None:
    text = r'{"a": "\\u0041 \u0041 \" %41 &lt;"}'
    assert Redaction(["Bearer abcdef123"]).text(text) == text


def test_part_of_a_long_token_is_redacted() -> None:
    redaction = Redaction([f"Bearer {TOKEN}"])
    for part in (TOKEN[:-4], TOKEN[4:], TOKEN[:16] + "…", TOKEN[7:24]):
        shown = redaction.text(f"invalid: {part}")
        assert REDACTED in shown
        assert not any(TOKEN[start : start + 16] in shown for start in range(len(TOKEN) - 15))
    assert redaction.text("central-contract-202611 evil-token") == "central-contract-202611 evil-token"


@pytest.mark.parametrize(
    "words",
    [
        ("contract_tests", "check", "http://127.0.0.1:9/?token=topsecret"),
        ("contract_tests", "check", "ftp://user:topsecret@127.0.0.1:9/"),
        ("contract_tests", "check", "http://user:topsecret@127.0.0.1:99999/"),
        ("contract_tests", "clean", "http://127.0.0.1:9/#topsecret"),
        ("contract_tests", "fixtures", "--from-url", "http://127.0.0.1:9/?token=topsecret"),
        ("contract_tests", "fixtures", "--at", "http://topsecret@127.0.0.1:9/"),
        ("mock_server", "record", "http://127.0.0.1:9/?token=topsecret", "-o", "state.json"),
        ("mock_server", "record", "http://topsecret@127.0.0.1:9/", "-o", "state.json"),
        ("mock_server", "record", "topsecret@127.0.0.1:9", "-o", "state.json"),
    ],
)
def test_secret_in_a_url_is_not_shown(words: tuple[str, ...], tmp_path: Path) -> None:
    done = run(tmp_path, *words)
    assert done.status in (1, 2), done
    assert "topsecret" not in done.output
