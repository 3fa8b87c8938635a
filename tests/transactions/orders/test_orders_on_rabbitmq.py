"""The real consumer on real engines: who takes an order, who goes on with it, what is away."""

import signal
from decimal import Decimal
from typing import Any

import pika
import pytest
import redis
from django.db.models import Sum

from config.services.engine import Engine
from tests.services.waiting import until
from tests.transactions.orders.stage import (
    OrdersStage,
    credit,
    make_order,
    set_credit,
    set_price,
)
from transactions.models import Order, OrderStatus, OrderWorker

NEVER = {"VERIFIER_MIN_SECONDS": "3000", "VERIFIER_MAX_SECONDS": "3000"}
LONG = {**NEVER, "VERIFIER_TIMEOUT_SECONDS": "3000"}
# As long as RabbitMQ is there, the sweep never comes.
NO_SWEEP = {"ORDERS_SWEEP_SECONDS": "600"}


@pytest.fixture
def funded(market: redis.Redis) -> redis.Redis:
    set_price(market, "stock1", 100)
    for number in range(1, 6):
        set_credit(market, f"user{number}", 1_000_000)
    return market


def waiting(stage: OrdersStage) -> int:
    """Messages that nobody holds."""
    connection = pika.BlockingConnection(pika.URLParameters(stage.amqp_url))
    try:
        found = connection.channel().queue_declare(stage.queue, passive=True)
        return int(found.method.message_count)
    finally:
        connection.close()


def test_an_order_is_verified_decided_and_its_message_acknowledged(
    stage: OrdersStage, funded: redis.Redis
) -> None:
    process = stage.start(**NO_SWEEP)
    until(OrderWorker.objects.exists)
    order = make_order("user1", 7)
    stage.send([order])
    stage.wait_until_decided()
    order.refresh_from_db()
    assert (order.status, order.price, order.amount) == ("Accept", 100, 700)
    assert (order.credit_before, order.credit_after) == (1_000_000, 999_300)
    assert order.received_at < order.verification_began_at < order.verified_at < order.decided_at
    assert credit(funded, "user1") == 999_300
    process.send(signal.SIGTERM)
    assert process.exit_code() == 0
    assert waiting(stage) == 0
    assert not OrderWorker.objects.exists()


def test_without_rabbitmq_orders_go_on_by_the_sweep(
    stage: OrdersStage, funded: redis.Redis
) -> None:
    orders = [make_order(quantity=1) for _ in range(20)]
    stage.start(AMQP_URL="")
    stage.wait_until_decided()
    assert {each.status for each in Order.objects.all()} == {"Accept"}
    assert credit(funded, "user1") == 1_000_000 - 100 * len(orders)


def test_a_verification_that_takes_too_long_denies(stage: OrdersStage, funded: redis.Redis) -> None:
    order = make_order()
    stage.start(**NEVER, VERIFIER_TIMEOUT_SECONDS="0.3")
    stage.wait_until_decided()
    order.refresh_from_db()
    assert (order.status, order.reason) == ("Deny", "verification_stalled")
    assert order.detail
    assert credit(funded, "user1") == 1_000_000


def test_orders_of_a_killed_one_go_on_elsewhere(stage: OrdersStage, funded: redis.Redis) -> None:
    first = stage.start(**LONG, **NO_SWEEP)
    orders = [make_order(f"user{number % 5 + 1}") for number in range(50)]
    stage.send(orders)
    until(lambda: Order.objects.filter(status=OrderStatus.VERIFYING).count() == 50)
    stage.start(**NO_SWEEP)
    until(lambda: OrderWorker.objects.count() == 2)
    stage.kill(first)
    stage.wait_until_decided()
    assert Order.objects.filter(status="Accept", verifications=2).count() == 50


def test_a_frozen_one_changes_nothing_when_it_wakes(
    stage: OrdersStage, funded: redis.Redis
) -> None:
    first = stage.start(VERIFIER_MIN_SECONDS="5", VERIFIER_MAX_SECONDS="10")
    for number in range(50):
        make_order(f"user{number % 5 + 1}", 3)
    until(lambda: Order.objects.filter(status=OrderStatus.VERIFYING).exists())
    first.send(signal.SIGSTOP)
    stage.start()
    stage.wait_until_decided()
    first.send(signal.SIGCONT)
    last = make_order("user1", 3)
    stage.wait_until_decided()
    last.refresh_from_db()
    assert last.status == "Accept"
    assert Order.objects.filter(status="Accept").count() == 51
    assert sum(credit(funded, f"user{number}") for number in range(1, 6)) == 5_000_000 - 51 * 300


def test_one_that_is_told_to_end_gives_its_orders_back(
    stage: OrdersStage, funded: redis.Redis
) -> None:
    first = stage.start(**LONG)
    order = make_order()
    stage.wait_for(status=OrderStatus.VERIFYING)
    first.send(signal.SIGTERM)
    assert first.exit_code() == 0
    order.refresh_from_db()
    assert (order.holder, order.verifications) == (None, 0)
    stage.start()
    stage.wait_until_decided()
    order.refresh_from_db()
    assert (order.status, order.verifications) == ("Accept", 1)


def test_an_order_that_kills_again_and_again_is_denied(
    stage: OrdersStage, funded: redis.Redis
) -> None:
    make_order(verifications=5, status=OrderStatus.VERIFYING)
    stage.start(**LONG)
    stage.wait_until_decided()
    assert Order.objects.get().reason == "verification_failed"


def test_redis_killed_for_a_while(
    transactional_db: None,
    own_market: tuple[Engine, redis.Redis],
    no_rabbitmq: None,
    settings: Any,
    tmp_path: Any,
) -> None:
    engine, market = own_market
    stage = OrdersStage(market, settings, tmp_path)
    try:
        set_price(market, "stock1", 100)
        set_credit(market, "user1", 1_000_000)
        process = stage.start()
        engine.kill()
        for _ in range(30):
            make_order()
        process.says("decisions of orders wait for Redis")
        stage.wait_for(status=OrderStatus.VERIFIED)
        engine.start()
        stage.wait_until_decided()
        assert credit(market, "user1") == 1_000_000 - 3000
        assert Order.objects.filter(status="Accept").count() == 30
    finally:
        stage.close()


def test_messages_that_name_no_order_are_left_out(stage: OrdersStage, funded: redis.Redis) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(stage.amqp_url))
    channel = connection.channel()
    channel.queue_declare(stage.queue, durable=True)
    for body in (b"", b"no id", b"\xff", b"00000000-0000-0000-0000-000000000000"):
        channel.basic_publish("", stage.queue, body)
    connection.close()
    order = make_order()
    stage.send([order, order])
    process = stage.start(**NO_SWEEP)
    stage.wait_until_decided()
    process.says("a message that is no id is left out", 3)
    until(lambda: waiting(stage) == 0)
    process.send(signal.SIGTERM)
    assert process.exit_code() == 0
    assert waiting(stage) == 0


def test_rabbitmq_restarted_meanwhile(
    stage: OrdersStage, funded: redis.Redis, rabbitmq: Engine
) -> None:
    """It brings all messages back; nothing is verified twice."""
    # It may be starved while the broker starts: nobody else shall take its orders over.
    patient = {"ORDERS_STALE_SECONDS": "60"}
    process = stage.start(VERIFIER_MIN_SECONDS="1", VERIFIER_MAX_SECONDS="2", **patient)
    orders = [make_order(f"user{number % 5 + 1}") for number in range(50)]
    stage.send(orders)
    until(lambda: Order.objects.filter(status=OrderStatus.VERIFYING).exists())
    rabbitmq.kill()
    process.says("orders go on by the sweep alone")
    late = make_order()
    rabbitmq.start()
    stage.wait_until_decided()
    late.refresh_from_db()
    assert late.status == "Accept"
    assert set(Order.objects.values_list("verifications", flat=True)) == {1}
    process.says("orders have RabbitMQ again")
    until(lambda: waiting(stage) == 0)


@pytest.mark.parametrize(
    ("orders", "users"),
    [(500, 20), pytest.param(5000, 200, marks=pytest.mark.soak)],
)
def test_many_orders_and_two_kills(
    stage: OrdersStage, market: redis.Redis, orders: int, users: int
) -> None:
    """The issue's load, and a tenth of it."""
    load(stage, market, orders=orders, users=users, kills=2)


def load(stage: OrdersStage, market: redis.Redis, *, orders: int, users: int, kills: int) -> None:
    """Orders of many users, two workers, one of them killed and replaced; all must add up."""
    price = Decimal("99.5")
    set_price(market, "stock1", str(price))
    funds = price * (orders // users * 3 // 4)  # for three quarters of them
    names = [f"user{number + 1}" for number in range(users)]
    for name in names:
        set_credit(market, name, str(funds))
    made = Order.objects.bulk_create(
        [Order(user=names[n % users], stockname="stock1", quantity=1) for n in range(orders)]
    )
    slow = {"VERIFIER_MIN_SECONDS": "1", "VERIFIER_MAX_SECONDS": "3"}
    stage.start(**slow)
    victim = stage.start(**slow)
    stage.send(made)
    for number in range(1, kills + 1):
        wanted = orders * number // (kills + 2)
        until(lambda wanted=wanted: decided() >= wanted, 120)
        stage.kill(victim)
        victim = stage.start(**slow)
    stage.wait_until_decided(180)
    left = sum(credit(market, name) for name in names)
    taken = Order.objects.filter(status="Accept").aggregate(sum=Sum("amount"))["sum"]
    assert taken + left == funds * users
    assert min(credit(market, name) for name in names) >= 0
    accepted = Order.objects.filter(status="Accept").count()
    assert accepted == users * (orders // users * 3 // 4)
    assert set(Order.objects.filter(status="Deny").values_list("reason", flat=True)) == {
        "insufficient_credit"
    }


def decided() -> int:
    return Order.objects.filter(decided_at__isnull=False).count()
