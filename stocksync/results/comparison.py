"""Two jobs side by side: their counts, how products end, and how events were judged."""

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from django.db import connection

from stocksync.jobs import files
from stocksync.models import SyncDecision, SyncJob, SyncState

from . import words

SHOWN = 200
READ_BYTES = 16 * 1024**2  # up to this size two files are read to see whether they are the same

COUNTS = (
    ("lines", "lines"),
    ("events", "events"),
    ("applied", "took effect"),
    ("stale", "stale"),
    ("never_created", "never created"),
    ("waited", "waited for a product"),
    ("trees", "trees"),
    ("products", "products"),
)

# In order of the products' ids: both sides come sorted from the index of their job.
PRODUCTS = """
SELECT coalesce(a.product_id, b.product_id), a.stock, a.active, b.stock, b.active
FROM (SELECT * FROM stocksync_syncproduct WHERE job_id = %(a)s) a
FULL JOIN (SELECT * FROM stocksync_syncproduct WHERE job_id = %(b)s) b USING (product_id)
WHERE (a.stock, a.active) IS DISTINCT FROM (b.stock, b.active)
"""
# Which events take effect at which place depends on their products alone, not on the clock: so the
# same file gives the same events the same `seq` in both jobs.
DECISIONS = """
SELECT a.id, b.id
FROM stocksync_syncdecision a
JOIN stocksync_syncdecision b ON b.job_id = %(b)s AND b.seq = a.seq AND b.line = a.line
WHERE a.job_id = %(a)s AND (a.verdict, a.code) <> (b.verdict, b.code)
"""


@dataclass(frozen=True)
class Count:
    """One figure of both jobs."""

    name: str
    a: int
    b: int

    @property
    def difference(self) -> int:
        return self.b - self.a


@dataclass(frozen=True)
class Ending:
    """How a product ends in one job; None in Difference: it was never created there."""

    stock: int
    active: bool


@dataclass(frozen=True)
class Difference:
    """A product that ends differently."""

    product_id: int
    a: Ending | None
    b: Ending | None


@dataclass(frozen=True)
class Found:
    """The first SHOWN of what is different, and how many there are."""

    rows: list[Any]
    total: int

    @property
    def more(self) -> int:
        return self.total - len(self.rows)


def same_events(a: SyncJob, b: SyncJob) -> bool:
    """Whether both jobs read the same stored file, or two small ones with the same content."""
    if a.events_id == b.events_id:
        return True
    if not may_be_same(a, b) or a.events.size_bytes > READ_BYTES:
        return False
    try:
        pairs = zip_longest(files.pieces(a.events_id), files.pieces(b.events_id))
        return all(one == other for one, other in pairs)
    except files.FileGone:
        return False


def may_be_same(a: SyncJob, b: SyncJob) -> bool:
    """Whether nothing speaks against it that two files are the same: they have equal sizes."""
    return bool(a.events.size_bytes == b.events.size_bytes)


def counts(a: SyncJob, b: SyncJob) -> list[Count]:
    """All figures of both jobs, with the reasons and commands that there are in either."""
    found = [Count(name, a.counts.get(key, 0), b.counts.get(key, 0)) for key, name in COUNTS[:4]]
    found += _by_name(a, b, "refused", lambda code: f"refused: {words.reason(code)}")
    found += [Count(name, a.counts.get(key, 0), b.counts.get(key, 0)) for key, name in COUNTS[4:]]
    return found + _by_name(a, b, "commands", lambda kind: f"{kind} commands")


def _by_name(a: SyncJob, b: SyncJob, key: str, name: Any) -> list[Count]:
    of_a, of_b = a.counts.get(key, {}), b.counts.get(key, {})
    keys = [*of_a, *(each for each in of_b if each not in of_a)]
    found = [Count(name(each), of_a.get(each, 0), of_b.get(each, 0)) for each in keys]
    return [each for each in found if each.a or each.b]


def products(a: SyncJob, b: SyncJob, *, most: int = SHOWN) -> Found:
    """Products whose stock or state ends differently, as Difference, by id."""
    rows, total = _first(f"{PRODUCTS} ORDER BY 1", PRODUCTS, a, b, most)
    return Found(
        [
            Difference(
                product_id,
                None if stock_a is None else Ending(stock_a, active_a),
                None if stock_b is None else Ending(stock_b, active_b),
            )
            for product_id, stock_a, active_a, stock_b, active_b in rows
        ],
        total,
    )


def judged(a: SyncJob, b: SyncJob, same: bool, *, most: int = SHOWN) -> Found | None:
    """Pairs of decisions about the same event with other verdicts, in their order.

    None where that can't be told: other events (not `same`), or decisions that were not kept.
    """
    if not (same and a.traced and b.traced):
        return None
    rows, total = _first(f"{DECISIONS} ORDER BY a.seq", DECISIONS, a, b, most)
    found = SyncDecision.objects.in_bulk([pk for pair in rows for pk in pair])
    return Found([(found[pk_a], found[pk_b]) for pk_a, pk_b in rows], total)


def _first(ordered: str, query: str, a: SyncJob, b: SyncJob, most: int) -> tuple[list, int]:
    """The first rows, and how many there are: counted only where there are more."""
    jobs = {"a": a.pk, "b": b.pk}
    with connection.cursor() as cursor:
        cursor.execute(f"{ordered} LIMIT {most + 1}", jobs)
        rows = cursor.fetchall()
        if len(rows) <= most:
            return rows, len(rows)
        cursor.execute(f"SELECT count(*) FROM ({query}) every", jobs)
        return rows[:most], cursor.fetchone()[0]


def is_whole(job: SyncJob) -> bool:
    """Whether a job went through its whole file, and what it found is there."""
    return bool(job.state == SyncState.DONE and job.purged_at is None)
