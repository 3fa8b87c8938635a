"""What viewers of an import see: one snapshot of its state, the same for page, REST and SSE."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from config import live
from products.models import Import, ImportState

RECENT_REJECTS = 8
RAW_SHOWN = 200  # characters of a rejected line in a snapshot; the table has all of it


def channel(job_id: int) -> str:
    """The live channel of an import."""
    return f"import-{job_id}"


def changed(job_id: int) -> None:
    """Tell viewers soon: at most LIVE_EVENTS_PER_SECOND snapshots are made and sent."""
    live.throttle(channel(job_id)).publish(lambda: _load(job_id))


def flush(job_id: int) -> None:
    """Tell viewers the state as it is now."""
    live.throttle(channel(job_id)).flush(lambda: _load(job_id))


def _load(job_id: int) -> dict[str, Any]:
    return snapshot(Import.objects.select_related("upload", "created_by").get(pk=job_id))


def snapshot(job: Import) -> dict[str, Any]:
    """The import's state as JSON-able values: bytes, rows, seconds, ISO instants."""
    rows_total = job.rows - (job.duplicates or 0)
    rate, left = _pace(job, rows_total)
    return {
        "id": job.pk,
        "state": job.state,
        "state_label": ImportState(job.state).label,
        "ended": job.ended,
        "error": job.error,
        "cancel_requested": job.cancel_requested,
        "waits_for": _waits_for(job),
        "file_name": job.upload.file_name,
        "size_bytes": job.upload.size_bytes,
        "received_bytes": job.upload.offset,
        "read_bytes": job.read_bytes,
        "encoding": job.encoding,
        "new_products_active": job.new_products_active,
        "check_first": job.check_first,
        "ignored_columns": job.columns.get("ignored", []),
        "rows": job.rows + job.rejected,
        "rejected": job.rejected,
        "undecodable": job.undecodable,
        "duplicates": job.duplicates,
        "to_merge": rows_total if job.duplicates is not None else None,
        "checked": job.would_create + job.would_update + job.would_keep,
        "would_create": job.would_create,
        "would_update": job.would_update,
        "would_keep": job.would_keep,
        "merged": job.merged,
        "created": job.created,
        "updated": job.updated,
        "unchanged": job.unchanged,
        "idle_seconds": _idle_seconds(job),
        "silent_seconds": _silent_seconds(job),
        "per_second": rate,
        "seconds_left": left,
        "file_kept": job.upload.purged_at is None and job.upload.completed_at is not None,
        "created_by": job.created_by.get_username() if job.created_by else "",
        "created_at": job.created_at,
        "received_at": job.received_at,
        "read_at": job.read_at,
        "merge_started_at": job.merge_started_at,
        "finished_at": job.finished_at,
        "recent_rejects": _recent_rejects(job),
    }


def _pace(job: Import, rows_total: int) -> tuple[float | None, float | None]:
    """Rows per second since the phase began, and the seconds it will still take."""
    done: int
    since: datetime | None
    if job.state == ImportState.MERGING:
        done, since = job.merged, job.merge_started_at
    elif job.state in (ImportState.RECEIVING, ImportState.READING):
        done, since = job.rows + job.rejected, job.created_at
    else:
        return None, None
    seconds = (timezone.now() - since).total_seconds() if since else 0
    if seconds <= 0 or not done:
        return None, None
    rate = done / seconds
    left = (rows_total - done) / rate if job.state == ImportState.MERGING else None
    return round(rate, 1), None if left is None else round(max(0.0, left), 1)


def _idle_seconds(job: Import) -> float:
    """Since the last bytes of the file came; its time to be kept began with them."""
    kept = timedelta(hours=settings.UPLOAD_KEEP_HOURS)
    return round((timezone.now() - job.upload.expires_at + kept).total_seconds(), 1)


def _silent_seconds(job: Import) -> float:
    """Since the worker that holds the import gave its last sign of life; 0 where nobody does."""
    if job.heartbeat_at is None or job.ended:
        return 0.0
    return round(max(0.0, (timezone.now() - job.heartbeat_at).total_seconds()), 1)


def _waits_for(job: Import) -> int | None:
    """The import whose merge this one waits for."""
    if job.state != ImportState.QUEUED:
        return None
    return Import.objects.filter(state=ImportState.MERGING).values_list("pk", flat=True).first()


def _recent_rejects(job: Import) -> list[dict[str, Any]]:
    if not job.rejected:
        return []
    newest = job.rejects.order_by("-line")[:RECENT_REJECTS]
    return [
        {"line": r.line, "column": r.column, "reason": r.reason, "raw": r.raw[:RAW_SHOWN]}
        for r in newest
    ]
