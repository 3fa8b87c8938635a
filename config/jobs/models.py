"""What the rows of all jobs have in common."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from config.request_log import ID_CHARACTERS, current


class Job(models.Model):
    """A piece of long work. A subclass adds `state`, whose final values are ENDED."""

    ENDED = ("done", "failed", "cancelled")

    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="%(class)ss"
    )
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True, default="")
    cancel_requested = models.BooleanField(default=False)

    # Who works on it. `claim` grows with each holder; a step that finds another
    # number than its own gives up. No heartbeat: nobody holds it.
    claim = models.IntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True)
    stalls = models.IntegerField(default=0)

    state: models.CharField

    # No column: how many holders in a row before the present one did not end a single step.
    in_vain = 0
    # Of the request that asked for it; a column of RequestedJob.
    request_id = ""

    class Meta:
        abstract = True

    @property
    def ended(self) -> bool:
        return self.state in self.ENDED


class RequestedJob(Job):
    """A job whose log lines have the id of the request that asked for it."""

    request_id = models.CharField(
        max_length=ID_CHARACTERS, blank=True, default=current, db_default="", editable=False
    )

    class Meta:
        abstract = True
