"""Sums of all web processes' counts of requests, in Redis.

Web processes share a port, so whoever scrapes meets any one of them. Each counts in its memory and
adds what is new to one hash every CONSUMER_HEALTH_SECONDS. The sums outlive processes and serve any
number of machines; files shared by processes (prometheus_client's way) do neither.
"""

import logging
import threading
from typing import cast

import redis
from django.conf import settings

from config.operations import sample

from . import requests
from .requests import Answered

logger = logging.getLogger(__name__)

KEY = "stockroom:requests"


def totals() -> dict[tuple[str, str], Answered]:
    """Requests by kind and status class. Raises redis.RedisError."""
    return requests.parsed(cast(dict[str, str], sample.client(settings.REDIS_URL).hgetall(KEY)))


class Counting:
    """Adds what this process has counted to the sums, in a daemon thread."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}
        self._away = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="requests", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Add what is left, and stop. Returns within Redis' time-outs."""
        self._ended.set()
        self._thread.join(settings.READY_TIMEOUT_SECONDS)

    def _run(self) -> None:
        while not self._ended.wait(settings.CONSUMER_HEALTH_SECONDS):
            self._tell()
        self._tell()

    def _tell(self) -> None:
        """Where Redis is away they are added later: none is lost but with the process."""
        now = requests.counted()
        new = {name: count - self._told.get(name, 0) for name, count in now.items()}
        try:
            with sample.client(settings.REDIS_URL).pipeline() as pipe:
                for name, more in new.items():
                    if more:
                        pipe.hincrby(KEY, name, more)
                pipe.execute()
        except redis.RedisError as error:
            if not self._away:
                logger.warning("counts of requests wait for Redis: %s", type(error).__name__)
            self._away = True
        else:
            self._told, self._away = now, False
