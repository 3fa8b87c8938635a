"""The Redis of prices (PRICES_REDIS_URL). Its clients give texts as bytes."""

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.made_once import made_once

# A change of a long history is written to disk before it is answered.
CHANGE_SECONDS = 10.0
CONNECT_SECONDS = 2.0


def changing() -> redis.Redis:
    """For changes: repeats nothing, since one that got no answer may have been made."""
    return _client(settings.PRICES_REDIS_URL, CHANGE_SECONDS, 0)


def reading() -> redis.Redis:
    """For pages: does not wait long, and repeats once, as pooled connections die with a server."""
    return _client(settings.PRICES_REDIS_URL, settings.READY_TIMEOUT_SECONDS, 1)


@made_once
def _client(url: str, timeout_seconds: float, repetitions: int) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=min(CONNECT_SECONDS, timeout_seconds),
        retry=Retry(NoBackoff(), repetitions),
    )
