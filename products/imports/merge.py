"""Merging staged rows into the catalogue, batch by batch, each with its checkpoint.

Batches follow the lines of the file. Short ones keep the page's own edits quick
(p95 6–9 ms beside a merge; one big statement made them wait for seconds), and a
kill loses at most one.
"""

import logging
from dataclasses import dataclass

from django.db import connection

from products import lock_waits
from products.models import Import

from .staging import losers_table, table

logger = logging.getLogger(__name__)

ANALYZE_LOCK_MS = 500  # below deadlock_timeout (1 s)

# A row counts as changed only where the file says something else than the
# catalogue; an absent column says nothing. Unchanged rows are not rewritten.
CHANGED = """(
    p.sku <> b.sku OR p.name <> b.name
    OR (b.description IS NOT NULL AND p.description <> b.description)
    OR (b.active IS NOT NULL AND p.active <> b.active)
)"""

# NOT IN, since it is answered from a hash of the batch's few losing lines; in the
# index's order, since neighbours are found in the pages just used: together a third
# of the merge's time. It also keeps two writers from locking rows in opposite orders.
BATCH = """
    SELECT s.sku, s.name, s.description, s.active
    FROM {rows} s
    WHERE s.line > %(after)s AND s.line <= %(until)s
      AND s.line NOT IN (
          SELECT l.line FROM {losers} l WHERE l.line > %(after)s AND l.line <= %(until)s
      )
    ORDER BY lower(s.sku)
"""

MERGE = f"""
WITH batch AS MATERIALIZED ({BATCH}),
merged AS (
    MERGE INTO products_product p
    USING batch b ON lower(p.sku) = lower(b.sku)
    WHEN MATCHED AND {CHANGED} THEN UPDATE SET
        sku = b.sku,
        name = b.name,
        description = coalesce(b.description, p.description),
        active = coalesce(b.active, p.active),
        updated_at = now(),
        last_import_id = %(job)s
    WHEN NOT MATCHED THEN INSERT (sku, name, description, active, last_import_id)
        VALUES (b.sku, b.name, coalesce(b.description, ''),
                coalesce(b.active, %(active)s), %(job)s)
    RETURNING merge_action() AS action
)
SELECT
    count(*) FILTER (WHERE action = 'INSERT'),
    count(*) FILTER (WHERE action = 'UPDATE'),
    (SELECT count(*) FROM batch)
FROM merged
"""

COMPARE = f"""
WITH batch AS MATERIALIZED ({BATCH})
SELECT
    count(*) FILTER (WHERE p.id IS NULL),
    count(*) FILTER (WHERE {CHANGED}),
    count(*)
FROM batch b LEFT JOIN products_product p ON lower(p.sku) = lower(b.sku)
"""


@dataclass(frozen=True)
class Counts:
    """What a batch did (or would do), in rows of the file."""

    created: int
    updated: int
    unchanged: int


def merge_batch(job: Import, until_line: int) -> Counts:
    """Merge the staged lines after `job.merge_line` up to `until_line`.

    Called inside the step's transaction. Raises IntegrityError when somebody
    created one of its SKUs meanwhile, OperationalError on a deadlock with a bulk
    edit: the caller repeats the batch.
    """
    return _run(MERGE, job, job.merge_line, until_line)


def compare_batch(job: Import, until_line: int) -> Counts:
    """What `merge_batch` would do with the lines after `job.check_line`; changes nothing."""
    return compare_lines(job, job.check_line, until_line)


def compare_lines(job: Import, after_line: int, until_line: int) -> Counts:
    """What merging the lines after `after_line` up to `until_line` would do."""
    return _run(COMPARE, job, after_line, until_line)


def _run(statement: str, job: Import, after_line: int, until_line: int) -> Counts:
    with connection.cursor() as cursor:
        # Without these the planner hashes the whole catalogue for every batch
        # (2–7 times slower); by index a batch costs the same at any size.
        # Keys hardly repeat within a batch, so remembering them (memoize) only costs;
        # an empty catalogue is read whole for each row, with those just inserted.
        cursor.execute(
            "SET LOCAL enable_hashjoin = off;"
            " SET LOCAL enable_mergejoin = off;"
            " SET LOCAL enable_memoize = off;"
            " SET LOCAL enable_seqscan = off"
        )
        cursor.execute(
            statement.format(rows=table(job.pk), losers=losers_table(job.pk)),
            {
                "after": after_line,
                "until": until_line,
                "job": job.pk,
                "active": job.new_products_active,
            },
        )
        created, updated, rows = cursor.fetchone()
    return Counts(created, updated, rows - created - updated)


def analyze() -> None:
    """Refresh the planner's statistics of the catalogue; after a merge they are off.

    Not while the search index is built: its builder waits for whoever waits here (a deadlock,
    which ends the build), and refreshes them itself.
    """
    if not lock_waits.run_within(ANALYZE_LOCK_MS, "ANALYZE products_product"):
        logger.info("statistics are left to who has the catalogue locked")
