"""A change of many products as a job: position and counts are this row."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from config.jobs.models import RequestedJob

from .deletions import Deletion


class BulkAction(models.TextChoices):
    ACTIVATE = "activate", "Activate"
    DEACTIVATE = "deactivate", "Deactivate"
    DELETE = "delete", "Delete"
    RESTORE = "restore", "Restore"


class BulkState(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class BulkChange(RequestedJob):
    """Activates, deactivates, deletes or restores many products, in batches by id."""

    action = models.CharField(max_length=10, choices=BulkAction.choices)
    state = models.CharField(max_length=9, choices=BulkState.choices, default=BulkState.QUEUED)
    by_name = models.CharField(max_length=150)
    token_name = models.CharField(max_length=80, blank=True, default="")

    # Which products: those of `ids`, else those that match. Of a restore: those of `deletion`.
    ids = ArrayField(models.BigIntegerField(), null=True)
    search = models.TextField(blank=True, default="")
    active = models.BooleanField(null=True)
    deletion = models.ForeignKey(Deletion, models.PROTECT, null=True, related_name="changes")

    expected = models.BigIntegerField()  # counted before it began
    expected_exact = models.BooleanField(default=True)
    last_id = models.BigIntegerField()  # products made later, with greater ids, stay
    position = models.BigIntegerField(default=0)  # the id up to which it is done
    matched = models.BigIntegerField(default=0)
    changed = models.BigIntegerField(default=0)  # the others were so already, or could not be
    started_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["id"],
                name="products_bulkchange_open",
                condition=~models.Q(state__in=["done", "failed", "cancelled"]),
            )
        ]

    def __str__(self) -> str:
        return f"bulk change {self.pk}"
