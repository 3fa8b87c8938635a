"""Rubbish in Redis, and a Redis that is away."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
import redis

from tests.transactions.orders.book import Book
from tests.transactions.orders.stage import set_credit, set_price
from transactions.orders import keys, reception, reconciling
from transactions.orders.gate import Gate

pytestmark = pytest.mark.django_db


@pytest.fixture
def book(market, no_rabbitmq):
    return Book.opened(market)


class TestReconciling:
    @pytest.mark.parametrize("written", [b"?", b"[]", b"{}", b"\xff", b'{"status": "Accept"}'])
    def test_what_is_no_decision_is_told_and_stops_nothing(self, book, written):
        book.decide(book.settle("user1", 3))
        order = book.receive("user2", 1)
        book.client.hset(keys.SETTLED, str(order.order_id), written)
        found = reconciling.reconcile(book.client)
        assert [each.order_id for each in found.unknown] == [str(order.order_id)]
        assert (found.orders, found.drift) == (1, ())

    def test_a_name_that_no_user_has_is_passed_over(self, book):
        book.decide(book.settle("user1", 3))
        for name in (b"\xff", b"a\0b", b"*"):
            book.client.hset(keys.beside("").encode() + name, "orders", "1")
        assert reconciling.reconcile(book.client) == reconciling.Findings(users=1, orders=1)


class TestGate:
    def test_while_redis_is_away_one_at_a_time_tries(self):
        gate, trying, done = Gate(), Event(), Event()

        def wait() -> None:
            with gate.passed():
                trying.set()
                assert done.wait(60)

        with ThreadPoolExecutor(1) as pool:
            with pytest.raises(redis.TimeoutError, match="no answer"), gate.passed():
                raise redis.TimeoutError("no answer")
            first = pool.submit(wait)
            assert trying.wait(60)
            for _ in range(2):
                with pytest.raises(redis.TimeoutError, match="no answer"), gate.passed():
                    pytest.fail("two try at once")
            done.set()
            first.result(60)
        self.everybody_passes(gate)

    def test_what_redis_refuses_is_no_outage(self):
        gate = Gate()
        with pytest.raises(redis.ResponseError), gate.passed():
            raise redis.ResponseError("WRONGTYPE")
        self.everybody_passes(gate)

    def test_who_fails_otherwise_lets_the_next_one_try(self):
        gate = Gate()
        for error in (redis.ConnectionError(), KeyError(), redis.ConnectionError()):
            with pytest.raises(type(error)), gate.passed():
                raise error
        with gate.passed():
            pass
        self.everybody_passes(gate)

    def everybody_passes(self, gate: Gate) -> None:
        with gate.passed(), gate.passed():
            pass


def test_orders_come_in_again_once_redis_is_back(own_market, no_rabbitmq):
    engine, client = own_market
    set_credit(client, "user1", 10)
    set_price(client, "stock1", 1)
    wanted = {"owner": None, "user": "user1", "stockname": "stock1", "quantity": 1}
    engine.kill()
    for _ in range(2):
        with pytest.raises(redis.ConnectionError):
            reception.place(**wanted)
    engine.start()
    assert reception.place(**wanted).is_open
