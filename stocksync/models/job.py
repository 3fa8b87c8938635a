"""A synchronization as a job: its state, position and counts are this row."""

from django.db import models

from config.jobs.models import RequestedJob

from .file import StoredFile


class Clock(models.TextChoices):
    """With what an event's timestamp is compared to tell whether it is stale."""

    TREE = "tree", "Each tree has its own"
    GLOBAL = "global", "One for all trees"


class SyncState(models.TextChoices):
    """Where a job stands."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class SyncJob(RequestedJob):
    """One run of the engine over one file of events (see stocksync/jobs/work.py)."""

    state = models.CharField(max_length=12, choices=SyncState.choices, default=SyncState.QUEUED)
    clock = models.CharField(max_length=8, choices=Clock.choices, default=Clock.TREE)
    repeats = models.ForeignKey("self", models.SET_NULL, null=True, related_name="repeated_by")

    # Several jobs may read one file of events; what a job writes is its own.
    events = models.ForeignKey(StoredFile, models.PROTECT, related_name="jobs")
    output = models.ForeignKey(StoredFile, models.PROTECT, related_name="+")
    rejects = models.ForeignKey(StoredFile, models.PROTECT, related_name="+")

    # Where it stands
    read_bytes = models.BigIntegerField(default=0)
    counts = models.JSONField(default=dict)  # stocksync.engine's Counts.as_dict()
    decisions = models.BigIntegerField(default=0)  # rows of SyncDecision
    # Where there were more events than STOCKSYNC_TRACE_EVENTS their decisions are not kept.
    traced = models.BooleanField(default=True)

    # What the next worker goes on from: the engine's state after `checkpoint["read_bytes"]`.
    checkpoint = models.JSONField(default=dict)
    checkpoint_state = models.ForeignKey(StoredFile, models.PROTECT, null=True, related_name="+")

    # When
    started_at = models.DateTimeField(null=True)
    purged_at = models.DateTimeField(null=True)  # files, trees and decisions are deleted

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["id"],
                name="stocksync_syncjob_open",
                condition=~models.Q(state__in=["done", "failed", "cancelled"]),
            )
        ]

    def __str__(self) -> str:
        return f"stock sync {self.pk}"
