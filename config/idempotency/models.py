"""Answers already given, by the key their client chose."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class GivenAnswer(models.Model):
    """The answer to a request with an `Idempotency-Key`; repeated for IDEMPOTENCY_KEEP_HOURS."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    operation = models.CharField(max_length=64)  # e.g. "products.create"
    key = models.CharField(max_length=255)
    request_digest = models.CharField(max_length=64)  # SHA-256 of the request's body
    status = models.IntegerField(null=True)
    body = models.JSONField(null=True)
    headers = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "operation", "key"], name="idempotency_givenanswer_key"
            )
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotency_givenanswer_at")]

    def __str__(self) -> str:
        return f"{self.operation} {self.key}"
