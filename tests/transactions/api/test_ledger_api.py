"""The REST API of the ledger."""

import json
from datetime import UTC, datetime

import pika
import pytest

from tests.api_client import client_of, error
from tests.streaming.api.test_sales_api import shape
from tests.transactions.bookkeeping import MINUTE, health, sample
from transactions import queue_depth
from transactions.ledger import api_examples, board

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("ledger")]

ADDRESS = "/api/ledger/"


@pytest.fixture
def api(user):
    return client_of(user, "ledger:read")


@pytest.fixture
def get(api):
    def get(address: str = "", status: int = 200, **parameters: object):
        response = api.get(ADDRESS + address, parameters)
        assert response.status_code == status, response.content
        assert response.headers["Content-Type"] == "application/json"
        return response.json()

    return get


def iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_answers_are_as_the_documentation_shows_them(get, ledger, rabbitmq, settings):
    sample(ledger)
    answer = get()
    assert answer["results"] == api_examples.BALANCES["results"]
    assert answer["minute"] == iso(ledger.last) and answer["next"] is None
    assert shape(answer) == shape(api_examples.BALANCES)
    answer = get("1/")
    assert shape(answer) == shape(api_examples.BALANCE)
    assert (answer["balance"], answer["minute"]) == (1300, iso(ledger.last))
    assert answer["current"] == api_examples.VISA
    answer = get("1/history/")
    assert shape(answer) == shape(api_examples.HISTORY)
    assert [each["balance"] for each in answer["results"]] == [1200, 1300]
    ledger.minute(ledger.last + MINUTE, failure="KeyDB: refused")
    answer = get("runs/")
    assert shape(answer["results"][1]) == shape(api_examples.RUN)
    assert shape(answer["results"][0]) == shape(api_examples.FAILED)
    ledger.reject(b"hello", detail=api_examples.REJECTS["results"][0]["detail"])
    answer = get("rejects/")
    assert shape(answer) == shape(api_examples.REJECTS)
    for name in ("reason", "detail", "body", "body_bytes", "body_base64"):
        assert answer["results"][0][name] == api_examples.REJECTS["results"][0][name]


def test_the_status_is_as_the_documentation_shows_it(get, ledger, rabbitmq, settings):
    sample(ledger)
    ledger.reject(b"hello")
    ledger.reconciled()
    board.publish(health())
    settings.AMQP_URL = rabbitmq.variables()["AMQP_URL"]
    settings.LEDGER_QUEUE = "test_ledger_api"
    queue_depth.forget()
    answer = get("status/")
    assert answer["queue"]["problem"] == "there is no queue test_ledger_api yet"
    assert answer["leading_since"] is None
    connection = pika.BlockingConnection(pika.URLParameters(settings.AMQP_URL))
    channel = connection.channel()
    channel.queue_declare(settings.LEDGER_QUEUE, durable=True)
    for _ in range(3):
        channel.basic_publish("", settings.LEDGER_QUEUE, b"x")
    channel.queue_declare(settings.LEDGER_QUEUE, passive=True)
    queue_depth.forget()
    answer = get("status/")
    assert answer["queue"] == {"name": "test_ledger_api", "messages": 3, "problem": None}
    channel.queue_purge(settings.LEDGER_QUEUE)
    assert get("status/")["queue"]["messages"] == 3, "kept for some seconds"
    queue_depth.forget()
    assert get("status/")["queue"]["messages"] == 0
    channel.queue_delete(settings.LEDGER_QUEUE)
    connection.close()
    assert shape({**answer, "leading_since": ""}) == shape(api_examples.STATUS)
    assert (answer["providers"], answer["transactions"], answer["rejects"]) == (2, 4, 1)


def test_amounts_have_all_their_digits(api, ledger):
    ledger.begin(sample=False)
    ledger.execute("ALTER TABLE initial_data ALTER initial_value TYPE numeric")
    number = ledger.provider("Big", "-123456789012345678901234567890.000000000001")
    ledger.total(number, "0.10", 1)
    ledger.minute(ledger.last, {f"{number}_Big": "12345678901234567890.10"})
    body = api.get(ADDRESS).content.decode()
    assert '"balance":12345678901234567890.1,' in body
    assert '"current":-123456789012345678901234567889.900000000001,' in body
    assert '"initial":-123456789012345678901234567890.000000000001,' in body
    body = api.get(f"{ADDRESS}{number}/history/").content.decode()
    assert '"balance":12345678901234567890.1}' in body
    assert '"balance":12345678901234567890.1,' in api.get(f"{ADDRESS}{number}/").content.decode()
    ledger.execute("UPDATE initial_data SET initial_value = 'NaN'")
    assert json.loads(api.get(ADDRESS).content)["results"][0]["initial"] is None


def test_names_are_any_text(get, ledger):
    ledger.begin(sample=False)
    names = ["<b>", "銀行 €", "", None, '"\\u0000', "x" * 300]
    for name in names:
        ledger.provider(name)
    assert [each["name"] for each in get()["results"]] == names


def test_providers_come_in_pages(get, api, ledger):
    sample(ledger)
    for number in range(8):
        ledger.provider(f"Bank {number}")
    found, answer = [], get(page_size=3)
    while True:
        found += [each["provider"] for each in answer["results"]]
        assert len(answer["results"]) <= 3
        if answer["next"] is None:
            break
        answer = api.get(answer["next"]).json()
    assert found == list(range(1, 11))


def test_the_balance_at_a_minute(get, ledger):
    sample(ledger)
    at = ledger.last - MINUTE
    assert get("1/", at=iso(at))["balance"] == 1200
    answer = get("1/", at=at.strftime("%Y-%m-%dT%H:%M:59"))
    assert (answer["balance"], answer["minute"]) == (1200, iso(at))
    assert get("1/", at="9999-12-31T23:59:59Z")["balance"] == 1300
    refused = error_of(get("1/", 404, at="0001-01-01T00:00Z"))
    assert refused["code"] == "not_found" and "kept for 7 days" in refused["message"]
    assert error_of(get("99/", 404))["code"] == "not_found"


def error_of(answer):
    return answer["error"]


def test_a_provider_that_is_gone_has_its_past(get, ledger):
    sample(ledger)
    ledger.execute("DELETE FROM historical_transactions WHERE provider_id = 2")
    ledger.execute("DELETE FROM initial_data WHERE id = 2")
    answer = get("2/")
    assert answer["balance"] == 1800 and answer["current"] is None


def test_a_history_comes_in_pages_between_its_ends(get, api, ledger):
    ledger.begin()
    for back in range(10):
        ledger.minute(ledger.last - back * MINUTE, {"1_Visa": back})
    ends = {"from": iso(ledger.last - 8 * MINUTE), "to": iso(ledger.last - 2 * MINUTE)}
    found, answer = [], get("1/history/", **ends, page_size=3)
    while True:
        found += [each["balance"] for each in answer["results"]]
        if answer["next"] is None:
            break
        answer = api.get(answer["next"]).json()
    assert found == [8, 7, 6, 5, 4, 3, 2]
    assert get("99/history/")["results"] == []


def test_runs_come_in_pages(get, api, ledger):
    ledger.begin()
    for back in range(5):
        ledger.minute(ledger.last - back * MINUTE)
    answer = get("runs/", page_size=2)
    found = [each["minute"] for each in answer["results"]]
    while answer["next"]:
        answer = api.get(answer["next"]).json()
        found += [each["minute"] for each in answer["results"]]
    assert found == [iso(ledger.last - back * MINUTE) for back in range(5)]


def test_rejects_come_in_pages_and_by_reason(get, api, ledger):
    ledger.begin()
    for number in range(5):
        ledger.reject(b"\xff" if number == 3 else b"x", "not_utf8" if number == 3 else "not_json")
    answer = get("rejects/", page_size=2)
    found = [each["id"] for each in answer["results"]]
    while answer["next"]:
        answer = api.get(answer["next"]).json()
        found += [each["id"] for each in answer["results"]]
    assert found == [5, 4, 3, 2, 1]
    (one,) = get("rejects/", reason="not_utf8")["results"]
    assert one["body"] is None and one["body_base64"] == "/w=="


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("?after=x", "after"),
        ("?page_size=0", "page_size"),
        ("?nonsense=1", "nonsense"),
        ("1/?at=yesterday", "at"),
        ("1/?at=0001-01-01T00:00%2B14:00", "at"),
        ("1/history/?from=2026-01-02T00:00Z&to=2026-01-01T00:00Z", "to"),
        ("runs/?before=1", "before"),
        ("rejects/?reason=none", "reason"),
        ("rejects/?before=-1", "before"),
        ("status/?x=1", "x"),
    ],
)
def test_what_is_wrong_is_refused_by_name(api, ledger, address, name):
    sample(ledger)
    assert error(api.get(ADDRESS + address), 400)["fields"].keys() == {name}


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_instants_far_away_are_no_failure(get, ledger, text):
    sample(ledger)
    get("1/history/", to=text)
    get("runs/", before=text)


@pytest.mark.parametrize(("number", "count"), [(-(2**63), 2), (2**63 - 1, 0)])
def test_ids_at_the_ends_of_bigint_are_no_failure(get, ledger, number, count):
    sample(ledger)
    assert len(get(after=number)["results"]) == count
    get(f"{number}/", 404)


def test_another_scope_is_not_enough(user, ledger):
    refused = error(client_of(user, "streaming:write").get(ADDRESS), 403)
    assert "ledger:read" in refused["message"]


@pytest.mark.parametrize("address", ["", "1/", "1/history/", "runs/", "rejects/"])
def test_without_tables_it_is_said_what_is_missing(api, address):
    response = api.get(ADDRESS + address)
    refused = error(response, 503)
    assert (
        refused["code"] == "unavailable" and "table initial_data is missing" in (refused["message"])
    )
    assert response.headers["Retry-After"]


def test_the_status_says_what_is_missing(get):
    answer = get("status/")
    assert "table initial_data is missing" in answer["unready"]
    assert answer["last_run"] is None and answer["instances"] == []


@pytest.mark.parametrize("address", ["", "1/", "1/history/", "runs/", "rejects/", "status/"])
def test_without_its_database_it_is_unavailable(api, settings, unused_tcp_port, address):
    settings.LEDGER_DATABASE_URL = f"postgresql://x@127.0.0.1:{unused_tcp_port}/x"
    response = api.get(ADDRESS + address)
    refused = error(response, 503)
    assert "The ledger's database can't be read just now" in refused["message"]
    assert response.headers["Retry-After"]


def test_without_redis_the_instances_are_unknown(get, ledger, own_valkey, settings):
    sample(ledger)
    engine = own_valkey()
    settings.REDIS_URL = engine.variables()["REDIS_URL"]
    engine.kill()
    assert get("status/")["instances"] is None
