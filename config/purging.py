"""Deletes what is old, in statements short enough not to be in anybody's way. Used by sweeps."""

import math
import time
from typing import Any

from django.db.models import QuerySet

ROWS_AT_ONCE = 5_000  # of one DELETE: a fraction of a second
ROWS_AT_MOST = 500_000  # of one call, well below the tasks' time limit; the next goes on


def delete_bit_by_bit(
    old: QuerySet[Any],
    *,
    oldest_first: str,
    rows_at_once: int | None = None,
    deadline: float = math.inf,
) -> int:
    """Delete the rows of `old` in the order of the field `oldest_first`; returns how many.

    A statement takes `rows_at_once`, else ROWS_AT_ONCE; none begins after `deadline`
    (time.monotonic).
    """
    at_once = rows_at_once or ROWS_AT_ONCE
    deleted = 0
    while deleted < ROWS_AT_MOST and time.monotonic() < deadline:
        some = old.order_by(oldest_first).values("pk")[:at_once]
        now, _ = old.model._base_manager.filter(pk__in=some).delete()
        deleted += now
        if now < at_once:
            break
    return deleted
