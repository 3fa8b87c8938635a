"""Forgets given answers after IDEMPOTENCY_KEEP_HOURS; their keys are free again."""

import math
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from config.purging import delete_bit_by_bit

from .models import GivenAnswer


def purge(deadline: float = math.inf) -> int:
    """Delete them, until `deadline` (time.monotonic); returns how many."""
    before = timezone.now() - timedelta(hours=settings.IDEMPOTENCY_KEEP_HOURS)
    old = GivenAnswer.objects.filter(created_at__lt=before)
    return delete_bit_by_bit(old, oldest_first="created_at", deadline=deadline)
