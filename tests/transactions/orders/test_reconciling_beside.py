"""`manage.py reconcile_orders` beside consumers that decide orders, and what is kept of it."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import django.db
import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from tests.services.waiting import until
from tests.transactions.orders.book import Book
from transactions.models import Order, OrderReconciliation
from transactions.orders import keys, reconciliation, reconciling, repairing, tasks
from transactions.orders.drift import Findings
from transactions.orders.reconciliation import Mend

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def book(market: redis.Redis) -> Book:
    """Users with credit 1,000 each and a stock at 10."""
    return Book.opened(market)


def found(book: Book) -> Findings:
    return reconciling.reconcile(book.client, wait=lambda seconds: None)


class Interrupted(redis.Redis):
    """Does something once, before the command that comes at the given number of them."""

    def at(self, name: str, number: int, action: Callable[[], object]) -> None:
        self.name, self.left, self.action = name, number, action

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        if arguments[0] == self.name:
            self.left -= 1
            if self.left == 0:
                self.action()
        return super().execute_command(*arguments, **options)


class TestBesideConsumers:
    @pytest.fixture
    def interrupted(self, book: Book, settings: Settings) -> Iterator[Interrupted]:
        with Interrupted.from_url(settings.PRICES_REDIS_URL) as client:
            yield client

    def test_an_order_decided_in_mid_look_is_no_drift(self, book, interrupted):
        book.decide(book.settle("user1", 1))
        second = book.settle("user1", 2)

        def meanwhile() -> None:
            book.decide(second, book.settle("user1", 3))

        interrupted.at("HMGET", 1, meanwhile)  # Postgres was read, what Redis has decided not yet
        looked = reconciling.reconcile(interrupted, wait=lambda seconds: None)
        assert looked == Findings(users=1, orders=3)
        assert interrupted.left == 0

    def test_so_is_one_written_down_in_mid_look(self, book, interrupted):
        book.decide(book.settle("user1", 1))
        second = book.settle("user1", 2)
        interrupted.at("HMGET", 1, lambda: book.decide(second))
        assert reconciling.reconcile(interrupted) == Findings(users=1, orders=2)
        assert interrupted.left == 0

    def test_a_users_first_order_in_mid_look_is_none_either(self, book):
        book.decide(book.settle("user1", 1))
        looks: reconciling.Looks = {}
        book.decide(book.settle("user2", 1))
        # It was not among the names that Redis gave.
        assert reconciling._look(book.client, {"user1"}, None, looks, time.monotonic() + 60) == {
            "user2"
        }
        assert found(book).drifts == 0

    def test_who_always_moves_is_told(self, book, settings, capsys):
        book.decide(book.settle("user1", 1), book.settle("user2", 1))

        class Restless(redis.Redis):
            def hmget(self, *arguments: Any, **options: Any) -> Any:
                book.decide(book.settle("user1", 1))
                return super().hmget(*arguments, **options)

        book.receive("user1", 1)
        with Restless.from_url(settings.PRICES_REDIS_URL) as client:
            looked = reconciling.reconcile(client, wait=lambda seconds: None)
        assert looked.in_motion == ("user1",) and looked.drifts == 0
        assert "always in motion: user1." in "\n".join(looked.lines())
        assert book.credit("user1") == str(1000 - 10 * (1 + reconciling.MOST_LOOKS))

    def test_it_is_exact_while_orders_are_decided(self, book, settings):
        """Another thread settles and decides all the time; a real loss must be found."""
        book.set_credit("user1", "100000000")
        ended, failed = threading.Event(), []

        def work() -> None:
            try:
                with redis.Redis.from_url(settings.PRICES_REDIS_URL) as client:
                    own = Book(client)
                    while not ended.is_set():
                        ids = [own.settle("user1", 1), own.settle("user2", 200)]
                        own.decide(*ids)
                        ended.wait(0.003)
            except Exception as error:
                failed.append(error)
            finally:
                connection.close()

        worker = threading.Thread(target=work)
        worker.start()
        try:
            until(lambda: Order.objects.filter(status="Accept").count() > 20)
            for _ in range(10):
                looked = reconciling.reconcile(book.client)
                assert looked.drifts == 0 and failed == []
            lose(book, "user1", 70)
            until(lambda: [each.lost for each in reconciling.reconcile(book.client).drift] == [70])
            until(lambda: reconciliation.run(Mend.DEDUCT).left.drifts == 0)
            for _ in range(5):
                assert reconciling.reconcile(book.client).drifts == 0
        finally:
            ended.set()
            worker.join(60)
        assert failed == []
        accepted = Order.objects.filter(status="Accept", user="user1").count()
        assert book.credit("user1") == str(100_000_000 - 10 * accepted)

    def test_a_credit_that_changes_before_the_repair_is_left_alone(self, book):
        book.decide(book.settle("user1", 3))
        lose(book, "user1", 30)
        stale = found(book)
        book.decide(book.settle("user1", 1))
        (repair,) = repairing.deduct(book.client, stale)
        assert repair.changed and book.credit("user1") == "990"
        book.set_credit("user2", "1")
        stale = found(book)
        book.set_credit("user1", "500")
        (repair,) = repairing.adopt(book.client, stale)
        assert repair.changed and book.credit("user1") == "500"
        assert reconciliation.run(Mend.DEDUCT).left.drifts == 0
        assert book.credit("user1") == "470"

    def test_so_is_one_that_came_back_to_the_same_value(self, book):
        book.decide(book.settle("user1", 3))
        lose(book, "user1", 30)
        stale, value = found(book), book.client.get("user1")
        book.decide(book.settle("user1", 1))
        book.client.set("user1", value)
        (repair,) = repairing.deduct(book.client, stale)
        assert repair.changed and book.client.get("user1") == value
        assert reconciliation.run(Mend.DEDUCT).left.drifts == 0
        assert book.credit("user1") == "970"  # what was given stays given

    def test_what_takes_too_long_is_no_result(self, book):
        book.decide(book.settle("user1", 3))
        with pytest.raises((redis.RedisError, django.db.Error)):
            reconciling.reconcile(book.client, time.monotonic() - 1)


def lose(book: Book, user: str, amount: int) -> None:
    """As if deductions of so much had never been: in one step, as a restored state."""
    script = """
        local value = cjson.decode(redis.call('GET', KEYS[1]))
        redis.call('SET', KEYS[1], string.format('{"id": 1, "credit": %d}', value.credit + ARGV[1]))
        redis.call('HINCRBY', KEYS[2], 'taken', -ARGV[1])
        redis.call('HINCRBY', KEYS[2], 'orders', -1)
        redis.call('HINCRBY', KEYS[2], 'credit', ARGV[1])
    """
    book.client.eval(script, 2, user, keys.beside(user), amount)


class TestKept:
    def test_the_result_is_kept_for_the_page(self, book):
        book.decide(book.settle("user1", 3))
        lose(book, "user1", 30)
        tasks.reconcile()
        kept = OrderReconciliation.objects.get()
        assert (kept.drifts, kept.repaired, kept.failure) == (1, False, "")
        assert kept.drift["drift"] == [
            {
                "user": "user1",
                "kind": "behind",
                "orders": 0,
                "right_orders": 1,
                "taken": "0",
                "right_taken": "30",
                "trouble": "",
            }
        ]
        reconciliation.run(Mend.DEDUCT)
        kept = OrderReconciliation.objects.latest("id")
        assert (kept.drifts, kept.repaired, kept.drift["drift"]) == (0, True, [])

    def test_the_newest_are_kept(self, book, monkeypatch):
        monkeypatch.setattr(reconciliation, "KEPT", 2)
        for _ in range(4):
            reconciliation.run()
        newest = OrderReconciliation.objects.order_by("-id").values_list("id", flat=True)
        assert len(newest) == 2 and newest[0] - newest[1] == 1

    def test_without_redis_the_failure_is_kept(self, settings, unused_tcp_port, caplog):
        settings.PRICES_REDIS_URL = f"redis://127.0.0.1:{unused_tcp_port}/0"
        tasks.reconcile()
        assert "orders: not reconciled" in caplog.text
        assert OrderReconciliation.objects.get().failure != ""
        with pytest.raises(CommandError) as refused:
            call_command("reconcile_orders")
        assert refused.value.returncode == 2

    def test_drift_is_an_error_in_the_log(self, book, caplog):
        book.decide(book.settle("user1", 3))
        tasks.reconcile()
        assert [each for each in caplog.records if each.levelname == "ERROR"] == []
        lose(book, "user1", 30)
        tasks.reconcile()
        (error,) = [each for each in caplog.records if each.levelname == "ERROR"]
        assert "1 drifts" in error.getMessage()
