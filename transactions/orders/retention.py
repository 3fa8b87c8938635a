"""Lets go of old orders; what the accepted ones took stays as a sum. Called by config/retention.

The credit in Redis counts all orders that a user ever had accepted, and reconciling.py compares
that with Postgres: so an accepted order leaves its number and amount in OrderTotal, in the
transaction that deletes it. Orders that Redis still has as decided stay until they are swept.
"""

import time
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from . import keys
from .reconciliation import connected

ROWS = 2_000  # of one transaction
DAY_SECONDS = 86_400
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

OLD = """
SELECT decided_at, id, order_id FROM transactions_order
WHERE decided_at >= %(at)s AND (decided_at, id) > (%(at)s, %(id)s)
      AND decided_at < clock_timestamp() - make_interval(secs => %(seconds)s)
      AND status IN ('Accept', 'Deny')
ORDER BY decided_at, id LIMIT %(rows)s
"""
# Sums are added in one order of users, so that two of us can't wait for each other.
LET_GO = """
WITH gone AS (
    DELETE FROM transactions_order
    WHERE id = ANY(ARRAY(
        SELECT id FROM transactions_order WHERE id = ANY(%(ids)s) FOR UPDATE SKIP LOCKED
    ))
    RETURNING "user", status, amount
), kept AS (
    INSERT INTO transactions_ordertotal AS t ("user", orders, taken)
    SELECT "user", count(*), coalesce(sum(amount), 0) FROM gone
    WHERE status = 'Accept' GROUP BY "user" ORDER BY "user"
    ON CONFLICT ("user") DO UPDATE
    SET orders = t.orders + excluded.orders, taken = t.taken + excluded.taken
)
SELECT count(*) FROM gone
"""


def purge(deadline: float) -> int:
    """Delete orders decided more than ORDER_KEEP_DAYS ago; returns how many.

    No transaction begins after `deadline`, by time.monotonic(). Raises redis.RedisError and
    django.db.Error.
    """
    seconds = settings.ORDER_KEEP_DAYS * DAY_SECONDS
    deleted = pk = 0
    at: Any = LONG_AGO
    with connected() as client:
        while time.monotonic() < deadline:
            with connection.cursor() as cursor:
                cursor.execute(OLD, {"seconds": seconds, "rows": ROWS, "at": at, "id": pk})
                found = cursor.fetchall()
            if found:
                at, pk, _ = found[-1]
                kept: Any = client.hmget(keys.SETTLED, [str(row[2]) for row in found])
                ids = [row[1] for row, each in zip(found, kept, strict=True) if each is None]
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute(LET_GO, {"ids": ids})
                    deleted += cursor.fetchone()[0]
            if len(found) < ROWS:
                break
    return deleted
