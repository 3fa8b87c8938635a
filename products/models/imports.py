"""An import as a job: its state, position and counts are this row, never a Celery result."""

from django.db import models
from django.db.models import Q

from config.jobs.models import RequestedJob

from .upload import Upload


class ImportState(models.TextChoices):
    """Where an import stands. Order as a successful import goes through them."""

    RECEIVING = "receiving", "Uploading"
    READING = "reading", "Reading"
    CHECKING = "checking", "Checking"
    READY = "ready", "Waiting for your yes"
    QUEUED = "queued", "Queued"
    MERGING = "merging", "Merging"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class Import(RequestedJob):
    """One run of the import pipeline over one upload (see products/imports/pipeline.py)."""

    upload = models.ForeignKey(Upload, models.PROTECT, related_name="imports")

    # What the user chose
    encoding = models.CharField(max_length=20, default="utf-8")
    new_products_active = models.BooleanField(default=True)
    check_first = models.BooleanField(default=False)

    # Where it stands
    state = models.CharField(
        max_length=12, choices=ImportState.choices, default=ImportState.RECEIVING
    )
    approved = models.BooleanField(default=False)

    # Reading
    columns = models.JSONField(default=dict)
    read_bytes = models.BigIntegerField(default=0)
    rows = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    undecodable = models.BigIntegerField(default=0)
    last_line = models.BigIntegerField(default=0)

    # Check (dry run) and merge go through the staged lines in order
    duplicates = models.BigIntegerField(null=True)
    check_line = models.BigIntegerField(default=0)
    would_create = models.BigIntegerField(default=0)
    would_update = models.BigIntegerField(default=0)
    would_keep = models.BigIntegerField(default=0)
    merge_line = models.BigIntegerField(default=0)
    created = models.BigIntegerField(default=0)
    updated = models.BigIntegerField(default=0)
    unchanged = models.BigIntegerField(default=0)

    # When
    received_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)
    queued_at = models.DateTimeField(null=True)
    merge_started_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            # One import merges at a time; the database itself refuses a second.
            models.UniqueConstraint(
                fields=["state"], name="products_import_one_merges", condition=Q(state="merging")
            )
        ]
        indexes = [
            models.Index(
                fields=["id"],
                name="products_import_open",
                condition=~Q(state__in=["done", "failed", "cancelled"]),
            )
        ]

    def __str__(self) -> str:
        return f"import {self.pk}"

    @property
    def merged(self) -> int:
        """Rows of the file that are in the catalogue now, as they were or changed."""
        return self.created + self.updated + self.unchanged


class ImportPart(models.Model):
    """A run of the file's bytes that was read, and the parser's state at its end.

    With its predecessor's `carry` any part can be read again on its own, which
    is what happens after a database crash has emptied the unlogged staging table.
    """

    # No index of its own: the unique one on (job, …) serves, and is the one to be used.
    job = models.ForeignKey(Import, models.CASCADE, related_name="parts", db_index=False)
    number = models.IntegerField()
    start_byte = models.BigIntegerField()
    end_byte = models.BigIntegerField()
    carry = models.JSONField()
    carry_tail = models.BinaryField()
    rows = models.IntegerField()
    rejected = models.IntegerField()
    undecodable = models.IntegerField()
    last_line = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="products_importpart_key")
        ]

    def __str__(self) -> str:
        return f"part {self.number} of import {self.job_id}"


class ImportReject(models.Model):
    """A line that did not go in: where, why, and its text as given (at most 64 KB)."""

    job = models.ForeignKey(Import, models.CASCADE, related_name="rejects", db_index=False)
    part = models.IntegerField()
    line = models.BigIntegerField()
    column = models.CharField(max_length=20, blank=True)
    reason = models.TextField()
    raw = models.TextField()

    class Meta:
        ordering = ["line"]
        constraints = [
            models.UniqueConstraint(fields=["job", "line"], name="products_importreject_key")
        ]

    def __str__(self) -> str:
        return f"line {self.line} of import {self.job_id}"
