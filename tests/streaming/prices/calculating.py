"""Stocks and minutes for tests of performance, in a Redis database of their own."""

import json
import time
from collections.abc import Iterable
from itertools import count

import redis

from streaming.prices.calculations import Asked
from streaming.prices.rows import Row
from streaming.prices.store import Batch, Store

DATABASE = 11
# So far ahead that nothing is too late for it, however slow the machine is.
AHEAD_MINUTES = 60
# No minute comes twice, so that what is left of one test has no effect in the next.
_minutes = count(int(time.time() // 60) + AHEAD_MINUTES)


def url(given: str) -> str:
    """The address of the tests' own database on that server."""
    return f"{given.rpartition('/')[0]}/{DATABASE}"


class Prices:
    """A store that is fed by hand, and minutes that come when they are called."""

    def __init__(self, address: str) -> None:
        self.client = redis.Redis.from_url(address, decode_responses=True)
        self.client.flushdb()
        self.store = Store(redis.Redis.from_url(address))
        self._position: str | None = None
        self._rows = 0

    def add(self, stock: str, *prices: int | float | str) -> None:
        """Rows of a stock, in one batch."""
        self.apply([(stock, price) for price in prices])

    def apply(self, pairs: Iterable[tuple[str, int | float | str]]) -> None:
        """Rows of stocks, in one batch."""
        rows = []
        for stock, price in pairs:
            self._rows += 1
            instant = time.strftime("%H%M%S", time.gmtime(32_400 + self._rows % 3600))
            rows.append((self._rows, Row(stock, instant, str(price)), b""))
        following = str(self._rows)
        self.store.apply(Batch("test", self._position, following, rows))
        self._position = following

    def next_minute(self) -> int:
        return next(_minutes)

    def ask(self) -> list[Asked]:
        """What is asked for in a new minute."""
        return self.store.ask(self.next_minute())

    def value(self, stock: str) -> dict:
        """The stock's value as everybody reads it."""
        text = self.client.get(stock)
        assert isinstance(text, str)
        return json.loads(text)

    def failure(self, stock: str) -> str:
        found = self.store.stock(stock)
        return "" if found is None else found.failure

    def close(self) -> None:
        self.client.flushdb()
        self.client.close()
        self.store.client.close()
