"""Adds up new transactions: what a balance costs grows with new rows, not with history.

All in the caller's transaction, which is REPEATABLE READ, so that sums and what they are made of
are of one moment.
"""

from typing import Any, NamedTuple

CHUNK_ROWS = 50_000

# The highest ranges, where new ids are, or those below a place; and the lowest, which has no end.
LOOK = """
INSERT INTO pg_temp.ranges
(SELECT first, last FROM stockroom_ledger.unsummed
 WHERE %(below)s::bigint IS NULL OR first < %(below)s::bigint ORDER BY first DESC LIMIT %(ranges)s)
UNION
(SELECT first, last FROM stockroom_ledger.unsummed ORDER BY first LIMIT 1)
"""
# Where there are more of them than it looked at, the last but the lowest one.
LOWEST_BUT_LAST = """
SELECT CASE WHEN count(*) > %(ranges)s
       THEN (SELECT first FROM pg_temp.ranges ORDER BY first OFFSET 1 LIMIT 1) END
FROM pg_temp.ranges
"""

# Rows of ranges that are not added up yet, in order of their ids.
TAKE = """
INSERT INTO pg_temp.taken
SELECT u.first, u.last, h.id, h.provider_id, h.transaction_value
FROM (
    SELECT first, last FROM pg_temp.ranges
) u
CROSS JOIN LATERAL (
    SELECT id, provider_id, transaction_value FROM historical_transactions
    WHERE id BETWEEN u.first AND u.last ORDER BY id LIMIT %(rows)s
) h
LIMIT %(rows)s
"""

ADD = """
INSERT INTO stockroom_ledger.totals AS t (provider_id, total, transactions)
SELECT provider_id, coalesce(sum(transaction_value), 0), count(*)
FROM pg_temp.taken WHERE provider_id IS NOT NULL GROUP BY provider_id
ON CONFLICT (provider_id) DO UPDATE
SET total = t.total + excluded.total, transactions = t.transactions + excluded.transactions
"""

FORGET_RANGES = """
DELETE FROM stockroom_ledger.unsummed u USING (SELECT DISTINCT first FROM pg_temp.taken) t
WHERE u.first = t.first
"""

# What is left of them: before the first row, between two, behind the last. Compared before one is
# added or taken away: beyond both ends there is no number.
KEEP_RANGES = """
INSERT INTO stockroom_ledger.unsummed (first, last)
SELECT start, id - 1 FROM (
    SELECT id, coalesce(lag(id) OVER places + 1, first) AS start
    FROM pg_temp.taken WINDOW places AS (PARTITION BY first ORDER BY id)
) rows WHERE start < id
UNION ALL
SELECT highest + 1, last FROM (
    SELECT max(id) AS highest, last FROM pg_temp.taken GROUP BY first, last
) ranges WHERE highest < last
"""

TABLES = """
CREATE TEMPORARY TABLE IF NOT EXISTS taken (
    first bigint, last bigint, id bigint, provider_id bigint, transaction_value numeric
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS ranges (first bigint, last bigint) ON COMMIT DELETE ROWS;
"""


class Added(NamedTuple):
    """What one call has done. `complete`: nothing is left to be added up of what it looked at."""

    rows: int
    complete: bool
    lowest: int | None  # where the ranges begin that it has not looked at; None: at the highest


def prepare(connection: Any) -> None:
    """Once for each connection, outside of a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES)


def add_up(cursor: Any, *, ranges: int, rows: int = CHUNK_ROWS, below: int | None = None) -> Added:
    """Add up at most `rows` transactions, of the `ranges` highest ranges of ids, all `below` it."""
    cursor.execute("TRUNCATE pg_temp.taken, pg_temp.ranges")
    cursor.execute(LOOK, {"ranges": ranges, "below": below})
    cursor.execute(LOWEST_BUT_LAST, {"ranges": ranges})
    (lowest,) = cursor.fetchone()
    cursor.execute(TAKE, {"rows": rows})
    taken = cursor.rowcount
    if taken:
        cursor.execute(ADD)
        cursor.execute(FORGET_RANGES)
        cursor.execute(KEEP_RANGES)
    return Added(taken, taken < rows, lowest)
