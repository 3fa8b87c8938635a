"""Decisions on the credit in Redis: exact, each once, never below nothing."""

import json
import threading
import uuid
from decimal import Decimal
from typing import Any

import pytest
import redis

from tests.transactions.orders.stage import credit, set_credit, set_price
from transactions.orders import keys
from transactions.orders.engine import settling
from transactions.orders.engine.settling import Decision, Settling, Wanted


def wanted(user: str = "user1", quantity: int = 1, stock: str = "stock1") -> Wanted:
    return Wanted(uuid.uuid4(), user, stock, quantity)


def settle(client: redis.Redis, *orders: Wanted) -> list[Decision | None]:
    """Read and settle at once; None for what is to be read again."""
    made = Settling(client)
    found = made.settle(orders, made.time())
    return [found.get(order.order_id) for order in orders]


def one(client: redis.Redis, order: Wanted) -> Decision:
    (found,) = settle(client, order)
    assert found is not None
    return found


def test_credit_pays_for_price_times_quantity(market: redis.Redis) -> None:
    set_credit(market, "user1", 1000)
    set_price(market, "stock1", 90, 100, "")
    assert one(market, wanted(quantity=3)) == Decision(
        "Accept",
        price=Decimal(100),
        amount=Decimal(300),
        before=Decimal(1000),
        after=Decimal(700),
    )
    assert market.get("user1") == b'{"id": 1, "credit": 700}'


def test_credit_equal_to_the_amount_is_enough_and_one_less_is_not(market: redis.Redis) -> None:
    set_credit(market, "user1", 300)
    set_price(market, "stock1", 100)
    assert one(market, wanted(quantity=3)).status == "Accept"
    set_credit(market, "user1", 299)
    denied = one(market, wanted(quantity=3))
    assert (denied.status, denied.reason) == ("Deny", "insufficient_credit")
    assert denied.detail == "The credit is 299, the order costs 300."
    assert credit(market, "user1") == 299


def test_the_same_order_is_decided_once(market: redis.Redis) -> None:
    set_credit(market, "user1", 1000)
    set_price(market, "stock1", 100)
    order = wanted(quantity=3)
    first = one(market, order)
    set_price(market, "stock1", 5000)
    assert one(market, order) == first
    assert credit(market, "user1") == 700


def test_a_denial_is_kept_too(market: redis.Redis) -> None:
    set_credit(market, "user1", 10)
    set_price(market, "stock1", 100)
    order = wanted()
    first = one(market, order)
    set_credit(market, "user1", 1000)
    assert one(market, order) == first
    assert credit(market, "user1") == 1000


@pytest.mark.parametrize(
    ("have", "price", "quantity", "left"),
    [
        ("9007199254740993", "1", 1, "9007199254740992"),
        ("123456789012345678901234567890", "1", 1, "123456789012345678901234567889"),
        ("0.3", "0.1", 3, "0"),
        ("100.10", "33.366666", 3, "0.000002"),
        ("1e3", "2.5e2", 2, "500"),
    ],
)
def test_numbers_keep_all_their_digits(
    market: redis.Redis, have: str, price: str, quantity: int, left: str
) -> None:
    set_credit(market, "user1", have)
    set_price(market, "stock1", price)
    assert one(market, wanted(quantity=quantity)).status == "Accept"
    assert json.loads(market.get("user1") or b"", parse_int=str, parse_float=str) == {
        "id": "1",
        "credit": left,
    }


def test_what_else_a_user_has_stays(market: redis.Redis) -> None:
    market.set("user1", '{"credit":1000.50,"name":"Zoë","tags":[1.10,null],"id":7}', px=3_600_000)
    set_price(market, "stock1", 100)
    assert one(market, wanted()).status == "Accept"
    assert json.loads(market.get("user1") or b"") == {
        "credit": 900.5,
        "name": "Zoë",
        "tags": [1.10, None],
        "id": 7,
    }
    assert b"1.10" in (market.get("user1") or b"")
    assert int(market.pttl("user1")) > 0  # type: ignore[arg-type]


def test_orders_of_one_user_in_a_batch_take_one_after_the_other(market: redis.Redis) -> None:
    set_credit(market, "user1", 250)
    set_credit(market, "user2", 100)
    set_price(market, "stock1", 100)
    orders = [wanted(), wanted("user2"), wanted(), wanted(), wanted(quantity=1)]
    found = [each and each.status for each in settle(market, *orders)]
    assert found == ["Accept", "Accept", "Accept", "Deny", "Deny"]
    assert (credit(market, "user1"), credit(market, "user2")) == (50, 0)


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        (None, "unknown_user"),
        ("no json", "unreadable_credit"),
        ('{"id": 1}', "unreadable_credit"),
        ('{"id": 1, "credit": "100"}', "unreadable_credit"),
        ('{"id": 1, "credit": -1}', "unreadable_credit"),
        ('{"id": 1, "credit": NaN}', "unreadable_credit"),
    ],
)
def test_a_user_that_is_none_is_denied(market: redis.Redis, user: str | None, reason: str) -> None:
    set_price(market, "stock1", 100)
    if user is not None:
        market.set("user1", user)
    assert one(market, wanted()).reason == reason
    assert market.get("user1") == (user.encode() if user is not None else None)


def test_keys_that_hold_something_else_are_denied_once(market: redis.Redis) -> None:
    set_price(market, "stock1", 100)
    market.rpush("user1", "x")
    for user in ("user2", "user3", "user4"):
        set_credit(market, user, 100)
    market.set(keys.beside("user2"), "x")
    market.hset(keys.beside("user3"), mapping={"orders": "1", "taken": "x"})
    market.hset(keys.beside("user4"), "orders", "x")
    orders = [wanted(f"user{number}") for number in (1, 2, 3, 4)]
    found = settle(market, *orders)
    assert [each and each.reason for each in found] == 4 * ["unreadable_credit"]
    market.delete("user1", *(keys.beside(f"user{number}") for number in (2, 3, 4)))
    set_credit(market, "user1", 1000)
    assert settle(market, *orders) == found
    assert [credit(market, f"user{n}") for n in (1, 2, 3, 4)] == [1000, 100, 100, 100]


@pytest.mark.parametrize("prices", [(), ("",), ("", "")])
def test_a_stock_without_a_price_is_denied(market: redis.Redis, prices: tuple[str, ...]) -> None:
    set_credit(market, "user1", 1000)
    if prices:
        set_price(market, "stock1", *prices)
    assert one(market, wanted()).reason == "no_price"


def test_credit_that_changed_after_the_reading_is_read_again(market: redis.Redis) -> None:
    set_credit(market, "user1", 1000)
    set_price(market, "stock1", 100)
    made, order = Settling(market), wanted()
    since, now = made.time(), made.read([order])
    set_credit(market, "user1", 1001)
    assert made.settle_as_read([order], now, since) == {}
    assert credit(market, "user1") == 1001
    assert made.settle([order], made.time())[order.order_id].after == 901


def test_the_same_credit_after_others_accepted_is_read_again_too(market: redis.Redis) -> None:
    """Deducted and given back meanwhile: the numbers beside the value would be wrong."""
    set_credit(market, "user1", 1000)
    set_price(market, "stock1", 100)
    made, order = Settling(market), wanted()
    since, now = made.time(), made.read([order])
    one(market, wanted())
    set_credit(market, "user1", 1000)
    assert made.settle_as_read([order], now, since) == {}


def test_whoever_was_frozen_since_the_reading_decides_nothing(
    market: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_credit(market, "user1", 1000)
    set_price(market, "stock1", 100)
    made, order = Settling(market), wanted()
    since, now = made.time(), made.read([order])
    monkeypatch.setattr(settling, "LATE_SECONDS", 0.0)
    assert made.settle_as_read([order], now, since) == {}
    assert credit(market, "user1") == 1000
    assert not market.exists(keys.SETTLED)


def test_what_others_give_is_told_from_what_orders_take(market: redis.Redis) -> None:
    set_credit(market, "user1", 1000)
    set_price(market, "stock1", 100)
    one(market, wanted())
    set_credit(market, "user1", 5000.5)  # 900 before
    one(market, wanted(quantity=2))
    set_credit(market, "user1", 100)  # 4800.5 before
    one(market, wanted())
    assert market.hgetall(keys.beside("user1")) == {
        b"orders": b"3",
        b"taken": b"400",
        b"credit": b"0",
        b"given": b"-600",
    }


def test_many_at_once_never_take_more_than_there_is(market: redis.Redis, settings: Any) -> None:
    """Eight settle the same user's orders, each some of them that another settles too."""
    set_credit(market, "user1", 5050)
    set_price(market, "stock1", 100)
    orders = [wanted() for _ in range(80)]
    found: list[dict[uuid.UUID, Decision]] = []

    def work(first: int) -> None:
        with redis.Redis.from_url(settings.PRICES_REDIS_URL) as client:
            made, left, mine = Settling(client), orders[first::4], dict[uuid.UUID, Decision]()
            while left:
                mine |= made.settle(left[:5], made.time())
                left = [each for each in left if each.order_id not in mine]
            found.append(mine)

    threads = [threading.Thread(target=work, args=(number % 4,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    decided = {order_id: each for mine in found for order_id, each in mine.items()}
    assert all(decided[order_id] == each for mine in found for order_id, each in mine.items())
    assert len(decided) == 80
    assert sum(each.status == "Accept" for each in decided.values()) == 50
    assert credit(market, "user1") == 50
