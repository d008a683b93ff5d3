"""Stores of each kind: ids, order, reset and changes."""

import pytest

from mock_server.tests.conftest import Api, docker

pytestmark = pytest.mark.usefixtures("every_store")


def created(api: Api, count: int = 3) -> list[str]:
    return [api.created(docker(name=f"n{number}")) for number in range(count)]


def test_seeded_ids_repeat_in_another_app_and_after_a_reset():
    api = Api(seed=7)
    first = created(api)
    assert created(Api(seed=7)) == first
    api.central.store.reset()
    assert created(api) == first
    assert created(Api(seed=8)) != first


def test_ids_differ_without_a_seed():
    assert created(Api()) != created(Api())


def test_reading_a_shuffled_list_does_not_change_the_ids_that_follow():
    read, unread = Api(seed=7, as_deployed=True), Api(seed=7, as_deployed=True)
    read.list()
    assert created(read) == created(unread)


def test_the_list_keeps_the_order_of_creation_by_default(api):
    ids = created(api)
    orders = {tuple(each["id"] for each in api.list()) for _ in range(20)}
    assert [order[12:] for order in orders] == [tuple(ids)]


def test_as_deployed_each_list_has_another_order():
    api = Api(as_deployed=True)
    orders = {tuple(each["id"] for each in api.list()) for _ in range(20)}
    assert len(orders) > 1
    assert len({frozenset(order) for order in orders}) == 1


def test_a_reset_restores_the_defaults(api):
    before = api.ask("GET").body
    created(api)
    for each in api.list()[:5]:
        api.delete(each["id"])
    api.put(api.list()[0]["id"], docker(name="Public DockerHub"))
    api.central.store.reset()
    assert api.ask("GET").body == before
    assert api.create(docker(name="Public DockerHub")).rule == "name-unique"


def test_an_empty_central_has_no_integrations():
    api = Api(empty=True)
    assert api.list() == []
    assert api.create(docker(name="Public DockerHub")).status == 200


def test_two_apps_in_one_process_share_nothing():
    one, two = Api(), Api()
    id = one.created(docker())
    assert two.get(id).status == 404
    assert two.create(docker()).status == 200
    one.delete("10d3b4dc-8295-41bc-bb50-6da5484cdb1a")
    assert len(two.list()) == 13


def test_a_rename_frees_the_old_name(api):
    id = api.created(docker(name="old"))
    api.put(id, docker(name="new"))
    assert api.create(docker(name="new")).rule == "name-unique"
    assert api.list("?name=old") == []
    assert api.create(docker(name="old")).status == 200
    assert [each["id"] for each in api.list("?name=new")] == [id]


def test_stored_integrations_do_not_change_in_place(api):
    id = api.created(docker())
    before = api.central.store.get(id)
    api.put(id, docker(name="renamed"))
    assert before is not None
    assert before.integration["name"] == "Example Docker registry"


@pytest.mark.parametrize("change", ["put", "remove", "replace", "reset"])
def test_every_change_is_counted_so_that_a_saver_sees_it(api, change):
    store = api.central.store
    id = api.created(docker())
    before = store.changes
    getattr(store, change)(*{"put": [api.stored(id)], "remove": [id], "replace": [[]], "reset": []}[change])
    assert store.changes > before
