"""Celery tasks of webhooks: one bounded call, safe to run twice."""

from django.utils import timezone

from config.celery import app

from . import sweep


@app.task
def purge_events() -> None:
    """Let go of old events."""
    sweep.purge(timezone.now())
