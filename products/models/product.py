"""A product of the catalogue."""

from django.db import models
from django.db.models.functions import Lower, Now


class Product(models.Model):
    """One row of the catalogue, identified by its SKU without regard to case.

    `sku` keeps the case it was last given. Nothing refers to this table by a
    foreign key, so that *delete all* can be one TRUNCATE.
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

    def __str__(self) -> str:
        return self.sku
