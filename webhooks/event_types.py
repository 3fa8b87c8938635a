"""What there is to tell of: the names, and a sample of each for tests and documentation.

Pure. Endpoints choose from EVENT_TYPES, which products/catalogue/events.py emits, and
config/operations/alerts.py those of BY_NAME. What callbacks tell, and no endpoint gets, is
ORDER_DECIDED (transactions/orders/callbacks.py). Tests hold the samples to what is emitted.
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


ALERT_RAISED = "alert.raised"
ALERT_RESOLVED = "alert.resolved"
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

ALERT = {
    "id": 1,
    "key": "sample:problem",
    "severity": "warning",
    "title": "A sample, not a problem",
    "advice": "Do nothing: somebody tries an endpoint.",
    "url": "/operations/",
    "began_at": "2026-03-02T10:00:00.123456Z",
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
        EventType(
            ALERT_RAISED,
            "Something is wrong with Stockroom itself.",
            {"alert": ALERT | {"ended_at": None, "seconds": None}},
        ),
        EventType(
            ALERT_RESOLVED,
            "What an alert told of is over.",
            {"alert": ALERT | {"ended_at": "2026-03-02T10:07:30.123456Z", "seconds": 450}},
        ),
    )
}

# Endpoints that want all events don't get these unless they name them: who asked for products must
# not be told of the insides of Stockroom.
BY_NAME = frozenset({ALERT_RAISED, ALERT_RESOLVED})

ORDER_DECIDED = EventType(
    "order.decided",
    "An order was accepted or denied.",
    {
        "order_id": "0b9c5bb2-c9c8-4b7e-8a3f-3f0c2f1d4e5a",
        "user": "user2",
        "stockname": "stock1",
        "quantity": "100",
        "status": "Accept",
        "reason": None,
        "detail": "",
        "price": "2490.5",
        "amount": "249050",
        "credit_before": "150000000",
        "credit_after": "149750950",
        "received_at": "2026-03-02T10:00:00.102030Z",
        "verification_began_at": "2026-03-02T10:00:00.112233Z",
        "verified_at": "2026-03-02T10:00:07.118000Z",
        "decided_at": "2026-03-02T10:00:07.131415Z",
    },
)

LOGGED = (*EVENT_TYPES, ORDER_DECIDED.name)  # names that deliveries have


def known(name: str) -> bool:
    """Whether endpoints can be told of events of that type."""
    return name in EVENT_TYPES
