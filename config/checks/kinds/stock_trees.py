"""What stock sync jobs have stored, against the rules and against their events run again.

The rule, by one query over all jobs: in a tree with stock every product has that stock. The run:
the engine over the stored events in memory, its commands, rejects, trees and products compared with
what is stored; the newest jobs first, as many as there is time for.
"""

import hashlib
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse

from config.checks.findings import Outcome, counted
from config.checks.watch import Watch
from stocksync.engine.synchronizer import Synchronizer
from stocksync.jobs import files
from stocksync.models import SyncJob, SyncProduct, SyncState, SyncTree

# Larger ones need minutes and much memory: the command line runs them again.
MOST_BYTES = 64 * 1024**2
PIECE_BYTES = 64 * 1024
ROWS_AT_ONCE = 10_000
MOST_TOLD = 100  # of one job, products and trees each
AGAIN = "Repeat the job; the new one has what the events give. Then compare both."

UNEVEN = """
SELECT p.job_id, p.root_id, p.product_id, p.stock, t.stock
FROM stocksync_syncproduct p
JOIN stocksync_synctree t ON t.job_id = p.job_id AND t.root_id = p.root_id
JOIN stocksync_syncjob j ON j.id = p.job_id AND j.state = 'done' AND j.purged_at IS NULL
WHERE t.stock > 0 AND p.stock <> t.stock
ORDER BY p.job_id, p.place
"""
TREES = """
SELECT t.job_id, t.root_id, t.products, t.active, coalesce(p.products, 0), coalesce(p.active, 0)
FROM stocksync_synctree t
JOIN stocksync_syncjob j ON j.id = t.job_id AND j.state = 'done' AND j.purged_at IS NULL
LEFT JOIN (
    SELECT job_id, root_id, count(*) AS products, count(*) FILTER (WHERE active) AS active
    FROM stocksync_syncproduct GROUP BY job_id, root_id
) p ON p.job_id = t.job_id AND p.root_id = t.root_id
WHERE (t.products, t.active) IS DISTINCT FROM (coalesce(p.products, 0), coalesce(p.active, 0))
ORDER BY t.job_id, t.place
"""


def run(watch: Watch) -> Outcome:
    """Raises NotChecked."""
    jobs = SyncJob.objects.filter(state=SyncState.DONE, purged_at=None)
    outcome = Outcome()
    watch.say("Looking at all trees")
    trees = _rules(watch, jobs, outcome)
    again, large, left = 0, 0, 0
    for job in jobs.select_related("events").order_by("-pk").defer("checkpoint"):
        if watch.over():
            left += 1
        elif job.events.size_bytes > MOST_BYTES and watch.seconds is not None:
            large += 1
        else:
            watch.say(f"Job {job.pk}, the {again + 1}. that is run again")
            done = _run_again(watch, job, outcome)
            again, left = again + done, left + (not done)
    total = again + large + left
    outcome.looked_at = total
    if not total:
        outcome.summary = "There are no finished jobs whose results are still kept."
        return outcome
    outcome.summary = (
        f"{counted(trees, 'tree')} of {counted(total, 'job')} looked at,"
        f" {counted(again, 'job')} run again from the stored events."
    )
    if large:
        outcome.summary += f" {counted(large, 'job')} too large for that beside other work."
    if left:
        outcome.summary += f" No time to run {left:,} older again."
    return outcome


def _rules(watch: Watch, jobs: QuerySet[SyncJob], outcome: Outcome) -> int:
    """What can be seen without running anything; returns how many trees there are."""
    with watch.cursor() as cursor:
        cursor.execute(UNEVEN)
        for job, root, product, stock, level in cursor.fetchall():
            what = f"has stock {stock:,}, its tree has {level:,}"
            outcome.add(f"job {job}, product {product}", what, AGAIN, _tree(job, root))
        cursor.execute(TREES)
        for job, root, products, active, there, active_there in cursor.fetchall():
            what = (
                f"{products:,} products, {active:,} active, say its counts;"
                f" there are {there:,}, {active_there:,} active"
            )
            outcome.add(f"job {job}, tree {root}", what, AGAIN, _tree(job, root))
        return int(SyncTree.objects.filter(job__in=jobs).count())


def _run_again(watch: Watch, job: SyncJob, outcome: Outcome) -> bool:
    """Compare what the job has stored; False where there was no time, or it is purged meanwhile."""
    commands, rejects = hashlib.blake2b(), hashlib.blake2b()
    sync = Synchronizer(job.clock, False, commands.update, rejects.update)
    findings = Outcome()
    try:
        for piece in files.pieces(job.events_id):
            for start in range(0, len(piece), PIECE_BYTES):
                if watch.over():
                    return False
                sync.feed(piece[start : start + PIECE_BYTES])
        sync.finish()
        for part in sync.summary():
            commands.update(part)
        _files(job, commands.digest(), rejects.digest(), findings)
        _counts(job, sync, findings)
        _rows(
            findings,
            job,
            "tree",
            ((t.root, (t.level, len(t.products))) for t in sync.trees()),
            _stored(SyncTree.objects.filter(job=job), "root_id", "stock", "products"),
        )
        _rows(
            findings,
            job,
            "product",
            ((p.id, (p.stock, p.active)) for p in sync.products()),
            _stored(SyncProduct.objects.filter(job=job), "product_id", "stock", "active"),
        )
    except files.FileGone:
        # Purged while we looked: no finding. Gone without that: one.
        if SyncJob.objects.filter(pk=job.pk, purged_at=None, events__purged_at=None).exists():
            what = "bytes of its events or output are missing"
            outcome.add(f"job {job.pk}", what, "Upload the events again.", _url(job))
            return True
        return False
    outcome.count(findings.findings, findings.found)
    return True


def _files(job: SyncJob, commands: bytes, rejects: bytes, outcome: Outcome) -> None:
    for name, file_id, right in (
        ("output", job.output_id, commands),
        ("rejects", job.rejects_id, rejects),
    ):
        stored = hashlib.blake2b()
        for piece in files.pieces(file_id):
            stored.update(piece)
        if stored.digest() != right:
            what = f"its {name} ({files.size(file_id):,} bytes) is not what its events give"
            outcome.add(f"job {job.pk}, {name}", what, AGAIN, _url(job))


def _counts(job: SyncJob, sync: Synchronizer, outcome: Outcome) -> None:
    right = sync.counts.as_dict()
    for name in sorted(right.keys() | job.counts.keys()):
        if right.get(name) != job.counts.get(name):
            what = f"{job.counts.get(name)} in the job's counts, {right.get(name)} by its events"
            outcome.add(f"job {job.pk}, {name.replace('_', ' ')}", what, AGAIN, _url(job))


def _rows(
    outcome: Outcome,
    job: SyncJob,
    kind: str,
    right: Iterator[tuple[int, tuple[int, int]]],
    stored: Iterator[tuple[int, tuple[int, int]]],
) -> None:
    """Both in order of creation."""
    told = 0
    for one, other in zip_longest(right, stored):
        if one == other:
            continue
        told += 1
        if told > MOST_TOLD:
            outcome.found += 1
            continue
        there = "is missing" if other is None else f"is stored as {_words(kind, other)}"
        what = f"{there}, its events give {'nothing' if one is None else _words(kind, one)}"
        number = (one or other or (0, ()))[0]
        outcome.add(f"job {job.pk}, {kind} {number}", what, AGAIN, _url(job))


def _words(kind: str, row: tuple[int, tuple[int, int]]) -> str:
    number, (stock, other) = row
    rest = counted(other, "product") if kind == "tree" else "active" if other else "ended"
    return f"{kind} {number} with stock {stock:,}, {rest}"


def _stored(rows: QuerySet[Any], *columns: str) -> Iterator[tuple[int, tuple[int, int]]]:
    after = -1
    while some := list(
        rows.filter(place__gt=after).order_by("place").values_list("place", *columns)[:ROWS_AT_ONCE]
    ):
        yield from ((number, (stock, other)) for _, number, stock, other in some)
        after = some[-1][0]


def _url(job: SyncJob) -> str:
    return reverse("stocksync:job", args=[job.pk])


def _tree(job_id: int, root_id: int) -> str:
    return reverse("stocksync:tree", args=[job_id, root_id]) if root_id >= 0 else ""
