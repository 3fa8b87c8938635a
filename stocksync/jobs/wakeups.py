"""Wakes a worker for jobs once the current transaction commits."""

from config.jobs.wakeups import wake


def advance(job_id: int) -> None:
    """Have a worker move the job on."""
    wake("stocksync.tasks.advance_sync", job_id)


def purge() -> None:
    """Have a worker delete what nobody may read any more (else beat does, later)."""
    wake("stocksync.tasks.purge_syncs")
