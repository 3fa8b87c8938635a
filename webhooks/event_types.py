"""What endpoints can be told of: the names, and a sample of each for tests and documentation.

Pure. products/catalogue/events.py emits them; a test holds the samples to what it emits.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EventType:
    name: str
    description: str
    """One line in users' words."""
    sample: dict[str, Any]
    """An event's `data` as it may be, plainly a sample. Not to be changed."""


ACTOR = {"user": "ana", "token": None}
PRODUCT = {
    "id": 1,
    "sku": "SAMPLE-1",
    "name": "Sample lamp",
    "description": "A sample, not a product.",
    "active": True,
    "created_at": "2026-03-01T09:30:00.123456Z",
    "updated_at": "2026-03-02T10:00:00.654321Z",
}

EVENT_TYPES = {
    event_type.name: event_type
    for event_type in (
        EventType(
            "product.created",
            "A product was added, or a deleted one was restored.",
            {"product": PRODUCT, "actor": ACTOR},
        ),
        EventType(
            "product.updated",
            "A product was changed.",
            {
                "product": PRODUCT,
                "actor": ACTOR,
                "changed": ["name", "active"],
                "previous": {"name": "Sample lam", "active": False},
            },
        ),
        EventType(
            "product.deleted",
            "A product was deleted.",
            {"product": PRODUCT, "actor": ACTOR},
        ),
        EventType(
            "products.bulk_updated",
            "More than 100 products were activated or deactivated at once.",
            {
                "action": "deactivate",
                "filter": {"search": "SAMPLE", "active": True},
                "count": 480,
                "bulk_change": 1,
                "actor": ACTOR,
            },
        ),
        EventType(
            "products.bulk_deleted",
            "More than 100 products were deleted at once.",
            {"action": "delete", "ids": 120, "count": 118, "bulk_change": 2, "actor": ACTOR},
        ),
        EventType(
            "products.bulk_restored",
            "More than 100 deleted products were restored at once.",
            {"action": "restore", "deletion": 1, "count": 118, "bulk_change": 3, "actor": ACTOR},
        ),
        EventType(
            "products.deleted_all",
            "All products were deleted.",
            {"count": 466_693, "deletion": 2, "actor": ACTOR},
        ),
    )
}


def known(name: str) -> bool:
    """Whether there are events of that type."""
    return name in EVENT_TYPES
