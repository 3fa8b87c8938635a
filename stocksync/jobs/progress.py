"""What viewers of a job see: one snapshot of its state, the same for page, REST and SSE."""

from typing import Any

from django.utils import timezone

from config import live
from stocksync.engine.counts import Counts
from stocksync.models import Clock, SyncJob, SyncState

SILENT_SECONDS = 4.0  # without a heartbeat: the worker is gone
PACE_SECONDS = 1.0  # of less work the speed is known only where nothing better is


def channel(job_id: int) -> str:
    """The live channel of a job."""
    return f"stocksync-{job_id}"


def changed(job_id: int) -> None:
    """Tell viewers soon: at most LIVE_EVENTS_PER_SECOND snapshots are made and sent."""
    live.throttle(channel(job_id)).publish(lambda: _load(job_id))


def flush(job_id: int) -> None:
    """Tell viewers the state as it is now."""
    live.throttle(channel(job_id)).flush(lambda: _load(job_id))


def _load(job_id: int) -> dict[str, Any]:
    with_files = SyncJob.objects.select_related("events", "output", "rejects", "created_by")
    return snapshot(with_files.get(pk=job_id))


def snapshot(job: SyncJob) -> dict[str, Any]:
    """The job's state as JSON-able values: bytes, seconds, ISO instants.

    `output_bytes` of a job that is not done is what is written so far; it is offered only then.
    """
    percent, left = _pace(job)
    return {
        "id": job.pk,
        "state": job.state,
        "state_label": SyncState(job.state).label,
        "ended": job.ended,
        "error": job.error,
        "cancel_requested": job.cancel_requested,
        "clock": job.clock,
        "clock_label": Clock(job.clock).label,
        "file_name": job.events.name,
        "size_bytes": job.events.size_bytes,
        "read_bytes": job.read_bytes,
        "percent": percent,
        "seconds_left": left,
        "silent_seconds": _silent_seconds(job),
        "counts": {**Counts().as_dict(), **job.counts},
        "traced": job.traced,
        "repeats": job.repeats_id,
        "files_kept": job.purged_at is None and job.events.purged_at is None,
        "output_bytes": job.output.size_bytes,
        "rejects_bytes": job.rejects.size_bytes,
        "created_by": job.created_by.get_username() if job.created_by else "",
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }


def note_pace(job: SyncJob, read_bytes: int, seconds: float) -> None:
    """Keep in the checkpoint how quickly one worker has read so far, of time that it worked.

    Until it has worked for a while the pace of the one before it stays.
    """
    known = "bytes_per_second" in job.checkpoint
    if read_bytes and seconds >= (PACE_SECONDS if known else PACE_SECONDS / 4):
        job.checkpoint["bytes_per_second"] = round(read_bytes / seconds, 1)


def _pace(job: SyncJob) -> tuple[float, float | None]:
    """Percent of the events that are read, and the seconds that the rest will take.

    None: no worker has worked long enough to tell, or none does now.
    """
    if job.state == SyncState.DONE:
        return 100.0, 0.0
    share = job.read_bytes / job.events.size_bytes if job.events.size_bytes else 0.0
    left = None
    speed = job.checkpoint.get("bytes_per_second")
    if speed and not job.ended and _silent_seconds(job) <= SILENT_SECONDS:
        left = round((job.events.size_bytes - job.read_bytes) / speed, 1)
    return round(100 * share, 1), left


def _silent_seconds(job: SyncJob) -> float:
    """Since the worker that holds it gave its last sign of life; 0 where nobody does."""
    if job.heartbeat_at is None or job.ended:
        return 0.0
    return round(max(0.0, (timezone.now() - job.heartbeat_at).total_seconds()), 1)
