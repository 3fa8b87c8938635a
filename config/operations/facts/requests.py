"""Requests that web has answered, of all kinds but streams and waits."""

from typing import Any

from config.metrics import sums

Sample = dict[str, Any]
LIVE = "live"


def facts(before: Sample) -> dict[str, Any]:
    """`{"total": since they are counted}`. Raises redis.RedisError."""
    found = sums.totals()
    return {"total": sum(each.count for (kind, _), each in found.items() if kind != LIVE)}
