"""What operations shows of ledger and orders: the last balances, rejects, queues, open orders.

Called for each sample (config/operations/facts): few queries, each by an index.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from django.conf import settings
from django.db import connection
from django.urls import reverse

from transactions.ledger import board, queries

MINUTE = 60
# After a minute has begun its balances are there, or the reason why not.
GRACE_SECONDS = 5.0
COUNTED_AT_MOST = 10_000  # a larger count stops there
CONNECT_SECONDS = 2
STATEMENT_MS = 1_000

NEWEST_RUN = """
SELECT extract(epoch FROM minute)::float, lateness_seconds, failure
FROM stockroom_ledger.runs ORDER BY minute DESC LIMIT 1
"""
# Ids rise with time, which has no index.
REJECTED = """
SELECT count(*) FILTER (WHERE rejected_at > statement_timestamp() - interval '1 hour') FROM (
    SELECT rejected_at FROM stockroom_ledger.rejects ORDER BY id DESC LIMIT %s
) newest
"""
OPEN = """
SELECT (SELECT count(*) FROM (
        SELECT FROM transactions_order
        WHERE status IN ('received', 'verifying', 'verified') LIMIT %s
    ) few),
    (SELECT extract(epoch FROM statement_timestamp() - received_at)::float
        FROM transactions_order WHERE status IN ('received', 'verifying', 'verified')
        ORDER BY id LIMIT 1)
"""


def rollup(now: float) -> dict[str, Any]:
    """The section `rollup` of the sample, of the newest minute that was to be written.

    Missed is it when a later one should be there by `now`, or this one could not be written. A
    ledger that has never run misses nothing. Raises psycopg2.Error.
    """
    with _ledger() as cursor:
        found = None
        if "runs" in queries.ours(cursor):
            cursor.execute(NEWEST_RUN)
            found = cursor.fetchone()
    if found is None:
        return {"minute": None, "lateness_seconds": None, "failure": "", "missed": False}
    minute, lateness, failure = found
    expected = (now - GRACE_SECONDS) // MINUTE * MINUTE
    return {
        "minute": minute,
        "lateness_seconds": lateness,
        "failure": failure,
        "missed": bool(failure) or minute < expected,
    }


def ledger_rejects() -> dict[str, Any]:
    """How many messages the ledger refused in the last hour, COUNTED_AT_MOST. Raises
    psycopg2.Error."""
    with _ledger() as cursor:
        count = 0
        if "rejects" in queries.ours(cursor):
            cursor.execute(REJECTED, [COUNTED_AT_MOST])
            (count,) = cursor.fetchone()
    url = reverse("transactions:ledger-rejects")
    return {"kind": "ledger", "last_hour": count, "total": None, "url": url}


def orders() -> dict[str, Any]:
    """The section `orders` of the sample; counts little more than ORDERS_MOST_OPEN."""
    most = settings.ORDERS_MOST_OPEN
    with connection.cursor() as cursor:
        cursor.execute(OPEN, [most + 1])
        count, oldest = cursor.fetchone()
    return {
        "open": count,
        "limit": most,
        "oldest_seconds": None if oldest is None else max(0.0, oldest),
    }


def queue_names() -> list[str]:
    """The queues of RabbitMQ; none where this deployment has no RabbitMQ."""
    return [settings.LEDGER_QUEUE, settings.ORDERS_QUEUE] if settings.AMQP_URL else []


def queue_of(consumer: str) -> str | None:
    """The queue of RabbitMQ that the consumer takes from."""
    return {"ledger": settings.LEDGER_QUEUE, "orders": settings.ORDERS_QUEUE}.get(consumer)


def rates() -> dict[tuple[str, int], float]:
    """Messages a second by host and pid of each ledger consumer. Raises redis.RedisError."""
    return {
        (each["host"], each["pid"]): float(each.get("rate") or 0.0) for each in board.snapshots()
    }


@contextmanager
def _ledger() -> Iterator[Any]:
    """A cursor of a connection of its own, which ends with it: pages are not kept waiting."""
    made = psycopg2.connect(
        settings.LEDGER_DATABASE_URL,
        connect_timeout=CONNECT_SECONDS,
        application_name="stockroom-operations",
        options=f"-c statement_timeout={STATEMENT_MS} -c default_transaction_read_only=on",
    )
    with closing(made), made, made.cursor() as cursor:
        yield cursor
