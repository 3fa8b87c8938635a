"""Jobs of these tests: begun by the service, worked off in this process as a worker does it."""

import json
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from config.jobs import claims, runner
from stocksync.jobs import files, service, sweep, work
from stocksync.models import SyncJob

JOBS = "/api/stocksync/jobs/"


def path(job: SyncJob, rest: str = "") -> str:
    """An address of the job."""
    return f"{JOBS}{job.pk}/{rest}"


def created(product_id: int, parent_id: int | None, timestamp: int, stock: int) -> dict[str, Any]:
    return {
        "type": "ProductCreated",
        "id": product_id,
        "parent_id": parent_id,
        "timestamp": timestamp,
        "stock": stock,
    }


def updated(product_id: int, timestamp: int, stock: int) -> dict[str, Any]:
    return {"type": "ProductUpdated", "id": product_id, "timestamp": timestamp, "stock": stock}


def as_lines(*events: dict[str, Any] | str) -> bytes:
    """The events as a file; text is a line as it is."""
    lines = (event if isinstance(event, str) else json.dumps(event) for event in events)
    return "".join(f"{line}\n" for line in lines).encode()


def begin(user: Any, data: bytes, *, clock: str = "tree") -> SyncJob:
    """A job that waits for its worker."""
    stored = files.create("events.txt")
    files.append(stored.pk, data)
    stored.refresh_from_db()
    return service.begin(user, stored, clock)


def run(job: SyncJob) -> SyncJob:
    """Work on it until nothing is left to do; the job as it is then."""
    while work.advance(job.pk):
        pass
    job.refresh_from_db()
    return job


def some_steps(job: SyncJob, count: int) -> SyncJob:
    """Do so many steps of it, as a worker that is then asked to stop; the job as it is then."""
    claim = claims.take(SyncJob, job.pk)
    assert claim is not None
    by = work.SyncWork()
    for _ in range(count):
        assert runner.step(by, claim), "it has ended"
    by.leave(claim)
    claims.release(claim)
    job.refresh_from_db()
    return job


def synchronized(user: Any, data: bytes, *, clock: str = "tree") -> SyncJob:
    """A job that has ended."""
    return run(begin(user, data, clock=clock))


def cancelled(user: Any, data: bytes) -> SyncJob:
    """A job that was cancelled before its first step."""
    job = begin(user, data)
    service.cancel(job.pk)
    return run(job)


def purge(job: SyncJob) -> None:
    """Let its time be over."""
    long_ago = timezone.now() - timedelta(days=settings.STOCKSYNC_KEEP_DAYS + 1)
    SyncJob.objects.filter(pk=job.pk).update(finished_at=long_ago)
    sweep.purge()
    job.refresh_from_db()
    assert job.purged_at is not None


def body(response: Any) -> bytes:
    """All of a download."""
    assert response.status_code == 200, response.content
    return b"".join(response.streaming_content)
