"""What operations shows of sales and prices: lag, rates, refusals, and the runs of performance.

Called for each sample (config/operations/facts). Reads the boards and the Redis of prices.
"""

from typing import Any, NamedTuple

import redis
from django.urls import reverse

from streaming.prices import board as prices_board
from streaming.prices import keys, minute
from streaming.prices.connection import reading
from streaming.sales import board as sales_board

STOCKS_MOST = 1_000  # whose calculations are looked at: the first by id


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


def performance(now: float) -> dict[str, Any]:
    """The section `performance` of the sample, of the last minute that was asked for.

    `seconds` are from the minute's beginning until its last result. Missed is it where stocks wait
    for a calculation and nobody has asked for some minutes. Raises redis.RedisError.
    """
    client = reading()
    with client.pipeline(transaction=False) as pipe:
        pipe.get(keys.MINUTE)
        pipe.zrange(keys.STOCKS, 0, STOCKS_MOST - 1)
        asked, names = pipe.execute()
    rows = _calculations(client, names)
    waiting = any(latest not in (b"", None, price) for latest, price, *_ in rows)
    if asked is None:
        found = {"minute": None, "calculated": None, "failed": None, "seconds": None}
        return {**found, "missed": waiting}
    begin = int(asked) * minute.MINUTE
    done = [float(at) for _, _, at, _, _ in rows if at is not None and float(at) >= begin]
    failed = [1 for *_, why, at in rows if why and at is not None and float(at) >= begin]
    return {
        "minute": float(begin),
        "calculated": len(done),
        "failed": len(failed),
        "seconds": round(max(done) - begin, 3) if done else None,
        "missed": waiting and minute.current(now) - int(asked) > minute.SILENT_MINUTES,
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


def _calculations(client: redis.Redis, names: list[bytes]) -> list[list[Any]]:
    fields = ["latest", "calculated_price", "calculated_at", "failure", "failed_at"]
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hmget(keys.beside(name.decode()), fields)
        found: list[list[Any]] = pipe.execute()
    return found
