"""Celery tasks of the catalogue: ids in, one bounded call, safe to run twice."""

from config.celery import app

from .imports import claims, merge, pipeline, sweep, wakeups


@app.task
def advance_import(job_id: int) -> None:
    """Move an import on by one bounded step and queue the next."""
    if pipeline.advance(job_id):
        wakeups.advance(job_id)


@app.task
def sweep_imports() -> None:
    """Bring back imports that nobody works on: after a kill, a lost message, a broker away."""
    claims.end_frozen_holders()
    for job_id in sweep.forgotten_imports():
        wakeups.advance(job_id)


@app.task
def purge_uploads() -> None:
    """Let go of abandoned uploads, unconfirmed checks and old rejects."""
    sweep.purge()


@app.task
def analyze_catalogue() -> None:
    """Refresh the planner's statistics after a merge."""
    merge.analyze()
