"""Each order decided once, at whatever step its worker is killed or frozen."""

import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.utils import timezone

from tests.transactions.orders.lives import REFUSED, Life
from tests.transactions.orders.stage import credit, make_order, set_credit, set_price
from transactions.models import Order, OrderWorker
from webhooks.models import Delivery, Event

MOST_STEPS = 200
CALLBACK = "https://client.example/orders"


@pytest.fixture
def redis_url(market: redis.Redis, settings: Any) -> str:
    return str(settings.PRICES_REDIS_URL)


@pytest.fixture
def fresh(transactional_db: None, market: redis.Redis, user: Any) -> Callable[[], None]:
    """`fresh()`: two orders that are accepted, one without credit, one refused; nothing else."""

    def make() -> None:
        Order.objects.all().delete()
        OrderWorker.objects.all().delete()
        Event.objects.all().delete()
        market.flushdb()
        set_price(market, "stock1", 100)
        set_credit(market, "user1", 350)
        set_credit(market, REFUSED, 1000)
        for name, quantity in (("user1", 1), ("user1", 2), ("user1", 1), (REFUSED, 1)):
            make_order(name, quantity, callback_url=CALLBACK, created_by=user)

    return make


def silent() -> None:
    """All workers' signs of life are old."""
    OrderWorker.objects.update(beat_at=timezone.now() - timedelta(hours=1))


def outcome(market: redis.Redis) -> dict[str, Any]:
    """What must be so at the end, whatever happened."""
    orders = list(Order.objects.order_by("pk"))
    return {
        "statuses": sorted((each.user, each.quantity, each.status) for each in orders),
        "credit": [int(credit(market, name)) for name in ("user1", REFUSED)],
        "taken": sum(int(each.amount or 0) for each in orders if each.status == "Accept"),
        "callbacks": (Event.objects.count(), Delivery.objects.count()),
        "called": all(each.delivery_id for each in orders),
    }


def expected(market: redis.Redis) -> dict[str, Any]:
    return {
        "statuses": sorted(
            [
                ("user1", 1, "Accept"),
                ("user1", 2, "Accept"),
                ("user1", 1, "Deny"),
                (REFUSED, 1, "Deny"),
            ]
        ),
        "credit": [50, 1000],
        "taken": 300,
        "callbacks": (4, 4),
        "called": True,
    }


def test_a_kill_at_every_step(
    fresh: Callable[[], None], redis_url: str, market: redis.Redis
) -> None:
    wrong = {}
    for kill_at in range(1, MOST_STEPS):
        fresh()
        ended = Life(redis_url, kill_at).ended()
        silent()
        assert Life(redis_url).ended()
        if outcome(market) != expected(market):
            wrong[kill_at] = outcome(market)
        if ended:
            break
    else:
        pytest.fail("it never ended")
    assert wrong == {}
    assert kill_at > 20


def test_frozen_at_every_step_while_another_goes_on(
    fresh: Callable[[], None], redis_url: str, market: redis.Redis
) -> None:
    """Thawed when all is decided, it changes nothing; and one that was killed comes after it."""
    wrong = {}
    for freeze_at in range(1, MOST_STEPS):
        fresh()
        first = Life(redis_url, freeze_at, signal.SIGSTOP)
        if not first.frozen():
            break
        silent()
        assert Life(redis_url).ended()
        first.thaw()
        assert first.ended()
        if outcome(market) != expected(market):
            wrong[freeze_at] = outcome(market)
    else:
        pytest.fail("it never ended")
    assert wrong == {}
    assert freeze_at > 20
