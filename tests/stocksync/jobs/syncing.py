"""Jobs of these tests: worked off in this process by the calls that Celery makes."""

from typing import Any

from django.db import connection

from stocksync.jobs import downloads, files, service, work
from stocksync.models import StoredFile, SyncJob, SyncState

from .expected import DECISION_COLUMNS, Expected


def stored(data: bytes, name: str = "events.txt") -> StoredFile:
    """A file of events that has come whole."""
    file = files.create(name)
    files.append(file.pk, data)
    file.refresh_from_db()
    return file


def begin(user: Any, data: bytes, clock: str = "tree") -> SyncJob:
    """A job that waits for its worker."""
    return service.begin(user, stored(data), clock)


def run(job: SyncJob) -> SyncJob:
    """Advance until nothing is left to do; the job as it is then."""
    while work.advance(job.pk):
        pass
    return fresh(job)


def fresh(job: SyncJob) -> SyncJob:
    """The job as it is now."""
    return SyncJob.objects.select_related("events", "output", "rejects").get(pk=job.pk)


def step_by_step(settings: Any, monkeypatch: Any, step_bytes: int) -> None:
    """Each `advance` is one step and a checkpoint."""
    settings.STOCKSYNC_STEP_BYTES = step_bytes
    settings.IMPORT_STEP_SECONDS = 0
    monkeypatch.setattr(work, "MOST_SECONDS", 0.0)


def rows(table: str, columns: str, job_id: int, order: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns} FROM stocksync_{table} WHERE job_id = %s ORDER BY {order}", [job_id]
        )
        return cursor.fetchall()


def check(job: SyncJob, expected: Expected, *, traced: bool = True) -> None:
    """The job is done, with exactly these files, counts and rows."""
    job = fresh(job)
    assert (job.state, job.error) == (SyncState.DONE, "")
    assert b"".join(downloads.output_lines(job)) == expected.output
    assert b"".join(downloads.rejects_lines(job)) == expected.rejects
    assert job.counts == expected.counts
    assert (job.read_bytes, job.traced) == (job.events.size_bytes, traced)
    trees = rows("synctree", "place, root_id, products, active, stock", job.pk, "place")
    assert trees == expected.trees
    products = rows("syncproduct", "place, product_id, root_id, stock, active", job.pk, "place")
    assert products == expected.products
    if traced:
        seqs = [seq for (seq,) in rows("syncdecision", "seq", job.pk, "seq")]
        assert seqs == list(range(1, len(expected.decisions) + 1))
        assert rows("syncdecision", DECISION_COLUMNS, job.pk, "seq") == expected.decisions
        assert job.decisions == len(expected.decisions)
