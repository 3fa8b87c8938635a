"""What is told of an order when it changes: live by SSE (live.py) and by callbacks."""

from datetime import UTC, datetime
from decimal import Decimal

from transactions.ledger.engine import amounts
from transactions.models import Order

Snapshot = dict[str, str | None]


def snapshot(order: Order) -> Snapshot:
    """Where `order` stands, as JSON takes it.

    Numbers are text with all their digits: a browser's own would change those beyond 2^53.
    """
    return {
        "order_id": str(order.order_id),
        "status": str(order.status),
        "reason": str(order.reason) or None,
        "price": _number(order.price),
        "amount": _number(order.amount),
        "decided_at": instant(order.decided_at),
    }


def _number(value: Decimal | None) -> str | None:
    return None if value is None else amounts.text(value)


def instant(at: datetime | None) -> str | None:
    """As the API writes instants."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
