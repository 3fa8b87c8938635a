"""What the instances of a consumer show of themselves: a snapshot each, in Redis.

Loops of streams publish by streaming/show.py, the ledger by transactions/ledger/board.py; pages and
API read. A snapshot that isn't renewed is gone after 10 s.
"""

import json
from collections.abc import Callable
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.made_once import made_once
from config.outage import Outage

from .throttling import throttle

KEPT_SECONDS = 10.0
KEPT_PERIODS = 3  # where snapshots are rarer than that
INDEX_KEEP_SECONDS = 3600
# The loop must not stand still for what is only looked at.
PUBLISH_TIMEOUT_SECONDS = 0.3


@made_once
def _client(url: str, timeout_seconds: float) -> redis.Redis:
    # One repetition, since a pooled connection dies with every restart of the server.
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 1),
        decode_responses=True,
    )


def reading() -> redis.Redis:
    """The client of pages."""
    return _client(settings.REDIS_URL, settings.READY_TIMEOUT_SECONDS)


def publishing() -> redis.Redis:
    """The client of loops, with little patience."""
    return _client(settings.REDIS_URL, PUBLISH_TIMEOUT_SECONDS)


def kept_seconds(every_seconds: float) -> float:
    """How long a snapshot stays that isn't renewed, where there is one in `every_seconds`."""
    return max(KEPT_SECONDS, KEPT_PERIODS * every_seconds)


class Board:
    """The snapshots of all instances of one consumer, of any group."""

    def __init__(self, name: str, every_seconds: Callable[[], float]) -> None:
        """`name` is the consumer's and that of the live channel; `every_seconds` is asked for
        snapshots that don't say how often they come."""
        self.name = name
        self.index = f"stockroom:{name}:snapshots"  # of the keys, which saves readers a SCAN
        self.outage = Outage(f"snapshots of {name}")
        self._every_seconds = every_seconds

    def publish(self, snapshot: dict[str, Any]) -> None:
        """Put an instance's snapshot in the place of its last one, and tell open pages.

        One round trip, and the event's (at most LIVE_EVENTS_PER_SECOND of them). After a failure
        the next LIVE_OUTAGE_SECONDS fail at once. Raises redis.RedisError, and TypeError or
        ValueError for what is not JSON.
        """
        if self.outage.holds():
            raise redis.ConnectionError("Redis did not answer a moment ago")
        # Readers may have another setting.
        snapshot = {"every_seconds": self._every_seconds(), **snapshot}
        key = self._key(snapshot["group"], snapshot["instance"])
        text = json.dumps(snapshot, allow_nan=False, separators=(",", ":"))
        try:
            with publishing().pipeline() as pipe:
                pipe.set(key, text, px=round(kept_seconds(snapshot["every_seconds"]) * 1000))
                pipe.zadd(self.index, {key: snapshot["at"]})
                pipe.zremrangebyscore(self.index, "-inf", snapshot["at"] - INDEX_KEEP_SECONDS)
                pipe.expire(self.index, INDEX_KEEP_SECONDS)
                pipe.execute()
        except redis.RedisError as error:
            self.outage.begin(error)
            raise
        self.outage.end()
        self.tell(snapshot["at"])

    def tell(self, at: float) -> None:
        """Let open pages look again; `at` is the instant of what is new."""
        throttle(self.name).publish(lambda: {"at": at})

    def remove(self, group: str, instance: str) -> None:
        """Take an instance's snapshot away: it has ended. Raises redis.RedisError."""
        key = self._key(group, instance)
        with publishing().pipeline() as pipe:
            pipe.delete(key)
            pipe.zrem(self.index, key)
            pipe.execute()

    def snapshots(self) -> list[dict[str, Any]]:
        """The instances' last snapshots, by group and instance, of all groups.

        Each as it was published, with `age_seconds` since then by the clock of Redis. Raises
        redis.RedisError.
        """
        client = reading()
        keys = sorted(map(str, client.zrange(self.index, 0, -1)))
        if not keys:
            return []
        with client.pipeline(transaction=False) as pipe:
            pipe.mget(keys)
            for key in keys:
                pipe.pttl(key)
            texts, *left_ms = pipe.execute()
        found = []
        for text, left in zip(texts, left_ms, strict=True):
            if text is not None and left > 0:
                snapshot = json.loads(text)
                kept = kept_seconds(snapshot["every_seconds"])
                found.append({**snapshot, "age_seconds": max(0.0, kept - left / 1000)})
        return found

    def _key(self, group: str, instance: str) -> str:
        return f"{self.index}:{group}:{instance}"
