"""Celery tasks of stock sync: ids in, one bounded call, safe to run twice."""

from config.celery import app

from .jobs import sweep, wakeups, work


@app.task
def advance_sync(job_id: int) -> None:
    """Move a job on by some seconds and queue the rest."""
    if work.advance(job_id):
        wakeups.advance(job_id)


@app.task
def sweep_syncs() -> None:
    """Bring back jobs that nobody works on: after a kill, a lost message, a broker away."""
    sweep.end_frozen_holders()
    for job_id in sweep.forgotten_jobs():
        wakeups.advance(job_id)


@app.task
def purge_syncs() -> None:
    """Let go of what a person has deleted. What is old config/retention lets go of."""
    sweep.purge()
