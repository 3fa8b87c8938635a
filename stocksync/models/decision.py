"""What became of each event of a job, for the pages that say why."""

from django.db import models

from .job import SyncJob


class Verdict(models.TextChoices):
    """What became of an event."""

    APPLIED = "applied", "Applied"
    STALE = "stale", "Stale"
    REFUSED = "refused", "Refused"
    NEVER_CREATED = "never_created", "Product never created"


class SyncDecision(models.Model):
    """One event of the file. `seq` is the order in which they took effect, from 1.

    Its commands are `commands` lines of the job's output from byte `output_offset`.
    """

    # No index of its own: the unique one serves.
    job = models.ForeignKey(SyncJob, models.CASCADE, related_name="+", db_index=False)
    seq = models.BigIntegerField()
    line = models.BigIntegerField()
    # The line at whose position it was decided: another one where it waited for a product.
    at_line = models.BigIntegerField()
    kind = models.CharField(max_length=20, blank=True)
    product_id = models.BigIntegerField(null=True)
    root_id = models.BigIntegerField(null=True)
    timestamp = models.BigIntegerField(null=True)
    stock = models.BigIntegerField(null=True)
    parent_id = models.BigIntegerField(null=True)
    verdict = models.CharField(max_length=13, choices=Verdict.choices)
    code = models.CharField(max_length=20, blank=True)
    reason = models.TextField(blank=True)
    raw = models.TextField(blank=True)
    commands = models.BigIntegerField()
    output_offset = models.BigIntegerField()

    class Meta:
        ordering = ["seq"]
        constraints = [
            models.UniqueConstraint(fields=["job", "seq"], name="stocksync_syncdecision_key")
        ]
        indexes = [
            models.Index(
                fields=["job", "root_id", "seq"],
                name="stocksync_decision_tree",
                condition=models.Q(root_id__isnull=False),
            ),
            models.Index(  # events of products that are in no tree
                fields=["job", "product_id", "seq"],
                name="stocksync_decision_orphan",
                condition=models.Q(root_id__isnull=True, product_id__isnull=False),
            ),
            models.Index(
                fields=["job", "verdict", "seq"],
                name="stocksync_decision_not",
                condition=~models.Q(verdict="applied"),
            ),
        ]

    def __str__(self) -> str:
        return f"line {self.line} of stock sync {self.job_id}"
