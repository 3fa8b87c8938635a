"""The index that searches need, as a thing that may be away: dropped by large imports, built again.

A merge of many rows is several times slower with it than without it and a build afterwards
(search_rebuild.py decides). While it is away, search.py finds beginnings only.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from django.db import connection, transaction

from products import lock_waits

logger = logging.getLogger(__name__)

TABLE = "products_product"
NAME = "products_product_search"
# What is searched, as an expression of a product's columns. A line feed stands between
# them: no word of a search holds one, so none is found across two columns.
TEXT = "lower((((sku)::text || E'\\n' || (name)::text) || E'\\n') || description)"
# The second column is a number that grows with the ids, one for every 16,384 of them.
# With it the newest matches are found without looking at all: search.py asks segment by segment,
# and where there are some, part by part, since of a common word each hit has to be looked at.
# With the state those of the other state are not: old products may all be inactive.
SEGMENT_BITS, PART_BITS = 14, 11
SEGMENT, PART = f"(id >> {SEGMENT_BITS})", f"(id >> {PART_BITS})"
# New rows wait in a list that every search reads through: short, so that searches stay quick
# beside writes. Without one an UPDATE costs 1.4 ms of CPU a row instead of 0.2 (measured).
PENDING_KB = 1024
DEFINITION = (
    f"USING gin ({TEXT} gin_trgm_ops, {SEGMENT}, {PART}, active)"
    f" WITH (gin_pending_list_limit = {PENDING_KB})"
)
# Rows by which the planner guesses how many products match, and so which way to find them, and
# the totals that are shown. With 100, the default, 0.4 % of the products can pass for 2 %; ANALYZE
# takes a second longer.
SAMPLED = 400

State = Literal["ready", "building", "missing"]

BUILDER = 0x53_54_4B_52  # number of the advisory lock that a builder holds
MEMORY = "256MB"  # a quarter less time than with the default 64 MB
# A page waits no longer than this for a drop that waits for a search, or for a database's dump.
DROP_LOCK_MS = 200
# Where an autovacuum or a build stands in the way. Above deadlock_timeout (1 s), after which
# PostgreSQL ends an autovacuum for whoever waits, else it may stand for minutes.
DROP_LOCK_BEHIND_UPKEEP_MS = 1_500
# Of another session than ours; all of them take this lock on the table.
UPKEEP = """
SELECT EXISTS (SELECT FROM pg_locks WHERE relation = %s::regclass AND granted
 AND mode = 'ShareUpdateExclusiveLock' AND pid <> pg_backend_pid()
 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"""


def state() -> State:
    """Whether searches can use it: "building" and "missing" mean not yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)),"
            " EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted"
            "  AND classid = 0 AND objid = %s AND objsubid = 1"
            "  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
            [NAME, BUILDER],
        )
        valid, at_work = cursor.fetchone()
    if valid:
        return "ready"
    return "building" if at_work else "missing"


def drop() -> bool:
    """Drop it within the current transaction, ending a build under way; whether it is away now.

    False while somebody reads products for longer, as a dump does: nothing is lost but time.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [NAME])
        if cursor.fetchone()[0] is None:
            return True
        cursor.execute(UPKEEP, [TABLE])
        (upkeep,) = cursor.fetchone()
        cursor.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND classid = 0 AND objid = %s AND objsubid = 1 AND pid <> pg_backend_pid()"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [BUILDER],
        )
    patience_ms = DROP_LOCK_BEHIND_UPKEEP_MS if upkeep else DROP_LOCK_MS
    dropped = lock_waits.run_within(patience_ms, f"DROP INDEX IF EXISTS {NAME}")
    logger.info("search index dropped" if dropped else "search index kept: somebody reads products")
    return dropped


def build() -> bool:
    """Build it beside reads and writes where it is not ready; returns whether it did.

    False also where somebody else builds it. Not for use within a transaction. What a killed
    build leaves behind is dropped and built again. For 500,000 products it
    took under half a minute beside other work.
    """
    with only_builder() as alone:
        if not alone or state() == "ready":
            return False
        with connection.cursor() as cursor:
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")
            cursor.execute(f"SET maintenance_work_mem = '{MEMORY}'")
            try:
                cursor.execute(f"CREATE INDEX CONCURRENTLY {NAME} ON {TABLE} {DEFINITION}")
            finally:
                cursor.execute("RESET maintenance_work_mem")
            # Of an expression the planner knows nothing before.
            cursor.execute(f"ALTER INDEX {NAME} ALTER COLUMN 1 SET STATISTICS {SAMPLED}")
            cursor.execute(f"ANALYZE {TABLE}")
    logger.info("search index built")
    return True


def tidy() -> None:
    """Move what waits in its list to its place, after many writes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT gin_clean_pending_list(indexrelid::regclass) FROM pg_index"
            " WHERE indexrelid = to_regclass(%s) AND indisvalid",
            [NAME],
        )


@contextmanager
def only_builder() -> Iterator[bool]:
    """Whether nobody else builds it; ends with the session when we are killed.

    Held by others, e.g. a bench that loads products, it keeps workers from building.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [BUILDER])
        alone = cursor.fetchone()[0]
    try:
        yield alone
    finally:
        if alone:
            transaction.set_autocommit(True)
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [BUILDER])
