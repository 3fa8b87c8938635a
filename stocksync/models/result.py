"""How the trees and products of a job ended up: its StockSummary, to be searched and compared."""

from django.db import models

from .job import SyncJob


class SyncTree(models.Model):
    """A parent product and its children, as the job left them. `place` is the order of creation."""

    job = models.ForeignKey(SyncJob, models.CASCADE, related_name="trees", db_index=False)
    place = models.BigIntegerField()
    root_id = models.BigIntegerField()
    products = models.BigIntegerField()
    active = models.BigIntegerField()  # of its products
    stock = models.BigIntegerField()  # at 0 its products may keep others

    class Meta:
        ordering = ["place"]
        constraints = [
            models.UniqueConstraint(fields=["job", "place"], name="stocksync_synctree_key"),
            models.UniqueConstraint(fields=["job", "root_id"], name="stocksync_synctree_root"),
        ]

    def __str__(self) -> str:
        return f"tree {self.root_id} of stock sync {self.job_id}"


class SyncProduct(models.Model):
    """A product as the job left it. `place` is the order of creation, over all trees."""

    job = models.ForeignKey(SyncJob, models.CASCADE, related_name="products", db_index=False)
    product_id = models.BigIntegerField()
    root_id = models.BigIntegerField()
    place = models.BigIntegerField()
    stock = models.BigIntegerField()
    active = models.BooleanField()

    class Meta:
        ordering = ["place"]
        constraints = [
            models.UniqueConstraint(fields=["job", "product_id"], name="stocksync_product_key")
        ]
        indexes = [models.Index(fields=["job", "root_id", "place"], name="stocksync_product_tree")]

    def __str__(self) -> str:
        return f"product {self.product_id} of stock sync {self.job_id}"
