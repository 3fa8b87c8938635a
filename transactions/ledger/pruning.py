"""Lets go of what the ledger kept of former minutes. Called by config/retention."""

import time
from typing import Any

from django.conf import settings

from .engine import leadership

DAY_SECONDS = 86_400
# Of one transaction.
ROWS = 10_000
# Message ids are known for so long before the newest one, so also over a time without consumer.
INBOX_SECONDS = 3_600

# The last minute that was written and the newest stay: by them KeyDB is compared, and keys of
# providers that are gone are found.
BALANCES = """
DELETE FROM stockroom_ledger.balances WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM stockroom_ledger.balances
    WHERE minute < now() - make_interval(secs => %(seconds)s)
    AND minute <> ALL(ARRAY(
        SELECT max(minute) FROM stockroom_ledger.runs WHERE failure = '' HAVING count(*) > 0
        UNION ALL
        SELECT max(minute) FROM stockroom_ledger.balances
    ))
    ORDER BY minute LIMIT %(rows)s
))
"""
RUNS = """
DELETE FROM stockroom_ledger.runs WHERE minute IN (
    SELECT minute FROM stockroom_ledger.runs
    WHERE minute < now() - make_interval(secs => %(seconds)s)
    AND minute <> ALL(ARRAY(
        SELECT max(minute) FROM stockroom_ledger.runs WHERE failure = '' HAVING count(*) > 0
    ))
    ORDER BY minute LIMIT %(rows)s
)
"""
# The oldest have the lowest ids; their time has no index.
REJECTS = """
DELETE FROM stockroom_ledger.rejects WHERE id IN (
    SELECT id FROM stockroom_ledger.rejects ORDER BY id LIMIT %(rows)s
) AND rejected_at < now() - make_interval(secs => %(seconds)s)
"""
RECONCILIATIONS = """
DELETE FROM stockroom_ledger.reconciliations
WHERE at < now() - make_interval(secs => %(seconds)s)
AND at < (SELECT max(at) FROM stockroom_ledger.reconciliations)
"""
INBOX = """
DELETE FROM stockroom_ledger.inbox WHERE message_id IN (
    SELECT message_id FROM stockroom_ledger.inbox
    WHERE received_at < (
        SELECT max(received_at) FROM stockroom_ledger.inbox
    ) - make_interval(secs => %(seconds)s)
    ORDER BY received_at LIMIT %(rows)s
)
"""


def prune(
    connection: Any, keep_seconds: float, until: float | None = None, rows: int = ROWS
) -> int:
    """Delete what is older than `keep_seconds`, `rows` in a transaction; returns how many.

    Ends by `until`, by time.monotonic(); the next call goes on. Raises psycopg2.Error.
    """
    deleted = 0
    for statement, seconds in (
        (INBOX, INBOX_SECONDS),
        (BALANCES, keep_seconds),
        (RUNS, keep_seconds),
        (REJECTS, keep_seconds),
        (RECONCILIATIONS, keep_seconds),
    ):
        while until is None or time.monotonic() < until:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, {"seconds": seconds, "rows": rows})
                count = cursor.rowcount
            deleted += count
            if count < rows:
                break
    return deleted


def purge(deadline: float) -> int:
    """Prune by LEDGER_KEEP_DAYS until `deadline` (time.monotonic); returns how many rows.

    Raises psycopg2.Error, of which UndefinedTable says that no consumer has run here yet.
    """
    connection = leadership.connect(settings.LEDGER_DATABASE_URL, "prune")
    try:
        return prune(connection, settings.LEDGER_KEEP_DAYS * DAY_SECONDS, deadline)
    finally:
        connection.close()
