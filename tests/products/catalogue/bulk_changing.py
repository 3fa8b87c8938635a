"""What the tests of bulk changes, deletions and delete all share."""

from typing import Any

from django.db import connection

from products.catalogue import bulk
from products.models import BulkChange, Product
from webhooks.models import Event


def run(change: BulkChange) -> BulkChange:
    """As a worker would do, without pauses; the row afterwards."""
    while bulk.advance(change.pk):
        pass
    change.refresh_from_db()
    return change


def counts(change: BulkChange) -> tuple[int, int, int]:
    return change.expected, change.matched, change.changed


def events() -> list[tuple[str, Any]]:
    """(type, number of products or SKU) of all events, the oldest first."""
    found = []
    for event in Event.objects.order_by("occurred_at", "type", "data__product__id"):
        product = event.data.get("product")
        found.append((event.type, product["sku"] if product else event.data["count"]))
    return found


def rows() -> list[dict[str, Any]]:
    """All products with all their columns."""
    return list(Product.objects.order_by("pk").values())


def waits_for_a_lock() -> bool:
    """Whether somebody in this database waits for somebody else's lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone() is not None
