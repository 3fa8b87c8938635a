"""What happened, for those who want to be told."""

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Event(models.Model):
    """Something that happened, written in the transaction in which it did (outbox)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    type = models.CharField(max_length=64)  # e.g. "product.updated"
    data = models.JSONField()
    occurred_at = models.DateTimeField(db_default=Now())
    fanned_out_at = models.DateTimeField(null=True)  # when its deliveries were made

    class Meta:
        indexes = [
            models.Index(fields=["occurred_at"], name="webhooks_event_occurred"),
            models.Index(
                fields=["occurred_at"],
                condition=Q(fanned_out_at=None),
                name="webhooks_event_outbox",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.pk}"

    @property
    def webhook_id(self) -> str:
        """The `webhook-id` of all its deliveries and their attempts: receivers know it again."""
        return f"evt_{self.pk.hex}"
