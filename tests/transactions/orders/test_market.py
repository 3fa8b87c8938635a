"""Credit and prices as they are read from a real Redis."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from streaming.prices.rows import Row
from streaming.prices.store import Batch, Store
from tests.transactions.orders.stage import set_credit, set_price
from transactions.orders import keys
from transactions.orders import market as reading
from transactions.orders.credit import Unreadable

LARGE = 2**53 + 1


def read(client: redis.Redis, user: str = "user1", stock: str = "stock1") -> reading.Market:
    return reading.read(client, [user], [stock])


def test_it_reads_users_and_prices(market):
    set_credit(market, "user1", LARGE)
    set_credit(market, "user2", "0.10")
    set_price(market, "stock1", 100, "1734.25")
    set_price(market, "stock2", 7, "")
    found = reading.read(market, ["user1", "user2", "user1"], ["stock1", "stock2", "stock1"])
    assert list(found.accounts) == ["user1", "user2"]
    credits = [each.purse().credit for each in found.accounts.values()]
    assert credits == [LARGE, Decimal("0.10")]
    assert found.prices == {"stock1": "1734.25", "stock2": "7"}
    assert found.price("stock1") == Decimal("1734.25")


def test_what_the_updater_writes_is_read(market):
    Store(market).apply(
        Batch(
            "kafka:main_topic:0",
            None,
            "2 topic",
            [
                (0, Row("stock1", "090000", str(LARGE)), b"{}"),
                (1, Row("stock1", "090006", ""), b"{}"),
            ],
            [],
        )
    )
    assert read(market).price("stock1") == LARGE


def test_nobody_and_nothing(market):
    found = read(market)
    assert found.accounts["user1"].purse() is None
    assert found.prices == {} and found.price("stock1") is None


def test_a_stock_without_any_price(market):
    set_price(market, "stock1", "", "")
    found = read(market)
    assert found.prices == {"stock1": ""} and found.price("stock1") is None


def test_a_price_of_too_many_digits_is_unreadable(market):
    set_price(market, "stock1", "1e150")
    with pytest.raises(Unreadable):
        read(market).price("stock1")


def test_what_accepted_orders_left_is_read(market):
    set_credit(market, "user1", 5)
    market.hset(
        keys.beside("user1"),
        mapping={"orders": 3, "taken": f"{LARGE}.5", "credit": 5, "given": "-0.25"},
    )
    account = read(market).accounts["user1"]
    assert (account.orders, account.taken) == ("3", Decimal(f"{LARGE}.5"))
    assert (account.credit_left, account.given) == (5, Decimal("-0.25"))


@pytest.mark.parametrize("key", ["user1", keys.beside("user1")])
def test_a_key_that_holds_something_else_is_unreadable(market, key):
    set_credit(market, "user1", 5)
    market.delete(key)
    market.rpush(key, "x")
    with pytest.raises(Unreadable, match="something else"):
        read(market).accounts["user1"].purse()


@pytest.mark.parametrize("value", ["", "{}", '{"credit": -5}', b"\xff"])
def test_a_value_of_others_is_unreadable(market, value):
    market.set("user1", value)
    with pytest.raises(Unreadable):
        read(market).accounts["user1"].purse()


@pytest.mark.parametrize("kind", ["list", "text", "user"])
def test_what_is_no_stock_is_none(market, kind):
    if kind == "list":
        market.rpush("stock1", "x")
    else:
        market.set("stock1", "no JSON" if kind == "text" else '{"id": 1, "credit": 5}')
    assert read(market).prices == {}


@pytest.mark.parametrize(
    ("price", "quantity", "amount"),
    [
        ("1734", 100, "173400"),
        ("0.1", 3, "0.3"),
        (str(LARGE), 10**12, f"{LARGE}{'0' * 12}"),
        ("9" * 100 + "." + "9" * 99 + "1", 3, "2" + "9" * 99 + "9." + "9" * 98 + "73"),
        ("0", 5, "0"),
    ],
)
def test_amounts_are_exact(price, quantity, amount):
    assert reading.amount(Decimal(price), quantity) == Decimal(amount)


@pytest.fixture
def nobody(unused_tcp_port: int) -> Iterator[redis.Redis]:
    with redis.Redis(port=unused_tcp_port, retry=Retry(NoBackoff(), 0)) as client:
        yield client


def test_redis_away_is_an_error(nobody):
    with pytest.raises(redis.ConnectionError):
        read(nobody)
