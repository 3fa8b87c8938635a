"""Counts of imports and deletions against their rows, and the indexes of the catalogue."""

import time
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from config.checks.findings import Outcome, counted
from config.checks.watch import Watch
from products.catalogue import kept_tables, search_index, search_rebuild
from products.models import Deletion, DeletionKind

REBUILD_SECONDS = 10.0  # within which a worker begins to build the index
POLL_SECONDS = 0.2
SHOWN = 200

# Lines that went in, by what became of them.
SUMS = """
SELECT id, rows, created, updated, unchanged, coalesce(duplicates, 0) FROM products_import
WHERE state = 'done' AND rows <> created + updated + unchanged + coalesce(duplicates, 0)
ORDER BY id DESC
"""
OVER = """
SELECT id, rows, created, updated, unchanged, coalesce(duplicates, 0) FROM products_import
WHERE state <> 'done' AND rows < created + updated + unchanged + coalesce(duplicates, 0)
ORDER BY id DESC
"""
PARTS = """
SELECT j.id, j.rows, j.rejected, j.read_bytes, p.rows, p.rejected, p.read_bytes, p.broken
FROM products_import j JOIN (
    SELECT job_id, sum(rows) AS rows, sum(rejected) AS rejected, max(end_byte) AS read_bytes,
        count(*) FILTER (WHERE start_byte <> before) AS broken
    FROM (
        SELECT *, coalesce(lag(end_byte) OVER (PARTITION BY job_id ORDER BY number), 0) AS before
        FROM products_importpart
    ) parts GROUP BY job_id
) p ON p.job_id = j.id
WHERE (j.rows, j.rejected, j.read_bytes) IS DISTINCT FROM (p.rows, p.rejected, p.read_bytes)
    OR p.broken > 0
ORDER BY j.id DESC
"""
# The sweep deletes rejects some time after the end.
REJECTS = """
SELECT j.id, j.rejected, count(r.id) FROM products_import j
LEFT JOIN products_importreject r ON r.job_id = j.id
WHERE j.finished_at IS NULL OR j.finished_at > now() - make_interval(secs => %(kept)s)
GROUP BY j.id HAVING j.rejected <> count(r.id)
ORDER BY j.id DESC
"""
# Each import wrote a product at most once, and edits leave `last_import_id` as it is.
LAST = """
SELECT p.last_import_id, p.products, j.created + j.updated
FROM (
    SELECT last_import_id, count(*) AS products FROM products_product
    WHERE last_import_id IS NOT NULL GROUP BY last_import_id
) p LEFT JOIN products_import j ON j.id = p.last_import_id
WHERE j.id IS NULL OR p.products > j.created + j.updated
ORDER BY 1 DESC
"""
COPIES = """
SELECT d.id, d.rows, d.restored, count(c.id) FROM products_deletion d
LEFT JOIN products_deletedproduct c ON c.deletion_id = d.id
WHERE d.kind <> 'all' AND d.swept_at IS NULL AND d.kept_until > now()
GROUP BY d.id HAVING count(c.id) <> d.rows - d.restored
ORDER BY d.id DESC
"""
INDEXES = """
SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
WHERE x.indrelid = 'products_product'::regclass AND NOT (x.indisvalid AND x.indisready)
    AND i.relname <> %(search)s ORDER BY 1
"""
COUNTS = """
SELECT (SELECT count(*) FROM products_import), (SELECT count(*) FROM products_product),
    (SELECT count(*) FROM products_deletion WHERE swept_at IS NULL)
"""
AGAIN = "Import the file again: lines that are in stay as they are."
REPORT = "Please report this: it should not be possible. The catalogue itself is not touched by it."


def run(watch: Watch) -> Outcome:
    """Raises NotChecked."""
    outcome = Outcome()
    values = {"kept": settings.REJECT_KEEP_DAYS * 86_400, "search": search_index.NAME}
    watch.say("Looking at imports")
    with watch.cursor() as cursor:
        cursor.execute(COUNTS)
        imports, products, deletions = cursor.fetchone()
        for query in (SUMS, OVER):
            for job, rows, *parts in _ask(cursor, query, values, outcome):
                words = "{} created, {} updated, {} unchanged, {} duplicate".format(*parts)
                _import(outcome, job, f"{rows:,} lines went in, and {words} are {sum(parts):,}")
        for job, *row in _ask(cursor, PARTS, values, outcome):
            mine, theirs, broken = row[:3], row[3:6], row[6]
            what = "it says {} lines, {} rejects, {} bytes read".format(*mine)
            what += ", its parts {}, {} and {}".format(*theirs)
            gaps = f"; {counted(broken, 'part')} with a gap before" if broken else ""
            _import(outcome, job, what + gaps)
        for job, said, there in _ask(cursor, REJECTS, values, outcome):
            _import(outcome, job, f"it refused {counted(said, 'line')}, and {there:,} are kept")
        watch.say("Looking at products")
        for job, there, wrote in _ask(cursor, LAST, values, outcome):
            what = f"{counted(there, 'product')} name it as their last import"
            more = "there is no such import" if wrote is None else f"it wrote {wrote:,}"
            _import(outcome, job, f"{what}, and {more}", exists=wrote is not None)
        for pk, rows, restored, there in _ask(cursor, COPIES, values, outcome):
            _deletion(outcome, pk, rows, restored, there)
        for (name,) in _ask(cursor, INDEXES, values, outcome):
            advice = f"`REINDEX INDEX CONCURRENTLY {name};` in psql, when there is little to do."
            outcome.add(f"index {name}", "is not valid, so not used or not complete", advice)
    _kept_tables(watch, outcome)
    _search(watch, outcome)
    outcome.looked_at = imports + products + deletions
    outcome.summary = (
        f"{counted(imports, 'import')}, {counted(products, 'product')} and"
        f" {counted(deletions, 'deletion')} that can be undone; the search index."
        if outcome.looked_at
        else "There are no products, imports or deletions; the search index was looked at."
    )
    return outcome


def _ask(cursor: Any, question: str, values: dict[str, Any], outcome: Outcome) -> list[Any]:
    """The first rows; the others are counted as found."""
    cursor.execute(question, values)
    rows: list[Any] = cursor.fetchall()
    outcome.count([], max(0, len(rows) - SHOWN))
    return rows[:SHOWN]


def _import(outcome: Outcome, job: int, what: str, *, exists: bool = True) -> None:
    url = reverse("products:import", args=[job]) if exists else reverse("products:imports")
    outcome.add(f"import {job}", what, AGAIN if exists else REPORT, url)


def _deletion(outcome: Outcome, pk: int, rows: int, restored: int, there: int) -> None:
    what = f"{rows:,} deleted and {restored:,} restored, and {there:,} copies are kept"
    advice = "An undo brings back what is kept; the rest is in a backup of the database."
    outcome.add(f"deletion {pk}", what, advice, reverse("products:deleted"))


def _kept_tables(watch: Watch, outcome: Outcome) -> None:
    """Whole tables that *delete all* has moved aside."""
    kept = Deletion.objects.filter(
        kind=DeletionKind.ALL, swept_at=None, rows__gt=0, kept_until__gt=timezone.now()
    ).exclude(kept_schema="")
    for pk in kept.values_list("pk", flat=True):
        watch.say(f"Counting what deletion {pk} keeps")
        with watch.cursor() as cursor:
            deletion = kept.filter(pk=pk).first()
            if deletion is None:  # undone or swept meanwhile
                continue
            table = f"{deletion.kept_schema}.{kept_tables.TABLE}"
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [table])
            there = kept_tables.count(deletion.kept_schema) if cursor.fetchone()[0] else 0
            if there != deletion.rows - deletion.restored:
                _deletion(outcome, pk, deletion.rows, deletion.restored, there)


def _search(watch: Watch, outcome: Outcome) -> None:
    """Missing is normal beside a large import, and for a moment after one."""
    deadline = time.monotonic() + REBUILD_SECONDS
    watch.say("Looking at the search index")
    while search_rebuild.is_due():
        if time.monotonic() > deadline or watch.over():
            outcome.add(
                "search index",
                "is missing or not valid: searches find beginnings only",
                "A worker builds it within seconds: see under Operations whether one runs.",
                reverse("products:list"),
            )
            return
        time.sleep(POLL_SECONDS)
