"""What a bulk change that ends tells webhooks. Called by bulk.py."""

from products.models import BulkAction, BulkChange, DeletedProduct, Product, ProductChange

from . import events


def tell(change: BulkChange) -> None:
    """One event for each of a few products, one for all of many, none for none."""
    if change.changed > events.ONE_EVENT_EACH:
        events.bulk_changed(change)
        return
    if not change.changed:
        return
    written = ProductChange.objects.filter(bulk_id=change.pk, at__gte=change.started_at)
    ids = list(written.values_list("product_id", flat=True))
    if change.action == BulkAction.DELETE:
        copies = DeletedProduct.objects.filter(deletion=change.deletion_id, product_id__in=ids)
        for copy in copies.order_by("product_id"):
            events.deleted(change, _as_it_was(copy))
        return
    # One that somebody deleted since has an event of its own that says so.
    for product in Product.objects.filter(pk__in=ids).order_by("pk"):
        if change.action == BulkAction.RESTORE:
            events.created(change, product)
        else:
            events.updated(change, product, {"active": change.action != BulkAction.ACTIVATE})


def _as_it_was(copy: DeletedProduct) -> Product:
    fields = ("sku", "name", "description", "active", "created_at", "updated_at")
    return Product(id=copy.product_id, **{name: getattr(copy, name) for name in fields})
