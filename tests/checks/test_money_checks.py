"""Ledger and orders: what their own comparisons find is told, with what to do; nights reuse it."""

from datetime import timedelta
from typing import Any

import pytest
import redis
from django.utils import timezone

from config.checks import registry
from config.checks.findings import NotChecked
from config.checks.watch import Watch
from tests.checks.looking import look, told
from tests.transactions.bookkeeping import Ledger
from tests.transactions.orders.book import Book
from transactions.ledger import reconciliation
from transactions.models import Order, OrderReconciliation
from transactions.orders import reconciliation as orders_reconciliation

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def books(ledger: Ledger, keydb_url: str, settings: Any) -> Ledger:
    """The sample's rows, which are still to be added up; no minute is written yet."""
    settings.KEYDB_URL = keydb_url
    ledger.begin().execute("DELETE FROM stockroom_ledger.totals")
    return ledger


class TestLedger:
    def test_right_sums_are_right(self, books):
        outcome = look("ledger")
        assert told(outcome) == []
        assert outcome.summary.startswith("3 transactions of 2 providers added up.")

    def test_a_balance_that_has_drifted_is_found(self, books):
        books.total(1, 1, 0)
        outcome = look("ledger")
        (said,) = told(outcome)
        assert said.startswith("balance 1_Visa: ") and "from scratch" in said
        assert "--repair" in outcome.findings[0].advice

    def test_a_key_that_somebody_has_changed_is_found(self, books, keydb_url):
        books.minute(books.last, {"1_Visa": 1300})
        with redis.Redis.from_url(keydb_url) as keydb:
            keydb.set("1_Visa", "7")
        (said,) = told(look("ledger"))
        assert said == "KeyDB key 1_Visa: is 7, should be 1300"

    def test_without_tables_there_is_nothing_to_check(self, ledger):
        outcome = look("ledger")
        assert (outcome.looked_at, outcome.found) == (0, 0)
        assert outcome.summary.startswith("There is no ledger here: table initial_data is missing")

    def test_tables_that_are_gone_are_not_nothing_to_check(self, books):
        books.minute(books.last, {"1_Visa": 1300})
        books.execute("DROP TABLE historical_transactions, initial_data")
        with pytest.raises(NotChecked, match="can't be compared: table initial_data is missing"):
            look("ledger")

    def test_with_keydb_away_that_is_said_and_no_finding(self, books, settings, unused_tcp_port):
        books.minute(books.last, {"1_Visa": 1300})
        settings.KEYDB_URL = f"redis://127.0.0.1:{unused_tcp_port}/0"
        with pytest.raises(NotChecked, match=r"KeyDB was not compared: .*PostgreSQL has no drift"):
            look("ledger")

    def test_a_night_takes_what_was_compared_shortly_before(self, books):
        books.total(1, 1, 0)
        reconciliation.run()
        books.total(1, 0, 0)
        night = registry.BY_NAME["ledger"].run(Watch(60, reuse_seconds=3600))
        assert night.found == 1 and "nightly reconciliation" in night.summary
        assert look("ledger").found == 0


@pytest.fixture
def book(market: redis.Redis) -> Book:
    return Book.opened(market)


class TestOrders:
    def test_decided_orders_are_right(self, book):
        book.decide(book.settle("user1", 3), book.settle("user2", 1))
        outcome = look("orders")
        assert told(outcome) == []
        assert outcome.summary == "2 accepted orders of 2 users compared."

    def test_lost_deductions_and_unknown_orders_are_found(self, book):
        book.decide(book.settle("user1", 3))
        Order.objects.update(amount=35)
        strange = book.settle("user2", 1)
        Order.objects.filter(order_id=strange).delete()
        said = told(look("orders"))
        assert "user user1: 30 taken from the credit for 1 order, 35 accepted in 1" in said
        assert f"order {strange}: decided in Redis, unknown here" in said

    def test_with_nobody_it_says_so(self, book):
        outcome = look("orders")
        assert (outcome.looked_at, outcome.found) == (0, 0)
        assert outcome.summary == "There are no users with accepted orders yet."

    def test_with_redis_away_that_is_said(self, settings, unused_tcp_port):
        settings.PRICES_REDIS_URL = f"redis://127.0.0.1:{unused_tcp_port}/0"
        with pytest.raises(NotChecked, match="Redis: "):
            look("orders")

    def test_a_night_takes_what_was_compared_shortly_before(self, book):
        book.decide(book.settle("user1", 3))
        Order.objects.update(amount=35)
        orders_reconciliation.run()
        Order.objects.update(amount=30)
        night = Watch(60, reuse_seconds=3600)
        assert registry.BY_NAME["orders"].run(night).found == 1
        OrderReconciliation.objects.update(at=timezone.now() - timedelta(hours=2))
        assert registry.BY_NAME["orders"].run(night).found == 0
