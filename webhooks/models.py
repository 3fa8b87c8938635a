"""Tables of webhooks: what happened, for those who want to be told."""

import uuid

from django.db import models
from django.db.models.functions import Now


class Event(models.Model):
    """Something that happened, written in the transaction in which it did (outbox)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    type = models.CharField(max_length=64)  # e.g. "product.updated"
    data = models.JSONField()
    occurred_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["occurred_at"], name="webhooks_event_occurred")]

    def __str__(self) -> str:
        return f"{self.type} {self.pk}"
