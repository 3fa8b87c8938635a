"""Deleted products, restorable for UNDO_HOURS."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from .product import Product


class DeletionKind(models.TextChoices):
    ONE = "one", "One product"
    BULK = "bulk", "Many products"
    ALL = "all", "All products"


class Deletion(models.Model):
    """Who deleted what and when. Its copy is swept after `kept_until`; this row stays."""

    kind = models.CharField(max_length=4, choices=DeletionKind.choices)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="deletions"
    )
    by_name = models.CharField(max_length=150)
    token_name = models.CharField(max_length=80, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    what = models.CharField(max_length=300)  # in words: a SKU, a search
    rows = models.BigIntegerField(default=0)
    # *Delete all* moves the whole table aside, into a schema of this name; the other
    # kinds copy their rows to DeletedProduct.
    kept_schema = models.CharField(max_length=63, blank=True, default="")
    kept_until = models.DateTimeField()
    restored = models.BigIntegerField(default=0)
    restored_at = models.DateTimeField(null=True)
    swept_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["kept_until"],
                name="products_deletion_kept",
                condition=models.Q(swept_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"deletion {self.pk} of {self.rows}"


class DeletedProduct(models.Model):
    """A product as it was when it was deleted. Restoring it removes this row."""

    deletion = models.ForeignKey(Deletion, models.CASCADE, related_name="products", db_index=False)
    product_id = models.BigIntegerField()
    sku = models.CharField(max_length=Product.SKU_CHARACTERS)
    name = models.CharField(max_length=Product.NAME_CHARACTERS)
    description = models.TextField()
    active = models.BooleanField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    last_import_id = models.BigIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["deletion", "product_id"], name="products_deletedproduct_key"
            )
        ]

    def __str__(self) -> str:
        return self.sku
