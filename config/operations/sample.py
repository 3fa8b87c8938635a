"""The newest sample of how all is, and one hour of points: kept in Redis by the one that leads.

`sampling.py` leads and keeps; the page, /metrics and alerts read. docs/operations.md has the shape.
"""

import json
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.made_once import made_once

SAMPLE = "stockroom:operations:sample"
POINTS = "stockroom:operations:points"
LEADER = "stockroom:operations:leader"

KEPT_SECONDS = 3600.0
POINTS_MOST = 360
POINT_SECONDS = KEPT_SECONDS / POINTS_MOST
TIMEOUT_SECONDS = 1.0

# KEYS: leader. ARGV: name, milliseconds that the lease lasts. Returns 1 where `name` leads now.
LEAD = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
# KEYS: leader. ARGV: name.
LEAVE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
"""
# One that stood still must not put an old sample over another's.
# KEYS: leader, sample, points. ARGV: name, sample, milliseconds both are kept, point ('' for none),
#   points kept. Returns 1 where the sample was taken.
KEEP = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
if ARGV[4] ~= '' then
  redis.call('RPUSH', KEYS[3], ARGV[4])
  redis.call('LTRIM', KEYS[3], -tonumber(ARGV[5]), -1)
  redis.call('PEXPIRE', KEYS[3], ARGV[3])
end
return 1
"""


@made_once
def client(url: str) -> redis.Redis:
    """The client of sampling and its readers; gives text."""
    # One repetition, since a pooled connection dies with every restart of the server.
    return redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 1),
        decode_responses=True,
    )


def read() -> dict[str, Any] | None:
    """The newest sample with `age_seconds`, by the clock of Redis; None where there is none of the
    last hour. Raises redis.RedisError."""
    with client(settings.REDIS_URL).pipeline(transaction=True) as pipe:
        pipe.get(SAMPLE)
        pipe.pttl(SAMPLE)
        text, left_ms = pipe.execute()
    if text is None:
        return None
    found: dict[str, Any] = json.loads(text)
    return {**found, "age_seconds": max(0.0, KEPT_SECONDS - left_ms / 1000)}


def points() -> list[dict[str, Any]]:
    """The points of the hour before the newest one, the oldest first: POINTS_MOST at most.

    Raises redis.RedisError.
    """
    texts: Any = client(settings.REDIS_URL).lrange(POINTS, 0, -1)
    found: list[dict[str, Any]] = json.loads(f"[{','.join(texts)}]")
    return [each for each in found if each["at"] > found[-1]["at"] - KEPT_SECONDS]


def keep(found: dict[str, Any], point: dict[str, Any] | None = None, *, by: str = "") -> bool:
    """Put a sample in the place of the last, and a point behind the others, in one step.

    False where another than `by` leads: then nothing is changed. Raises redis.RedisError, and
    TypeError or ValueError for what is no JSON.
    """
    taken = client(settings.REDIS_URL).eval(
        KEEP,
        3,
        *(LEADER, SAMPLE, POINTS),
        *(by, _text(found), round(KEPT_SECONDS * 1000)),
        *("" if point is None else _text(point), POINTS_MOST),
    )
    return bool(taken)


def lead(name: str, seconds: float) -> bool:
    """Whether `name` leads for the next `seconds`: nobody did, or it did already.

    Raises redis.RedisError.
    """
    return bool(client(settings.REDIS_URL).eval(LEAD, 1, LEADER, name, round(seconds * 1000)))


def leave(name: str) -> None:
    """Let others lead at once. Raises redis.RedisError."""
    client(settings.REDIS_URL).eval(LEAVE, 1, LEADER, name)


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))
