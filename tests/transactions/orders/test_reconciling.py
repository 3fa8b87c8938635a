"""`manage.py reconcile_orders`: all that can come between credit and orders, on real engines."""

import json
from decimal import Decimal
from typing import Any

import pytest
import redis
from django.core.management import call_command

from tests.transactions.orders.book import Book
from transactions.models import Order
from transactions.orders import keys, reconciliation, reconciling
from transactions.orders.drift import AHEAD, BEHIND, Findings
from transactions.orders.reconciliation import Mend

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def book(market: redis.Redis) -> Book:
    """Users with credit 1,000 each and a stock at 10."""
    return Book.opened(market)


def found(book: Book) -> Findings:
    return reconciling.reconcile(book.client, wait=lambda seconds: None)


def run(capsys: Any, *arguments: str) -> tuple[int, str]:
    """Exit code and what was said."""
    try:
        call_command("reconcile_orders", *arguments)
    except SystemExit as ended:
        return int(ended.code or 0), capsys.readouterr().out
    return 0, capsys.readouterr().out


class TestWithoutDrift:
    def test_nothing_is_right(self, book):
        assert found(book) == Findings(users=0, orders=0)

    def test_decided_orders_are_right(self, book):
        book.decide(book.settle("user1", 3), book.settle("user1", 4), book.settle("user2", 1))
        assert found(book) == Findings(users=2, orders=3)
        assert book.credit("user1") == "930"

    def test_so_is_what_redis_has_decided_and_postgres_not_written_down(self, book):
        book.decide(book.settle("user1", 3))
        book.settle("user1", 4)
        book.settle("user2", 1)  # of whom Postgres has accepted nothing yet
        assert found(book) == Findings(users=2, orders=3)

    def test_denied_and_open_orders_take_nothing(self, book):
        book.decide(book.settle("user1", 101), book.settle("user1", 1))
        book.settle("user1", 10**12)
        book.receive("user2", 5)
        assert found(book) == Findings(users=1, orders=1)

    def test_numbers_beyond_floats_are_compared_exactly(self, book):
        book.set_credit("user1", "900719925474099300000000000000.000000000000000001")
        book.set_price("stock1", "0.000000000000000001")
        book.decide(book.settle("user1", 9_007_199_254))
        assert found(book).drifts == 0
        Order.objects.update(amount=Decimal("0.000000009007199253"))
        (drift,) = found(book).drift
        assert (drift.kind, drift.lost) == (AHEAD, Decimal("-0.000000000000000001"))

    def test_what_others_give_and_take_is_told_and_no_drift(self, book, capsys):
        book.decide(book.settle("user1", 3), book.settle("user2", 3))
        book.set_credit("user1", "5000")
        book.set_credit("user2", "900.5")
        code, said = run(capsys)
        assert code == 0
        assert "user1   +4030\n" in said and "user2   -69.5\n" in said
        book.decide(book.settle("user1", 1), book.settle("user2", 1))
        assert found(book) == Findings(users=2, orders=4)

    def test_an_order_that_costs_nothing_counts(self, book):
        book.set_price("stock1", "0")
        book.decide(book.settle("user1", 3))
        assert found(book) == Findings(users=1, orders=1)
        book.client.delete(keys.beside("user1"))
        (drift,) = found(book).drift
        assert (drift.kind, drift.lost, drift.found.orders) == (BEHIND, 0, 0)


class TestRedisFromAnOlderState:
    @pytest.fixture
    def older(self, book: Book) -> Book:
        """Two orders were accepted, then two more of which Redis knows nothing."""
        book.decide(book.settle("user1", 3), book.settle("user2", 1))
        before = book.dumped()
        book.decide(book.settle("user1", 4), book.settle("user1", 5))
        book.restore(before)
        return book

    def test_lost_deductions_are_found(self, older, capsys):
        (drift,) = found(older).drift
        assert (drift.user, drift.kind, drift.lost) == ("user1", BEHIND, 90)
        assert (drift.found.orders, drift.right.orders) == (1, 3)
        code, said = run(capsys)
        assert code == 1
        assert "user1     30    120      +90       1      3\n" in said
        assert older.credit("user1") == "970"

    def test_deduct_takes_them_once(self, older, capsys):
        code, said = run(capsys, "--deduct")
        assert code == 0 and "user1: 90 deducted\n" in said
        assert older.credit("user1") == "880"
        code, said = run(capsys, "--deduct")
        assert code == 0 and "Repaired" not in said
        assert older.credit("user1") == "880"
        assert older.credit("user2") == "990"

    def test_orders_go_on_after_it(self, older):
        older.decide(older.settle("user1", 1))
        reconciliation.run(Mend.DEDUCT)
        older.decide(older.settle("user1", 2))
        assert found(older) == Findings(users=2, orders=6)
        assert older.credit("user1") == "850"

    def test_adopt_leaves_the_credit(self, older, capsys):
        code, said = run(capsys, "--adopt")
        assert code == 0 and "user1: 0 deducted\n" in said
        assert older.credit("user1") == "970"
        assert found(older) == Findings(users=2, orders=4)
        # credit = that at first + given - taken
        assert older.beside("user1") == {
            "orders": "3",
            "taken": "120",
            "credit": "970",
            "given": "90",
        }

    def test_what_others_gave_meanwhile_stays_given(self, older):
        older.set_credit("user1", "2000")
        reconciliation.run(Mend.DEDUCT)
        assert older.credit("user1") == "1910"
        assert older.beside("user1")["given"] == "1030"

    def test_a_credit_never_falls_below_0(self, older, capsys):
        older.set_credit("user1", "60")
        code, said = run(capsys, "--deduct")
        assert code == 0
        assert "user1: 60 deducted, 30 could not be: the credit is 0\n" in said
        assert older.credit("user1") == "0"
        assert found(older).drifts == 0
        older.set_credit("user1", "500")  # not taken later either
        reconciliation.run(Mend.DEDUCT)
        assert older.credit("user1") == "500"

    def test_an_empty_redis_lost_all(self, book, capsys):
        book.decide(book.settle("user1", 3))
        book.client.flushdb()
        code, said = run(capsys, "--deduct")
        assert code == 1
        assert "user1: it is missing\n" in said
        book.set_credit("user1", "1000")
        assert run(capsys, "--deduct")[0] == 0
        assert book.credit("user1") == "970"

    def test_an_order_that_was_open_is_settled_anew(self, book):
        before = book.dumped()
        wanted = book.receive("user1", 3)
        book.settle_again(wanted)
        book.restore(before)
        assert found(book).drifts == 0
        book.decide(book.settle_again(wanted))
        assert found(book) == Findings(users=1, orders=1)
        assert book.credit("user1") == "970"


class TestRedisAhead:
    @pytest.fixture
    def ahead(self, book: Book) -> Book:
        """Postgres came back without the second order."""
        book.decide(book.settle("user1", 3))
        gone = book.settle("user1", 4)
        book.decide(gone)
        Order.objects.filter(order_id=gone).delete()
        return book

    def test_it_is_found_with_the_orders(self, ahead, capsys):
        findings = found(ahead)
        (drift,), (unknown,) = findings.drift, findings.unknown
        assert (drift.kind, drift.lost) == (AHEAD, -40)
        assert json.loads(unknown.decision)["amount"] == "40"
        code, said = run(capsys)
        assert code == 1 and unknown.order_id in said

    def test_deduct_gives_nothing_back(self, ahead, capsys):
        code, _ = run(capsys, "--deduct")
        assert code == 1 and ahead.credit("user1") == "930"

    def test_adopt_counts_from_here_on(self, ahead, capsys):
        assert run(capsys, "--adopt")[0] == 0
        assert ahead.credit("user1") == "930"
        assert ahead.beside("user1")["taken"] == "30"
        assert ahead.beside("user1")["given"] == "-40"
        assert found(ahead) == Findings(users=1, orders=1)
        assert run(capsys, "--adopt")[0] == 0

    def test_it_forgets_no_order_that_postgres_has(self, ahead):
        open_one = ahead.settle("user2", 2)
        reconciliation.run(Mend.ADOPT)
        assert ahead.client.hexists(keys.SETTLED, open_one)
        assert found(ahead) == Findings(users=2, orders=2)

    @pytest.mark.parametrize("name", ["no-uuid", "{curly}", "\udcff"])
    def test_what_is_no_order_at_all_is_unknown(self, book, name):
        book.client.hset(keys.SETTLED, name.encode(errors="surrogateescape"), "?")
        assert len(found(book).unknown) == 1


class TestValues:
    @pytest.mark.parametrize(
        ("value", "words"),
        [
            (b"{", "no JSON"),
            (b'{"id": 1}', "no number credit"),
            (b'{"id": 1, "credit": -1}', "below 0"),
        ],
    )
    def test_one_that_cannot_be_read_is_drift(self, book, capsys, value, words):
        book.decide(book.settle("user1", 3))
        book.client.set("user1", value)
        (drift,) = found(book).drift
        assert words in drift.trouble and drift.kind == ""
        for arguments in ((), ("--deduct",), ("--adopt",)):
            assert run(capsys, *arguments)[0] == 1
        assert book.client.get("user1") == value

    def test_so_is_a_key_of_another_kind(self, book):
        book.decide(book.settle("user1", 3))
        book.client.delete("user1")
        book.client.rpush("user1", "a")
        (drift,) = found(book).drift
        assert "something else" in drift.trouble

    def test_what_else_is_in_the_value_stays(self, book):
        book.client.set("user1", '{"id": 7, "note": 1.50, "credit": 1e3}')
        book.decide(book.settle("user1", 3))
        book.client.delete(keys.beside("user1"))
        reconciliation.run(Mend.DEDUCT)
        assert book.client.get("user1") == b'{"id": 7, "note": 1.50, "credit": 940}'

    def test_so_does_its_time_to_live(self, book):
        book.decide(book.settle("user1", 3))
        book.client.expire("user1", 1_000)
        book.client.delete(keys.beside("user1"))
        reconciliation.run(Mend.DEDUCT)
        assert 0 < book.client.ttl("user1") <= 1_000
