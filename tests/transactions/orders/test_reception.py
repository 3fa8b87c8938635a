"""Orders as they are taken: a real Postgres and Redis, RabbitMQ where it matters."""

import json
import math
import time
from decimal import Decimal
from typing import Any

import pika
import pytest
import redis
from django.conf import settings as django_settings
from django.db import connection, transaction
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.live.publishing import TOPIC
from tests.services.waiting import until
from tests.transactions.orders.stage import clear_channels, make_order, set_credit, set_price
from transactions.models import OPEN, CallbackUrl, Order
from transactions.orders import announcing, reception

LARGE = 2**53 + 1
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_rabbitmq")]


@pytest.fixture(autouse=True)
def _sample(market: redis.Redis) -> None:
    set_credit(market, "user1", 1_000)
    set_price(market, "stock1", 90, 100)


def place(owner: Any = None, **other: Any) -> Order:
    wanted = {"user": "user1", "stockname": "stock1", "quantity": 10, **other}
    return reception.place(owner=owner, **wanted)


def test_an_order_that_can_be_paid_waits_for_its_verification(user):
    placed = place(user)
    stored = Order.objects.get()
    assert stored.order_id == placed.order_id and stored.status == placed.status == "received"
    assert (stored.user, stored.stockname, stored.quantity) == ("user1", "stock1", 10)
    assert stored.created_by == user and stored.received_at == placed.received_at
    assert stored.price is stored.amount is stored.decided_at is None and stored.reason == ""


def test_an_order_that_cant_be_paid_is_denied_at_once(user):
    placed = place(user, quantity=11, callback_url="https://shop.example.com/")
    stored = Order.objects.get()
    assert stored.status == placed.status == "Deny"
    assert stored.reason == placed.reason == "insufficient_credit"
    assert (stored.price, stored.amount) == (100, 1_100)
    assert stored.credit_before == stored.credit_after == 1_000
    assert stored.decided_at == stored.received_at == placed.decided_at
    assert stored.verification_began_at is None and stored.callback_url == ""
    assert stored.detail == "The credit is 1000, the order costs 1100."


@pytest.mark.parametrize(
    ("credit", "price", "quantity", "status"),
    [
        ("1000", "100", 10, "received"),
        ("999.999999", "100", 10, "Deny"),
        (str(LARGE), str(LARGE), 1, "received"),
        (str(LARGE - 1), str(LARGE), 1, "Deny"),
        ("0.3", "0.1", 3, "received"),
        ("0.29999999999999999999", "0.1", 3, "Deny"),
        (f"{10**12 * LARGE}", str(LARGE), 10**12, "received"),
        (f"{10**12 * LARGE - 1}", str(LARGE), 10**12, "Deny"),
        ("0", "0", 5, "received"),
        ("1e3", "100", 10, "received"),
    ],
)
def test_the_last_unit_of_credit_decides(market, credit, price, quantity, status):
    set_credit(market, "user1", credit)
    set_price(market, "stock1", price)
    assert place(quantity=quantity).status == status
    if status == "Deny":
        stored = Order.objects.get()
        assert stored.credit_before == Decimal(credit)
        assert stored.amount == Decimal(price) * quantity


def test_the_newest_price_that_is_not_empty_counts(market):
    set_price(market, "stock1", 1, 101, "", "")
    assert place().status == "Deny" and Order.objects.get().price == 101


@pytest.mark.parametrize(
    ("other", "refusal", "field", "words"),
    [
        ({"user": "user9"}, reception.UnknownUser, "user", "no user user9"),
        ({"stockname": "stock9"}, reception.UnknownStock, "stockname", "no stock stock9"),
        ({"user": "user9", "stockname": "stock9"}, reception.UnknownUser, "user", "user9"),
        ({"stockname": "silent"}, reception.NoPrice, "stockname", "silent has no price"),
        ({"stockname": "odd"}, reception.NoPrice, "stockname", "odd"),
        ({"user": "user3"}, reception.UnreadableCredit, "user", "user3"),
        ({"user": "user4"}, reception.UnreadableCredit, "user", "user4"),
        ({"user": "user5"}, reception.UnreadableCredit, "user", "user5"),
    ],
)
def test_what_cant_be_decided_is_refused(market, other, refusal, field, words):
    set_price(market, "silent", "", "")
    set_price(market, "odd", "1e150")
    market.set("user3", '{"id": 3}')
    market.rpush("user4", "x")
    set_credit(market, "user5", "1e9999999999999999999")
    with pytest.raises(refusal, match=words) as raised:
        place(**other)
    assert raised.value.field == field
    assert not Order.objects.exists()


def test_nothing_is_changed_in_redis(market):
    before = {key: market.dump(key) for key in market.scan_iter()}
    place()
    place(quantity=11)
    assert {key: market.dump(key) for key in market.scan_iter()} == before


def test_a_limit_of_open_orders_holds(settings):
    settings.ORDERS_MOST_OPEN = 3
    for status in (*OPEN, "Accept", "Deny"):
        make_order(status=status)
    with pytest.raises(reception.TooManyOpen, match="3 orders wait"):
        place()
    assert place(quantity=11).status == "Deny"  # needs no place
    Order.objects.filter(status="verified").update(status="Accept")
    assert place().status == "received"
    with pytest.raises(reception.TooManyOpen):
        place()


def test_open_orders_are_counted_by_their_index(settings):
    Order.objects.bulk_create(
        Order(user="user1", stockname="stock1", quantity=1, status="Accept") for _ in range(3_000)
    )
    place()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE transactions_order")
    counted = Order.objects.filter(status__in=OPEN).values("pk")[: settings.ORDERS_MOST_OPEN]
    plan = counted.explain()
    assert "orders_open" in plan and "Limit" in plan, plan


def test_it_takes_few_queries(user, django_assert_num_queries, monkeypatch):
    place(user)
    monkeypatch.setattr(reception, "_far_until", 0.0)
    with django_assert_num_queries(2):  # the open orders, the row
        place(user)
    monkeypatch.setattr(reception, "_far_until", math.inf)  # no need to count again yet
    with django_assert_num_queries(1):
        place(user, callback_url="https://shop.example.com/")
    with django_assert_num_queries(1):
        place(user, quantity=11)


def test_a_callback_is_that_of_the_order_or_of_its_owner(user, django_user_model):
    CallbackUrl.objects.create(owner=user, user="", url="https://all.example.com/")
    CallbackUrl.objects.create(owner=user, user="user1", url="https://one.example.com/")
    other = django_user_model.objects.create_user("bo", password="a-long-enough-password")
    assert place(user).callback_url == "https://one.example.com/"
    own = "https://own.example.com/"
    assert place(user, callback_url=own).callback_url == own
    assert place(other).callback_url == place(None).callback_url == ""


def test_with_redis_away_nothing_is_stored(settings, unused_tcp_port):
    settings.PRICES_REDIS_URL = f"redis://127.0.0.1:{unused_tcp_port}/0"
    with pytest.raises(redis.ConnectionError):
        place()
    assert not Order.objects.exists()


@pytest.fixture
def heard(settings):
    """What is sent to pages, by channel."""
    with redis.Redis.from_url(settings.REDIS_URL, retry=Retry(NoBackoff(), 0)) as client:
        listening = client.pubsub(ignore_subscribe_messages=True)
        listening.subscribe(TOPIC)
        listening.get_message(timeout=5)

        def hear(channel: str) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = []

            def look() -> bool:
                message = listening.get_message(timeout=0.1)
                event = json.loads(message["data"]) if message else {}
                if event.get("channel") == channel:
                    data = event["data"]
                    found.append(json.loads(data) if isinstance(data, str) else data)
                return bool(found)

            until(look)
            return found

        clear_channels()
        yield hear
        clear_channels()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("quantity", "status"), [(10, "received"), (11, "Deny")])
def test_who_follows_the_list_is_told_of_it(heard, quantity, status):
    before = time.time()
    assert place(quantity=quantity).status == status
    (news,) = heard("orders")
    assert news["at"] >= before


@pytest.mark.django_db(transaction=True)
def test_open_orders_come_into_the_queue_once_they_are_committed(stage):
    with transaction.atomic():
        first = place()
        with pytest.raises(RuntimeError), transaction.atomic():
            place()
            raise RuntimeError("the second is taken back")
        place(quantity=11)
    second = place()
    found: list[str] = []

    def look() -> bool:
        found.extend(bodies(django_settings.AMQP_URL, django_settings.ORDERS_QUEUE))
        return len(found) >= 2

    try:
        until(look)
    finally:
        announcing.close()
    found.extend(bodies(django_settings.AMQP_URL, django_settings.ORDERS_QUEUE))
    assert found == [str(first.order_id), str(second.order_id)]


def bodies(url: str, queue: str) -> list[str]:
    """What is in the queue, taken out."""
    found = []
    connected = pika.BlockingConnection(pika.URLParameters(url))
    try:
        channel = connected.channel()
        channel.queue_declare(queue, durable=True)
        while (message := channel.basic_get(queue, auto_ack=True))[0] is not None:
            found.append(message[2].decode())
    finally:
        connected.close()
    return found


@pytest.mark.django_db(transaction=True)
def test_with_rabbitmq_away_orders_are_taken(settings, unused_tcp_port):
    settings.AMQP_URL = f"amqp://guest:guest@127.0.0.1:{unused_tcp_port}/"
    try:
        assert place().status == "received"
    finally:
        announcing.close()
    assert Order.objects.get().is_open
