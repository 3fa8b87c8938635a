"""Lets go of what nobody needs any more: decisions in Redis, workers that are gone."""

import logging
import time
from typing import Any, NamedTuple

import redis
from django.db import connection

from . import keys
from .reconciling import uuid_of
from .repairing import forget

logger = logging.getLogger(__name__)

# After the decision, by the clock of Redis, and as long after it is written down in Postgres. Until
# then it keeps an order from being decided twice by a process that was frozen with it, which may
# not be for longer than engine.settling.LATE_SECONDS.
SETTLED_KEPT_SECONDS = 600.0
SILENT_SECONDS = 86_400.0
AT_ONCE = 500

DECIDED = """
SELECT order_id FROM transactions_order
WHERE order_id = ANY(%s::uuid[]) AND status IN ('Accept', 'Deny')
      AND decided_at < clock_timestamp() - make_interval(secs => %s)
"""
WORKERS = """
DELETE FROM transactions_orderworker w
WHERE beat_at < clock_timestamp() - make_interval(secs => %s) AND NOT EXISTS (
    SELECT FROM transactions_order o
    WHERE o.holder = w.id AND o.status IN ('received', 'verifying', 'verified')
)
"""


class Swept(NamedTuple):
    """What was found."""

    decisions: int  # gone
    kept: int  # old, and Postgres does not have it, or not for long: reconciling.py tells of them
    workers: int  # gone


def sweep(client: redis.Redis, until: float | None = None) -> Swept:
    """Take away old decisions that Postgres has, and workers silent for a day without orders.

    `client` gives bytes. `until` bounds it, by time.monotonic(); the next call goes on. Raises
    redis.RedisError and django.db.Error.
    """
    seconds, micros = client.time()
    old = f"({seconds + micros / 1e6 - SETTLED_KEPT_SECONDS:.6f}"
    gone = kept = 0
    while until is None or time.monotonic() < until:
        found: Any = client.zrangebyscore(keys.SETTLED_AT, "-inf", old, start=kept, num=AT_ONCE)
        ids = [each.decode(errors="replace") for each in found]
        decided = _decided(ids) if ids else []
        forget(client, decided)
        gone += len(decided)
        kept += len(ids) - len(decided)
        if len(ids) < AT_ONCE:
            break
    with connection.cursor() as cursor:
        cursor.execute(WORKERS, [SILENT_SECONDS])
        workers = cursor.rowcount
    return Swept(gone, kept, workers)


def _decided(ids: list[str]) -> list[str]:
    wanted = [each for each in map(uuid_of, ids) if each is not None]
    with connection.cursor() as cursor:
        cursor.execute(DECIDED, [wanted, SETTLED_KEPT_SECONDS])
        return [str(row[0]) for row in cursor.fetchall()]
