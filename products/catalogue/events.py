"""What the catalogue tells webhooks: called by its services in the transaction of the change.

Imports never emit. Of a change of many products: one event each up to ONE_EVENT_EACH
of them, above that a single one for all.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from products.models import BulkAction, BulkChange, Deletion, Product
from webhooks.dispatch import emit

from .history import Author, identity

ONE_EVENT_EACH = 100
BULK_TYPES = {
    BulkAction.ACTIVATE: "products.bulk_updated",
    BulkAction.DEACTIVATE: "products.bulk_updated",
    BulkAction.DELETE: "products.bulk_deleted",
    BulkAction.RESTORE: "products.bulk_restored",
}


def created(author: Author, product: Product) -> None:
    """product.created, for new and for restored products.

    {"product": {"id": 7, "sku": "AB-1", "name": "Lamp", "description": "", "active": true,
                 "created_at": "2026-03-01T09:30:00.123456Z", "updated_at": "…"},
     "actor": {"user": "ana", "token": null}}
    """
    emit("product.created", _one(author, product))


def updated(author: Author, product: Product, previous: Mapping[str, Any]) -> None:
    """product.updated; `previous` holds the old values of the changed fields.

    {"product": {"id": 7, "sku": "AB-1", "name": "Lamp", …}, "changed": ["name"],
     "previous": {"name": "Lam"}, "actor": {"user": "ana", "token": "ERP"}}
    """
    changes = {"changed": list(previous), "previous": dict(previous)}
    emit("product.updated", _one(author, product) | changes)


def deleted(author: Author, product: Product) -> None:
    """product.deleted; the product as it was.

    {"product": {"id": 7, "sku": "AB-1", "name": "Lamp", …},
     "actor": {"user": "ana", "token": null}}
    """
    emit("product.deleted", _one(author, product))


def bulk_changed(change: BulkChange) -> None:
    """products.bulk_updated, products.bulk_deleted or products.bulk_restored, when it has ended.

    {"action": "deactivate", "filter": {"search": "lamp", "active": true}, "count": 466693,
     "bulk_change": 3, "actor": {"user": "ana", "token": null}}
    Of products that were chosen one by one "ids" says how many, and of restored ones
    "deletion" which deletion was undone, in the place of "filter". "count" is how many
    were changed.
    """
    which: dict[str, Any]
    if change.deletion_id is not None and change.action == BulkAction.RESTORE:
        which = {"deletion": change.deletion_id}
    elif change.ids is not None:
        which = {"ids": len(change.ids)}
    else:
        which = {"filter": {"search": change.search, "active": change.active}}
    data = {
        "action": str(change.action),
        **which,
        "count": change.changed,
        "bulk_change": change.pk,
        "actor": _actor(change),
    }
    emit(BULK_TYPES[BulkAction(change.action)], data)


def deleted_all(deletion: Deletion) -> None:
    """products.deleted_all.

    {"count": 466693, "deletion": 5, "actor": {"user": "ana", "token": null}}
    """
    data = {"count": deletion.rows, "deletion": deletion.pk, "actor": _actor(deletion)}
    emit("products.deleted_all", data)


def _one(author: Author, product: Product) -> dict[str, Any]:
    shown = {
        "id": product.pk,
        "sku": product.sku,
        "name": product.name,
        "description": product.description,
        "active": product.active,
        "created_at": _instant(product.created_at),
        "updated_at": _instant(product.updated_at),
    }
    return {"product": shown, "actor": _actor(author)}


def _actor(author: Author) -> dict[str, str | None]:
    _, name, token = identity(author)
    return {"user": name, "token": token or None}


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
