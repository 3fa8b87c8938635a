"""What happened, for those who want to be told."""

import uuid

from django.db import models
from django.db.models import F, Q
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Lower, Now
from django.db.models.lookups import IsNull

from config.request_log import ID_CHARACTERS, current

# Of the product that an event is about, without regard to case; null for many products at once.
SKU = Lower(KeyTextTransform("sku", KeyTransform("product", "data")))


class Event(models.Model):
    """Something that happened, written in the transaction in which it did (outbox)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    type = models.CharField(max_length=64)  # e.g. "product.updated"
    data = models.JSONField()
    occurred_at = models.DateTimeField(db_default=Now())
    fanned_out_at = models.DateTimeField(null=True)  # when its deliveries were made
    # Of the request in which, or for which, it happened: sent along, and in log lines.
    request_id = models.CharField(
        max_length=ID_CHARACTERS, blank=True, default=current, db_default="", editable=False
    )

    class Meta:
        indexes = [
            models.Index(fields=["occurred_at"], name="webhooks_event_occurred"),
            models.Index(
                fields=["occurred_at"],
                condition=Q(fanned_out_at=None),
                name="webhooks_event_outbox",
            ),
            # The log's search; with the time, so that of a SKU with many only the newest are read.
            models.Index(
                SKU,
                F("occurred_at").desc(),
                condition=Q(IsNull(SKU, False)),
                name="webhooks_event_sku",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.pk}"

    @property
    def webhook_id(self) -> str:
        """The `webhook-id` of all its deliveries and their attempts: receivers know it again."""
        return f"evt_{self.pk.hex}"
