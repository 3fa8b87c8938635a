"""Credit and prices as they are now in Redis: read when an order comes, and when it is decided."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

import redis

from streaming.prices import latest

from . import credit, keys

ACCEPTED = re.compile(r"0|[1-9][0-9]{0,17}")  # orders
PRECISION = 400  # digits: amounts of any two numbers that credit.py takes are exact


@dataclass(frozen=True)
class Account:
    """A user as Redis has it: the value, None where there is none, and the hash beside it."""

    user: str
    value: bytes | None
    orders: str = ""  # as text, "" for none: no order was accepted yet
    taken: Decimal = Decimal(0)
    credit_left: Decimal | None = None
    given: Decimal = Decimal(0)
    strange: str = ""  # why the value or the hash can't be read

    def purse(self) -> credit.Purse | None:
        """What the value says, None where there is no such user. Raises Unreadable."""
        if self.strange:
            raise credit.Unreadable(self.strange)
        return None if self.value is None else credit.parse(self.value)


@dataclass(frozen=True)
class Market:
    """One reading."""

    accounts: dict[str, Account]  # of all users that were asked for
    prices: dict[str, str]  # as latest.latest() has them

    def price(self, stock: str) -> Decimal | None:
        """The newest, None where there is none. Raises Unreadable."""
        written = self.prices.get(stock, "")
        return credit.number(written) if written else None


def read(client: redis.Redis, users: Sequence[str], stocks: Sequence[str]) -> Market:
    """What these users and stocks have now, in one round trip. Raises redis.RedisError.

    A second one reads stocks that others have written.
    """
    names, stocks = list(dict.fromkeys(users)), list(dict.fromkeys(stocks))
    with client.pipeline(transaction=False) as pipe:
        for user in names:
            pipe.get(user)
            pipe.hmget(keys.beside(user), "orders", "taken", "credit", "given")
        latest.ask(pipe, stocks)
        found = pipe.execute(raise_on_error=False)
    of_users, of_stocks = found[: 2 * len(names)], found[2 * len(names) :]
    latest.raise_trouble(of_users)
    accounts = {
        user: _account(user, value, known)
        for user, value, known in zip(names, of_users[::2], of_users[1::2], strict=True)
    }
    return Market(accounts, latest.understood(client, stocks, of_stocks))


def amount(price: Decimal, quantity: int) -> Decimal:
    """What the order costs, exactly."""
    with localcontext(prec=PRECISION):
        return price * quantity


def _account(user: str, value: Any, known: Any) -> Account:
    for each in (value, known):
        if isinstance(each, redis.ResponseError):
            return Account(user, None, strange="the key holds something else")
    orders, *numbers = (each and each.decode("utf-8", "replace") for each in known)
    taken, left, given = (credit.exact(each) if each else None for each in numbers)
    # All four or none: settle.lua sets them together.
    found = [each is not None for each in (orders, taken, left, given)]
    if not any(each is not None for each in known):
        return Account(user, value)
    if not all(found) or not ACCEPTED.fullmatch(orders):
        return Account(user, value, strange=f"{keys.beside(user)} holds something else")
    return Account(user, value, orders, taken or Decimal(0), left, given or Decimal(0))
