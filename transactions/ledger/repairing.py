"""Puts sums made from scratch in the place of those that are kept, beside a running consumer.

Sums and ranges of one snapshot are made aside, without a lock, however long that takes. Then, well
away from the next minute, they take the place of what is kept, in one short transaction. What was
added up meanwhile is not lost by that: its rows are in the new ranges, and are added up again.
"""

import time
from collections.abc import Callable
from typing import Any

from .engine.minutes import MINUTE
from .reconciling import HIGHEST, LOWEST, bounded

# Seconds of a minute within which the change begins, and when it is given up: the balances of the
# last minute are written, and there is time left until the next to add up what came meanwhile.
FROM_SECOND, TO_SECOND, END_SECOND = 2.0, 40.0, 50.0
# The consumer holds its locks for a chunk of rows.
LOCK_SECONDS = 10

# Compared before one is added or taken away: beyond both ends there is no number.
RIGHT_RANGES = """
CREATE TEMPORARY TABLE right_ranges AS
SELECT start AS first, id - 1 AS last FROM (
    SELECT id::bigint AS id,
           coalesce(lag(id::bigint) OVER (ORDER BY id) + 1, (%(lowest)s)::bigint) AS start
    FROM historical_transactions
) rows WHERE start < id
UNION ALL
SELECT highest + 1, (%(highest)s)::bigint FROM (
    SELECT max(id)::bigint AS highest FROM historical_transactions
) rows WHERE highest < (%(highest)s)::bigint
UNION ALL
SELECT (%(lowest)s)::bigint, (%(highest)s)::bigint
WHERE NOT EXISTS (SELECT FROM historical_transactions)
"""
# Not against who looks, only against who adds up.
LOCK = """
LOCK TABLE stockroom_ledger.totals, stockroom_ledger.unsummed IN SHARE ROW EXCLUSIVE MODE
"""
# Only what differs is written: of ten million ranges that may be a few.
CHANGES = (
    """
    DELETE FROM stockroom_ledger.totals t WHERE NOT EXISTS (
        SELECT FROM pg_temp.right_totals r WHERE r.provider_id = t.provider_id
    )
    """,
    """
    INSERT INTO stockroom_ledger.totals AS t (provider_id, total, transactions)
    SELECT provider_id, total, transactions FROM pg_temp.right_totals
    WHERE provider_id IS NOT NULL
    ON CONFLICT (provider_id) DO UPDATE
    SET total = excluded.total, transactions = excluded.transactions
    WHERE (t.total, t.transactions) IS DISTINCT FROM (excluded.total, excluded.transactions)
    """,
    """
    DELETE FROM stockroom_ledger.unsummed u WHERE NOT EXISTS (
        SELECT FROM pg_temp.right_ranges r WHERE r.first = u.first AND r.last = u.last
    )
    """,
    """
    INSERT INTO stockroom_ledger.unsummed (first, last)
    SELECT first, last FROM pg_temp.right_ranges r WHERE NOT EXISTS (
        SELECT FROM stockroom_ledger.unsummed u WHERE u.first = r.first
    )
    """,
)


def repair(
    connection: Any,
    clock: Callable[[], float] = time.time,
    wait: Callable[[float], object] = time.sleep,
) -> None:
    """Right after reconcile(), in the transaction that it left open. Raises psycopg2.Error."""
    with connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.right_ranges")
        cursor.execute(RIGHT_RANGES, {"lowest": LOWEST, "highest": HIGHEST})
    connection.set_session(isolation_level="READ COMMITTED")
    with connection, connection.cursor() as cursor:
        cursor.execute("ANALYZE pg_temp.right_totals, pg_temp.right_ranges")
    wait_for_quiet(clock, wait)
    until = time.monotonic() + END_SECOND - clock() % MINUTE
    with connection, connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = %s", [1000 * LOCK_SECONDS])
        for statement in (LOCK, *CHANGES):
            bounded(cursor, until)
            cursor.execute(statement)


def wait_for_quiet(clock: Callable[[], float], wait: Callable[[float], object]) -> None:
    """Until the clock is well away from a full minute."""
    while not FROM_SECOND <= (second := clock() % MINUTE) < TO_SECOND:
        wait(min(1.0, (FROM_SECOND - second) % MINUTE))
