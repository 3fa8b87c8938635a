"""Celery task of the kept answers. Beat calls it (CELERY_BEAT_SCHEDULE)."""

from config.celery import app

from . import sweep


@app.task
def purge_answers() -> None:
    """Forget answers whose time is over."""
    sweep.purge()
