"""Writes decisions into Postgres, with what follows: the callback in the same transaction, then
the live events."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from transactions.models import FINAL, Order
from transactions.orders.callbacks import call_back
from transactions.orders.live import tell
from transactions.orders.verification import Outcome

from .claims import Claimed, columns
from .settling import Decision

DENY = """
UPDATE transactions_order o SET status = 'Deny', reason = e.reason, detail = e.detail,
    verified_at = clock_timestamp() - make_interval(secs => e.age),
    decided_at = clock_timestamp(), holder = NULL
FROM unnest(%s::bigint[], %s::int[], %s::text[], %s::text[], %s::float8[])
    AS e(id, claim, reason, detail, age)
WHERE o.id = e.id AND o.claim = e.claim AND o.status = 'verifying'
RETURNING o.id
"""

# Without regard to the claim: what Redis has decided is so, whoever writes it down.
DECIDE = """
UPDATE transactions_order o SET status = e.status, reason = e.reason, detail = e.detail,
    price = e.price, amount = e.amount, credit_before = e.credit_before,
    credit_after = e.credit_after, decided_at = clock_timestamp(), holder = NULL
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::numeric[], %s::numeric[],
    %s::numeric[], %s::numeric[])
    AS e(order_id, status, reason, detail, price, amount, credit_before, credit_after)
WHERE o.order_id = e.order_id AND o.status = 'verified'
RETURNING o.id
"""


def deny(found: Sequence[tuple[Claimed, Outcome, float]]) -> set[UUID]:
    """Deny orders that were not verified, so many seconds ago, where they are still ours.

    Returns those that are decided now.
    """
    rows = [(each.id, each.claim, why.reason, why.detail, age) for each, why, age in found]
    return _decide(DENY, columns(rows, 5), [each.order_id for each, _, _ in found])


def decide(decisions: dict[UUID, Decision]) -> set[UUID]:
    """Write down what Redis has decided; returns the orders that are decided now."""
    rows = [
        (
            *(order_id, each.status, each.reason, each.detail),
            *(each.price, each.amount, each.before, each.after),
        )
        for order_id, each in decisions.items()
    ]
    return _decide(DECIDE, columns(rows, 8), list(decisions))


def _decide(statement: str, values: list[list[Any]], order_ids: list[UUID]) -> set[UUID]:
    if not order_ids:
        return set()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)
        ours = {row[0] for row in cursor.fetchall()}
        # With what was decided before: by this very call perhaps, where its answer was lost.
        orders = list(
            Order.objects.filter(order_id__in=order_ids, status__in=FINAL)
            .select_related("created_by")
            .order_by("pk")
        )
        to_call = [order for order in orders if order.pk in ours and order.callback_url]
        if to_call:
            call_back(to_call)
    tell(orders)
    return {order.order_id for order in orders}
