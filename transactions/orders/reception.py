"""Takes an order: denied at once where credit can't pay now, else stored and handed on.

Called by the API (BuyStock) and by the page's trial order.
"""

import logging
import time
from uuid import UUID

from django.conf import settings
from django.db import transaction

from config.accounts.models import User
from streaming.prices.connection import reading
from transactions.models import OPEN, Order, OrderStatus, Reason

from . import announcing, live, market, storing
from .engine.settling import Decision, Wanted, plan
from .gate import Gate

logger = logging.getLogger(__name__)

MOST_QUANTITY = 10**12
# Counting 20,000 open orders takes some milliseconds. So many below the limit, the next count may
# wait for so long: nobody places them that fast.
FAR, FAR_SECONDS = 5_000, 1.0
_far_until = 0.0

_gate = Gate()


class Refused(Exception):
    """The order is not taken. The message says why, `field` which of its fields is at fault."""

    field = ""


class UnknownUser(Refused):
    field = "user"


class UnknownStock(Refused):
    field = "stockname"


class NoPrice(Refused):
    """The stock is there, and nobody knows what it costs."""

    field = "stockname"


class UnreadableCredit(Refused):
    """Others have written something into Redis that is no user's value."""

    field = "user"


class TooManyOpen(Refused):
    """ORDERS_MOST_OPEN orders wait for their decision. A few seconds later there may be room."""


REFUSED = {
    Reason.UNKNOWN_USER: UnknownUser,
    Reason.UNREADABLE_CREDIT: UnreadableCredit,
    Reason.NO_PRICE: NoPrice,
}


def place(
    *, owner: User | None, user: str, stockname: str, quantity: int, callback_url: str = ""
) -> Order:
    """The stored order, open or denied.

    `user` and `stockname` are written as Redis has them, `quantity` is 1 to MOST_QUANTITY. Without
    a `callback_url` that of `owner` for this user is taken, if there is one. What is denied at once
    is told by the answer and not called back.

    Raises a Refused, and redis.RedisError; nothing is stored then.
    """
    decision = _decision(Wanted(_NO_ID, user, stockname, quantity))
    order = Order(user=user, stockname=stockname, quantity=quantity, created_by=owner)
    if decision.status == OrderStatus.DENY:
        order.status, order.reason, order.detail = (
            OrderStatus.DENY,
            decision.reason,
            decision.detail,
        )
        order.price, order.amount = decision.price, decision.amount
        order.credit_before, order.credit_after = decision.before, decision.after
    elif _is_full():
        raise TooManyOpen(
            f"{settings.ORDERS_MOST_OPEN:,} orders wait for their decision. Nothing was placed;"
            " send it again in a few seconds."
        )
    else:
        order.callback_url = callback_url
    storing.store(order)
    transaction.on_commit(lambda: _hand_on(order))
    return order


_NO_ID = UUID(int=0)  # of an order that is only calculated


def _decision(wanted: Wanted) -> Decision:
    """What would become of the order were it verified now. Raises Refused, redis.RedisError."""
    with _gate.passed():
        now = market.read(reading(), [wanted.user], [wanted.stockname])
    decision = plan(wanted, now, now.accounts[wanted.user]).decision
    if decision.reason == Reason.NO_PRICE and wanted.stockname not in now.prices:
        raise UnknownStock(f"There is no stock {wanted.stockname}.")
    refusal = REFUSED.get(Reason(decision.reason)) if decision.reason else None
    if refusal is not None:
        raise refusal(decision.detail)
    return decision


def _is_full() -> bool:
    """Whether there are ORDERS_MOST_OPEN open orders. Those who come together may be a few more."""
    global _far_until
    most: int = settings.ORDERS_MOST_OPEN
    if most > FAR and time.monotonic() < _far_until:
        return False
    waiting: int = Order.objects.filter(status__in=OPEN).values("pk")[:most].count()
    if waiting + FAR < most:
        _far_until = time.monotonic() + FAR_SECONDS
    return waiting >= most


def _hand_on(order: Order) -> None:
    """After the commit. Nobody follows the order yet: who does begins with how it stands then."""
    if order.is_open:
        announcing.announce(order.order_id)
    live.tell_of_news()
    logger.info("order %s for %s: %s", order.order_id, order.user, order.status)
