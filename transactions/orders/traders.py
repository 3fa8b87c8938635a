"""The trading users that Redis has, and the credit of each: for the page of orders."""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import redis

from config.trading_users import USER

from . import credit, market
from .overview import open_by_user

PATTERN = "user[0-9]*"
SHOWN = 200
KEPT_SECONDS = 5.0
# Of one search. Other keys (queues, sums of sales) may be in the same Redis, any number.
STEP_KEYS, MOST_STEPS, MOST_NAMES = 1_000, 100, 20_000
NUMBER = re.compile(r"user(\d+)(.*)", re.DOTALL)


@dataclass(frozen=True)
class Names:
    """Of users, in the order of their numbers. `whole`: all there are."""

    names: tuple[str, ...]
    whole: bool


@dataclass(frozen=True)
class Trader:
    """One user: the credit, or why it can't be read, and what orders have to do with it."""

    user: str
    credit: Decimal | None
    problem: str
    open: int  # orders not decided
    orders: int  # accepted ones
    taken: Decimal  # the sum of their amounts


@dataclass(frozen=True)
class Traders:
    """Some of them."""

    rows: list[Trader]
    found: int  # that match
    total: int  # of all names that are known
    whole: bool


_known: dict[str, tuple[float, Names]] = {}


def names(client: redis.Redis, place: str) -> Names:
    """All names, some seconds old at most; `place` is the address of that Redis.

    Raises redis.RedisError.
    """
    until, known = _known.get(place, (0.0, None))
    if known is not None and time.monotonic() < until:
        return known
    found = _searched(client)
    _known[place] = (time.monotonic() + KEPT_SECONDS, found)
    return found


def forget() -> None:
    """Search anew the next time."""
    _known.clear()


def traders(client: redis.Redis, place: str, find: str = "") -> Traders:
    """The first SHOWN of those with `find` in their name; one query. Raises redis.RedisError."""
    known = names(client, place)
    matching = [name for name in known.names if find in name]
    # What a search of bounded length has not come by is there all the same.
    exact = find if USER.fullmatch(find) and find not in matching else None
    wanted = [*([exact] if exact else []), *matching[:SHOWN]]
    accounts = market.read(client, wanted, []).accounts
    if exact and accounts[exact].value is None and not accounts[exact].strange:
        wanted.remove(exact)
        exact = None
    waiting = open_by_user(wanted) if wanted else {}
    rows = [_trader(accounts[name], waiting.get(name, 0)) for name in wanted]
    found = len(matching) + (exact is not None)
    return Traders(rows, found, max(found, len(known.names)), known.whole)


def _trader(account: market.Account, waiting: int) -> Trader:
    problem, left = "", None
    try:
        purse = account.purse()
    except credit.Unreadable as error:
        problem = str(error)
    else:
        left, problem = (purse.credit, "") if purse else (None, "it is gone")
    orders = int(account.orders) if account.orders.isdecimal() else 0
    return Trader(account.user, left, problem, waiting, orders, account.taken)


def _searched(client: redis.Redis) -> Names:
    found: set[str] = set()
    cursor = 0
    for _ in range(MOST_STEPS):
        step: Any = client.scan(cursor, match=PATTERN, count=STEP_KEYS)
        cursor, keys = step
        found.update(_users(keys))
        if cursor == 0 or len(found) >= MOST_NAMES:
            break
    return Names(tuple(sorted(found, key=_place)), whole=cursor == 0)


def _users(keys: Iterable[bytes]) -> Iterable[str]:
    for key in keys:
        name = key.decode("utf-8", "replace")
        if USER.fullmatch(name):
            yield name


def _place(name: str) -> tuple[int, str]:
    """user2 comes before user10."""
    match = NUMBER.fullmatch(name)
    return (int(match[1]), match[2]) if match else (0, name)
