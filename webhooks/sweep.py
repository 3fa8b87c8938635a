"""What time alone brings: events that are old enough to be forgotten."""

from datetime import datetime, timedelta

from django.conf import settings

from config.purging import delete_bit_by_bit

from .models import Event


def purge(now: datetime) -> int:
    """Delete what is older than EVENT_KEEP_DAYS; returns how many rows."""
    old = Event.objects.filter(occurred_at__lt=now - timedelta(days=settings.EVENT_KEEP_DAYS))
    return delete_bit_by_bit(old, oldest_first="occurred_at")
