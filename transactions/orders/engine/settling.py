"""Decides verified orders on the credit in Redis, each once: compare-and-set of the user's value.

Numbers are calculated here, since those of Lua are doubles. settle.lua sets the new value only
where the user's is still the one that was calculated with, and keeps the decision beside it: asked
again, it gives that one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import redis

from transactions.ledger.engine.amounts import text
from transactions.models import OrderStatus, Reason
from transactions.orders import keys, market
from transactions.orders.credit import Purse, Unreadable
from transactions.orders.market import Account, Market

# Between the look at the clock and the decision. What is frozen for longer must ask Postgres again
# whether the order is still its own; the decisions of others are kept for longer (sweeping.py).
LATE_SECONDS = 30.0

SCRIPT = (Path(__file__).parent / "settle.lua").read_text()


class Wanted(NamedTuple):
    """A verified order."""

    order_id: UUID
    user: str
    stockname: str
    quantity: int


@dataclass(frozen=True)
class Decision:
    """What becomes of an order. Numbers are None where there was none to calculate with."""

    status: str  # Accept or Deny
    reason: str = ""
    detail: str = ""
    price: Decimal | None = None
    amount: Decimal | None = None
    before: Decimal | None = None
    after: Decimal | None = None

    def written(self) -> str:
        """As Redis keeps it."""
        return json.dumps({**self.__dict__, **{name: self._text(name) for name in NUMBERS}})

    def _text(self, name: str) -> str | None:
        number = getattr(self, name)
        return None if number is None else text(number)

    @classmethod
    def read(cls, written: bytes) -> "Decision":
        found: dict[str, Any] = json.loads(written)
        numbers = {name: Decimal(found[name]) for name in NUMBERS if found[name] is not None}
        return cls(**{**found, **numbers})


NUMBERS = ("price", "amount", "before", "after")


class Plan(NamedTuple):
    """A decision, and the user's account after it."""

    decision: Decision
    account: Account


def plan(order: Wanted, now: Market, account: Account) -> Plan:
    """What to decide where `account` is the user's: the specification's rule, step 4. Pure."""
    try:
        purse = account.purse()
    except Unreadable as error:
        return Plan(_denied(Reason.UNREADABLE_CREDIT, f"{order.user}: {error}."), account)
    if purse is None:
        return Plan(_denied(Reason.UNKNOWN_USER, f"There is no user {order.user}."), account)
    try:
        price = now.price(order.stockname)
    except Unreadable as error:
        return Plan(_denied(Reason.NO_PRICE, f"{order.stockname}: {error}."), account)
    if price is None:
        return Plan(_denied(Reason.NO_PRICE, f"{order.stockname} has no price."), account)
    amount = market.amount(price, order.quantity)
    if purse.credit < amount:
        why = f"The credit is {text(purse.credit)}, the order costs {text(amount)}."
        reason = Reason.INSUFFICIENT_CREDIT.value
        numbers = price, amount, purse.credit, purse.credit
        return Plan(Decision(OrderStatus.DENY.value, reason, why, *numbers), account)
    return _accepted(account, purse, price, amount)


def _denied(reason: Reason, detail: str) -> Decision:
    return Decision(OrderStatus.DENY.value, reason.value, detail.replace("\0", ""))


def _accepted(account: Account, purse: Purse, price: Decimal, amount: Decimal) -> Plan:
    with localcontext(prec=market.PRECISION):
        left = purse.credit - amount
        given = account.given
        if account.credit_left is not None:
            given += purse.credit - account.credit_left
        taken = account.taken + amount
    after = Account(
        account.user,
        purse.with_credit(left).encode(),
        str(int(account.orders or 0) + 1),
        taken,
        left,
        given,
    )
    decision = Decision(
        OrderStatus.ACCEPT.value, price=price, amount=amount, before=purse.credit, after=left
    )
    return Plan(decision, after)


class Settling:
    """Settles orders in one Redis. Not for several threads."""

    def __init__(self, client: redis.Redis) -> None:
        """`client` gives bytes and repeats nothing by itself."""
        self._client = client
        self._script = client.register_script(SCRIPT)

    def read(self, orders: Sequence[Wanted]) -> Market:
        """What the orders' users and stocks have now. Raises redis.RedisError."""
        return market.read(
            self._client, [each.user for each in orders], [each.stockname for each in orders]
        )

    def time(self) -> float:
        """Unix seconds by the clock of Redis. Raises redis.RedisError."""
        seconds, micros = self._client.time()  # type: ignore[misc]
        return float(seconds) + micros / 1e6

    def settle(self, orders: Sequence[Wanted], since: float) -> dict[UUID, Decision]:
        """Decide the orders; those whose users have changed meanwhile are left out, to be tried
        again.

        Between the time() `since` and calling this, the caller has made sure that the orders are
        its own. Raises redis.RedisError: then nobody knows what was decided, and asking again
        tells.
        """
        return self.settle_as_read(orders, self.read(orders), since) if orders else {}

    def settle_as_read(
        self, orders: Sequence[Wanted], now: Market, since: float
    ) -> dict[UUID, Decision]:
        """Decide what is still as in `now`, in one round trip."""
        accounts = dict(now.accounts)
        with self._client.pipeline(transaction=False) as pipe:
            for order in orders:
                planned = plan(order, now, accounts[order.user])
                self._call(pipe, order, accounts[order.user], planned, since + LATE_SECONDS)
                accounts[order.user] = planned.account
            found = pipe.execute()
        return {
            order.order_id: Decision.read(decision[0])
            for order, (outcome, *decision) in zip(orders, found, strict=True)
            if outcome == b"settled"
        }

    def _call(self, pipe: Any, order: Wanted, before: Account, planned: Plan, until: float) -> None:
        after = planned.account
        kind = "any" if before.strange else "none" if before.value is None else "string"
        expected = (kind, before.value or "", before.orders)
        changes: tuple[str | bytes, ...] = ("",)
        fields: tuple[str, ...] = ()
        if after is not before:
            changes = (after.value or b"",)
            fields = (
                *("orders", after.orders, "taken", text(after.taken)),
                *("credit", text(after.credit_left or Decimal(0)), "given", text(after.given)),
            )
        self._script(
            keys=[order.user, keys.beside(order.user), keys.SETTLED, keys.SETTLED_AT],
            args=[
                *(str(order.order_id), f"{until:.6f}", *expected),
                *(*changes, planned.decision.written(), *fields),
            ],
            client=pipe,
        )
