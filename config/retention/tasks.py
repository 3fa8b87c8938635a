"""Celery task of retention: beat calls it every ten minutes (CELERY_BEAT_SCHEDULE)."""

from config.celery import app

from . import outcome
from . import sweep as turn


@app.task
def sweep() -> None:
    """Let go of what is kept for a time only."""
    outcome.keep(turn.run())
