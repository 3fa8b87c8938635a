"""Snapshots as instances of `sales` publish them, for tests of what is shown."""

import time
from typing import Any

import redis
from django.conf import settings

from streaming.sales import board

AT = 1_767_225_600.0  # 2026-01-01 00:00:00 UTC


def selling(code: str, amount: str = "12.50", **values: Any) -> dict[str, Any]:
    """A row of `top`."""
    return {
        "stock_code": code,
        "sum": amount,
        "sales": 3,
        "last_at": AT + 30,
        "partition": 0,
        **values,
    }


def partition(number: int = 0, **values: Any) -> dict[str, Any]:
    """A row of `partitions`."""
    return {
        "partition": number,
        "position": 1_000 + number,
        "end": 1_010 + number,
        "lag": 10,
        "watermark": AT + 60,
        "keys": 40,
        "events": 900,
        "bytes": 20_000,
        "replay": None,
        "halted": None,
        **values,
    }


def snapshot(instance: str = "shop-1.1", **values: Any) -> dict[str, Any]:
    """A whole snapshot of an instance that has one partition of one."""
    partitions = values.pop("partitions", [partition()])
    return {
        "instance": instance,
        "version": 1,
        "at": time.time(),
        "state": "running",
        "waiting_for": None,
        "group": settings.SALES_GROUP,
        "topics": {"input": "data", "output": "agg", "dead_letters": "data.dlq"},
        "window_seconds": 600.0,
        "lateness_seconds": 600.0,
        "max_skew_seconds": 300.0,
        "partition_count": len(partitions),
        "rate_in": 120.0,
        "rate_out": 119.5,
        "rate_dead": 0.5,
        "taken": 54_321,
        "put_out": 54_300,
        "refused": 21,
        "partitions": partitions,
        "warnings": [],
        "top": [],
        "curves": {},
        "recent_refusals": [],
        **values,
    }


def curve(*sums: str, begin: float = AT - 540, step: float = 60.0) -> list[list[Any]]:
    """Points of `curves`."""
    return [[begin + number * step, amount] for number, amount in enumerate(sums)]


def clear(url: str = "") -> None:
    """Take everything off the board in the Redis at `url`."""
    with redis.Redis.from_url(url or settings.REDIS_URL) as client:
        keys = list(client.scan_iter("stockroom:sales:*"))
        if keys:
            client.delete(*keys)


def age(seconds: float) -> None:
    """Let all snapshots have been published so long ago."""
    with redis.Redis.from_url(settings.REDIS_URL, decode_responses=True) as client:
        for key in client.zrange(board.SNAPSHOTS, 0, -1):
            left = client.pttl(key)
            if left > 0:
                client.pexpire(key, max(1, left - round(seconds * 1000)))
