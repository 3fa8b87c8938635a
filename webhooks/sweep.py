"""What time alone brings: events that are old enough to be forgotten."""

from datetime import datetime, timedelta

from django.conf import settings

from .models import Event

PURGED_AT_ONCE = 5_000  # rows of one DELETE: a fraction of a second
PURGED_AT_MOST = 500_000  # rows of one call; the next goes on


def purge(now: datetime) -> int:
    """Delete what is older than EVENT_KEEP_DAYS, in short statements; returns how many rows."""
    old = Event.objects.filter(occurred_at__lt=now - timedelta(days=settings.EVENT_KEEP_DAYS))
    purged = 0
    while purged < PURGED_AT_MOST:
        some = old.order_by("occurred_at").values("pk")[:PURGED_AT_ONCE]
        deleted, _ = Event.objects.filter(pk__in=some).delete()
        purged += deleted
        if deleted < PURGED_AT_ONCE:
            break
    return purged
