"""Delivers events: a loop hosted by a Celery worker, from the outbox to the last attempt."""
