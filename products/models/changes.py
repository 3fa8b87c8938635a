"""What people did to single products, for the history shown with each."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class ChangeAction(models.TextChoices):
    CREATED = "created", "Created"
    UPDATED = "updated", "Changed"
    DELETED = "deleted", "Deleted"
    RESTORED = "restored", "Restored"


class ProductChange(models.Model):
    """One change by hand, alone or as one of many. Imports write none: see `last_import_id`.

    `product_id` is no foreign key: the history outlives its product, and *delete all*
    is instant because nothing refers to products.
    """

    product_id = models.BigIntegerField()
    action = models.CharField(max_length=8, choices=ChangeAction.choices)
    at = models.DateTimeField(db_default=Now())
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False
    )
    by_name = models.CharField(max_length=150)  # as it was then, kept when the account goes
    token_name = models.CharField(max_length=80, blank=True, default="", db_default="")
    # {"name": ["old", "new"]}; empty for deleted and restored
    changes = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    bulk_id = models.BigIntegerField(null=True)  # the BulkChange it was part of

    class Meta:
        indexes = [
            models.Index(fields=["product_id", "-id"], name="products_change_product"),
            models.Index(fields=["at"], name="products_change_at"),
        ]

    def __str__(self) -> str:
        return f"product {self.product_id} {self.action}"
