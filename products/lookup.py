"""The one way into the catalogue for other areas: which products have these SKUs."""

from collections.abc import Iterable
from typing import NamedTuple

from django.db import connection
from django.urls import reverse


class Known(NamedTuple):
    """A product, as another area names it and links to it."""

    id: int
    sku: str
    name: str

    @property
    def url(self) -> str:
        """Its page."""
        return reverse("products:product", args=[self.id])


def known(skus: Iterable[str]) -> dict[str, Known]:
    """The products with these SKUs by the SKU as asked for; case makes no difference.

    One query, for some hundreds of SKUs at most.
    """
    asked = list(dict.fromkeys(skus))
    if not asked:
        return {}
    with connection.cursor() as cursor:
        # Lowered by the database, as its unique index does.
        cursor.execute(
            "SELECT asked.sku, found.id, found.sku, found.name"
            " FROM unnest(%s::text[]) AS asked (sku)"
            " JOIN products_product AS found ON lower(found.sku) = lower(asked.sku)",
            [asked],
        )
        return {sku: Known(*product) for sku, *product in cursor.fetchall()}
