"""Which processes live: each beats into Redis, and one that falls silent is gone after 3 beats.

Started by config/web_worker.py, config/celery.py (workers) and config/beat.py. Consumers have beats
of their own, which facts/processes.py reads too.
"""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.made_once import made_once
from config.version import version

logger = logging.getLogger(__name__)

# The index saves readers a SCAN of a database that holds prices and queues too.
INDEX_KEY = "stockroom:processes"
KEPT_PERIODS = 3
INDEX_KEEP_SECONDS = 3600.0
TIMEOUT_SECONDS = 1.0
END_SECONDS = 2.0


@made_once
def _client(url: str) -> redis.Redis:
    # No other thread's: a prefork worker forks while this one beats.
    return redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 1),
        decode_responses=True,
    )


def read() -> list[dict[str, Any]]:
    """What every process said last, by role, host and pid. Raises redis.RedisError.

    Each is `{"role", "host", "pid", "version", "started_at", "beaten_at", "memory_bytes"}` with
    what its `says` added; instants are seconds since 1970.
    """
    client = _client(settings.REDIS_URL)
    keys: Any = client.zrange(INDEX_KEY, 0, -1)
    texts: Any = client.mget(keys) if keys else []
    found = [json.loads(text) for text in texts if text is not None]
    return sorted(found, key=lambda each: (each["role"], each["host"], each["pid"]))


def about() -> dict[str, Any]:
    """`{"version", "memory_bytes"}` of this process and its children."""
    return {"version": version(), "memory_bytes": _memory_bytes()}


class Heartbeat:
    """Beats every CONSUMER_HEALTH_SECONDS, in a daemon thread. Without Redis nobody sees it."""

    def __init__(self, role: str, says: Callable[[], dict[str, Any]] = dict) -> None:
        """`says` gives what a reader gets beside the rest, for JSON; called in the thread."""
        self._role, self._says = role, says
        self._started_at = time.time()
        self._away = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat.{role}", daemon=True)

    def start(self) -> None:
        """Begin to beat. Returns at once."""
        self._thread.start()

    def end(self) -> None:
        """Beat no more, and be gone for readers. Waits END_SECONDS at most."""
        self._ended.set()
        self._thread.join(END_SECONDS)

    @property
    def key(self) -> str:
        """Where it beats."""
        return f"{INDEX_KEY}:{self._role}:{socket.gethostname()}:{os.getpid()}"

    def _run(self) -> None:
        while True:
            try:
                self._try(self._beat)
            except Exception:
                logger.exception("%s can't say that it lives", self._role)
            if self._ended.wait(settings.CONSUMER_HEALTH_SECONDS):
                break
        self._try(self._remove)

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except redis.RedisError as error:
            if not self._away:
                logger.warning("%s can't say that it lives: %s", self._role, error)
            self._away = True
        else:
            if self._away:
                logger.info("%s says again that it lives", self._role)
            self._away = False

    def _beat(self) -> None:
        now = time.time()
        record = {
            **self._says(),
            "role": self._role,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started_at": self._started_at,
            "beaten_at": now,
            **about(),
        }
        kept_ms = round(KEPT_PERIODS * settings.CONSUMER_HEALTH_SECONDS * 1000)
        with _client(settings.REDIS_URL).pipeline() as pipe:
            pipe.set(self.key, json.dumps(record, allow_nan=False), px=kept_ms)
            pipe.zadd(INDEX_KEY, {self.key: now})
            pipe.zremrangebyscore(INDEX_KEY, "-inf", now - INDEX_KEEP_SECONDS)
            pipe.execute()

    def _remove(self) -> None:
        with _client(settings.REDIS_URL).pipeline() as pipe:
            pipe.delete(self.key)
            pipe.zrem(INDEX_KEY, self.key)
            pipe.execute()


def _memory_bytes() -> int:
    """Resident; pages that a worker and its children share count once, where the system tells."""
    process = psutil.Process()
    children = process.children()
    if not children:
        return int(process.memory_info().rss)
    total = 0
    for each in (process, *children):
        try:
            found = each.memory_full_info()
            total += getattr(found, "pss", found.rss)
        except psutil.Error:  # it has just ended
            continue
    return total
