"""A product of the catalogue."""

from django.db import models
from django.db.models import F
from django.db.models.functions import Lower, Now


class Product(models.Model):
    """One row of the catalogue, identified by its SKU without regard to case.

    `sku` keeps the case it was last given. Nothing refers to this table by a
    foreign key, so that *delete all* can move it aside.
    """

    SKU_CHARACTERS = 128
    NAME_CHARACTERS = 255
    DESCRIPTION_CHARACTERS = 10_000

    sku = models.CharField("SKU", max_length=SKU_CHARACTERS)
    name = models.CharField(max_length=NAME_CHARACTERS)
    description = models.TextField(max_length=DESCRIPTION_CHARACTERS, blank=True, db_default="")
    active = models.BooleanField(default=True, db_default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    # The last import that changed this row; no foreign key: merging would check it per row.
    last_import_id = models.BigIntegerField(null=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(Lower("sku"), name="products_product_sku_key")]
        # One for each order of the list, with a filter by state or without. The index of
        # searches is no constant part of the table: products/catalogue/search_index.py.
        indexes = [
            models.Index(F("active"), F("id"), name="products_product_by_id"),
            models.Index(F("active"), Lower("sku"), name="products_product_by_sku"),
            models.Index(F("active"), Lower("name"), F("id"), name="products_product_by_name"),
        ]

    def __str__(self) -> str:
        return self.sku
