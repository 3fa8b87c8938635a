"""The REST API of sales, from snapshots that are really on the board."""

from urllib.parse import quote

import pytest

from streaming.sales import api_examples, board
from tests.api_client import client_of, error
from tests.streaming.showing import AT, age, curve, partition, selling, snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clear_board")]

ADDRESS = "/api/streaming/sales/"


@pytest.fixture
def api(user):
    return client_of(user, "streaming:read")


@pytest.fixture
def get(api):
    def get(address: str, status: int = 200):
        response = api.get(address)
        assert response.status_code == status, response.content
        return response.json()

    return get


def shape(value):
    """Types by name, of lists those of their first entry."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return type(value)


def test_without_an_instance_there_is_nothing_but_that(get):
    answer = get(ADDRESS)
    assert answer["state"] == "none" and answer["topics"] is None
    assert answer["partitions"] == answer["instances"] == answer["top"] == []


def test_all_instances_are_one(get):
    replay = {"from": 0, "at": 30, "to": 40}
    board.publish(snapshot("a", partition_count=3, top=[selling("A", "1.25")]))
    board.publish(
        snapshot(
            "b",
            state="replaying",
            partitions=[partition(1, replay=replay)],
            partition_count=3,
            top=[selling("B", "-3.0", partition=1)],
        )
    )
    answer = get(ADDRESS)
    assert answer["state"] == "replaying" and answer["rate_in"] == 240 and answer["lag"] == 20
    assert [each["state"] for each in answer["partitions"]] == ["running", "replaying", "nobody"]
    assert answer["replay"]["percent"] == 75
    assert [(row["stock_code"], row["sum"]) for row in answer["top"]] == [
        ("A", "1.25"),
        ("B", "-3.0"),
    ]


def test_answers_are_as_the_documentation_shows_them(get):
    board.publish(
        snapshot(
            at=AT,
            top=[selling("85123A", "40.80", last_at=AT + 0.25)],
            curves={"85123A": curve("0.0", "15.3", "40.8")},
        )
    )
    assert shape(get(ADDRESS)) == shape(api_examples.OVERVIEW)
    assert shape(get(f"{ADDRESS}85123A/")) == shape(api_examples.STOCK_CODE)


def test_at_most_fifty_sums_are_given(get):
    for name in range(3):
        rows = [selling(f"{name}-{number}", partition=name) for number in range(50)]
        board.publish(
            snapshot(str(name), top=rows, partitions=[partition(name)], partition_count=3)
        )
    assert len(get(ADDRESS)["top"]) == 50


def test_old_figures_are_marked(get):
    board.publish(snapshot())
    assert get(ADDRESS)["stale"] is False
    age(125.0)
    answer = get(ADDRESS)
    assert answer["stale"] is True and answer["age_seconds"] > 120


def test_a_stock_code_has_its_sum_and_curve_once_an_instance_sends_it(get):
    board.publish(snapshot(top=[selling("85123A", "40.8")]))
    answer = get(f"{ADDRESS}85123A/")
    assert answer["sums"][0]["sum"] == "40.8" and answer["curve"] is None
    assert board.watched() == ["85123A"]
    board.publish(snapshot(curves={"85123A": curve("1.0", "40.8")}))
    assert get(f"{ADDRESS}85123A/")["curve"][1] == {"at": AT - 480, "sum": "40.8"}


@pytest.mark.parametrize("code", ["a/b", "/", "a//b/", "ä ☃", "%2F", "85123a", "?x=1", "x" * 128])
def test_any_stock_code_is_asked_for_as_it_is(get, code):
    board.publish(snapshot(top=[selling(code)]))
    answer = get(f"{ADDRESS}{quote(code, safe='')}/")
    assert answer["stock_code"] == code and len(answer["sums"]) == 1


@pytest.mark.parametrize("code", ["x" * 129, "%00", "a%0Ab", "%C2%85", "%7F"])
def test_what_is_no_stock_code_is_not_found(api, code):
    assert error(api.get(f"{ADDRESS}{code}/"), 404)["code"] == "not_found"


@pytest.mark.parametrize("address", [ADDRESS, f"{ADDRESS}A/", f"{ADDRESS}dead-letters/"])
def test_unknown_parameters_are_refused(api, address):
    assert error(api.get(f"{address}?nothing=1"), 400)["fields"].keys() == {"nothing"}


@pytest.mark.parametrize(
    "query", ["reason=none", "before=x", "before=0:1.2", "page_size=0", "page_size=101"]
)
def test_wrong_parameters_of_dead_letters_are_refused(api, query):
    (name,) = error(api.get(f"{ADDRESS}dead-letters/?{query}"), 400)["fields"]
    assert query.startswith(name)


def test_it_needs_the_scope(user):
    for address in (ADDRESS, f"{ADDRESS}A/", f"{ADDRESS}dead-letters/"):
        refused = error(client_of(user, "catalogue:write").get(address), 403)
        assert "streaming:read" in refused["message"]


def test_without_redis_it_is_unavailable(api, own_valkey, settings):
    engine = own_valkey()
    settings.REDIS_URL = engine.variables()["REDIS_URL"]
    engine.kill()
    for address in (ADDRESS, f"{ADDRESS}A/"):
        response = api.get(address)
        assert error(response, 503)["code"] == "unavailable"
        assert response.headers["Retry-After"] == "5"


def test_without_kafka_dead_letters_are_unavailable(api, settings, unused_tcp_port):
    settings.KAFKA_BOOTSTRAP_SERVERS = [f"127.0.0.1:{unused_tcp_port}"]
    response = api.get(f"{ADDRESS}dead-letters/")
    refused = error(response, 503)
    assert refused["code"] == "unavailable" and str(unused_tcp_port) in refused["message"]
    assert response.headers["Retry-After"] == "5"
