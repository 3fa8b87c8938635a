"""Puts right what reconciling.py has found, beside running consumers; each user in one step.

A user whose credit has changed since the look is left alone, to be looked at again. So all of it
may be killed at any line and run again: what is right is not found any more.
"""

from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any, NamedTuple

import redis

from transactions.ledger.engine.amounts import text

from . import keys, market
from .drift import BEHIND, Findings, UserDrift
from .reconciling import AT_ONCE, given_since

SCRIPT = (Path(__file__).parent / "repair.lua").read_text()


class Repair(NamedTuple):
    """What was done for a user."""

    user: str
    deducted: Decimal = Decimal(0)
    short: Decimal = Decimal(0)  # what could not be taken: the credit is 0
    changed: bool = False  # nothing: it is to be looked at again


def deduct(client: redis.Redis, findings: Findings) -> list[Repair]:
    """Take from the credit what was lost, as far as there is any. Raises redis.RedisError.

    Users of whom too much was taken, and values that can't be read, are left alone.
    """
    script = client.register_script(SCRIPT)
    return [
        _set(script, each, take=True)
        for each in findings.drift
        if each.kind == BEHIND and not each.trouble
    ]


def adopt(client: redis.Redis, findings: Findings) -> list[Repair]:
    """Credit is right as it is: count from it on. Raises redis.RedisError.

    Decisions on orders that Postgres does not have are forgotten. Values that can't be read are
    left alone.
    """
    script = client.register_script(SCRIPT)
    repairs = [
        _set(script, each, take=False) for each in findings.drift if each.kind and not each.trouble
    ]
    forget(client, [each.order_id for each in findings.unknown])
    return repairs


def forget(client: redis.Redis, order_ids: list[str]) -> None:
    """Take decisions out of Redis. Raises redis.RedisError."""
    for start in range(0, len(order_ids), AT_ONCE):
        some = order_ids[start : start + AT_ONCE]
        with client.pipeline(transaction=True) as pipe:
            pipe.zrem(keys.SETTLED_AT, *some)
            pipe.hdel(keys.SETTLED, *some)
            pipe.execute()


def _set(script: Any, found: UserDrift, *, take: bool) -> Repair:
    account = found.account
    purse = account.purse()
    if purse is None or account.value is None:
        raise ValueError(f"{found.user} has no value")
    with localcontext(prec=market.PRECISION):
        deducted = min(found.lost, purse.credit) if take else Decimal(0)
        left = purse.credit - deducted
        # credit = the one at first + given - taken, before and after.
        given = account.given + given_since(account) + found.lost - deducted
    value = purse.with_credit(left).encode() if deducted else account.value
    fields = {
        "orders": str(found.right.orders),
        "taken": text(found.right.taken),
        "credit": text(left),
        "given": text(given),
    }
    done = script(
        keys=[found.user, keys.beside(found.user)],
        args=[
            *(account.value, account.orders, value),
            *(part for field in fields.items() for part in field),
        ],
    )
    if not done:
        return Repair(found.user, changed=True)
    return Repair(found.user, deducted, found.lost - deducted if take else Decimal(0))
