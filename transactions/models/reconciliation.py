"""What comparisons of credit and orders have found."""

from django.db import models
from django.db.models.functions import Now


class OrderReconciliation(models.Model):
    """One `reconcile_orders`, by hand or of a night; the page shows the last."""

    at = models.DateTimeField(db_default=Now())
    seconds = models.FloatField()
    drifts = models.IntegerField(default=0)  # 0: all is as it should be
    drift = models.JSONField(default=dict)  # transactions/orders/drift.py: Findings.json()
    repaired = models.BooleanField(default=False)
    failure = models.TextField(blank=True, default="")  # why nothing was compared

    def __str__(self) -> str:
        return f"reconciliation of orders at {self.at}"
