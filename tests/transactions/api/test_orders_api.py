"""The REST API of orders: BuyStock, the list, one order."""

import json
from concurrent.futures import wait
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from config.accounts.models import ApiToken
from config.accounts.tokens import issue
from tests.api_client import client_of, error, send
from tests.streaming.api.test_sales_api import shape
from tests.transactions.orders.conftest import market as market
from tests.transactions.orders.conftest import no_rabbitmq as no_rabbitmq
from tests.transactions.orders.stage import make_order, set_credit, set_price
from transactions.models import Order
from transactions.orders import api_examples, overview, reception, waiting
from webhooks.models import Delivery, Endpoint, Event

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_rabbitmq")]

BUY = "/api/BuyStock"
NOBODYS = UUID("8f0d2c6e-2f55-4c0a-9d2e-5f3f6a1b7c90")  # the same in each process of a run
ORDERS = "/api/orders/"
WANTED = {"user": "user1", "stockname": "stock1", "quantity": 10}
LARGE = 2**53 + 1


@pytest.fixture(autouse=True)
def _sample(market):
    set_credit(market, "user1", 1_000)
    set_credit(market, "user2", 1_000)
    set_price(market, "stock1", 90, 100)


def client_for(user, *trading_users: str, scopes: tuple[str, ...] = ("orders:write",)) -> Client:
    """With a token that trades for these."""
    secret = issue(user, "bot", scopes, trading_users)[1]
    return Client(headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def api(user):
    return client_for(user, "user1")


@pytest.fixture
def get(api):
    def get(address: str = ORDERS, status: int = 200, **parameters: object):
        response = api.get(address, parameters)
        assert response.status_code == status, response.content
        assert response.headers["Content-Type"] == "application/json"
        return response.json()

    return get


def exact(response) -> Any:
    """The answer with its numbers as they are written."""
    return json.loads(response.content, parse_int=Decimal, parse_float=Decimal)


@pytest.mark.parametrize("address", [BUY, f"{BUY}/"])
def test_an_order_is_received_at_once(api, address):
    response = send(api, "post", address, WANTED)
    assert response.status_code == 202
    answer = response.json()
    assert shape(answer) == shape(api_examples.RECEIVED)
    order = Order.objects.get()
    assert answer["order_id"] == str(order.order_id) and answer["status"] == "received"
    status_url = f"http://testserver{ORDERS}{order.order_id}/"
    assert answer["status_url"] == response.headers["Location"] == status_url
    assert answer["events_url"] == f"http://testserver/events/order-{order.order_id}/"
    assert api.get(status_url).json() == answer


def test_an_order_that_cant_be_paid_is_denied_at_once(api):
    response = send(api, "post", BUY, {**WANTED, "quantity": 11})
    assert response.status_code == 200 and "Location" not in response.headers
    answer = response.json()
    assert shape(answer) == shape(api_examples.DENIED_AT_ONCE)
    assert (answer["status"], answer["reason"]) == ("Deny", "insufficient_credit")
    assert (answer["price"], answer["amount"], answer["credit_before"]) == (100, 1_100, 1_000)
    assert answer["decided_at"] == answer["received_at"]
    assert api.get(answer["status_url"]).json() == answer


@pytest.mark.parametrize("by_key", [False, True])
def test_numbers_have_all_their_digits(api, market, by_key):
    set_credit(market, "user1", LARGE)
    set_price(market, "stock1", f"{LARGE}.123456789")
    headers = {"Idempotency_Key": "exact"} if by_key else {}
    for _ in range(2):
        answer = exact(send(api, "post", BUY, {**WANTED, "quantity": 10**12}, **headers))
        assert answer["amount"] == Decimal(f"{LARGE}123456789000")
        assert answer["price"] == Decimal(f"{LARGE}.123456789")
        assert answer["credit_before"] == LARGE and answer["quantity"] == 10**12


def test_the_names_case_is_that_of_redis(api):
    assert send(api, "post", BUY, {**WANTED, "stockname": "Stock1"}).json()["stockname"] == "stock1"


@pytest.mark.parametrize(
    ("change", "name"),
    [
        *(({name: ...}, name) for name in WANTED),
        *(({name: None}, name) for name in WANTED),
        *(({"user": value}, "user") for value in (1, True, [], {}, "", "user", "User1", "nobody")),
        *(({"user": value}, "user") for value in (" user1", "user1 ", "user1\n", "user1\0", "*")),
        *(({"user": value}, "user") for value in ("stock1", "user1" + "a" * 60, "user\u0661")),
        *(({"stockname": value}, "stockname") for value in (1, False, ["stock1"], "", ".stock")),
        *(({"stockname": value}, "stockname") for value in (" stock1", "stock1\n", "s\0", "user1")),
        *(({"stockname": value}, "stockname") for value in ("s" * 65, "\u212aey", "stock 1")),
        *(({"quantity": value}, "quantity") for value in (0, -1, 10**12 + 1, 10**400, -(10**30))),
        *(({"quantity": value}, "quantity") for value in (5.0, 0.5, True, False, "5", "", [5], {})),
        *(({"callback_url": value}, "callback_url") for value in (None, 5, "", "x", "ftp://a/")),
        ({"callback_url": f"https://shop.example.com/{'x' * 2_000}"}, "callback_url"),
        ({"callback_url": "https://shop.example.com/\0"}, "callback_url"),
        ({"price": 1}, "price"),
        ({"Quantity": 1}, "Quantity"),
        ({"order_id": str(NOBODYS)}, "order_id"),
    ],
)
def test_what_is_wrong_is_refused_by_name(api, change, name):
    wanted = {key: value for key, value in {**WANTED, **change}.items() if value is not ...}
    refused = error(send(api, "post", BUY, wanted), 400)
    assert set(refused["fields"]) == {name} and refused["code"] == "invalid"
    assert not Order.objects.exists()


@pytest.mark.parametrize("quantity", ["1e3", "5.0", "1E2", "10.0e0", "1e400", "-0", "0"])
def test_a_quantity_is_written_with_digits_alone(api, quantity):
    body = f'{{"user": "user1", "stockname": "stock1", "quantity": {quantity}}}'
    refused = error(api.post(BUY, body, content_type="application/json"), 400)
    assert set(refused["fields"]) == {"quantity"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"5",
        b'"user1"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"user": "user1", "stockname": "stock1", "quantity": NaN}',
        b'{"user": "user1", "stockname": "stock1", "quantity": 01}',
        b'{"user": "user1", "stockname": "stock1", "quantity": ' + b"9" * 5_000 + b"}",
        b'{"user": "user1\\ud800", "stockname": "stock1", "quantity": 1}',
    ],
)
def test_a_body_that_is_no_order_is_refused(api, body):
    error(api.post(BUY, body, content_type="application/json"), 400)
    assert not Order.objects.exists()


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_only_json_is_taken(api, kind):
    error(api.post(BUY, "user=user1", content_type=kind), 415)


def test_parameters_are_refused_by_name(api):
    assert set(error(send(api, "post", f"{BUY}?wait=5", WANTED), 400)["fields"]) == {"wait"}


@pytest.mark.parametrize(
    ("address", "methods", "allowed"),
    [
        (BUY, "get head put patch delete trace", "POST, OPTIONS"),
        (f"{BUY}/", "get put delete", "POST, OPTIONS"),
        (ORDERS, "post put patch delete trace", "GET, HEAD, OPTIONS"),
        (f"{ORDERS}{NOBODYS}/", "post put patch delete", "GET, HEAD, OPTIONS"),
    ],
)
def test_other_methods_are_answered_with_those_there_are(api, address, methods, allowed):
    for method in methods.split():
        response = getattr(api, method)(address)
        assert (response.status_code, response.headers["Allow"]) == (405, allowed), method


@pytest.mark.parametrize(
    ("change", "status", "name"),
    [
        ({"user": "user9"}, 404, "user"),
        ({"stockname": "stock9"}, 404, "stockname"),
        ({"stockname": "silent"}, 409, "stockname"),
        ({"user": "user3"}, 409, "user"),
    ],
)
def test_what_is_not_there_is_named(user, market, change, status, name):
    set_price(market, "silent", "")
    market.set("user3", "no user")
    refused = error(send(client_for(user, "*"), "post", BUY, {**WANTED, **change}), status)
    assert set(refused["fields"]) == {name} and change[name] in refused["message"]
    assert not Order.objects.exists()


def test_a_full_house_is_busy(api, settings):
    settings.ORDERS_MOST_OPEN = 1
    make_order()
    response = send(api, "post", BUY, WANTED, Idempotency_Key="once")
    assert error(response, 503)["code"] == "busy" and int(response.headers["Retry-After"]) > 0
    assert Order.objects.count() == 1
    Order.objects.update(status="Accept")
    assert send(api, "post", BUY, WANTED, Idempotency_Key="once").status_code == 202


def test_with_redis_away_it_is_unavailable(api, settings, unused_tcp_port):
    settings.PRICES_REDIS_URL = f"redis://127.0.0.1:{unused_tcp_port}/0"
    response = send(api, "post", BUY, WANTED)
    refused = error(response, 503)
    assert refused["code"] == "unavailable" and "Nothing was placed" in refused["message"]
    assert response.headers["Retry-After"] and not Order.objects.exists()


def test_a_token_trades_for_its_users_only(user):
    for api in (client_for(user, "user2"), client_for(user), client_for(user, "user", "user1x")):
        for wanted in (WANTED, {**WANTED, "user": "user9"}):  # whether there is one is not said
            refused = error(send(api, "post", BUY, wanted), 403)
            assert wanted["user"] in refused["message"]
    assert not Order.objects.exists()
    assert send(client_for(user, "*"), "post", BUY, WANTED).status_code == 202
    assert send(client_for(user, "user2", "user1"), "post", BUY, WANTED).status_code == 202


@pytest.mark.parametrize("scopes", [("orders:read",), ("ledger:write",), ()])
def test_a_token_needs_the_scope(user, scopes):
    refused = error(send(client_for(user, "*", scopes=scopes), "post", BUY, WANTED), 403)
    assert "orders:write" in refused["message"]


def test_without_a_token_or_a_session_nobody_gets_in(client):
    error(send(client, "post", BUY, WANTED), 401)
    error(client.get(ORDERS), 401)


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("editor", 202)])
def test_editors_trade_for_all(client, user, role, status):
    user.role = role
    user.save()
    client.force_login(user)
    assert send(client, "post", BUY, WANTED).status_code == status
    assert client.get(ORDERS).status_code == 200


def test_the_same_key_and_body_is_the_same_order(api):
    first = send(api, "post", BUY, WANTED, Idempotency_Key="one")
    again = send(api, "post", f"{BUY}/", dict(reversed(WANTED.items())), Idempotency_Key="one")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert first.status_code == 202
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    other = send(api, "post", BUY, {**WANTED, "quantity": 1}, Idempotency_Key="one")
    assert error(other, 409)["code"] == "idempotency_conflict"
    assert Order.objects.count() == 1
    send(api, "post", BUY, WANTED, Idempotency_Key="two")
    assert Order.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_key_sent_many_times_at_once_makes_one_order(user, workers):
    clients = [client_for(user, "user1") for _ in range(8)]  # the key is the account's
    sent = [workers(send, each, "post", BUY, WANTED, Idempotency_Key="k") for each in clients]
    wait(sent)
    answers = [each.result() for each in sent]
    assert {each.status_code for each in answers} == {202}
    assert {each.json()["order_id"] for each in answers} == {str(Order.objects.get().order_id)}


def test_it_takes_few_queries(api, django_assert_num_queries, monkeypatch):
    send(api, "post", BUY, WANTED)  # notes that the token is used
    monkeypatch.setattr(reception, "_far_until", 0.0)
    with django_assert_num_queries(3):  # token, open orders, the row
        send(api, "post", BUY, WANTED)
    with django_assert_num_queries(2):  # token, the row
        send(api, "post", BUY, {**WANTED, "quantity": 11})
    made = [make_order() for _ in range(5)]
    with django_assert_num_queries(6):  # token, the rows, a savepoint with a time limit around them
        api.get(ORDERS)
    with django_assert_num_queries(2):
        api.get(f"{ORDERS}{made[0].order_id}/")


def test_an_accepted_order_shows_all_of_itself(get, user):
    made = delivered(user)
    answer = get(f"{ORDERS}{made.order_id}/")
    assert shape(answer) == shape(api_examples.ACCEPTED)
    expected = {**api_examples.ACCEPTED, "order_id": str(made.order_id), "user": "user1"}
    for name in ("status", "price", "amount", "credit_before", "credit_after", "callback"):
        assert answer[name] == expected[name]
    assert get()["results"] == [answer]


def delivered(user) -> Order:
    """An accepted order as in the example, its callback with it."""
    shown = api_examples.ACCEPTED
    sent = shown["callback"]
    now = timezone.now()
    host = Endpoint.objects.create(url="https://shop.example.com", event_types=[], created_by=user)
    event = Event.objects.create(type="order.decided", data={})
    delivery = Delivery.objects.create(
        event=event,
        endpoint=host,
        url=sent["url"],
        event_type=event.type,
        state=sent["state"],
        attempts_made=sent["attempts"],
        last_status_code=sent["last_status_code"],
        finished_at=sent["finished_at"],
    )
    return make_order(
        status="Accept",
        price=Decimal(str(shown["price"])),
        amount=shown["amount"],
        credit_before=shown["credit_before"],
        credit_after=shown["credit_after"],
        verification_began_at=now,
        verified_at=now,
        decided_at=now,
        callback_url=sent["url"],
        delivery=delivery,
    )


@pytest.mark.parametrize(("status", "state"), [("verifying", "waiting"), ("Accept", "gone")])
def test_a_callback_without_a_delivery_is_waiting_or_gone(get, status, state):
    url = "https://shop.example.com/"
    made = make_order(status=status, callback_url=url)
    found = get(f"{ORDERS}{made.order_id}/")["callback"]
    assert (found["url"], found["state"], found["attempts"]) == (url, state, None)


def test_orders_of_others_are_not_there(user):
    made = make_order("user2")
    one = client_for(user, "user1", scopes=("orders:read",))
    missing = error(one.get(f"{ORDERS}{made.order_id}/"), 404)
    assert missing == error(one.get(f"{ORDERS}{NOBODYS}/"), 404)
    assert one.get(ORDERS).json()["results"] == []
    assert one.get(ORDERS, {"user": "user2"}).json()["results"] == []
    for api in (client_for(user, "user2"), client_for(user, "*")):
        assert api.get(f"{ORDERS}{made.order_id}/").status_code == 200
        assert len(api.get(ORDERS).json()["results"]) == 1
    error(client_of(user, "ledger:read").get(ORDERS), 403)


def test_a_token_without_trading_users_sees_nothing(user):
    make_order()
    assert client_of(user, "orders:read").get(ORDERS).json()["results"] == []
    assert ApiToken.objects.get().trading_users == []


@pytest.mark.parametrize("address", ["x/", "1/", f"{NOBODYS}x/", f"{NOBODYS.hex}/"])
def test_what_is_no_order_id_is_not_there(get, address):
    get(ORDERS + address, 404)


def test_the_list_comes_in_pages(get, api):
    ids = [str(make_order().order_id) for _ in range(7)]
    answer = get(page_size=3)
    found = answer["results"]
    while answer["next"]:
        make_order()  # shifts nothing
        answer = api.get(answer["next"]).json()
        found += answer["results"]
    assert [each["order_id"] for each in found] == ids[::-1]


def test_the_list_has_filters(user):
    api = client_for(user, "*")
    make_order("user1", status="Accept")
    make_order("user2", stock="stock2", status="Deny")
    make_order("user2", stock="stock1")

    def count(**parameters: str) -> int:
        return len(api.get(ORDERS, parameters).json()["results"])

    assert (count(), count(user="user2"), count(stockname="Stock1"), count(status="Deny")) == (
        *(3, 2),
        *(2, 1),
    )
    assert count(user="user2", stockname="stock1", status="received") == 1
    assert count(user="user1", status="Deny") == 0


@pytest.mark.django_db(transaction=True)
def test_a_list_that_takes_too_long_asks_for_another_filter(user, monkeypatch):
    """Here because another connection holds the table; the limit is the same for slow ones."""
    monkeypatch.setattr(overview, "TIMEOUT_MS", 50)
    api = client_for(user, "*")
    make_order()
    filters = {"user": "user1", "stockname": "stock1"}
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            # Without a limit the list would wait for ever.
            cursor.execute("SET idle_in_transaction_session_timeout = '20s'")
            cursor.execute("LOCK TABLE transactions_order IN ACCESS EXCLUSIVE MODE")
        filtered = error(api.get(ORDERS, filters), 400)
        all_of_them = error(api.get(ORDERS), 503)
    finally:
        other.close()
    assert (filtered["code"], set(filtered["fields"])) == ("invalid", set(filters))
    assert "Filter by less, or by a user alone." in filtered["fields"]["stockname"][0]
    assert all_of_them["code"] == "busy"
    monkeypatch.undo()
    assert len(api.get(ORDERS, filters).json()["results"]) == 1


def test_filters_stay_with_the_pages(user):
    api = client_for(user, "*")
    for number in range(6):
        make_order(f"user{1 + number % 2}")
    answer = api.get(ORDERS, {"user": "user1", "page_size": 2}).json()
    rest = api.get(answer["next"]).json()
    assert [each["user"] for each in answer["results"] + rest["results"]] == ["user1"] * 3


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("?before=x", "before"),
        ("?before=-1", "before"),
        (f"?before={2**63}", "before"),
        ("?page_size=0", "page_size"),
        ("?page_size=501", "page_size"),
        ("?status=accept", "status"),
        ("?status=Open", "status"),
        ("?user=", "user"),
        ("?user=User1", "user"),
        ("?user=user1%00", "user"),
        ("?stockname=user1", "stockname"),
        ("?stockname=stock%001", "stockname"),
        ("?nonsense=1", "nonsense"),
        ("?user=user1&user=user2", "user"),
        (f"{NOBODYS}/?wait=-1", "wait"),
        (f"{NOBODYS}/?wait=25.001", "wait"),
        (f"{NOBODYS}/?wait=", "wait"),
        (f"{NOBODYS}/?wait=nan", "wait"),
        (f"{NOBODYS}/?wait=inf", "wait"),
        (f"{NOBODYS}/?wait=1e999", "wait"),
        (f"{NOBODYS}/?wait=1_0", "wait"),
        (f"{NOBODYS}/?wait=%D9%A1", "wait"),
        (f"{NOBODYS}/?wait=5%20", "wait"),
        (f"{NOBODYS}/?wait=1&wait=2", "wait"),
        (f"{NOBODYS}/?user=user1", "user"),
    ],
)
def test_wrong_parameters_are_refused_by_name(api, address, name):
    assert error(api.get(ORDERS + address), 400)["fields"].keys() == {name}


@pytest.mark.parametrize(
    ("wait", "status", "held"),
    [
        ("25", "received", True),
        ("0.5", "verified", True),
        ("1e-3", "verifying", True),
        ("0", "received", False),
        ("0.0", "received", False),
        (None, "received", False),
        ("25", "Accept", False),
        ("25", "Deny", False),
    ],
)
def test_an_open_order_says_that_it_may_be_waited_for(api, wait, status, held):
    made = make_order(status=status)
    asked = waiting.Waiting()
    response = api.get(
        f"{ORDERS}{made.order_id}/",
        {} if wait is None else {"wait": wait},
        **{"asgi.scope": {waiting.KEY: asked}},
    )
    assert response.status_code == 200 and response.json()["status"] == status
    assert asked.open is held


def test_who_waits_is_counted_once(api, settings):
    settings.API_REQUESTS_PER_MINUTE = 2
    made = make_order()
    asked = {"asgi.scope": {waiting.KEY: waiting.Waiting(asked_before=True)}}
    address = f"{ORDERS}{made.order_id}/?wait=1"
    assert [api.get(address, **asked).status_code for _ in range(3)] == [200] * 3
    assert [api.get(address).status_code for _ in range(3)] == [200, 200, 429]


def test_the_examples_add_up():
    price, amount = api_examples.ACCEPTED["price"], api_examples.ACCEPTED["amount"]
    assert price * api_examples.ACCEPTED["quantity"] == amount
    before, after = (api_examples.ACCEPTED[f"credit_{when}"] for when in ("before", "after"))
    assert before - after == amount
