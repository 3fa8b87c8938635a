"""Old orders go; credit is compared with the same sums as before."""

import time
from datetime import timedelta
from decimal import Decimal

import pytest
import redis
from django.db.models import F
from pytest_django import Settings

from tests.transactions.orders.book import Book
from transactions.models import Order, OrderTotal
from transactions.orders import keys, retention, sweeping
from transactions.orders.reconciling import reconcile
from transactions.orders.repairing import forget

pytestmark = pytest.mark.django_db


@pytest.fixture
def book(market: redis.Redis, settings: Settings) -> Book:
    settings.ORDER_KEEP_DAYS = 30.0
    return Book.opened(market)


def bought(book: Book, *quantities: int, user: str = "user1") -> list[str]:
    ids = [book.settle(user, quantity) for quantity in quantities]
    book.decide(*ids)
    return ids


def grow_old(*ids: str, days: int = 31) -> None:
    Order.objects.filter(order_id__in=ids).update(decided_at=F("decided_at") - timedelta(days=days))


def purge() -> int:
    return retention.purge(time.monotonic() + 60)


def test_accepted_orders_leave_their_sum_and_the_credit_is_right(book: Book) -> None:
    old, young = bought(book, 2, 3), bought(book, 4, 1_000)  # the last one is too dear: Deny
    bought(book, 1, user="user2")
    forget(book.client, old)
    grow_old(*old)
    assert purge() == 2
    total = OrderTotal.objects.get()
    assert (total.user, total.orders, total.taken) == ("user1", 2, Decimal(50))
    assert Order.objects.filter(order_id__in=young).count() == 2
    assert not reconcile(book.client).drifts
    # Again, with more of the same user.
    forget(book.client, young)
    grow_old(*young)
    assert purge() == 2
    total.refresh_from_db()
    assert (total.orders, total.taken) == (3, Decimal(90))
    assert not reconcile(book.client).drifts
    assert bought(book, 5)
    assert not reconcile(book.client).drifts


def test_lost_deductions_are_found_where_only_the_sum_is_left(book: Book) -> None:
    old = bought(book, 2)
    forget(book.client, old)
    grow_old(*old)
    purge()
    book.client.delete(keys.beside("user1"))
    book.set_credit("user1", "1000")
    (drift,) = reconcile(book.client).drift
    assert (drift.kind, drift.lost) == ("behind", Decimal(20))


def test_what_redis_still_has_as_decided_stays_until_it_is_swept(book: Book) -> None:
    old = bought(book, 2)
    grow_old(*old)
    assert purge() == 0
    book.client.zadd(keys.SETTLED_AT, {old[0]: 1.0})
    sweeping.sweep(book.client)
    assert purge() == 1


def test_open_orders_stay_however_old(book: Book) -> None:
    wanted = book.receive("user1", 1)
    Order.objects.update(received_at=F("received_at") - timedelta(days=1_000))
    assert purge() == 0
    assert Order.objects.get().order_id == wanted.order_id


def test_it_goes_on_past_a_batch_that_stays(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "ROWS", 2)
    ids = bought(book, 1, 2, 3, 4, 5)
    grow_old(*ids)
    forget(book.client, ids[3:])
    assert purge() == 2
    assert retention.purge(0.0) == 0
    assert Order.objects.count() == 3
    assert not reconcile(book.client).drifts
