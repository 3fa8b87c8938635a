"""Where running consumers can be seen: one Redis key each that expires when it stops beating."""

import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import redis
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.made_once import made_once

logger = logging.getLogger(__name__)

# The index saves readers a SCAN of a database that holds prices and queues too.
INDEX_KEY = "stockroom:consumers"
KEPT_PERIODS = 3
INDEX_KEEP_SECONDS = 3600.0


@made_once
def _client(url: str) -> redis.Redis:
    # One repetition, since a pooled connection dies with every restart of the server.
    return redis.Redis.from_url(
        url,
        socket_timeout=settings.READY_TIMEOUT_SECONDS,
        socket_connect_timeout=settings.READY_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 1),
        decode_responses=True,
    )


def publish_health(record: dict[str, Any]) -> None:
    """Show `record` (fields: see `consumer_health`) for three periods of CONSUMER_HEALTH_SECONDS.

    Raises redis.RedisError, and TypeError or ValueError when `record` is not JSON.
    """
    key = f"{INDEX_KEY}:{record['name']}:{record['host']}:{record['pid']}"
    text = json.dumps(record, cls=DjangoJSONEncoder, allow_nan=False)
    now = time.time()
    with _client(settings.REDIS_URL).pipeline() as pipe:
        pipe.set(key, text, px=round(KEPT_PERIODS * settings.CONSUMER_HEALTH_SECONDS * 1000))
        pipe.zadd(INDEX_KEY, {key: now})
        pipe.zremrangebyscore(INDEX_KEY, "-inf", now - INDEX_KEEP_SECONDS)
        pipe.execute()


def consumer_health() -> list[dict[str, Any]]:
    """What every consumer process said last, by name, host and pid; silent ones have expired.

    Each is `{"name", "host", "pid", "state", "started_at", "beaten_at", "error", "health",
    "version", "memory_bytes"}`: state is running, draining, stopped or crashed (the last two stay
    for three periods), the instants are aware datetimes, `error` is the crash's or the failed
    `health()`'s text or None, `health` is what the consumer's own `health()` gave. A process that
    was restarted appears twice until the old one expires.

    Raises redis.RedisError when Redis does not answer within READY_TIMEOUT_SECONDS.
    """
    client = _client(settings.REDIS_URL)
    keys = client.zrange(INDEX_KEY, 0, -1)
    texts = client.mget(keys) if keys else []
    records = [json.loads(text) for text in texts if text is not None]
    for record in records:
        for field in ("started_at", "beaten_at"):
            record[field] = datetime.fromisoformat(record[field])
    return sorted(records, key=lambda record: (record["name"], record["host"], record["pid"]))


class Reporter:
    """Publishes a consumer's health every period, in a daemon thread, until told of its end.

    A thread of its own, so that a `health()` that hangs makes only its own consumer invisible.
    """

    def __init__(self, name: str, snapshot: Callable[[], dict[str, Any]]) -> None:
        """`snapshot` gives the record to publish and must not raise."""
        self._snapshot = snapshot
        self._ended = threading.Event()
        self._outage = False
        self._thread = threading.Thread(target=self._run, name=f"health.{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Publish once more, then stop. Returns at once."""
        self._ended.set()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the last publication, at most `timeout_seconds`."""
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        self._publish()
        while not self._ended.wait(settings.CONSUMER_HEALTH_SECONDS):
            self._publish()
        self._publish()

    def _publish(self) -> None:
        record = self._snapshot()
        try:
            try:
                publish_health(record)
            except (TypeError, ValueError) as error:
                publish_health({**record, "health": {}, "error": f"health() is not JSON: {error}"})
        except redis.RedisError as error:
            if not self._outage:
                logger.warning("consumer %s can't show its health: %s", record["name"], error)
            self._outage = True
        else:
            if self._outage:
                logger.info("consumer %s shows its health again", record["name"])
            self._outage = False
