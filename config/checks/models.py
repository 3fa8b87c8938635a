"""Runs of checks: what was looked at, what was found. The pages' and the API's only source."""

from django.db import models
from django.db.models import Q

from config.jobs.models import RequestedJob


class CheckState(models.TextChoices):
    """Where a run stands, and how it ended."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    PASSED = "passed", "All right"
    FAILED = "failed", "Found something"
    ERROR = "error", "Not checked"


class Origin(models.TextChoices):
    """Who wanted a run."""

    PERSON = "person", "A person"
    NIGHT = "night", "Each night"
    COMMAND = "command", "check_data"


class CheckRun(RequestedJob):
    """One run of one check of the registry. Those of one name go one after the other.

    `error` says why nothing could be checked. `stalls` counts the workers that began it.
    """

    JUDGED = (CheckState.PASSED.value, CheckState.FAILED.value)  # those that could look
    ENDED = (*JUDGED, CheckState.ERROR.value)

    name = models.CharField(max_length=40)
    origin = models.CharField(max_length=8, choices=Origin.choices, default=Origin.PERSON)
    options = models.JSONField(default=dict)  # {"reuse_seconds": 7200}, or empty
    state = models.CharField(max_length=8, choices=CheckState.choices, default=CheckState.QUEUED)
    progress = models.CharField(max_length=200, blank=True, default="")
    looked_at = models.BigIntegerField(default=0)
    summary = models.TextField(blank=True, default="")
    found = models.BigIntegerField(default=0)
    findings = models.JSONField(default=list)  # the first: findings.Finding.json()
    started_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=Q(state__in=["queued", "running"]),
                name="checks_checkrun_one_open",
            )
        ]
        indexes = [models.Index(fields=["name", "-id"], name="checks_checkrun_newest")]

    def __str__(self) -> str:
        return f"check {self.name} {self.pk}"

    @property
    def seconds(self) -> float | None:
        """How long it took, None while it has not ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()
