"""Forgets given answers after IDEMPOTENCY_KEEP_HOURS; their keys are free again."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from .models import GivenAnswer

ROWS_AT_ONCE = 5_000
TIMES = 100  # in one call, well below the tasks' time limit; the next goes on


def purge() -> int:
    """Delete them in short statements; returns how many."""
    before = timezone.now() - timedelta(hours=settings.IDEMPOTENCY_KEEP_HOURS)
    old = GivenAnswer.objects.filter(created_at__lt=before)
    purged = 0
    for _ in range(TIMES):
        some = old.order_by("created_at").values("pk")[:ROWS_AT_ONCE]
        deleted, _details = GivenAnswer.objects.filter(pk__in=some).delete()
        purged += deleted
        if deleted < ROWS_AT_ONCE:
            break
    return purged
