"""All balances from scratch, compared with those kept up by adding and with KeyDB.

Hosted by `manage.py reconcile_ledger` and, each night, by a task. Looks only; repairing.py mends.
"""

import time
from collections.abc import Callable
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

import psycopg2.extras
import redis

from .drift import KeyDrift, Repeats, Report, TotalDrift
from .engine import amounts

# All ids there can be, as schema.sql begins with them.
LOWEST, HIGHEST = -(2**63), 2**63 - 1
# KeyDB is written before Postgres commits: a difference counts that is still there a moment later.
LOOK_AGAIN_SECONDS = 1.0
MOST_LOOKS = 5
KEYS_AT_ONCE = 1_000

# CREATE TABLE AS, since that may use several processes and INSERT may not.
RIGHT_TOTALS = """
CREATE TEMPORARY TABLE right_totals AS
SELECT provider_id, coalesce(sum(transaction_value::numeric), 0) AS total, count(*) AS transactions
FROM historical_transactions GROUP BY provider_id
"""
# Rows of ranges that are not added up yet: no drift, they follow.
FOLLOWING = """
CREATE TEMPORARY TABLE following AS
SELECT provider_id, sum(total) AS total, sum(transactions) AS transactions
FROM stockroom_ledger.unsummed u
CROSS JOIN LATERAL (
    SELECT provider_id, coalesce(sum(transaction_value::numeric), 0) AS total,
           count(*) AS transactions
    FROM historical_transactions WHERE id BETWEEN u.first AND u.last GROUP BY provider_id
) rows
GROUP BY provider_id
"""
COUNTS = """
SELECT (SELECT coalesce(sum(transactions), 0)::bigint FROM pg_temp.right_totals),
       (SELECT count(*) FROM initial_data),
       (SELECT coalesce(sum(transactions), 0)::bigint FROM pg_temp.right_totals r
        WHERE NOT EXISTS (SELECT FROM initial_data i WHERE i.id = r.provider_id)),
       (SELECT coalesce(sum(transactions), 0)::bigint FROM pg_temp.following)
"""
TOTALS = """
WITH kept AS (
    SELECT provider_id, sum(total) AS total, sum(transactions) AS transactions
    FROM (
        SELECT provider_id, total, transactions FROM stockroom_ledger.totals
        UNION ALL
        SELECT provider_id, total, transactions FROM pg_temp.following
    ) parts
    WHERE provider_id IS NOT NULL GROUP BY provider_id
), sums AS (
    SELECT provider_id, coalesce(k.total, 0) AS kept, coalesce(r.total, 0) AS shall,
           coalesce(k.transactions, 0) AS kept_rows, coalesce(r.transactions, 0) AS shall_rows
    FROM kept k
    FULL JOIN (SELECT * FROM pg_temp.right_totals WHERE provider_id IS NOT NULL) r
    USING (provider_id)
)
SELECT s.provider_id, s.provider_id || coalesce('_' || i.provider_name, ' (no provider)'),
       coalesce(i.initial_value, 0)::numeric + s.kept,
       coalesce(i.initial_value, 0)::numeric + s.shall,
       s.kept_rows::bigint, s.shall_rows::bigint
FROM sums s LEFT JOIN initial_data i ON i.id = s.provider_id
WHERE s.kept IS DISTINCT FROM s.shall OR s.kept_rows <> s.shall_rows
ORDER BY s.provider_id
"""
RANGES = """
SELECT coalesce(sum(last::numeric - first + 1), 0),
       coalesce(sum(greatest(least(last, before)::numeric - first + 1, 0))
                FILTER (WHERE before IS NOT NULL), 0)
FROM (
    SELECT first, last, max(last) OVER (
        ORDER BY first ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS before
    FROM stockroom_ledger.unsummed
) ranges
"""
# By the specification's stack: its producer inserts these at each start.
SAME_NAME = """
SELECT coalesce(provider_name, ''), array_agg(id ORDER BY id) FROM initial_data
GROUP BY provider_name HAVING count(*) > 1 ORDER BY min(id)
"""
SAME_ROWS = """
SELECT id, second, third FROM (
    SELECT id, lead(id) OVER ids AS second, lead(id, 2) OVER ids AS third,
           p.provider_name = 'Visa' AND lead(p.provider_name) OVER ids = 'Visa'
           AND lead(p.provider_name, 2) OVER ids = 'Mastercard'
           AND transaction_value = 100 AND lead(transaction_value) OVER ids = 200
           AND lead(transaction_value, 2) OVER ids = -200 AS alike
    FROM historical_transactions h
    JOIN (
        SELECT id AS provider_id, provider_name FROM initial_data
        WHERE provider_name IN ('Visa', 'Mastercard')
    ) p USING (provider_id)
    WHERE transaction_value IN (100, 200, -200)
    WINDOW ids AS (ORDER BY id)
) rows
WHERE alike AND third::numeric - id = 2
ORDER BY id OFFSET 1
"""
# What KeyDB may show: what was written last, or tried after that with the answer lost.
WRITTEN = """
SELECT minute, key, balance FROM stockroom_ledger.balances
WHERE minute IN (
    (SELECT max(minute) FROM stockroom_ledger.runs WHERE failure = ''),
    (SELECT max(minute) FROM stockroom_ledger.balances)
) AND minute >= (SELECT max(minute) FROM stockroom_ledger.runs WHERE failure = '')
ORDER BY minute, provider_id
"""
KEEP = """
INSERT INTO stockroom_ledger.reconciliations
    (at, seconds, transactions, drifts, drift, repaired, failure)
VALUES (clock_timestamp(), %s, %s, %s, %s, %s, %s)
"""


def reconcile(
    connection: Any,
    keydb: redis.Redis,
    until: float | None = None,
    wait: Callable[[float], object] = time.sleep,
) -> Report:
    """Add up all from scratch and compare. `connection` is psycopg2's, of its own session.

    `until` bounds it, by time.monotonic(). The temporary table right_totals stays, of the snapshot
    that was looked at: repairing.py goes on from it, in the same transaction, which is left open.
    Raises psycopg2.Error.
    """
    minute, keys, keydb_failure = _keydb(connection, keydb, wait)
    connection.rollback()
    connection.set_session(isolation_level="REPEATABLE READ")
    with connection.cursor() as cursor:
        bounded(cursor, until)
        cursor.execute("DROP TABLE IF EXISTS pg_temp.right_totals, pg_temp.following")
        cursor.execute(RIGHT_TOTALS)
        bounded(cursor, until)
        cursor.execute(FOLLOWING)
        cursor.execute(COUNTS)
        transactions, providers, without, following = cursor.fetchone()
        cursor.execute(TOTALS)
        totals = [TotalDrift(*row) for row in cursor.fetchall()]
        cursor.execute(RANGES)
        width, double = map(int, cursor.fetchone())
        # Each id is in a range or has a row that is added up.
        lost = HIGHEST - LOWEST + 1 - width - (transactions - following)
        bounded(cursor, until)
        cursor.execute(SAME_NAME)
        names = cursor.fetchall()
        cursor.execute(SAME_ROWS)
        repeats = Repeats(names, [list(row) for row in cursor.fetchall()])
    return Report(
        transactions=transactions,
        providers=providers,
        without_provider=without,
        totals=totals,
        lost_ids=0 if double else lost,  # with both it can't be told by counting
        double_ids=double,
        minute=minute,
        keydb=keys,
        keydb_failure=keydb_failure,
        repeats=repeats,
    )


def keep(
    connection: Any,
    seconds: float,
    report: Report | None,
    *,
    repaired: bool = False,
    failure: str = "",
) -> None:
    """Keep what was found, or why nothing was, in a transaction of its own."""
    with connection, connection.cursor() as cursor:
        found = psycopg2.extras.Json(report.json() if report is not None else {})
        counts = (report.transactions, report.drifts) if report is not None else (0, 0)
        cursor.execute(KEEP, [seconds, *counts, found, repaired, failure])


def bounded(cursor: Any, until: float | None) -> None:
    """Let the next statements of this transaction end by then."""
    left = 0 if until is None else max(1, round(1000 * (until - time.monotonic())))
    cursor.execute("SET LOCAL statement_timeout = %s", [left])


def _keydb(
    connection: Any, keydb: redis.Redis, wait: Callable[[float], object]
) -> tuple[datetime | None, list[KeyDrift], str]:
    """The minute that was written last, and what KeyDB has otherwise; or why it can't be told."""
    found: tuple[datetime | None, list[KeyDrift]] = (None, [])
    try:
        for look in range(MOST_LOOKS):
            before, found = found, _look(connection, keydb)
            if not found[1] or (look and found == before):
                break
            wait(LOOK_AGAIN_SECONDS)
    except redis.RedisError as error:
        return None, [], str(error) or type(error).__name__
    return *found, ""


def _look(connection: Any, keydb: redis.Redis) -> tuple[datetime | None, list[KeyDrift]]:
    with connection, connection.cursor() as cursor:
        cursor.execute(WRITTEN)
        rows = cursor.fetchall()
    first: tuple[datetime | None, list[KeyDrift]] = (None, [])
    for minute, balances in groupby(rows, itemgetter(0)):
        right = {key: amounts.text(balance) for _, key, balance in balances}
        found = _values(keydb, list(right))
        drift = [KeyDrift(key, found[key], right[key]) for key in right if found[key] != right[key]]
        if not drift:
            return minute, []
        if first[0] is None:
            first = minute, drift
    return first


def _values(keydb: redis.Redis, keys: list[str]) -> dict[str, str | None]:
    values: dict[str, str | None] = {}
    for start in range(0, len(keys), KEYS_AT_ONCE):
        some = keys[start : start + KEYS_AT_ONCE]
        found: Any = keydb.mget(some)
        for key, value in zip(some, found, strict=True):
            values[key] = None if value is None else value.decode(errors="backslashreplace")
    return values
