"""Which performances are to be calculated, and what has come of them.

A calculation belongs to a stock and a minute: it begins once, and what it ends with counts only as
long as that minute's is the one asked for.
"""

import time
from decimal import Decimal
from typing import Any, NamedTuple

import redis

from . import keys
from .adoption import Adoption
from .stocks import Stock

FAILURE_CHARACTERS = 500
DIED = "The calculation did not finish: its process was ended."
WAITED = "The calculation did not begin within its minute: too few processes, or none."

REPLACED = "The value was written by others during the calculation."
# So far the clocks of two machines may be apart.
CLOCK_MINUTES = 10


class Asked(NamedTuple):
    """A calculation that is to be made."""

    stock: str
    price: str  # as JSON writes a number
    minute: int  # of unix time


class Calculations(Adoption):
    """The calculations of all stocks."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self._minute, self._ask = keys.script(client, "minute"), keys.script(client, "ask")
        self._begin, self._finish = keys.script(client, "begin"), keys.script(client, "finish")
        self._fail = keys.script(client, "fail")

    def ask(self, minute: int) -> list[Asked]:
        """What is to be calculated in that minute, each minute once and none after a later one.

        A stock is left out while its newest price is, as a number, the one last calculated with.
        Those come first that were tried longest ago.
        """
        names = [stock.name for stock in self.stocks()]
        for name in names:
            self._known.pop(name, None)
        self._learn(names)  # values that others wrote are brought into our form
        if not self._minute(keys=[keys.MINUTE], args=[minute, CLOCK_MINUTES]):
            return []
        asked = []
        for stock in sorted(self.stocks(), key=_waits_since):
            if not stock.latest or _same(stock.latest, stock.calculated_price):
                if stock.asked is not None or stock.failure:
                    self._forget(stock.name)
                continue
            price = self._ask(
                keys=[keys.beside(stock.name)],
                args=[minute, time.time(), stock.calculated_price, _why(stock)],
            )
            if price:
                asked.append(Asked(stock.name, price.decode(), minute))
        return asked

    def asked_minute(self) -> int | None:
        """The last minute that calculations were asked for in."""
        found: Any = self.client.get(keys.MINUTE)
        return None if found is None else int(found)

    def begin(self, asked: Asked) -> bool:
        """Whether this calculation is still to be made and nobody has begun it."""
        return bool(self._begin(keys=[keys.beside(asked.stock)], args=[asked.minute, time.time()]))

    def finish(self, asked: Asked, token: str, seconds: float) -> bool:
        """Write the performance, a number of JSON. False where it is no longer asked for."""
        done = self._finish(
            keys=[asked.stock, keys.beside(asked.stock)],
            args=[asked.minute, token, time.time(), round(seconds, 6)],
        )
        if done < 0:
            self.fail(asked, REPLACED)
        return bool(done > 0)

    def fail(self, asked: Asked, words: str) -> bool:
        """Keep why there is no performance. False where it is no longer asked for."""
        return bool(
            self._fail(
                keys=[keys.beside(asked.stock)],
                args=[asked.minute, words[:FAILURE_CHARACTERS], time.time()],
            )
        )

    def _forget(self, name: str) -> None:
        ended = ("asked", "asked_price", "asked_at", "began_at", "failure", "failed_at")
        self.client.hdel(keys.beside(name), *ended)


def _same(price: str, other: str) -> bool:
    return bool(other) and Decimal(price) == Decimal(other)


def _waits_since(stock: Stock) -> tuple[float, int]:
    return stock.tried_at or 0.0, stock.id


def _why(stock: Stock) -> str:
    if stock.asked is None:
        return ""
    return DIED if stock.began_at is not None else WAITED
