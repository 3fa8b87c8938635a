"""`manage.py place_orders`, on a real Redis and Postgres."""

import pytest
import redis
from django.core.management import CommandError, call_command

from tests.transactions.orders.book import Book
from transactions.models import Order
from transactions.orders import traders

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("no_rabbitmq"),
]


@pytest.fixture
def book(market: redis.Redis) -> Book:
    traders.forget()
    made = Book(market)
    made.set_credit("user1", "1000")
    made.set_credit("user10", "5")
    made.set_credit("user2", "1000")
    made.set_price("stock1", "10")
    return made


def place(*arguments: str) -> None:
    call_command("place_orders", *arguments, "--rate", "max", "--no-progress")


def test_orders_of_all_users_in_turn(book, capsys):
    place("--count", "6", "--quantity", "7")
    said = capsys.readouterr().out
    assert said.startswith("6 orders: 4 received, 2 denied at once. ")
    rows = Order.objects.order_by("id").values_list("user", "stockname", "quantity", "status")
    denied, received = ("stock1", 7, "Deny"), ("stock1", 7, "received")
    one = [("user1", *received), ("user2", *received), ("user10", *denied)]
    assert list(rows) == one * 2


def test_of_those_that_are_named(book):
    place("--count", "3", "--users", "user2", "--stock", "Stock1")
    rows = Order.objects.values_list("user", "stockname", "quantity")
    assert {(user, stock) for user, stock, _ in rows} == {("user2", "stock1")}
    assert all(1 <= quantity <= 100 for *_, quantity in rows)


def test_what_is_refused_is_told(book, capsys):
    with pytest.raises(CommandError, match="Not all were placed"):
        place("--count", "2", "--users", "user1,user7", "--quantity", "1")
    assert "1 received, 1 refused: There is no user user7." in capsys.readouterr().out
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--users", "ana"), "'ana' can be no user"),
        (("--stock", "a b"), "can be no stock"),
        (("--quantity", "1000000000001"), "1,000,000,000,000 at most"),
    ],
)
def test_what_can_be_no_order_is_said_at_once(book, arguments, words):
    with pytest.raises(CommandError, match=words):
        place("--count", "1", *arguments)


def test_without_users_it_says_what_to_do(book):
    book.client.flushdb()
    traders.forget()
    with pytest.raises(CommandError, match="seed_redis"):
        place("--count", "1")


def test_without_redis_it_ends(book, settings, unused_tcp_port):
    settings.PRICES_REDIS_URL = f"redis://127.0.0.1:{unused_tcp_port}/0"
    with pytest.raises(CommandError, match="0 orders"):
        place("--count", "1", "--users", "user1")
    assert not Order.objects.exists()
