"""What viewers of a bulk change see: one snapshot of its state, the same for page, REST and SSE."""

from typing import Any

from django.utils import timezone

from products.models import BulkAction, BulkChange, BulkState

from .filters import Filter


def channel(bulk_id: int) -> str:
    """The live channel of a bulk change."""
    return f"bulk-{bulk_id}"


def in_words(change: BulkChange) -> str:
    """Which products it is about: "12 chosen products", "products matching “song”, active"."""
    if change.action == BulkAction.RESTORE and change.deletion is not None:
        return f"deleted: {change.deletion.what}"
    if change.ids is not None:
        return f"{len(change.ids):,} chosen {'product' if len(change.ids) == 1 else 'products'}"
    which = Filter(change.search, change.active)
    return "all products" if which.everything else f"products {which.words()}"


def snapshot(change: BulkChange) -> dict[str, Any]:
    """The bulk change's state as JSON-able values: products, seconds, ISO instants.

    `percent` and `seconds_left` are None before the start.
    """
    percent, left = _pace(change)
    deletion = change.deletion
    return {
        "id": change.pk,
        "action": change.action,
        "action_label": BulkAction(change.action).label,
        "state": change.state,
        "state_label": BulkState(change.state).label,
        "ended": change.ended,
        "error": change.error,
        "cancel_requested": change.cancel_requested,
        "what": in_words(change),
        "ids": None if change.ids is None else len(change.ids),
        "search": change.search,
        "active": change.active,
        "expected": change.expected,
        "expected_exact": change.expected_exact,
        "matched": change.matched,
        "changed": change.changed,
        "unchanged": change.matched - change.changed,
        "percent": percent,
        "seconds_left": left,
        "silent_seconds": _silent_seconds(change),
        "deletion_id": change.deletion_id,
        "undo_until": _undo_until(change),
        "restored": deletion.restored if deletion is not None else 0,
        "created_by": change.by_name,
        "token": change.token_name,
        "created_at": change.created_at,
        "started_at": change.started_at,
        "finished_at": change.finished_at,
    }


def _pace(change: BulkChange) -> tuple[float | None, float | None]:
    if change.state == BulkState.DONE:
        return 100.0, 0.0
    if change.started_at is None or not change.last_id:
        return None, None
    # Where the number of rows is known it tells more: ids have gaps.
    if change.expected_exact and change.expected:
        share = min(1.0, change.matched / change.expected)
    else:
        share = min(1.0, change.position / change.last_id)
    if change.ended or not share:
        return round(100 * share, 1), None
    seconds = (timezone.now() - change.started_at).total_seconds()
    return round(100 * share, 1), round(max(0.0, seconds / share - seconds), 1)


def _silent_seconds(change: BulkChange) -> float:
    """Since the worker that holds it gave its last sign of life; 0 where nobody does."""
    if change.heartbeat_at is None or change.ended:
        return 0.0
    return round(max(0.0, (timezone.now() - change.heartbeat_at).total_seconds()), 1)


def _undo_until(change: BulkChange) -> Any:
    """Until when a delete that has ended can be undone; None for the others."""
    deletion = change.deletion
    if change.action != BulkAction.DELETE or not change.ended or deletion is None:
        return None
    return deletion.kept_until
