"""Counters in the cache that end by themselves: failed logins, requests of API tokens."""

from typing import NamedTuple

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
    client = cache._cache.get_client(name, write=True)
    with client.pipeline(transaction=True) as pipeline:
        pipeline.set(name, 0, ex=window_seconds, nx=True)
        pipeline.incr(name)
        pipeline.pttl(name)
        _, counted, left_ms = pipeline.execute()
    return Counted(counted, max(0, left_ms) / 1000)
