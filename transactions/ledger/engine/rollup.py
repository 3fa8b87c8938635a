"""The balances of all providers at one moment, from Postgres to KeyDB."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

import redis

from . import amounts, summing, tables

logger = logging.getLogger(__name__)

# Within this the balances of a minute must be there, by the specification.
TOLERANCE_SECONDS = 1.0
RETRY_SECONDS = 0.05
# What a chunk of rows may take.
ADDING_SECONDS = 0.5
UNFINISHED = "The history is still being added up."
# Ranges of ids without a row that are looked through first, the highest; and so many of the lower
# ones at once, for each minute as long as is told.
RANGES, LOWER_RANGES = 2_000, 10_000
LOWER_SECONDS = 0.3
# There only as long as balances may be written: a KeyDB that stood still with a write on its way to
# it must not carry that out when it goes on.
LEASE = "stockroom:ledger:minute"

BALANCES = """
SELECT i.id, coalesce(i.provider_name::text, ''),
       coalesce(i.initial_value, 0)::numeric + coalesce(t.total, 0)
FROM initial_data i LEFT JOIN stockroom_ledger.totals t ON t.provider_id = i.id
ORDER BY i.id
"""
KEEP_RUN = """
INSERT INTO stockroom_ledger.runs
    (minute, written_at, lateness_seconds, duration_seconds, new_rows, providers, failure)
VALUES (to_timestamp(%s), to_timestamp(%s), %s, %s, %s, %s, %s)
ON CONFLICT (minute) DO
"""
# A clock that is set back shows a minute once more.
THE_NEW = """
UPDATE SET written_at = excluded.written_at, lateness_seconds = excluded.lateness_seconds,
    duration_seconds = excluded.duration_seconds, new_rows = excluded.new_rows,
    providers = excluded.providers, failure = excluded.failure
"""
THE_OLD = "NOTHING"
FORGET_BALANCES = "DELETE FROM stockroom_ledger.balances WHERE minute = to_timestamp(%s)"
KEEP_BALANCES = """
INSERT INTO stockroom_ledger.balances (minute, provider_id, key, balance)
SELECT to_timestamp(%s), * FROM unnest(%s::bigint[], %s::text[], %s::numeric[])
ON CONFLICT (minute, provider_id) DO NOTHING
"""
KEYS = "SELECT key FROM stockroom_ledger.written_keys"
KEEP_KEYS = """
INSERT INTO stockroom_ledger.written_keys SELECT DISTINCT * FROM unnest(%s::text[])
ON CONFLICT DO NOTHING
"""
FORGET_KEYS = "DELETE FROM stockroom_ledger.written_keys WHERE key = ANY(%s)"
TOO_LATE = "The tolerance was over before the balances could be written."
LATE = "The balances were written {:.1f} s after the minute."


class Balance(NamedTuple):
    """Of one provider."""

    provider: int
    key: str  # of KeyDB: 1_Visa
    amount: Decimal


class Run(NamedTuple):
    """How a minute went. `failure` is "" where the balances are written.

    `unwritten` are keys whose balance is no number: somebody put NaN or Infinity into the tables.
    They are not in KeyDB.
    """

    minute: int
    lateness_seconds: float
    duration_seconds: float
    new_rows: int
    providers: int
    failure: str
    unwritten: tuple[str, ...] = ()


class Rollup:
    """Not for several threads. `connection` is psycopg2's, of its own session."""

    def __init__(
        self, connection: Any, keydb: redis.Redis, clock: Callable[[], float] = time.time
    ) -> None:
        """`keydb` must not wait long, nor repeat."""
        self._connection, self._keydb, self._clock = connection, keydb, clock
        self._below: int | None = None  # ranges that have their turn next
        summing.prepare(connection)
        connection.commit()
        connection.set_session(isolation_level="REPEATABLE READ")

    def catch_up(self, until: float, rows: int = summing.CHUNK_ROWS) -> int:
        """Add up what has come since, a transaction for each `rows`, until all is done or `until`.

        To be called between two minutes, so that few rows are left at the next. Returns the number
        of rows.
        """
        count = 0
        while True:
            with self._connection, self._connection.cursor() as cursor:
                _begin_anew_where_it_must(cursor)
                added = summing.add_up(cursor, ranges=RANGES, rows=rows)
                count += added.rows
                below = added.lowest if self._below is None else self._below
                if added.complete and below is not None:
                    added = summing.add_up(cursor, ranges=LOWER_RANGES, rows=rows, below=below)
                    count += added.rows
                    below = added.lowest if added.complete else below
            self._below = below
            if added.complete or self._clock() >= until:
                return count

    def warm_up(self) -> None:
        """See to it that both connections are there right before a minute.

        Raises psycopg2.Error; KeyDB may come back until the balances are there.
        """
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute("SELECT")
        with suppress(redis.RedisError):
            self._keydb.ping()

    def write(self, minute: int) -> Run:
        """Write the balances of now, which is right after `minute` began.

        KeyDB comes before the commit: where that fails, the sums are made again. Raises
        psycopg2.Error.
        """
        began = self._clock()
        until = minute + TOLERANCE_SECONDS
        self._connection.rollback()  # what was seen before the minute would leave rows out
        with self._connection, self._connection.cursor() as cursor:
            _begin_anew_where_it_must(cursor)
            rows, complete = self._add_up(cursor, minute)
            found = read(cursor)
            balances = [each for each in found if each.amount.is_finite()]
            failure = self._put_and_keep(cursor, balances, until) if complete else UNFINISHED
            written = self._clock()
            if not failure and written > until:
                failure = LATE.format(written - minute)
            run = Run(
                minute,
                lateness_seconds=written - minute,
                duration_seconds=written - began,
                new_rows=rows,
                providers=len(balances),
                failure=failure,
                unwritten=tuple(each.key for each in found if not each.amount.is_finite()),
            )
            cursor.execute(KEEP_RUN + THE_NEW, [minute, None if failure else written, *run[1:6]])
            if complete:
                cursor.execute(FORGET_BALANCES, [minute])
                columns = zip(*balances, strict=True) if balances else ((), (), ())
                cursor.execute(KEEP_BALANCES, [minute, *map(list, columns)])
        return run

    def leave_out(self, minute: int, failure: str) -> None:
        """Keep why a minute was left out, where nothing else is kept of it. Raises
        psycopg2.Error."""
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute(KEEP_RUN + THE_OLD, [minute, None, None, None, 0, 0, failure])

    def _add_up(self, cursor: Any, minute: int) -> tuple[int, bool]:
        """Add up what is new; how many rows, and whether that was all."""
        rows = 0
        below: int | None = None
        while True:
            ranges = RANGES if below is None else LOWER_RANGES
            added = summing.add_up(cursor, ranges=ranges, below=below)
            rows += added.rows
            late = self._clock() - minute
            if not added.complete:
                if late >= TOLERANCE_SECONDS - ADDING_SECONDS:
                    return rows, False
                continue
            below = added.lowest
            if below is None or late >= LOWER_SECONDS:
                return rows, True

    def _put_and_keep(self, cursor: Any, balances: list[Balance], until: float) -> str:
        """Write them, without the keys of providers that are gone; why not, else ""."""
        cursor.execute(KEYS)
        keys = [each.key for each in balances]
        gone = {key for (key,) in cursor.fetchall()} - set(keys)
        # Where it fails, some may be there all the same: no answer is not no change.
        cursor.execute(KEEP_KEYS, [keys])
        failure = self._put(balances, gone, until)
        if not failure and gone:
            cursor.execute(FORGET_KEYS, [list(gone)])
        return failure

    def _put(self, balances: list[Balance], gone: set[str], until: float) -> str:
        """All of them at once, tried again until `until`; why not, else ""."""
        failure = ""
        pipe: Any  # its client has no types for all of it
        while (left := until - self._clock()) > 0:
            try:
                self._keydb.set(LEASE, "1", px=max(1, int(1000 * left)))
                with self._keydb.pipeline(transaction=True) as pipe:
                    pipe.watch(LEASE)
                    if self._clock() >= until:  # the lease came late
                        break
                    pipe.multi()
                    for each in balances:
                        pipe.set(each.key, amounts.text(each.amount))
                    pipe.delete(LEASE, *gone)
                    pipe.execute()
            except redis.RedisError as error:
                failure = f"KeyDB: {str(error) or type(error).__name__}"
                if self._clock() + RETRY_SECONDS >= until:
                    break
                time.sleep(RETRY_SECONDS)
            else:
                return ""
        return failure or TOO_LATE


def _begin_anew_where_it_must(cursor: Any) -> None:
    if tables.begin_anew_where_it_is_another(cursor):
        logger.warning("ledger: historical_transactions is another table, summed anew")


def read(cursor: Any) -> list[Balance]:
    """The balances by what is added up so far; some may be no number."""
    cursor.execute(BALANCES)
    return [Balance(id_, f"{id_}_{name}", amount) for id_, name, amount in cursor.fetchall()]
