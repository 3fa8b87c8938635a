"""Tells the results of orders to their callback URLs, through the engine of webhooks."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db import connection

from config.field_rules import Wrong, at_most, text
from transactions.ledger.engine import amounts
from transactions.models import CallbackUrl, Order
from webhooks.dispatch import Callback
from webhooks.dispatch import call_back as tell
from webhooks.engine.addresses import Policy, Refused, check_at_save, check_url
from webhooks.event_types import ORDER_DECIDED

from .snapshot import instant

URL_CHARACTERS = CallbackUrl.URL_CHARACTERS

SET_DELIVERIES = f"""
UPDATE {Order._meta.db_table} o SET delivery_id = told.delivery
FROM unnest(%s::bigint[], %s::bigint[]) AS told(id, delivery) WHERE o.id = told.id
"""


def check(url: Any, *, look_up: bool = False) -> None:
    """Raises Wrong unless callbacks may go to `url`.

    With `look_up` also the addresses of its host are looked at, for up to 2 s. That happens again
    at each attempt.
    """
    at_most(URL_CHARACTERS, text(url))
    try:
        (check_at_save if look_up else check_url)(url, Policy.from_settings())
    except Refused as refusal:
        raise Wrong(str(refusal)) from None


def call_back(orders: Sequence[Order]) -> None:
    """Have the results told; called in the transaction that decides them, with all columns loaded.

    Sets `delivery` of each that has a callback_url and an account to sign for it; the others are
    passed over. Takes a handful of statements for hundreds of orders.
    """
    wanted: list[Any] = [order for order in orders if order.callback_url and _owner(order)]
    if not wanted:
        return
    callbacks = [
        Callback(_owner(each), each.callback_url, result(each), each.request_id) for each in wanted
    ]
    deliveries = tell(ORDER_DECIDED.name, callbacks)
    found = []
    for order, delivery in zip(wanted, deliveries, strict=True):
        if delivery is not None:
            order.delivery_id = delivery
            found.append((order.pk, delivery))
    if found:
        with connection.cursor() as cursor:
            cursor.execute(SET_DELIVERIES, [list(column) for column in zip(*found, strict=True)])


def result(order: Order) -> dict[str, Any]:
    """The `data` of a callback. Numbers are text, with all their digits: JSON's readers round."""
    return {
        "order_id": str(order.order_id),
        "user": order.user,
        "stockname": order.stockname,
        "quantity": str(order.quantity),
        "status": str(order.status),
        "reason": str(order.reason) or None,
        "detail": order.detail,
        "price": _number(order.price),
        "amount": _number(order.amount),
        "credit_before": _number(order.credit_before),
        "credit_after": _number(order.credit_after),
        "received_at": instant(order.received_at),
        "verification_began_at": instant(order.verification_began_at),
        "verified_at": instant(order.verified_at),
        "decided_at": instant(order.decided_at),
    }


def _owner(order: Any) -> int:
    """Their id, 0 for none: read without a query."""
    return order.created_by_id or 0


def _number(value: Decimal | None) -> str | None:
    return None if value is None else amounts.text(value)
