"""Orders, consumers and deliveries as the product leaves them, for the tests of pages."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from config.consumers.health import publish_health
from transactions.models import Order, OrderStatus, Reason

ADDRESS = "/transactions/orders/"


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def made(status: str = OrderStatus.RECEIVED, back: float = 20.0, **fields: Any) -> Order:
    """An order that came so many seconds ago; what its status needs is filled in."""
    given: dict[str, Any] = {"user": "user1", "stockname": "stock1", "quantity": 100}
    received = ago(back)
    given |= {"received_at": received, "status": status}
    if status != OrderStatus.RECEIVED:
        given |= {"verifications": 1, "verification_began_at": received + timedelta(seconds=1)}
    if status in (OrderStatus.VERIFIED, OrderStatus.ACCEPT, OrderStatus.DENY):
        given["verified_at"] = received + timedelta(seconds=6)
    if status in (OrderStatus.ACCEPT, OrderStatus.DENY):
        given["decided_at"] = received + timedelta(seconds=6, milliseconds=40)
    if status == OrderStatus.ACCEPT:
        given |= {"price": Decimal("1740"), "amount": Decimal(174_000)}
        given |= {"credit_before": Decimal(500_000), "credit_after": Decimal(326_000)}
    if status == OrderStatus.DENY:
        given["reason"] = Reason.VERIFICATION_REFUSED
    return Order.objects.create(**given | fields)


def running(host: str = "shop-1", **health: Any) -> None:
    """A consumer shows that it runs."""
    now = datetime.now(UTC)
    publish_health(
        {
            "name": "orders",
            "host": host,
            "pid": 7,
            "state": "running",
            "started_at": now,
            "beaten_at": now,
            "error": None,
            "health": {"waiting_for": None, **health},
        }
    )
