"""Stocks as the updater writes them, and its snapshots, for tests of what is shown."""

import time
from collections.abc import Sequence
from typing import Any

import redis
from django.conf import settings

from streaming.prices import board
from streaming.prices.rows import Row, from_message
from streaming.prices.store import Batch, Refused, Store

PLACE = "kafka:main_topic:0"
AT = 1_767_225_600.0  # 2026-01-01 00:00:00 UTC


def clear(prices_url: str = "", board_url: str = "") -> None:
    """Take everything out of the Redis of prices, and off the board."""
    with redis.Redis.from_url(prices_url or settings.PRICES_REDIS_URL) as client:
        client.flushdb()
    with redis.Redis.from_url(board_url or settings.REDIS_URL) as client:
        keys = list(client.scan_iter("stockroom:prices:*"))
        if keys:
            client.delete(*keys)


def redis_of_prices() -> redis.Redis:
    """A client that gives bytes."""
    return redis.Redis.from_url(settings.PRICES_REDIS_URL)


def store(**options: Any) -> Store:
    """A Store as the updater has it."""
    return Store(redis_of_prices(), **options)


def add(stock: str, *rows: tuple[str, str], into: Store | None = None) -> None:
    """Rows of (time, price) behind those there are."""
    put([Row(stock, at, price) for at, price in rows], into=into)


def put(rows: Sequence[Row], refused: Sequence[Refused] = (), *, into: Store | None = None) -> None:
    """A batch of the updater."""
    into = into or store()
    before = into.position(PLACE)
    begin = int((before or "0").split()[0])
    numbered = [(begin + number, row, b"{}") for number, row in enumerate(rows)]
    into.apply(Batch(PLACE, before, f"{begin + len(rows) + len(refused)} topic", numbered, refused))


def refuse(*values: bytes) -> None:
    """Messages that become dead letters, in this order."""
    letters = []
    for number, value in enumerate(values):
        found = from_message(value)
        assert not isinstance(found, Row)
        letters.append(Refused(number, found.reason, found.detail, value))
    put([], letters)


def partition(number: int = 0, **values: Any) -> dict[str, Any]:
    """A row of `partitions`."""
    return {
        "partition": number,
        "position": 500 + number,
        "end": 510 + number,
        "lag": 10,
        "halted": None,
        "notice": None,
        **values,
    }


def snapshot(instance: str = "shop-1.1", **values: Any) -> dict[str, Any]:
    """A whole snapshot of an instance that has one partition of one."""
    partitions = values.pop("partitions", [partition()])
    return {
        "instance": instance,
        "host": "shop-1",
        "pid": 42,
        "version": 1,
        "at": time.time(),
        "group": settings.PRICES_GROUP,
        "topic": "main_topic",
        "state": "running",
        "waiting_for": None,
        "partition_count": len(partitions),
        "partitions": partitions,
        "added": 507,
        "repeated": 3,
        "refused": 1,
        "rate": 120.0,
        **values,
    }


def age(seconds: float) -> None:
    """Let all snapshots have been published so long ago."""
    with redis.Redis.from_url(settings.REDIS_URL, decode_responses=True) as client:
        for key in client.zrange(board.SNAPSHOTS, 0, -1):
            left = client.pttl(key)
            if left > 0:
                client.pexpire(key, max(1, left - round(seconds * 1000)))
