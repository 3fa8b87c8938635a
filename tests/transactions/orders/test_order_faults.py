"""What may go wrong around a worker: answers that are lost, values that others write, rubbish."""

import json
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import connection

from config.services.engine import Engine
from tests.services.waiting import until
from tests.transactions.orders.losing_proxy import LosingProxy
from tests.transactions.orders.stage import (
    OrdersStage,
    credit,
    database_url,
    make_order,
    set_credit,
    set_price,
)
from transactions.models import Order, OrderWorker
from transactions.orders import keys
from webhooks.models import Delivery, Event

FUNDS = 1_000_000
USERS = [f"user{number}" for number in range(1, 6)]
CALLBACK = "https://client.example/orders"
Place = Callable[..., Order]


@pytest.fixture
def funded(market: redis.Redis) -> redis.Redis:
    set_price(market, "stock1", 100)
    for name in USERS:
        set_credit(market, name, FUNDS)
    return market


@pytest.fixture
def faults(
    transactional_db: None, funded: redis.Redis, no_rabbitmq: None, settings: Any, tmp_path: Path
) -> Iterator[OrdersStage]:
    made = OrdersStage(funded, settings, tmp_path)
    yield made
    made.close()


@pytest.fixture
def place(user: Any) -> Place:
    """`place(name)`: an order whose result is to be called back."""
    return lambda name="user1", **other: make_order(
        name, callback_url=CALLBACK, created_by=user, **other
    )


def decided_once(market: redis.Redis, accepted: int, denied: int = 0) -> None:
    """All is decided, the credit adds up, and each is called back once."""
    statuses = list(Order.objects.values_list("status", flat=True))
    assert (statuses.count("Accept"), statuses.count("Deny")) == (accepted, denied)
    assert len(statuses) == accepted + denied
    assert sum(credit(market, name) for name in USERS) == len(USERS) * FUNDS - 100 * accepted
    assert Event.objects.count() == Delivery.objects.count() == accepted + denied
    assert Order.objects.filter(delivery=None).count() == 0


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        pytest.param("DATABASE_URL", b"UPDATE transactions_order o SET holder", id="claims"),
        pytest.param("DATABASE_URL", b"SET status = 'verified'", id="verified"),
        pytest.param("DATABASE_URL", b"SET status = e.status", id="decisions"),
        pytest.param("DATABASE_URL", b"COMMIT", id="commit"),
        pytest.param("PRICES_REDIS_URL", b"EVALSHA", id="settled"),
    ],
)
def test_an_answer_that_is_lost(
    faults: OrdersStage, place: Place, settings: Any, engine: str, words: bytes
) -> None:
    """The engine has done what was asked for, and the connection is cut before it says so."""
    url = database_url() if engine == "DATABASE_URL" else settings.PRICES_REDIS_URL
    for number in range(20):
        place(USERS[number % len(USERS)])
    with LosingProxy(url, words) as proxy:
        faults.start(**{engine: proxy.url})
        until(lambda: proxy.lost)
        place()
        faults.wait_until_decided()
    decided_once(faults.market, accepted=21)


def test_connections_to_postgres_are_cut_again_and_again(faults: OrdersStage, place: Place) -> None:
    for number in range(40):
        place(USERS[number % len(USERS)])
    faults.start(VERIFIER_MAX_SECONDS="2")
    until(OrderWorker.objects.exists)
    for wanted in (1, 8, 16, 24):
        until(partial(are_decided, wanted))
        cut_all_others()
    faults.wait_until_decided()
    decided_once(faults.market, accepted=40)


def are_decided(least: int) -> bool:
    return Order.objects.filter(decided_at__isnull=False).count() >= least


def cut_all_others() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_user_whom_others_change_all_the_time(faults: OrdersStage, place: Place) -> None:
    """Somebody adds 1 to the credit, by compare-and-set too, as often as possible."""
    ended, added = threading.Event(), []

    def add(pipe: Any) -> None:
        value = json.loads(pipe.get("user1"))
        pipe.multi()
        pipe.set("user1", json.dumps({**value, "credit": value["credit"] + 1}))

    def work() -> None:
        while not ended.wait(0.005):
            faults.market.transaction(add, "user1")
            added.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for name in [*USERS, "user1", "user1"]:
            place(name)
        faults.start()
        faults.wait_until_decided()
    finally:
        ended.set()
        thread.join()
    assert credit(faults.market, "user1") == FUNDS - 300 + len(added)
    set_credit(faults.market, "user1", FUNDS - 300)
    decided_once(faults.market, accepted=7)


def test_rubbish_beside_users_denies_their_orders_only(faults: OrdersStage, place: Place) -> None:
    rubbish: list[Any] = [
        {"taken": "x"},
        {"orders": b"\xff"},
        {"orders": "9" * 4300, "taken": "0", "credit": "0", "given": "0"},
        {"orders": "1", "taken": "NaN", "credit": "0", "given": "1e999999999"},
    ]
    for name, fields in zip(USERS, rubbish, strict=False):
        faults.market.hset(keys.beside(name), mapping=fields)
    for name in USERS:
        place(name)
    faults.start()
    faults.wait_until_decided()
    denied = Order.objects.filter(reason="unreadable_credit").order_by("user")
    assert [each.user for each in denied] == USERS[:4]
    decided_once(faults.market, accepted=1, denied=4)


def test_rubbish_beside_stocks_denies_their_orders_only(faults: OrdersStage, place: Place) -> None:
    for number, newest in enumerate((b"\0", b"\xff", b"NaN", b"-5"), start=2):
        set_price(faults.market, f"stock{number}", 100)
        length = faults.market.strlen(f"stock{number}")
        beside = {"length": length, "latest": newest}
        faults.market.hset(f"prices:stock:stock{number}", mapping=beside)  # type: ignore[arg-type]
    for number, name in enumerate(USERS, start=1):
        place(name, stock=f"stock{number}")
    faults.start()
    faults.wait_until_decided()
    assert Order.objects.filter(reason="no_price").count() == 4
    assert Order.objects.get(status="Accept").stockname == "stock1"
    decided_once(faults.market, accepted=1, denied=4)


def test_redis_is_restarted_amid_decisions(
    transactional_db: None,
    own_market: tuple[Engine, redis.Redis],
    no_rabbitmq: None,
    place: Place,
    settings: Any,
    tmp_path: Path,
) -> None:
    """Stopped in good order, with its file of changes complete: nothing is taken twice."""
    engine, market = own_market
    set_price(market, "stock1", 100)
    for name in USERS:
        set_credit(market, name, FUNDS)
    stage = OrdersStage(market, settings, tmp_path)
    try:
        for number in range(60):
            place(USERS[number % len(USERS)])
        stage.start(VERIFIER_MAX_SECONDS="2")
        for wanted in (5, 20):
            until(partial(are_decided, wanted))
            engine.stop()
            engine.start()
        stage.wait_until_decided()
        decided_once(market, accepted=60)
        taken: list[Any] = [market.hget(keys.beside(name), "taken") for name in USERS]
        assert sum(Decimal(each.decode()) for each in taken) == Decimal(6000)
    finally:
        stage.close()
