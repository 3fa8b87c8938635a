"""Celery tasks of the catalogue: ids in, one bounded call, safe to run twice."""

from typing import Any

from django.db import transaction
from kombu.exceptions import OperationalError

from config.celery import app
from config.outage import Outage

_outage = Outage("wake-ups of workers")


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
    """Queue `advance_import` once the current transaction commits."""
    transaction.on_commit(lambda: _send(advance_import, job_id))


def analyze_catalogue_later() -> None:
    """Queue `analyze_catalogue` once the current transaction commits."""
    transaction.on_commit(lambda: _send(analyze_catalogue))


def _send(task: Any, *arguments: object) -> None:
    """Queue the task, or leave the work to the sweep (autovacuum) where the broker is away.

    One try: a request that brings bytes must not wait for a broker that does not answer.
    """
    if _outage.holds():
        return
    try:
        task.apply_async(arguments, retry=False)
    except (OperationalError, OSError) as error:
        _outage.begin(error)
    else:
        _outage.end()
