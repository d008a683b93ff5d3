"""The command `central-contract fixtures`: selection, errors, and how it writes files."""

import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from contract_tests.cli.main import main
from contract_tests.engine.failures import HarnessError
from contract_tests.fixtures import manifest
from contract_tests.fixtures.cases import catalogue
from contract_tests.fixtures.formats.plain import file_name
from contract_tests.fixtures.writing import write_files
from mock_server.contract import tables as contracts
from mock_server.serving.server import serving
from mock_server.settings import Settings

SHIPPED = Path(__file__).parents[2] / "fixtures"
NEWEST = contracts.load().releases.newest.line


def fixtures(*words: str) -> Result:
    return CliRunner().invoke(main, ["fixtures", *words])


@pytest.mark.heavy
def test_a_fixture_is_found_in_the_list_and_made_by_its_name() -> None:
    head, *lines = fixtures("--list", "--rule", "name-unique", "--invalid").stdout.splitlines()
    assert head.split("\t") == ["name", "type", "request", "status", "rule", "why"]
    assert lines
    for line in lines:
        name, _, request, status, rule, why = line.split("\t")
        assert request.split()[0] in ("POST", "PUT", "PATCH")
        assert (status, rule) == ("400", "name-unique")
        assert why
        (made,) = fixtures("--name", name).stdout.splitlines()
        assert json.loads(made)["id"] == name


def test_a_pattern_selects_several_fixtures() -> None:
    lines = fixtures("--list", "--name", "conversation/life-*").stdout.splitlines()[1:]
    assert len(lines) > 5
    assert all(line.startswith("conversation/life-") for line in lines)


def test_a_list_can_be_written_to_a_file(tmp_path: Path) -> None:
    assert fixtures("--list", "--name", "conversation/life-quay", "-o", str(tmp_path / "list.tsv")).exit_code == 0
    assert (tmp_path / "list.tsv").read_text("utf-8").count("\n") == 2


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--type", "Quay"), "there is no type 'Quay'; did you mean quay?"),
        (("--rule", "name-uniqe"), "there is no rule 'name-uniqe'; did you mean name-unique?"),
        (("--rule", "google-not-created", "--central-version", "4.11"), "only releases since 5.0"),
        (
            ("--operation", "PutImageIntegrations"),
            "there is no operation 'PutImageIntegrations'; did you mean PutImageIntegration",
        ),
        (("--status", "299"), f"no fixture for Central {NEWEST} matches --status 299 ("),
        (("--mutants",), "needs a folder of fixtures: --coverage DIR"),
        (("--replay", "no-such-folder"), "there is no JSON Lines file"),
        (("--name", "nope"), "matches --name nope (`central-contract fixtures --list` lists all)"),
        (("--name", "quay/minimal-registr"), "did you mean quay/minimal-registry"),
        (("--name", "type/google/minimal-registry", "--valid", "--why", "a b"), "--why 'a b' --valid"),
        (("--replay", "x", "--type", "quay"), "--replay cannot be combined with --type, which it would ignore"),
        (("--replay", "x", "--central-version", "4.8"), "--central-version only with --at URL"),
        (("--replay", "x", "--coverage", "y"), "cannot be combined with --"),
        (("--changes", ".", ".", "--type", "quay"), "--changes cannot be combined with --type"),
        (("--coverage", "x", "-o", "y"), "--coverage cannot be combined with -o"),
        (("--list", "--format", "go"), "--list cannot be combined with --format"),
        (("--from-url", "http://127.0.0.1:9", "--minimal"), "--from-url cannot be combined with --minimal/--full"),
        (("--insecure",), "--insecure: needs --at URL or --from-url URL"),
        (("--replay", "x", "--timeout", "5s"), "--timeout: needs --at URL or --from-url URL"),
        (("--coverage", "--format", "go"), "--coverage cannot be combined with --format"),
        (("--from-url", ""), "'' is not a URL"),
        (("--at", ""), "'' is not a URL"),
        (("--replay", str(SHIPPED / "managed.jsonl"), "--at", ""), "'' is not a URL"),
        (("--name", "nope", "--count", "3"), "`central-contract fixtures --list`"),
        (("--all", "--name", "nope"), "--all cannot be combined with --name"),
        (("--all",), "-o DIR"),
        (("--all", "--type", "quay", "-o", "x"), "--all cannot be combined with --type"),
        (("--type", "clair", "--rule", "name-unique"), "matches --type clair --rule name-unique ("),
        (("--format", "json"), "-o DIR"),
        (("--format", "wiremock"), "-o DIR"),
        (("--coverage", "no-such-folder"), "there is no JSON Lines file"),
        (("--from-url", "central"), "is not a URL"),
        (("--from-url", "http://127.0.0.1:9"), "http://127.0.0.1:9 does not answer: ConnectionRefusedError"),
        (("--at", "http://127.0.0.1:9"), "http://127.0.0.1:9 does not answer: ConnectionRefusedError"),
        (("--at", "http://127.0.0.1:9", "--timeout", "0"), "'0'"),
        (("--ca-file", __file__), "no valid certificates"),
        (("--count", "99999999999999"), "99999999999999 is not in the range 1<=x<=1000000"),
        (("--list", "--name", "conversation/life-quay", "-o", "no-such-folder/"), "no-such-folder/: this is a folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_error_is_one_clear_line(words: tuple[str, ...], named: str) -> None:
    result = fixtures(*words)
    assert result.exit_code == 2, result.output
    assert named in result.output.splitlines()[-1]
    assert "Traceback" not in result.output


@pytest.mark.served
def test_missing_credentials_are_asked_for() -> None:
    with serving(Settings(auth=True)) as mock:
        result = fixtures("--from-url", mock.url)
    assert result.exit_code == 2
    assert "asks for credentials (--token-file" in result.output


# -- finding ------------------------------------------------------------------------------------------


def listed(*words: str) -> list[list[str]]:
    result = fixtures("--list", *words)
    assert result.exit_code == 0, result.output
    return [line.split("\t") for line in result.stdout.splitlines()[1:]]


def test_operation_status_and_why_narrow_the_list() -> None:
    found = listed("--operation", "PutImageIntegration", "--status", "500", "--type", "quay", "--why", "ENDPOINT")
    assert found
    for _, type, request, status, _, why in found:
        assert (type, request.split()[0], status) == ("quay", "PUT", "500")
        assert "endpoint" in why


def test_why_says_what_is_wrong_in_the_request_and_what_would_be_right() -> None:
    ((*_, why),) = listed("--name", "quay-endpoint-required/replace")
    assert why == "Type quay: `quay.endpoint` is empty; type quay needs an endpoint (PUT, test skipped)."


def test_each_case_has_its_own_why() -> None:
    times = Counter(case.why for case in catalogue().values())
    assert [why for why, count in times.items() if count > 1] == []


def test_the_why_of_an_invalid_value_names_it_and_a_valid_one() -> None:
    ((*_, why),) = listed("--name", "field/clairify.numConcurrentScans/too-large")
    expected = "`clairify.numConcurrentScans` is 2147483648, above the range of int32: send 2147483647 or less."
    assert why.startswith(expected)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("type/clair/read", "Type clair: GET shows every field."),
        ("type/quay/read", "Type quay: GET shows every field, with credentials masked."),
        ("type/quay/delete", "Type quay: DELETE returns {}."),
        ("type/scannerv4/delete", "Type scannerv4: DELETE is refused. Scanner V4 cannot be deleted."),
        ("ui/clairV4/edit", "Form for clairV4: rename and save."),
        ("conversation/life-clairify", "Type clairify: create, edit, test, read, delete."),
        ("usual/ecr-by-iam", "Accepted: ecr by IAM."),
        ("endpoint-taken/empty", '`docker.endpoint` "" is empty but is accepted.'),
    ],
)
def test_why_is_about_this_type_and_this_answer(name: str, why: str) -> None:
    assert [words[-1] for words in listed("--name", name)] == [why]


def test_no_sentence_is_about_credentials_that_a_type_does_not_have() -> None:
    without = ("--type", "clair", "--type", "clairV4", "--type", "clairify", "--type", "scannerv4")
    wrong = r"(stored|new) credentials|credentials (masked|included|in the body|are sent)"
    assert [words[0] for words in listed(*without) if re.search(wrong, words[-1])] == []


def test_no_name_contains_a_position() -> None:
    assert [id for id in catalogue() if re.search(r"/(create|replace|update|test)-\d+$|/0\d+-", id)] == []


def test_no_two_file_names_differ_only_in_case() -> None:
    times = Counter(file_name(f"{id}{serial}").lower() for id in catalogue() for serial in ("", "#1", "#2"))
    assert [name for name, count in times.items() if count > 1] == []


def test_repeated_draws_have_their_own_files(tmp_path: Path) -> None:
    chosen = (
        "--name",
        "quay/minimal-registry",
        "--name",
        "quay/read",
        "--name",
        "list/fresh",
        "--name",
        "name-unique/create",
    )
    assert fixtures(*chosen, "--count", "12", "--format", "json", "-o", str(tmp_path)).exit_code == 0
    files = [each.relative_to(tmp_path / "json").parts[0] for each in tmp_path.rglob("*.json")]
    assert len([each for each in files if each != "errors"]) == 12


@pytest.mark.parametrize("name", ["ecr/iam", "quay/minimal-registry", "type/quay/minimal-registry"])
def test_a_name_can_omit_type_and_variant(name: str) -> None:
    assert len(listed("--name", name)) == 1


def test_short_names_are_unique() -> None:
    times = Counter(name for case in catalogue().values() for name in {case.id, case.short_id})
    assert [name for name, count in times.items() if count > 1] == []


# -- writing ------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_an_error_names_a_full_device() -> None:
    with pytest.raises(HarnessError, match="cannot write /dev/full: No space left"):
        write_files({"full": "text"}, Path("/dev"))


def test_files_are_written_atomically(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("old", "utf-8")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(HarnessError, match=r"cannot write .*a\.jsonl: No space left on device"):
        write_files({"a.jsonl": "new"}, tmp_path)
    assert [(each.name, each.read_text("utf-8")) for each in tmp_path.iterdir()] == [("a.jsonl", "old")]


def a_set(texts: dict[str, str]) -> dict[str, str]:
    return texts | {"manifest.json": manifest.manifest(texts, seed=0, as_deployed=False)}


def test_files_that_a_set_no_longer_has_are_deleted_unless_changed(tmp_path: Path) -> None:
    write_files(a_set({"a/1.json": "1", "a/2.json": "2", "b/3.json": "3"}), tmp_path, whole=True)
    (tmp_path / "a/2.json").write_text("changed by somebody", "utf-8")
    (tmp_path / "mine.txt").write_text("not ours", "utf-8")
    write_files(a_set({"a/1.json": "one"}), tmp_path, whole=True)
    there = sorted(str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file())
    assert there == ["a/1.json", "a/2.json", "manifest.json", "mine.txt"]
    assert not (tmp_path / "b").exists()


def test_files_of_a_manifest_outside_the_folder_are_not_deleted(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside.txt", tmp_path / "set"
    outside.write_text("x", "utf-8")
    folder.mkdir()
    digest = hashlib.sha256(b"x").hexdigest()
    (folder / "manifest.json").write_text(json.dumps({"files": {"../outside.txt": digest}}), "utf-8")
    write_files({"a": "a"}, folder, whole=True)
    assert outside.exists()


def test_invalid_file_names_in_a_manifest_are_ignored(tmp_path: Path) -> None:
    names = ("a" * 300, "\0", "", "..", "/")
    (tmp_path / "manifest.json").write_text(json.dumps({"files": dict.fromkeys(names, "x")}), "utf-8")
    write_files({"a": "a"}, tmp_path, whole=True)
    assert (tmp_path / "a").read_text("utf-8") == "a"


def test_a_link_stays_a_link_and_its_file_is_written(tmp_path: Path) -> None:
    there, link = tmp_path / "there.jsonl", tmp_path / "link.jsonl"
    there.write_text("old", "utf-8")
    link.symlink_to(there.name)
    write_files({"link.jsonl": "new"}, tmp_path)
    assert (link.is_symlink(), there.read_text("utf-8")) == (True, "new")


@pytest.mark.parametrize("name", ["file/a.jsonl", "file/folder/a.jsonl"])
def test_a_file_where_a_folder_is_needed_is_reported(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine", "utf-8")
    with pytest.raises(HarnessError, match=r"cannot write .*/file.*: a file stands where a folder is needed"):
        write_files({name: "new"}, tmp_path)
    assert (tmp_path / "file").read_text("utf-8") == "mine"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")
@pytest.mark.parametrize("exists", [False, True])
def test_an_output_that_ends_in_a_slash_is_a_folder(tmp_path: Path, exists: bool) -> None:
    if exists:
        (tmp_path / "new").mkdir()
    result = fixtures("--name", "conversation/life-quay", "-o", f"{tmp_path / 'new'}/")
    assert result.exit_code == 0, result.output
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["fixtures.jsonl"]


def test_an_unwritable_folder_is_reported_with_the_file_name() -> None:
    with pytest.raises(HarnessError, match=r"cannot write /proc/a\.jsonl: "):
        write_files({"a.jsonl": "new"}, Path("/proc"))
