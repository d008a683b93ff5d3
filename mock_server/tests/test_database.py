"""Errors of Central's database: names that it cannot store, and lost races."""

import random
import re
import string
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest

from mock_server.central import database
from mock_server.tests.conftest import Answer, Api, docker

SERVICE = 'Validation error: integration with name "raced" already exists: invalid arguments'
DATABASE = (
    "found non-retryable error: closing batch: ERROR: duplicate key value violates unique constraint "
    '"uni_image_integrations_name" (SQLSTATE 23505): already exists'
)


def letters(number: int) -> str:
    return "".join(random.Random(number).choices(string.ascii_letters + string.digits, k=number))


TOO_LONG = (
    'index row size 2712 exceeds btree version 4 maximum 2704 for index "uni_image_integrations_name" (SQLSTATE 54000)'
)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", None),
        ("plain", None),
        (letters(2692), None),
        (letters(2693), TOO_LONG),
        (letters(8170), TOO_LONG.replace("2712", "8184")),
        (letters(8179), "index row requires 8192 bytes, maximum size is 8191 (SQLSTATE 54000)"),
        (letters(9000), "index row requires 9016 bytes, maximum size is 8191 (SQLSTATE 54000)"),
        ("é" * 1346, None),
        ("é" * 100_000, None),
        (letters(100) * 50, None),
        (letters(1000) * 3, TOO_LONG.replace("2712", "3016")),
        ("a" * 100_000, None),
        ("a\0b", 'invalid byte sequence for encoding "UTF8": 0x00 (SQLSTATE 22021)'),
    ],
    ids=lambda value: f"{len(value)} {value[:5]!a}" if value and len(value) < 200_000 else str(value),
)
def test_a_name_must_fit_into_its_index(name, error):
    """Compared with PostgreSQL 15 on 265 names: random, periodic and words."""
    assert database.name_error(name) == error


def test_a_match_begins_with_its_first_byte():
    assert [database._match(value, 4, 0) for value in (b"abc-abc", b"abc-xbc", b"abc-axc")] == [3, 0, 1]


def test_a_name_that_the_database_cannot_store_has_its_own_refusal():
    answer = Api().create(docker(name="a\0b"))
    assert (answer.status, answer.json["code"], answer.rule) == (400, 3, "database-text")


@pytest.mark.parametrize(("repeated", "size"), [(207, None), (208, 455)])
def test_a_value_is_compressed_if_that_saves_a_quarter(repeated, size):
    """PostgreSQL's `PGLZ_strategy_default`: need_rate 25."""
    assert database.compressed_size(letters(400).encode() + b"a" * repeated) == size


def test_the_size_of_a_long_value_is_estimated(monkeypatch):
    value = "".join(letters(100 + number) * 2 for number in range(100)).encode()
    estimate = database.compressed_size(value)
    monkeypatch.setattr(database, "_ENOUGH", len(value))
    exact = database.compressed_size(value)
    assert 8191 < exact < estimate < 1.1 * exact


@pytest.mark.parametrize(
    ("block", "size"),
    # Each letter of the first block is a byte. Each later block is a match of two bytes, from 18 letters of three, and
    # a letter. Every eighth item has a byte for what the items are.
    [("abcdefgh", 9 + 5 * 3 + 3), ("abcdefghijklmnopq", 18 + 5 * 3 + 4), ("abcdefghijklmnopqr", 19 + 5 * 4 + 4)],
)
def test_a_match_ends_where_the_letters_differ(block, size):
    assert database.compressed_size("".join(f"{block}{digit}" for digit in range(6)).encode()) == size


def test_an_index_row_of_the_largest_size_fits():
    name = letters(2365) + "a" * 2000
    assert database.compressed_size(name.encode()) == 2685  # and eight bytes before it, and eight of the row
    assert database.name_error(name) is None


def test_a_name_of_a_million_equal_letters_does_not_fit():
    started = time.process_time()
    for name in ("a" * 1_000_000, letters(1000) * 20_000):
        assert re.match(r"index row requires \d+ bytes, maximum", database.name_error(name))
    assert time.process_time() - started < 5


def together(api: Api, *asked: Callable[[], Answer]) -> list[Answer]:
    """Run requests concurrently: all check whether the name is free before one of them writes."""
    answers: list[Answer] = []
    with api.central.store.lock:
        threads = [threading.Thread(target=lambda ask=ask: answers.append(ask())) for ask in asked]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.parametrize(("as_deployed", "text"), [(False, SERVICE), (True, f"{DATABASE}: invalid arguments")])
def test_of_concurrent_creates_one_wins_and_the_others_get_the_database_error(as_deployed, text):
    api = Api(as_deployed=as_deployed)
    answers = together(api, *[lambda: api.create(docker(name="raced"))] * 6)
    assert Counter(each.status for each in answers) == {200: 1, 400: 5}
    assert {(each.json["code"], each.message) for each in answers if each.status == 400} == {(3, text)}
    again = api.create(docker(name="raced"))
    assert (again.status, again.message) == (400, SERVICE)


@pytest.mark.parametrize("verb", ["put", "patch"])
def test_of_concurrent_renames_one_wins_and_the_others_conflict(verb):
    api = Api(as_deployed=True)
    ids = [api.created(docker(name=f"n{number}")) for number in range(4)]
    rename = {"put": api.put, "patch": lambda id, sent: api.patch(id, sent, update_password=True)}[verb]
    answers = together(api, *[lambda id=id: rename(id, docker(name="raced")) for id in ids])
    assert Counter(each.status for each in answers) == {200: 1, 409: 3}
    lost = next(each for each in answers if each.status == 409)
    assert (lost.json["code"], lost.message, lost.rule) == (6, DATABASE, "name-unique")
    again = rename(next(id for id in ids if api.stored(id)["name"] != "raced"), docker(name="raced"))
    assert (again.status, again.message) == (400, SERVICE)


def test_a_name_that_the_database_refuses_changes_nothing():
    api = Api()
    id = api.created(docker(name="before"))
    assert api.put(id, docker(name="a\0b")).message == "Database operation failed"
    assert api.stored(id)["name"] == "before"
    assert api.create(docker(name="a\0b")).status == 400
    assert len(api.list()) == 13


def test_a_nul_elsewhere_is_stored(api):
    id = api.created(docker(docker={"endpoint": "r.example.com", "username": "a\0b"}))
    assert api.stored(id)["docker"]["username"] == "a\0b"


def test_an_id_that_is_not_utf_8_is_shown_with_replacement_characters():
    shown = '\N{REPLACEMENT CHARACTER}: failed to retrieve integration health "\\xff"'
    assert Api().delete("%ff").message == f"Error removing health for integration {shown}"
