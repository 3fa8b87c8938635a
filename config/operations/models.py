"""What was wrong with Stockroom: seen, told and over. Written by alerts.py, shown by its page."""

from django.db import models
from django.db.models import Q


class Alert(models.Model):
    """A problem (problem.py) from when it was first seen until it was over.

    seen: `raised_at` is null, nobody is told yet. open: told, not over. resolved: over, told too.
    All instants are those of the samples.
    """

    key = models.TextField()
    severity = models.CharField(max_length=16)  # the worst so far
    title = models.TextField()
    advice = models.TextField(blank=True, default="")
    url = models.TextField(blank=True, default="")
    first_seen_at = models.DateTimeField()
    raised_at = models.DateTimeField(null=True)
    last_seen_at = models.DateTimeField()
    missing_since = models.DateTimeField(null=True)  # the first sample without it
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=Q(resolved_at=None), name="operations_alert_once"
            )
        ]
        indexes = [models.Index(fields=["resolved_at"], name="operations_alert_resolved")]

    def __str__(self) -> str:
        return f"alert {self.pk} {self.key}"
