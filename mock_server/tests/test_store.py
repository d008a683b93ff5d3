"""What one Central holds, and in which order it tells."""

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


def test_the_list_is_in_another_order_at_each_call_as_deployed():
    api = Api(as_deployed=True)
    orders = {tuple(each["id"] for each in api.list()) for _ in range(20)}
    assert len(orders) > 1
    assert len({frozenset(order) for order in orders}) == 1


def test_a_reset_brings_the_defaults_back(api):
    before = api.ask("GET").body
    created(api)
    for each in api.list()[:5]:
        api.delete(each["id"])
    api.put(api.list()[0]["id"], docker(name="Public DockerHub"))
    api.central.store.reset()
    assert api.ask("GET").body == before
    assert api.create(docker(name="Public DockerHub")).rule == "name-unique"


def test_an_empty_central_holds_nothing():
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


def test_a_renamed_integration_gives_its_old_name_free(api):
    id = api.created(docker(name="old"))
    api.put(id, docker(name="new"))
    assert api.create(docker(name="new")).rule == "name-unique"
    assert api.list("?name=old") == []
    assert api.create(docker(name="old")).status == 200
    assert [each["id"] for each in api.list("?name=new")] == [id]


def test_what_a_reader_got_is_not_changed_by_a_later_write(api):
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
