"""The one way into webhooks for other areas."""

from typing import Any

from django.db import connection

from .models import Event

CHANNEL = "stockroom_webhooks"  # on which PostgreSQL wakes the engine


def emit(event_type: str, data: dict[str, Any]) -> Event:
    """Record that `event_type` (see event_types.py) happened; called in the change's transaction.

    `data` is JSON-able. The engine makes the deliveries after the commit: the cost of a change
    does not grow with the number of endpoints.
    """
    event = Event.objects.create(type=event_type, data=data)
    wake()
    return event


def wake() -> None:
    """Have the engine look for work once the current transaction commits.

    Losing this is harmless: it looks every WEBHOOK_POLL_SECONDS anyway.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
