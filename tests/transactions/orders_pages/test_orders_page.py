"""The page of all orders as it is rendered, from rows and keys as the product writes them."""

import re
from datetime import timedelta
from decimal import Decimal
from html import unescape
from itertools import count

import pika
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.consumers import overview as consumers
from streaming.prices.seed_file import Entry, entries
from streaming.prices.store import Store
from tests.stocksync.pages.reading import text
from tests.transactions.orders.stage import set_credit, set_price
from tests.transactions.orders_pages.making import ADDRESS, ago, made, running
from transactions.models import Order, OrderStatus, Reason
from transactions.orders import keys, overview, traders, views

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("market")]

ORDER = {"user": "user1", "stockname": "stock1", "quantity": "100"}


@pytest.fixture
def shop(market):
    """Two users, and a stock at 1740."""
    set_credit(market, "user1", 500_000)
    set_credit(market, "user2", 7)
    set_price(market, "stock1", 1000, 1740, "")
    return market


def test_with_nothing_at_all_it_says_what_to_do(read):
    page = read(ADDRESS)
    assert "No orders yet" in page and "/api/BuyStock" in page
    assert "No users yet" in page and "python manage.py seed_redis FILE" in page
    assert """SET user1 '{"id": 1, "credit": 150000000}'""" in page
    assert "No prices yet" in page and "How prices get in" in page
    assert "No instance runs" in page and "--consumer orders" in page
    assert "Place a trial order" not in page, "nothing could be ordered"


def test_the_sample_lines_are_those_that_seed_redis_takes(client, user):
    client.force_login(user)
    body = unescape(client.get(ADDRESS).content.decode())
    lines = body.partition('id="seed-lines">')[2].partition("</pre>")[0].splitlines()
    assert [(each.key, each.is_user) for each in entries(lines) if isinstance(each, Entry)] == [
        ("user1", True),
        ("user2", True),
    ]


def test_open_orders_are_counted_by_state(read, shop):
    for status, number in (("received", 3), ("verifying", 2), ("verified", 1)):
        for _ in range(number):
            made(status)
    made(OrderStatus.ACCEPT)
    assert "6 open: 3 received 2 verifying 1 verified" in read(ADDRESS)


def test_the_last_hour_is_counted_and_its_delays_measured(read, shop):
    for milliseconds in (10, 20, 30, 40, 2000):
        order = made(OrderStatus.ACCEPT)
        order.decided_at = order.verified_at + timedelta(milliseconds=milliseconds)
        order.save()
    made(OrderStatus.DENY, verified_at=None)  # at once: it has no delay
    made(OrderStatus.ACCEPT, back=4000)
    page = read(ADDRESS)
    assert "5 accepted in the last hour" in page and "1 denied in the last hour" in page
    assert "30 ms from verified to decided, median; 95 % within 2.00 s" in page


def test_of_very_many_decisions_the_newest_are_counted(read, shop, monkeypatch):
    monkeypatch.setattr(overview, "COUNTED", 3)
    for number in range(5):
        made(OrderStatus.ACCEPT if number % 2 else OrderStatus.DENY, back=60 - number)
    page = read(ADDRESS)
    assert "1 accepted of the last 3" in page and "2 denied of the last 3" in page


def test_consumers_and_what_they_wait_for_are_shown(read, shop):
    running("shop-1")
    running("shop-2", waiting_for="PostgreSQL: too many connections")
    page = read(ADDRESS)
    assert "2 consumers running, 1 waits" in page and "No instance runs" not in page
    assert "The consumer on shop-2 waits: PostgreSQL: too many connections" in page


def test_a_crash_is_shown_as_the_operations_page_knows_it(read, shop, monkeypatch):
    crashed = [{"name": "orders", "state": "crashed", "host": "shop-1", "error": "Bang"}]
    monkeypatch.setattr(consumers, "overview", lambda: crashed)
    page = read(ADDRESS)
    assert "The instance on shop-1 has crashed Bang" in page and "0 consumers running" in page


def test_a_limit_that_is_reached_is_said(read, shop, settings):
    settings.ORDERS_MOST_OPEN = 2
    made()
    assert "as many as may be" not in read(ADDRESS)
    made()
    assert "2 orders are open, as many as may be" in read(ADDRESS)


def test_messages_that_wait_are_counted(read, shop, settings, rabbitmq):
    settings.AMQP_URL = rabbitmq.variables()["AMQP_URL"]
    settings.ORDERS_QUEUE = "orders-of-the-page"
    broker = pika.BlockingConnection(pika.URLParameters(settings.AMQP_URL))
    channel = broker.channel()
    channel.queue_declare(settings.ORDERS_QUEUE, durable=True)
    channel.confirm_delivery()
    for _ in range(3):
        channel.basic_publish("", settings.ORDERS_QUEUE, b"x")
    assert "3 messages wait in RabbitMQ" in read(ADDRESS)
    channel.queue_delete(settings.ORDERS_QUEUE)
    broker.close()


def test_a_queue_that_nobody_knows_is_said(read, shop):
    running()
    page = read(ADDRESS)
    assert "not known: AMQP_URL is not set. Orders go on without RabbitMQ" in page
    assert "– messages wait in RabbitMQ" in page


def test_the_list_has_the_newest_first_with_exact_numbers(read, shop):
    made(OrderStatus.DENY, user="user2", reason=Reason.INSUFFICIENT_CREDIT)
    big = made(
        OrderStatus.ACCEPT,
        quantity=10**12,
        price=Decimal("123456789012345.000001"),
        amount=Decimal("123456789012345000001000000"),
    )
    page = read(ADDRESS)
    assert (
        "user1 stock1 1,000,000,000,000 123,456,789,012,345.000001"
        " 123,456,789,012,345,000,001,000,000 Accepted" in page
    )
    assert page.index(str(big.order_id)[:8]) < page.index("Denied The credit is not enough")


def test_the_list_is_filtered_by_user_stock_and_state(read, client, shop):
    orders = {
        (user, stock, status): made(status, user=user, stockname=stock)
        for user in ("user1", "user10")
        for stock in ("stock1", "stock2")
        for status in (OrderStatus.VERIFYING, OrderStatus.ACCEPT)
    }

    def shown(query):
        client.get(ADDRESS)
        body = client.get(f"{ADDRESS}?{query}").content.decode()
        return {name for name, order in orders.items() if f"/{order.order_id}/" in body}

    read(ADDRESS)
    assert shown("") == set(orders)
    assert shown("user=user1") == {each for each in orders if each[0] == "user1"}
    assert shown("stockname=Stock2") == {each for each in orders if each[1] == "stock2"}
    assert shown("status=Accept") == {each for each in orders if each[2] == "Accept"}
    assert shown("status=open&user=user10") == {
        each for each in orders if each[0] == "user10" and each[2] == "verifying"
    }
    assert shown("status=wrong&user=%00&before=x") == set(orders)
    assert "No order matches." in read(f"{ADDRESS}?user=%3Cb%3Enobody")


def test_pages_are_walked_both_ways_with_their_filter(read, client, shop, monkeypatch):
    monkeypatch.setattr(views, "ORDERS", 2)
    made_ = [made(user="user2" if number % 2 else "user1") for number in range(10)]
    mine = [str(each.order_id) for each in made_ if each.user == "user1"][::-1]
    read(ADDRESS)
    found, address = [], f"{ADDRESS}?user=user1&status=open"
    while address:
        body = client.get(address).content.decode()
        found.append(re.findall(r'data-key="order-([^"]+)"', body))
        link = re.search(r'rel="next" href="([^"]+)"', body)
        address = link and ADDRESS + link[1].replace("&amp;", "&")
    assert found == [mine[:2], mine[2:4], mine[4:]]
    back = re.search(r'rel="prev" href="([^"]+)"', body)
    body = client.get(ADDRESS + back[1].replace("&amp;", "&")).content.decode()
    assert re.findall(r'data-key="order-([^"]+)"', body) == mine[2:4]
    assert "No more of them." in read(f"{ADDRESS}?before=1")


def test_a_list_that_takes_too_long_is_said(read, shop, monkeypatch):
    monkeypatch.setattr(overview, "TIMEOUT_MS", 1)
    slow = Order.objects.extra(where=["pg_sleep(0.1) IS NOT NULL"])
    monkeypatch.setattr(views.access, "visible", lambda user, token: slow)
    made()
    page = read(ADDRESS)
    assert "There are too many orders to find these in time." in page and "Credit" in page


def test_credit_is_that_of_redis_with_what_orders_took(read, shop):
    set_credit(shop, "user10", "12345678901234567890.5")
    set_credit(shop, "user3", "123456789012345678901234567890")
    beside = {"orders": 2, "taken": "1000.5", "credit": "500000", "given": "0"}
    shop.hset(keys.beside("user1"), mapping=beside)
    made()
    made(OrderStatus.VERIFIED)
    page = read(ADDRESS)
    assert "user1 500,000 2 2 1,000.5" in page
    assert "user3 123,456,789,012,345,678,901,234,567,890 – – –" in page
    assert page.index("user3 123") < page.index("user10 12,345,678,901,234,567,890.5")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("no json <b>", "Can't be read: it is no JSON"),
        ('{"id": 1}', "Can't be read: it has no number credit"),
        ('{"credit": -1}', "Can't be read: its credit is below 0"),
    ],
)
def test_credit_that_cant_be_read_says_why(read, shop, value, said):
    shop.set("user5", value)
    page = read(ADDRESS)
    assert f"user5 {said}" in page and "user1 500,000" in page


def test_a_key_of_another_kind_says_so(read, shop):
    shop.rpush("user5", "x")
    assert "user5 Can't be read: the key holds something else" in read(ADDRESS)


def test_other_keys_are_no_users(read, shop):
    for key in ("user", "users", "user1:seen", "User1", "user1\nx", b"user1\xff", "auser1"):
        shop.set(key, '{"credit": 666}')
    assert "666" not in read(ADDRESS)


def test_of_many_users_the_first_are_shown_and_others_found(read, shop):
    with shop.pipeline() as pipe:
        for number in range(1000, 1500):
            pipe.set(f"user{number}", f'{{"id": {number}, "credit": {number}}}')
        pipe.execute()
    page = read(ADDRESS)
    assert "the first 200 of 502 users" in page and "user1499" not in page
    assert "user1499 1,499" in read(f"{ADDRESS}?find=1499")
    assert "No user has “nobody” in the name." in read(f"{ADDRESS}?find=nobody")


def test_the_search_for_users_is_bounded_and_a_whole_name_found_all_the_same(
    read, shop, monkeypatch
):
    monkeypatch.setattr(traders, "STEP_KEYS", 1)
    monkeypatch.setattr(traders, "MOST_STEPS", 1)
    with shop.pipeline() as pipe:
        for number in range(500):
            pipe.set(f"other{number}", "x")
        pipe.execute()
    traders.forget()
    page = read(f"{ADDRESS}?find=user2")
    assert "look for others by their whole name" in page and "user2 7" in page


def test_names_are_searched_once_in_some_seconds(read, shop):
    def scans():
        return shop.info("commandstats").get("cmdstat_scan", {}).get("calls", 0)

    read(ADDRESS)
    before = scans()
    for _ in range(3):
        assert "user1 500,000" in read(ADDRESS)
    assert scans() == before


def test_queries_are_few_however_many_orders_and_users(read, shop):
    numbers = count()

    def fill(orders):
        for _ in range(orders):
            number = next(numbers)
            set_credit(shop, f"user{100 + number}", 5)
            made(list(OrderStatus)[number % 5].value, user=f"user{100 + number}")
        traders.forget()
        read(ADDRESS)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            read(ADDRESS)
        return len(captured)

    # Session and user, savepoints and time-outs; open, decided, by user, the list.
    assert fill(5) == fill(60) <= 14


def test_without_redis_of_prices_the_page_shows_what_postgres_has(
    read, own_valkey, settings, user, client
):
    engine = own_valkey()
    settings.PRICES_REDIS_URL = engine.variables()["PRICES_REDIS_URL"]
    made(OrderStatus.ACCEPT)
    read(ADDRESS)
    engine.kill()
    traders.forget()
    page = read(ADDRESS)
    assert "Prices and credit can't be read just now" in page and "174,000 Accepted" in page
    assert "No users yet" not in page and "No prices yet" not in page
    response = client.post(ADDRESS, ORDER)
    assert response.status_code == 503 and "Nothing was placed" in text(response)
    assert Order.objects.count() == 1


def test_without_the_redis_of_live_pages_orders_are_shown(read, shop, own_valkey, settings):
    engine = own_valkey()
    settings.REDIS_URL = engine.variables()["REDIS_URL"]
    made(OrderStatus.ACCEPT)
    engine.kill()
    page = read(ADDRESS)
    assert "The Redis of live pages is away" in page and "174,000 Accepted" in page


def test_a_trial_order_is_placed_and_shown(client, user, shop):
    client.force_login(user)
    response = client.post(ADDRESS, {**ORDER, "stockname": "Stock1", "quantity": "1,00"})
    order = Order.objects.get()
    assert response.status_code == 302 and response["Location"] == f"{ADDRESS}{order.order_id}/"
    assert (order.user, order.stockname, order.quantity) == ("user1", "stock1", 100)
    assert order.created_by == user and order.status == OrderStatus.RECEIVED


def test_a_trial_order_that_cant_be_paid_is_denied_and_says_so(client, user, shop):
    client.force_login(user)
    page = text(client.post(ADDRESS, {**ORDER, "user": "user2"}, follow=True))
    assert "The order was denied at once: The credit is not enough." in page
    assert Order.objects.get().status == OrderStatus.DENY


@pytest.mark.parametrize(
    ("field", "given", "said"),
    [
        ("user", "", "Name a user"),
        ("user", "ana", "A user is “user”, a digit"),
        ("user", "user1:x", "A user is “user”, a digit"),
        ("user", "user9", "user9"),
        ("stockname", "", "Choose a stock."),
        ("stockname", "user1", "No stock can have this name."),
        ("stockname", "stock9", "stock9"),
        ("quantity", "", "Say how many."),
        ("quantity", "0", "From 1 to 1,000,000,000,000."),
        ("quantity", "-1", "A whole number, without decimals."),
        ("quantity", "1.5", "A whole number, without decimals."),
        ("quantity", "²", "A whole number, without decimals."),
        ("quantity", "1000000000001", "From 1 to 1,000,000,000,000."),
        ("quantity", "9" * 30, "at most 24 characters"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(client, user, shop, field, given, said):
    client.force_login(user)
    response = client.post(ADDRESS, {**ORDER, field: given})
    assert response.status_code == 422 and not Order.objects.exists()
    errors = response.content.decode().partition(f'id="id_{field}_error"')[2].partition("</ul>")[0]
    assert said in errors
    assert "<details" in response.content.decode() and " open>" in response.content.decode()


def test_a_full_house_is_said_above_the_form(client, user, shop, settings):
    settings.ORDERS_MOST_OPEN = 1
    client.force_login(user)
    made()
    response = client.post(ADDRESS, ORDER)
    assert response.status_code == 422 and Order.objects.count() == 1
    assert "1 orders wait for their decision" in text(response)


def test_what_it_would_cost_is_said_without_placing_it(client, user, shop):
    client.force_login(user)
    page = text(client.post(ADDRESS, {**ORDER, "only": "cost"}))
    assert "100 × 1,740 = 174,000 . user1 has 500,000: 326,000 would be left" in page
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (ORDER, "100 × 1,740 = 174,000 . user1 has 500,000: 326,000 would be left"),
        ({**ORDER, "user": ""}, "100 × 1,740 = 174,000 ."),
        ({**ORDER, "user": "user2"}, "user2 has 7: not enough, so it would be denied at once"),
        ({**ORDER, "user": "user9"}, "There is no user user9."),
        ({**ORDER, "user": "x"}, "A user is “user”, a digit"),
        ({**ORDER, "quantity": "x"}, "A whole number, without decimals."),
        ({**ORDER, "stockname": "stock9"}, "stock9 has no price yet."),
        ({**ORDER, "stockname": ""}, "Choose a stock."),
        ({**ORDER, "quantity": ""}, "What it would cost stands here."),
        ({}, "What it would cost stands here."),
    ],
)
def test_the_cost_follows_the_form(client, user, shop, given, said):
    client.force_login(user)
    body = client.get(f"{ADDRESS}cost/", given).content.decode()
    assert said.replace(" .", ".") in body.replace("<b>", "").replace("</b>", "").replace(
        '<span class="bad">', ""
    )


def test_the_cost_is_exact(client, user, shop):
    set_price(shop, "stock1", "0.1")
    set_credit(shop, "user1", "9007199254740993.3")
    client.force_login(user)
    body = client.get(f"{ADDRESS}cost/", {**ORDER, "quantity": "3"}).content.decode()
    assert "<b>0.3</b>" in body and "9,007,199,254,740,993 would be left" in body


def test_a_viewer_sees_no_form_and_may_not_place(client, viewer, shop):
    client.force_login(viewer)
    assert "Place a trial order" not in text(client.get(ADDRESS))
    assert client.post(ADDRESS, ORDER).status_code == 403 and not Order.objects.exists()


def test_only_who_is_signed_in_reads_it(client, shop):
    for address in (ADDRESS, f"{ADDRESS}cost/", f"{ADDRESS}{made().order_id}/"):
        assert client.get(address).status_code == 302


def test_the_part_alone_is_given_to_the_script(client, user, shop):
    client.force_login(user)
    body = client.get(ADDRESS, headers={"HX-Request": "true"}).content.decode()
    assert body.lstrip().startswith('<div id="orders" data-live="orders"')
    assert "trial-form" not in body and "stock1 · 1,740" in body


def test_stocks_that_rows_came_for_are_offered_with_their_prices(read, shop):
    Store.from_settings().seed(
        "acme", '{"id": 9, "price": [0.5], "time": ["090000"]}', replace=True
    )
    set_price(shop, "stock2", "")
    page = read(ADDRESS)
    assert "acme · 0.5" in page and "stock1 · 1,740" in page and "stock2 · no price" in page


def test_instants_are_shown_from_the_row(read, client, shop):
    at = ago(30)
    made(received_at=at)
    read(ADDRESS)
    assert at.strftime("%Y-%m-%dT%H:%M:%S") in client.get(ADDRESS).content.decode()
