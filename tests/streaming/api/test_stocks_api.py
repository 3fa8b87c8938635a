"""The REST API of prices, from what the store has really written."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from streaming.prices import api_examples, board
from streaming.prices.calculations import Asked
from tests.api_client import client_of, error
from tests.streaming import pricing
from tests.streaming.api.test_sales_api import shape
from tests.streaming.pricing import age, partition, snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_prices")]

STOCKS = "/api/stocks/"
UPDATER = "/api/streaming/prices/"
LETTERS = f"{UPDATER}dead-letters/"
SEEDED = '{"id": 3, "price": [1682, ""], "time": ["09:00", "09:01"], "performance": 0}'
MINUTE = 29_453_760


@pytest.fixture
def api(user):
    return client_of(user, "streaming:read")


@pytest.fixture
def get(api):
    def get(address: str, status: int = 200, **parameters: object):
        response = api.get(address, parameters)
        assert response.status_code == status, response.content
        assert response.headers["Content-Type"] == "application/json"
        return response.json()

    return get


def example() -> None:
    """What the schema shows."""
    pricing.store().seed("stock3", SEEDED)
    pricing.add("stock3", ("090006", "1734"), ("090016", "1786"))
    store = pricing.store()
    (asked,) = store.ask(MINUTE)
    assert store.begin(asked) and store.finish(asked, "0", 3.0)
    pricing.add("stock3", ("090020", "1804"))


def without_instants(value):
    """Instants are another's."""
    if isinstance(value, dict):
        return {
            name: without_instants(inner)
            for name, inner in value.items()
            if not name.endswith("_at") or inner is None
        }
    return [without_instants(inner) for inner in value] if isinstance(value, list) else value


def test_without_stocks_the_list_is_empty(get):
    assert get(STOCKS) == {"next": None, "results": []}


def test_answers_are_as_the_documentation_shows_them(get):
    example()
    assert without_instants(get(STOCKS)) == without_instants(api_examples.STOCKS)
    assert without_instants(get(f"{STOCKS}stock3/")) == without_instants(api_examples.HISTORY)
    board.publish(snapshot())
    assert shape(get(UPDATER)) == shape(api_examples.UPDATER)
    pricing.refuse(b'{"time": "090006", "stock": "stock3", "price": -5}')
    answer, shown = get(LETTERS), api_examples.DEAD_LETTERS
    assert shape(answer) == shape(shown)
    for name in ("place", "reason", "detail", "value", "value_bytes"):
        assert answer["results"][0][name] == shown["results"][0][name]


def test_prices_are_the_numbers_that_were_sent(api):
    prices = ["123456789012.123456", "0.000001", "", "12.5", "999999999999", "0"]
    pricing.add("a", *((f"09000{n}", price) for n, price in enumerate(prices)))
    body = api.get(f"{STOCKS}a/").content.decode()
    assert f'"price":[{",".join(price or chr(34) * 2 for price in prices)}]' in body
    pricing.add("a", ("090006", "123456789012.123456"))
    store = pricing.store()
    (asked,) = store.ask(MINUTE)
    assert store.begin(asked) and store.finish(asked, "0.10000000000000000555", 1.0)
    body = api.get(STOCKS).content.decode()
    assert '"price":123456789012.123456,' in body
    assert '"performance":0.10000000000000000555,' in body
    assert '"calculated_price":123456789012.123456,' in body
    assert json.loads(body)["results"][0]["name"] == "a"


def test_a_stock_without_any_price_has_none(get):
    pricing.add("a", ("090000", ""))
    (stock,) = get(STOCKS)["results"]
    assert stock["price"] is None and stock["time"] is None and stock["count"] == 1
    answer = get(f"{STOCKS}a/")
    assert (answer["time"], answer["price"]) == (["090000"], [""])
    assert answer["calculated_at"] is None and answer["calculated_price"] is None


def test_a_failed_calculation_has_its_words(get):
    pricing.add("a", ("090000", "5"))
    store = pricing.store()
    (asked,) = store.ask(MINUTE)
    assert asked == Asked("a", "5", MINUTE)
    (stock,) = get(STOCKS)["results"]
    assert stock["asked_at"] is not None and stock["failure"] is None
    store.begin(asked)
    store.fail(asked, "It took longer than 10 s.")
    (stock,) = get(STOCKS)["results"]
    assert stock["failure"] == "It took longer than 10 s." and stock["failed_at"] is not None
    assert stock["asked_at"] is None


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, ["09:00", "09:01", "085959", "090000", "090100", "090101", "235959", "000000"]),
        ({"from": "090000", "to": "090100"}, ["09:00", "09:01", "090000", "090100"]),
        ({"from": "09:01", "to": "09:01:00"}, ["09:01", "090100"]),
        ({"from": "9:01:01"}, ["090101", "235959"]),
        ({"to": "085959"}, ["085959", "000000"]),
        ({"from": "235958", "to": "235959"}, ["235959"]),
        ({"from": "150000", "to": "150000"}, []),
    ],
)
def test_times_are_compared_as_times_and_both_ends_count(get, parameters, expected):
    pricing.store().seed("stock3", SEEDED)
    times = ("085959", "090000", "090100", "090101", "235959", "000000")
    pricing.add("stock3", *((at, "5") for at in times))
    answer = get(f"{STOCKS}stock3/", **parameters)
    assert answer["time"] == expected and len(answer["price"]) == len(expected)
    assert answer["next"] is None and answer["count"] == 8


@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize(
    "value", ["", "9", "90006", "0900061", "250000", "096000", "09:60", "24:00", "now", "٠٩٠٠٠٦"]
)
def test_what_is_no_time_is_refused_by_name(api, name, value):
    pricing.add("a", ("090000", "5"))
    assert error(api.get(f"{STOCKS}a/", {name: value}), 400)["fields"].keys() == {name}


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("from=100000&to=090000", "to"),
        ("limit=0", "limit"),
        ("limit=100001", "limit"),
        ("limit=x", "limit"),
        ("after=-1", "after"),
        ("after=9007199254740993", "after"),
        ("until=090000", "until"),
        ("from=090000&from=090001", "from"),
    ],
)
def test_wrong_parameters_of_a_history_are_refused(api, query, name):
    pricing.add("a", ("090000", "5"))
    assert error(api.get(f"{STOCKS}a/?{query}"), 400)["fields"].keys() == {name}


def test_a_long_history_comes_in_pages_that_follow_each_other(get):
    rows = [(f"0{n // 3600}{n // 60 % 60:02}{n % 60:02}", str(n)) for n in range(25_000)]
    pricing.add("a", *rows)
    answer = get(f"{STOCKS}a/")
    assert len(answer["time"]) == 10_000 and answer["count"] == 25_000
    assert urlsplit(answer["next"]).path == f"{STOCKS}a/"
    found, address = [], f"{STOCKS}a/?limit=9000&from=000001"
    while address:
        answer = get(address)
        found += answer["price"]
        address = answer["next"]
        query = parse_qs(urlsplit(address or "").query)
        assert not address or (query["limit"], query["from"]) == (["9000"], ["000001"])
    assert found == list(range(1, 25_000))


def test_names_in_capitals_are_the_same_stock(get):
    pricing.add("stock1", ("090000", "5"))
    assert get(f"{STOCKS}Stock1/")["name"] == "stock1"


@pytest.mark.parametrize("name", ["stock9", "user1", "9", "x" * 65, "a%20b", "%00", ".."])
def test_what_is_no_stock_is_not_found(api, name):
    pricing.add("stock1", ("090000", "5"))
    assert error(api.get(f"{STOCKS}{name}/"), 404)["code"] == "not_found"


def test_stocks_come_by_id_in_pages(get):
    for name in ("stock10", "stock2", "acme", "stock1"):
        pricing.add(name, ("090000", "5"))
    answer = get(STOCKS, page_size=3)
    assert [(each["name"], each["id"]) for each in answer["results"]] == [
        ("stock1", 1),
        ("stock2", 2),
        ("stock10", 10),
    ]
    rest = get(answer["next"])
    assert [each["name"] for each in rest["results"]] == ["acme"] and rest["next"] is None


def test_the_updater_is_all_instances_as_one(get):
    assert get(UPDATER)["state"] == "none"
    halted = {"reason": "topic_recreated", "detail": "…", "advice": "…"}
    board.publish(snapshot("a", partition_count=3))
    board.publish(
        snapshot(
            "b",
            state="halted",
            partitions=[partition(1, halted=halted, notice="lost")],
            partition_count=3,
        )
    )
    answer = get(UPDATER)
    assert answer["state"] == "halted" and answer["rate"] == 240 and answer["lag"] == 20
    assert [each["state"] for each in answer["partitions"]] == ["running", "halted", "nobody"]
    assert answer["partitions"][1]["halted"] == halted
    assert answer["partitions"][1]["notice"] == "lost"
    age(125.0)
    assert get(UPDATER)["stale"] is True


def test_dead_letters_are_paged_and_found_by_reason(get):
    pricing.refuse(b'{"time": "1"}', *(b"no json %d" % number for number in range(5)), b"\xff\xfe")
    answer = get(LETTERS, page_size=3)
    assert [each["number"] for each in answer["results"]] == [6, 5, 4]
    assert answer["results"][0]["value"] is None
    assert answer["results"][0]["value_base64"] == "//4="
    rest = get(answer["next"])
    assert [each["number"] for each in rest["results"]] == [3, 2, 1]
    last = get(rest["next"])
    assert [each["number"] for each in last["results"]] == [0] and last["next"] is None
    found = get(LETTERS, reason="not_json")
    assert len(found["results"]) == 5 and found["whole"] is True


@pytest.mark.parametrize("before", ["0-0", "000-0", "0-1"])
def test_nothing_is_older_than_the_lowest_cursor(get, before):
    pricing.refuse(b"no json")
    assert get(LETTERS, before=before) == {"next": None, "whole": True, "results": []}


@pytest.mark.parametrize(
    "query", ["reason=none", "before=x", "before=1-2-3", "page_size=0", "page_size=101"]
)
def test_wrong_parameters_of_dead_letters_are_refused(api, query):
    (name,) = error(api.get(f"{LETTERS}?{query}"), 400)["fields"]
    assert query.startswith(name)


@pytest.mark.parametrize("address", [STOCKS, f"{STOCKS}a/", UPDATER, LETTERS])
def test_it_needs_the_scope_and_known_parameters(user, api, address):
    refused = error(client_of(user, "catalogue:write").get(address), 403)
    assert "streaming:read" in refused["message"]
    assert error(api.get(f"{address}?nothing=1"), 400)["fields"].keys() == {"nothing"}


def test_without_the_redis_of_prices_it_is_unavailable(api, own_valkey, settings):
    engine = own_valkey()
    settings.PRICES_REDIS_URL = engine.variables()["PRICES_REDIS_URL"]
    engine.kill()
    for address in (STOCKS, f"{STOCKS}a/", LETTERS):
        response = api.get(address)
        refused = error(response, 503)
        assert refused["code"] == "unavailable" and "can't be reached" in refused["message"]
        assert response.headers["Retry-After"] == "5"
    assert api.get(UPDATER).status_code == 200


def test_without_the_redis_of_pages_the_updater_is_unknown(api, own_valkey, settings):
    engine = own_valkey()
    settings.REDIS_URL = engine.variables()["REDIS_URL"]
    pricing.add("a", ("090000", "5"))
    engine.kill()
    assert error(api.get(UPDATER), 503)["code"] == "unavailable"
    assert api.get(f"{STOCKS}a/").status_code == 200


def test_a_key_that_others_made_something_else_is_a_conflict(api):
    pricing.add("a", ("090000", "5"))
    pricing.redis_of_prices().set("a", '{"credit": 5}')
    refused = error(api.get(f"{STOCKS}a/"), 409)
    assert "it has no lists time and price" in refused["message"]
