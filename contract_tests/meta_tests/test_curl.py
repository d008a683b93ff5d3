"""The curl commands of a failure: which texts of a request become variables."""

import json

import pytest

from contract_tests.engine.exchange import COLLECTION, Exchange
from contract_tests.engine.options import Credentials, Options
from contract_tests.reports.curl import sequence

UUID = "0b0c8d3e-4a2f-4c5e-9d1a-2f3e4d5c6b7a"


def created(id: str) -> Exchange:
    return Exchange(1, "a", "POST", COLLECTION, "admin", body=b"{}", status=200, reply=json.dumps({"id": id}).encode())


def line(path: str, id: str, base: str = "http://127.0.0.1:8011") -> str:
    """Return the command that gets a path after an integration with this id was created."""
    return sequence([created(id), Exchange(2, "a", "GET", path, "admin")], Options(base))[1].split()[-1]


@pytest.mark.parametrize("id", ["1", "x", "h", "http", "v1", "image", "127.0.0.1", UUID])
def test_an_id_becomes_a_variable_only_as_a_segment_of_the_path(id: str) -> None:
    url = "http://127.0.0.1:8011/x/1/v1/imageintegrations"
    assert line(f"{COLLECTION}/{id}", id, "http://127.0.0.1:8011/x/1") == f'{url}/"$ID1"'
    assert line(f"{COLLECTION}/test/{id}/", id, "http://127.0.0.1:8011/x/1") == f'{url}/test/"$ID1"/'
    assert line(f"{COLLECTION}/0{id}0", id, "http://127.0.0.1:8011/x/1") == f"{url}/0{id}0"


def test_an_id_becomes_a_variable_in_the_query() -> None:
    url = f"http://127.0.0.1:8011{COLLECTION}"
    assert line(f"{COLLECTION}/{UUID}?id={UUID}", UUID) == f'{url}/"$ID1"\'?id=\'"$ID1"'


def test_a_token_in_a_url_never_shows() -> None:
    options = Options("http://127.0.0.1:8011", credentials=Credentials(admin="Bearer t0p-secret"))
    shown = sequence([Exchange(1, "a", "GET", f"{COLLECTION}/at0p-secretb", "admin")], options)[-1]
    assert shown.endswith(f'{COLLECTION}/a"$CENTRAL_TOKEN"b')
