"""What operations shows of sales and prices: lag, rates, refusals, and the runs of performance.

Called for each sample (config/operations/facts). Reads the boards and the Redis of prices.
"""

from decimal import Decimal
from typing import Any, NamedTuple

import redis
from django.conf import settings
from django.urls import reverse

from streaming.prices import board as prices_board
from streaming.prices import keys, minute
from streaming.prices.connection import reading
from streaming.sales import board as sales_board

STOCKS_MOST = 1_000  # whose calculations are looked at: the first by id
# How late the next minute is asked for where all processes are busy: each with a calculation that
# may take PRICES_PERFORMANCE_SECONDS, and then some to end; clocks differ too.
ASKED_LATE_SECONDS = 5.0


class Instance(NamedTuple):
    """What one process of sales or prices shows of itself."""

    lag: int | None
    rate: float
    refused: int  # since its loop began


def instances(consumer: str) -> dict[tuple[str, int], Instance]:
    """By host and pid, of "sales" or "prices"; none of others. Raises redis.RedisError."""
    board = {"sales": sales_board.BOARD, "prices": prices_board.BOARD}.get(consumer)
    if board is None:
        return {}
    return {
        (each["host"], each["pid"]): Instance(
            _lag(each),
            float(each.get("rate_in") or each.get("rate") or 0.0),
            int(each.get("refused") or 0),
        )
        for each in board.snapshots()
    }


class Calculation(NamedTuple):
    """What the hash beside a stock's value says; the names are its fields."""

    latest: bytes | None
    calculated_price: bytes | None
    calculated_at: bytes | None
    failure: bytes | None
    failed_at: bytes | None
    asked: bytes | None
    updated_at: bytes | None

    @property
    def waits(self) -> bool:
        """Whether its newest price, as a number, is not the one last calculated with."""
        if not self.latest or not self.calculated_price:
            return bool(self.latest)
        if self.latest == self.calculated_price:
            return False
        return Decimal(self.latest.decode()) != Decimal(self.calculated_price.decode())

    def done_since(self, instant: float) -> bool:
        """Whether it has a result of then or later."""
        return self.calculated_at is not None and float(self.calculated_at) >= instant

    def failed_since(self, instant: float) -> bool:
        """Whether it has failed then or later, and not been calculated after that."""
        return (
            bool(self.failure) and self.failed_at is not None and float(self.failed_at) >= instant
        )

    def left_in(self, number: int) -> bool:
        """Whether it waits since before that minute, as far as can be told, and nobody is at it.

        Every price moves `updated_at`: one that has prices all the time and that nobody asks for
        is not known to wait.
        """
        if not self.waits:
            return False
        if self.asked is not None:
            return int(self.asked) <= number
        return self.updated_at is not None and float(self.updated_at) < _beginning(number)


def performance(now: float) -> dict[str, Any]:
    """The section `performance` of the sample, of the last minute that was asked for.

    `seconds` are from the minute's beginning until its last result. Missed is it where stocks wait
    for a calculation and nobody has asked for some minutes, or of the last minute that is over no
    stock has a result or a failure. Raises redis.RedisError.
    """
    client = reading()
    with client.pipeline(transaction=False) as pipe:
        pipe.get(keys.MINUTE)
        pipe.zrange(keys.STOCKS, 0, STOCKS_MOST - 1)
        asked, names = pipe.execute()
    rows = _calculations(client, names)
    waiting = any(each.waits for each in rows)
    if asked is None:
        found = {"minute": None, "calculated": None, "failed": None, "seconds": None}
        return {**found, "missed": waiting}
    begin = int(asked) * minute.MINUTE
    done = [float(each.calculated_at or 0) for each in rows if each.done_since(begin)]
    silent = waiting and minute.current(now) - int(asked) > minute.SILENT_MINUTES
    return {
        "minute": float(begin),
        "calculated": len(done),
        "failed": sum(each.failed_since(begin) for each in rows),
        "seconds": round(max(done) - begin, 3) if done else None,
        "missed": silent or _lost(rows, min(int(asked), _last_over(now))),
    }


def prices_refused() -> int:
    """Rows of prices that were ever refused. Raises redis.RedisError."""
    return int(reading().get(keys.DEAD_LETTERS_COUNT) or 0)


def rejects(kind: str, total: int | None) -> dict[str, Any]:
    """The row of "sales" or "prices" among the rejects; how many the last hour had is counted by
    who takes samples."""
    url = {"sales": "streaming:dead-letters", "prices": "streaming:prices-dead-letters"}[kind]
    return {"kind": kind, "last_hour": 0, "total": total, "url": reverse(url)}


def _lag(snapshot: dict[str, Any]) -> int | None:
    known = [row["lag"] for row in snapshot["partitions"] if row.get("lag") is not None]
    return sum(known) if known else None


def _last_over(now: float) -> int:
    """The newest minute after which the next one has had the time to be asked for.

    Then what the minute left open is asked for again, or nobody asks.
    """
    late = settings.PRICES_PERFORMANCE_SECONDS + ASKED_LATE_SECONDS
    return int((now - late) // minute.MINUTE) - 1


def _beginning(number: int) -> float:
    """From when on prices and outcomes count as that minute's or later, by any machine's clock."""
    return number * minute.MINUTE - minute.SKEW_SECONDS


def _lost(rows: list[Calculation], number: int) -> bool:
    """Whether stocks wait since before that minute and it came to nothing, not even a failure."""
    since = _beginning(number)
    ended = any(each.done_since(since) or each.failed_since(since) for each in rows)
    return not ended and any(each.left_in(number) for each in rows)


def _calculations(client: redis.Redis, names: list[bytes]) -> list[Calculation]:
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hmget(keys.beside(name.decode()), Calculation._fields)
        found: list[list[Any]] = pipe.execute()
    return [Calculation(*each) for each in found]
