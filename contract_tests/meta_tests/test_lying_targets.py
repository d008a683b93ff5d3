"""On a lying target, a run writes only to its own integrations. `trust` repeats this a thousand times."""

import errno
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from contract_tests.cli.main import main
from contract_tests.engine.exchange import COLLECTION
from contract_tests.engine.failures import CheckFailed, OwnershipError
from contract_tests.engine.guard import WriteGuard
from contract_tests.engine.ledger import Ledger
from contract_tests.engine.options import Options
from contract_tests.engine.ownership import OWN_ID, age_of, new_run_id, run_of
from contract_tests.engine.transport import Transport
from contract_tests.meta_tests import trust
from contract_tests.meta_tests.lying_targets import LIES, Asked, Lie, Target, answering, honest
from contract_tests.reports.failures import detailed
from contract_tests.runner.leftovers import clean_leftovers, find_orphans, remove_orphans
from contract_tests.runner.run import Run
from mock_server.serving.server import MockServer, serving
from mock_server.settings import Settings
from mock_server.web import wsgi

pytestmark = pytest.mark.served


@pytest.mark.heavy
@pytest.mark.parametrize("outcome", [pytest.param(n, id=name) for n, name in enumerate(LIES)])
def test_run_writes_to_no_foreign_integration(outcome: int) -> None:
    (found,) = list(trust.runs(1, seed=20, first=outcome))
    assert found.violations == ()
    assert found.left == ()
    assert found.red == (found.what not in trust.TRUTHFUL), found
    assert found.writes > 0
    assert found.lies > 0 or found.what in trust.TRUTHFUL


@pytest.mark.heavy
def test_targets_detect_foreign_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WriteGuard, "prove", lambda *_: None)
    names = list(LIES)
    (found,) = trust.runs(1, seed=20, first=names.index("ids of new ones of a user, now and then"))
    assert found.violations


@pytest.mark.heavy
def test_killed_runs_leave_nothing_and_delete_nothing_foreign() -> None:
    for each in trust.kills(5, seed=3):
        assert each.violations == ()
        assert each.left == ()


def body_of(name: str) -> dict[str, object]:
    return {"name": name, "type": "docker", "categories": ["REGISTRY"], "docker": {}, "skipTestIntegration": True}


def created(url: str, *names: str) -> list[str]:
    return [requests.post(url + COLLECTION, json=body_of(name), timeout=5).json()["id"] for name in names]


def names_at(url: str) -> set[str]:
    return {each["name"] for each in requests.get(url + COLLECTION, timeout=5).json()["integrations"]}


def test_foreign_id_in_a_create_answer_fails_its_own_check(tmp_path: Path) -> None:
    with serving(Settings(mutants=(OWN_ID,))) as mock:
        report = Run(Options(url=mock.url, profile="quick", state_dir=tmp_path))()
    assert {each.check for each in report.failures} == {OWN_ID}
    (failure,) = report.failures
    assert failure.exchanges[-1].method == "POST"
    assert report.requests < 120  # the run stops to create when ownership is unclear


def lists_under_swapped_ids(_target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """List every integration with the id of another one."""
    if asked.method != "GET" or asked.path != COLLECTION or asked.environ["QUERY_STRING"]:
        return answer
    items = json.loads(answer.body)["integrations"]
    ids = [each["id"] for each in items]
    swapped = [each | {"id": id} for each, id in zip(items, ids[1:] + ids[:1], strict=True)]
    return answer._replace(body=json.dumps({"integrations": swapped}).encode())


def test_failure_found_for_another_check_is_reported_in_detail(tmp_path: Path) -> None:
    """The list is wrong, but the check for that has already been skipped."""
    target = Target(lists_under_swapped_ids, user=False)
    with answering(target) as url:
        report = Run(Options(url=url, profile="quick", seed=4, state_dir=tmp_path))()
    (result,) = detailed(report)
    assert result.check == "list-item-equals-read"
    assert result.failures[0].exchanges
    assert not target.damage()


def test_proof_over_a_closed_connection_is_renewed(tmp_path: Path) -> None:
    """The server closes the connection cleanly while it restarts, so a client silently opens another one."""

    def restarts_at_ping(target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
        if asked.path == "/v1/ping":
            target.restart_for_user()
        return answer

    target = Target(restarts_at_ping, user=False)
    with answering(target) as url:
        ledger = Ledger(tmp_path, "run", url)
        transport = Transport(Options(url=url, state_dir=tmp_path), "run", ledger)
        made = transport.send("POST", COLLECTION, value=body_of(f"{transport.name_prefix}one"))
        id = str(made.object["id"])
        transport.send("GET", f"{COLLECTION}/{id}")
        assert transport.ownership.is_proven(id)
        transport.send("GET", "/v1/ping")
        with pytest.raises(CheckFailed):
            transport.send("DELETE", f"{COLLECTION}/{id}")
        ledger.close(keep=False)
    assert not target.damage()


@pytest.fixture
def mock() -> Iterator[MockServer]:
    with serving() as server:
        yield server


@pytest.fixture
def transport(mock: MockServer, tmp_path: Path) -> Iterator[Transport]:
    ledger = Ledger(tmp_path, "run", mock.url)
    yield Transport(Options(url=mock.url, state_dir=tmp_path), "run", ledger)
    ledger.close(keep=False)


def test_ids_in_bodies_are_guarded(mock: MockServer, transport: Transport) -> None:
    (foreign,) = created(mock.url, "somebody's")
    requests_of = [
        ("POST", f"{COLLECTION}/test/updated", {"config": {**body_of("x"), "id": foreign}}),
        ("POST", COLLECTION, {**body_of(f"{transport.name_prefix}1"), "id": foreign}),
        ("DELETE", f"{COLLECTION}//{foreign}", {}),
        ("DELETE", f"/v1/ImageIntegrations/{foreign}", {}),
        ("DELETE", f"{COLLECTION}/x/../{foreign}", {}),
    ]
    transport.send("GET", COLLECTION)
    for method, path, value in requests_of:
        with pytest.raises(OwnershipError):
            transport.send(method, path, value=value)
    assert transport.count == 1


def test_renamed_integration_is_no_longer_owned(mock: MockServer, transport: Transport) -> None:
    id = transport.send("POST", COLLECTION, value=body_of(f"{transport.name_prefix}1")).object["id"]
    requests.put(f"{mock.url}{COLLECTION}/{id}", json=body_of("taken over"), timeout=5).raise_for_status()
    with pytest.raises(CheckFailed) as failure:
        transport.send("DELETE", f"{COLLECTION}/{id}")
    assert failure.value.check == OWN_ID
    assert failure.value.got == {"id": id, "name": "taken over"}
    assert "taken over" in names_at(mock.url)


def test_leftover_is_deleted_only_with_its_runs_name(tmp_path: Path) -> None:
    """The server restarts and reuses the ids, which a user gets."""
    target = Target(honest, seed=5, user=False)
    with answering(target) as url:
        ledger = Ledger(tmp_path, "gone", url)
        transport = Transport(Options(url=url, state_dir=tmp_path), "gone", ledger)
        for number in range(6):
            transport.send("POST", COLLECTION, value=body_of(f"{transport.name_prefix}{number}"))
        ledger.close(keep=True)
        target.restart_for_user()
        cleaned = clean_leftovers(Options(url=url, state_dir=tmp_path))
    assert target.damage() == []
    assert cleaned.left == []
    assert len(cleaned.not_ours) == 6
    assert not list(tmp_path.glob("*.ledger"))


def test_failed_clean_up_leaves_one_ledger(mock: MockServer, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "gone", mock.url)
    Transport(Options(url=mock.url, state_dir=tmp_path), "gone", ledger).send(
        "POST", COLLECTION, value=body_of("central-contract-gone-create-1")
    )
    ledger.close(keep=True)
    mock.fault("DeleteImageIntegration code=503")
    for _ in range(3):
        assert clean_leftovers(Options(url=mock.url, state_dir=tmp_path)).left
        assert [path.name for path in tmp_path.glob("*.ledger")] == ["gone.ledger"]


@pytest.mark.heavy
def test_concurrent_runs_pass(mock: MockServer, tmp_path: Path) -> None:
    options = [Options(url=mock.url, profile="quick", seed=seed, state_dir=tmp_path) for seed in range(2)]
    before = names_at(mock.url)
    with ThreadPoolExecutor() as pool:
        reports = list(pool.map(lambda each: Run(each)(), options))
    assert [report.failures for report in reports] == [[], []]
    assert names_at(mock.url) == before
    assert not list(tmp_path.glob("*.ledger"))


def test_running_run_is_not_a_leftover(mock: MockServer, tmp_path: Path) -> None:
    """Another container has other process ids, so the lock of the ledger decides."""
    ledger = Ledger(tmp_path, "going", mock.url)
    ledger.path.write_text(ledger.path.read_text("utf-8").replace('"pid": ', '"pid": 9'), "utf-8")
    created(mock.url, "central-contract-going-create-1")
    assert clean_leftovers(Options(url=mock.url, state_dir=tmp_path)).left == []
    assert "central-contract-going-create-1" in names_at(mock.url)
    ledger.close(keep=False)


def test_damaged_ledger_is_read_as_far_as_possible(mock: MockServer, tmp_path: Path) -> None:
    first = json.dumps({"run": "hurt", "target": mock.url, "pid": 0}).encode()
    (tmp_path / "hurt.ledger").write_bytes(first + b"\n\xff\xfe\n[]\n")
    created(mock.url, "central-contract-hurt-create-1")
    assert clean(mock.url, tmp_path)[0] == 0
    assert "central-contract-hurt-create-1" not in names_at(mock.url)


def test_unreadable_ledger_is_named(mock: MockServer, tmp_path: Path) -> None:
    (tmp_path / "folder.ledger").mkdir()
    code, output = clean(mock.url, tmp_path)
    assert (code, "folder.ledger" in output, "--state-dir" in output) == (2, True, True), output


def test_full_disk_ends_a_run_with_one_line(mock: MockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = names_at(mock.url)
    monkeypatch.setattr("os.fsync", full)
    result = CliRunner().invoke(main, ["check", mock.url, "--quick", "--state-dir", str(tmp_path)])
    assert result.exit_code == 2
    assert "No space left on device" in result.output
    assert names_at(mock.url) == before


# -- leftovers without a ledger -----------------------------------------------------------------------

OLD = "20260101000000abcdef"


def clean(url: str, tmp_path: Path, *words: str, answer: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(main, ["clean", url, "--state-dir", str(tmp_path), *words], input=answer)
    return result.exit_code, result.output


def test_leftovers_without_a_ledger_are_listed_and_deleted_on_request(mock: MockServer, tmp_path: Path) -> None:
    mine = "central-contract-mine"  # a user's, of no run
    names = [f"central-contract-{run}-create-1" for run in (OLD, new_run_id(), "ci7")]
    created(mock.url, *names, mine)
    code, output = clean(mock.url, tmp_path)
    assert code == 0
    assert all(name in output for name in names)
    assert "days old" in output
    assert " min old" in output
    assert "unknown age" in output
    assert mine not in output
    assert "--orphans" in output
    assert clean(mock.url, tmp_path, "--orphans", answer="n\n")[0] == 1
    assert names_at(mock.url) >= {*names, mine}
    code, output = clean(mock.url, tmp_path, "--orphans", answer="y\n")
    assert (code, "Leftovers deleted: 1." in output) == (0, True), output
    assert names_at(mock.url) >= {*names[1:], mine}
    assert names[0] not in names_at(mock.url)
    assert clean(mock.url, tmp_path, "--orphans", "--yes")[0] == 0
    assert names_at(mock.url) >= {*names[1:], mine}
    assert not list(tmp_path.glob("*.ledger"))


def test_leftovers_are_found_under_another_url_of_the_target(mock: MockServer, tmp_path: Path) -> None:
    name = f"central-contract-{OLD}-create-1"
    Ledger(tmp_path, OLD, mock.url.replace("127.0.0.1", "localhost")).close(keep=True)
    created(mock.url, name)
    code, output = clean(mock.url, tmp_path)
    assert (code, name in output) == (0, True), output
    assert clean(mock.url, tmp_path, "--orphans", "--yes")[0] == 0
    assert name not in names_at(mock.url)
    assert [path.stem for path in tmp_path.glob("*.ledger")] == [OLD]  # it may have more at its own URL


def cuts_names(_target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """Show the first 20 characters of each name."""
    body = re.sub(rb'("name": ?"[^"]{20})[^"]*', rb"\1", answer.body) if asked.method == "GET" else answer.body
    return answer._replace(body=body)


def is_empty(_target: Target, _asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """Answer every request with an empty object."""
    return answer._replace(status=200, body=b"{}")


@pytest.mark.parametrize("lie", [cuts_names, is_empty])
def test_integrations_of_unknown_ownership_are_reported(lie: Lie, tmp_path: Path) -> None:
    target = Target(lie, user=False)
    with answering(target) as url:
        report = Run(Options(url=url, profile="quick", seed=4, state_dir=tmp_path))()
    assert target.left()
    assert report.left_behind or any(note.startswith("Not deleted, because") for note in report.notes)


def test_deletion_of_leftovers_is_verified_by_a_list(mock: MockServer, tmp_path: Path) -> None:
    created(mock.url, f"central-contract-{OLD}-create-1")
    (orphan,) = find_orphans(Options(url=mock.url, state_dir=tmp_path)) or []
    mock.fault("DeleteImageIntegration code=503")
    mock.fault("GetImageIntegrations code=503")
    assert remove_orphans(Options(url=mock.url, state_dir=tmp_path), [orphan]) == [
        f"central-contract-{OLD}-create-1 ({orphan.id})"
    ]


def test_check_mentions_leftovers_without_a_ledger(mock: MockServer, tmp_path: Path) -> None:
    created(mock.url, f"central-contract-{OLD}-create-1", f"central-contract-{OLD}-create-2")
    report = Run(Options(url=mock.url, profile="quick", state_dir=tmp_path, only=("list",)))()
    assert report.exit_code == 0
    (note,) = report.notes
    assert note.startswith("2 integrations are left over from a run without a ledger")
    assert "clean" in note


def test_run_id_contains_its_age() -> None:
    young = new_run_id()
    assert run_of(f"central-contract-{young}-create-1") == young
    age = age_of(young)
    assert age is not None
    assert age.total_seconds() < 3600
    assert age_of("ci7") is None
    assert age_of("20269999999999abcdef") is None
    assert run_of("central-contract-mine") is None


def test_create_with_a_lost_answer_is_found_by_name(mock: MockServer, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "gone", mock.url)
    # The create succeeds, but its answer is lost.
    ledger.record_name("central-contract-gone-create-1")
    created(mock.url, "central-contract-gone-create-1", "central-contract-gone-create-2")
    ledger.close(keep=True)
    cleaned = clean_leftovers(Options(url=mock.url, state_dir=tmp_path))
    assert "central-contract-gone-create-1" not in names_at(mock.url)
    # A name that was never sent is not the run's, whatever it looks like: it is reported and stays.
    assert "central-contract-gone-create-2" in names_at(mock.url)
    assert len(cleaned.left) == 1


def test_concurrent_creates_are_owned(transport: Transport) -> None:
    barrier = threading.Barrier(8)

    def one(number: int) -> int:
        barrier.wait()
        id = transport.send("POST", COLLECTION, value=body_of(f"{transport.name_prefix}{number}")).object["id"]
        return transport.send("DELETE", f"{COLLECTION}/{id}").status

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(8))) == [200] * 8


@pytest.mark.parametrize("lie", ["ids of new ones of a user", "hides what it answers"])
def test_recording_fixtures_writes_to_no_foreign_integration(lie: str, tmp_path: Path) -> None:
    target = Target(LIES[lie][0], user=False)
    words = ["--allow-writes", "--name", "conversation/life-quay", "-o", str(tmp_path / "made.jsonl")]
    with answering(target) as url:
        result = CliRunner().invoke(main, ["fixtures", "--at", url, "--state-dir", str(tmp_path), *words])
    assert result.exit_code == 2, result.output
    assert "the answer to a create has the id of something that the run did not create" in result.output
    assert "look there for" in result.output
    assert target.damage() == []
