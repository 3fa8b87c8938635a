"""Counters in the cache that end by themselves: failed logins, requests of API tokens."""

from functools import lru_cache
from typing import Any, NamedTuple

from django.core.cache import cache


class Counted(NamedTuple):
    """What a counter says."""

    count: int
    """Calls in the present window, this one included."""
    seconds_left: float
    """Until the window ends."""


def count(key: str, window_seconds: int) -> Counted:
    """Count one more under `key`; the window begins with its first. Raises RedisError.

    One transaction, so that no counter is ever left without its end: the cache's own `incr`
    asks first whether the key is there, and makes one for ever when it ends in between.
    """
    name = cache.make_and_validate_key(key)
    with _client(cache._cache).pipeline(transaction=True) as pipeline:
        pipeline.set(name, 0, ex=window_seconds, nx=True)
        pipeline.incr(name)
        pipeline.pttl(name)
        _, counted, left_ms = pipeline.execute()
    return Counted(counted, max(0, left_ms) / 1000)


@lru_cache(maxsize=64)  # one a thread
def _client(connections: Any) -> Any:
    """Django's would make a new one for each call: a third of what a count costs."""
    return connections.get_client(None, write=True)
