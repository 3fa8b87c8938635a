"""Deletes what is old, in statements short enough not to be in anybody's way. Used by sweeps."""

from typing import Any

from django.db.models import QuerySet

ROWS_AT_ONCE = 5_000  # of one DELETE: a fraction of a second
ROWS_AT_MOST = 500_000  # of one call, well below the tasks' time limit; the next goes on


def delete_bit_by_bit(old: QuerySet[Any], *, oldest_first: str) -> int:
    """Delete the rows of `old` in the order of the field `oldest_first`; returns how many."""
    deleted = 0
    while deleted < ROWS_AT_MOST:
        some = old.order_by(oldest_first).values("pk")[:ROWS_AT_ONCE]
        now, _ = old.model._base_manager.filter(pk__in=some).delete()
        deleted += now
        if now < ROWS_AT_ONCE:
            break
    return deleted
