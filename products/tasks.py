"""Celery tasks of the catalogue: ids in, one bounded call, safe to run twice."""

import logging

from django.db import transaction

from config.celery import app

logger = logging.getLogger(__name__)


@app.task
def advance_import(job_id: int) -> None:
    """Move an import on by one bounded step and queue the next."""
    from . import pipeline

    if pipeline.advance(job_id):
        kick(job_id)


@app.task
def sweep_imports() -> None:
    """Bring back imports that nobody works on: after a kill, a lost message, a broker away."""
    from . import claims, sweep

    claims.end_frozen_holders()
    for job_id in sweep.forgotten_imports():
        kick(job_id)


@app.task
def purge_uploads() -> None:
    """Let go of abandoned uploads, unconfirmed checks and old rejects."""
    from . import sweep

    sweep.purge()


@app.task
def analyze_catalogue() -> None:
    """Refresh the planner's statistics after a merge."""
    from . import merge

    merge.analyze()


def kick(job_id: int) -> None:
    """Queue `advance_import` once the current transaction commits.

    Without the broker the work only waits for the sweep: robust=True logs and goes on.
    """
    # No functools.partial: Django logs a robust callback's failure by its __qualname__.
    transaction.on_commit(lambda: advance_import.delay(job_id), robust=True)


def analyze_catalogue_later() -> None:
    """Queue `analyze_catalogue` once the current transaction commits."""
    transaction.on_commit(analyze_catalogue.delay, robust=True)
