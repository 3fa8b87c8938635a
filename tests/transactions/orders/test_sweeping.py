"""What is let go of in Redis and Postgres, and what must stay, on real engines."""

import time
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db.models.functions import Now
from pytest_django import Settings

from tests.transactions.orders.book import Book
from transactions.models import Order, OrderWorker
from transactions.orders import keys, reconciling, sweeping, tasks
from transactions.orders.engine import settling
from transactions.orders.sweeping import Swept

pytestmark = pytest.mark.django_db(transaction=True)

KEPT = sweeping.SETTLED_KEPT_SECONDS


@pytest.fixture
def book(market: redis.Redis) -> Book:
    """A user with credit 1,000 and a stock at 10."""
    made = Book(market)
    made.set_credit("user1", "1000")
    made.set_price("stock1", "10")
    return made


def age(book: Book, order_id: str, redis_seconds: float, postgres_seconds: float | None) -> None:
    """Let the decision be so old, by the clocks of both."""
    seconds, micros = book.client.time()
    book.client.zadd(keys.SETTLED_AT, {order_id: seconds + micros / 1e6 - redis_seconds})
    if postgres_seconds is not None:
        at = Now() - timedelta(seconds=postgres_seconds)
        Order.objects.filter(order_id=order_id).update(decided_at=at)


def kept(book: Book) -> set[str]:
    """Orders whose decision is in Redis, by both of its keys."""
    by_hash: Any = book.client.hkeys(keys.SETTLED)
    by_time: Any = book.client.zrange(keys.SETTLED_AT, 0, -1)
    assert set(by_hash) == set(by_time)
    return {each.decode() for each in by_hash}


@pytest.mark.parametrize(
    ("in_redis", "in_postgres", "goes"),
    [
        (KEPT + 5, KEPT + 5, True),
        (KEPT - 60, KEPT + 60, False),
        # Decided long ago by Redis, written down just now: who was frozen meanwhile may still ask.
        (KEPT + 60, KEPT - 60, False),
        (KEPT + 60, None, False),  # open
    ],
)
def test_a_decision_goes_when_postgres_has_it_for_long(book, in_redis, in_postgres, goes):
    order_id = book.settle("user1", 1)
    if in_postgres is not None:
        book.decide(order_id)
    age(book, order_id, in_redis, in_postgres)
    old = in_redis > KEPT
    assert sweeping.sweep(book.client) == Swept(int(goes), int(old and not goes), 0)
    assert kept(book) == (set() if goes else {order_id})
    assert reconciling.reconcile(book.client).drifts == 0


def test_a_denied_one_goes_as_well(book):
    order_id = book.settle("user1", 1_000)
    book.decide(order_id)
    age(book, order_id, KEPT + 5, KEPT + 5)
    assert sweeping.sweep(book.client).decisions == 1


def test_what_postgres_does_not_have_stays_and_holds_nothing_up(book, monkeypatch):
    monkeypatch.setattr(sweeping, "AT_ONCE", 2)
    unknown, gone = [], []
    for number in range(9):
        order_id = book.settle("user1", 1)
        book.decide(order_id)
        age(book, order_id, KEPT + 50 - number, KEPT + 50)
        (unknown if number < 5 else gone).append(order_id)
    Order.objects.filter(order_id__in=unknown).delete()
    assert sweeping.sweep(book.client) == Swept(4, 5, 0)
    assert kept(book) == set(unknown)
    findings = reconciling.reconcile(book.client)
    assert {each.order_id for each in findings.unknown} == set(unknown)
    assert sweeping.sweep(book.client) == Swept(0, 5, 0)


def test_what_is_no_order_stays(book):
    book.client.hset(keys.SETTLED, "nothing", "?")
    age(book, "nothing", KEPT + 5, None)
    assert sweeping.sweep(book.client) == Swept(0, 1, 0)


def test_it_ends_in_time_and_goes_on_the_next_time(book, monkeypatch):
    monkeypatch.setattr(sweeping, "AT_ONCE", 1)
    for _ in range(3):
        order_id = book.settle("user1", 1)
        book.decide(order_id)
        age(book, order_id, KEPT + 5, KEPT + 5)
    assert sweeping.sweep(book.client, time.monotonic() - 1) == Swept(0, 0, 0)
    assert sweeping.sweep(book.client) == Swept(3, 0, 0)


def test_decisions_are_kept_for_longer_than_a_process_may_be_frozen_with_them():
    assert KEPT > 2 * settling.LATE_SECONDS
    assert KEPT > reconciling.MOST_SECONDS


class TestWorkers:
    def make(self, silent: float) -> OrderWorker:
        worker = OrderWorker.objects.create(host="a", pid=1)
        OrderWorker.objects.update(beat_at=Now() - timedelta(seconds=silent))
        return worker

    def test_one_silent_for_a_day_goes(self, book):
        self.make(86_400 + 60)
        assert sweeping.sweep(book.client).workers == 1
        assert not OrderWorker.objects.exists()

    def test_one_heard_of_within_the_day_stays(self, book):
        self.make(86_400 - 60)
        assert sweeping.sweep(book.client).workers == 0

    @pytest.mark.parametrize(("status", "stays"), [("verifying", True), ("Deny", False)])
    def test_one_that_holds_an_open_order_stays(self, book, status, stays):
        worker = self.make(86_400 + 60)
        Order.objects.create(
            user="user1", stockname="stock1", quantity=1, status=status, holder=worker.pk
        )
        assert sweeping.sweep(book.client).workers == int(not stays)
        assert OrderWorker.objects.exists() is stays


class TestTask:
    def test_it_sweeps_and_says_so(self, book, caplog):
        order_id = book.settle("user1", 1)
        book.decide(order_id)
        age(book, order_id, KEPT + 5, KEPT + 5)
        caplog.set_level("INFO")
        tasks.sweep()
        assert "orders: swept 1 decisions, kept 0, 0 workers gone" in caplog.text
        assert kept(book) == set()

    def test_without_redis_it_says_so(self, settings: Settings, unused_tcp_port, caplog):
        settings.PRICES_REDIS_URL = f"redis://127.0.0.1:{unused_tcp_port}/0"
        tasks.sweep()
        assert "orders: not all was swept" in caplog.text
