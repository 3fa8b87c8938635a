"""Credit in Redis compared with the orders that Postgres has accepted. Changes nothing.

Hosted by reconciliation.py; repairing.py mends. Exact beside running consumers: what they took from
a user's credit is read before Postgres and after it. Where it has not moved, no order of that user
was accepted in between, and each accepted one is either written down in Postgres or open there and
kept in Redis as decided (sweeping.py takes it away long after it is written down).
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal, localcontext
from itertools import islice
from typing import Any
from uuid import UUID

import redis
from django.db import connection, transaction

from config.trading_users import USER
from transactions.models import Order, OrderStatus

from . import credit, keys, market
from .drift import Findings, Given, Sums, Unknown, UserDrift
from .engine.settling import Decision
from .market import Account

MOST_LOOKS = 10
LOOK_AGAIN_SECONDS = 0.05
AT_ONCE = 500
# What is swept away was decided longer ago than a look may take.
MOST_SECONDS = 300.0
ID = keys.beside("")

# One statement, so one snapshot. Old orders are there as sums alone (retention.py).
ORDERS = """
WITH present AS (
    SELECT "user", count(*) FILTER (WHERE status = 'Accept') AS orders,
           coalesce(sum(amount) FILTER (WHERE status = 'Accept'), 0) AS taken,
           coalesce(array_agg(order_id) FILTER (WHERE status <> 'Accept'), '{}') AS open
    FROM transactions_order
    WHERE status IN ('Accept', 'received', 'verifying', 'verified')
          AND (%(users)s::text[] IS NULL OR "user" = ANY(%(users)s::text[]))
    GROUP BY "user"
), old AS (
    SELECT * FROM transactions_ordertotal
    WHERE %(users)s::text[] IS NULL OR "user" = ANY(%(users)s::text[])
)
SELECT "user", coalesce(p.orders, 0) + coalesce(o.orders, 0),
       coalesce(p.taken, 0) + coalesce(o.taken, 0), coalesce(p.open, '{}')
FROM present p FULL JOIN old o USING ("user")
"""

Looks = dict[str, tuple[Account, Sums]]


def reconcile(
    client: redis.Redis,
    until: float | None = None,
    wait: Callable[[float], object] = time.sleep,
) -> Findings:
    """Compare all users that have accepted orders. `client` gives bytes.

    `until` bounds it, by time.monotonic(); what takes longer raises too. Raises redis.RedisError
    and django.db.Error.
    """
    until = min(time.monotonic() + MOST_SECONDS, math.inf if until is None else until)
    looks: Looks = {}
    names = client.scan_iter(match=f"{ID}*", count=1_000, _type="hash")
    found = (name.decode(errors="replace")[len(ID) :] for name in names)
    moved = _look(client, set(filter(USER.fullmatch, found)), None, looks, until)
    for number in range(1, MOST_LOOKS):
        if not moved:
            break
        wait(LOOK_AGAIN_SECONDS * number)
        moved = _look(client, moved, sorted(moved), looks, until)
    drift, given = [], []
    for _, (account, right) in sorted(looks.items()):
        one = UserDrift(account, right, _trouble(account))
        if one.kind or one.trouble:
            drift.append(one)
        if (change := given_since(account)) and not one.trouble:
            given.append(Given(account.user, change))
    return Findings(
        users=len(looks),
        orders=sum(right.orders for _, right in looks.values()),
        drift=tuple(drift),
        unknown=tuple(_unknown(client, until)),
        given=tuple(given),
        in_motion=tuple(sorted(moved)),
    )


def given_since(account: Account) -> Decimal:
    """What others gave since the last accepted order, or took; 0 where that can't be told."""
    try:
        purse = account.purse()
    except credit.Unreadable:
        return Decimal(0)
    if purse is None or account.credit_left is None:
        return Decimal(0)
    with localcontext(prec=market.PRECISION):
        return purse.credit - account.credit_left


def _look(
    client: redis.Redis, users: set[str], only: list[str] | None, looks: Looks, until: float
) -> set[str]:
    """Add what these users have to `looks`; returns those that are to be looked at again."""
    before = _accounts(client, users)
    right = _right(client, only, until)
    after = _accounts(client, users)
    moved = {user for user, sums in right.items() if sums.orders} - users
    for user, account in after.items():
        if _state(account) == _state(before[user]):
            looks[user] = account, right.get(user, Sums(0, Decimal(0)))
        else:
            moved.add(user)
    return moved


def _state(account: Account) -> tuple[object, ...]:
    return account.orders, account.taken, account.strange


def _accounts(client: redis.Redis, users: Iterable[str]) -> dict[str, Account]:
    found: dict[str, Account] = {}
    for some in _chunks(sorted(users)):
        found.update(market.read(client, some, []).accounts)
    return found


def _right(client: redis.Redis, users: list[str] | None, until: float) -> dict[str, Sums]:
    """What is accepted: in Postgres, or in Redis with the order still open in Postgres."""
    with transaction.atomic(), connection.cursor() as cursor:
        left = max(1, round(1000 * (until - time.monotonic())))
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(left)])
        cursor.execute(ORDERS, {"users": users})
        rows = cursor.fetchall()
    right = {user: Sums(count, total) for user, count, total, _ in rows}
    owners = {str(order_id): user for user, _, _, open_ids in rows for order_id in open_ids}
    for some in _chunks(list(owners)):
        kept: Any = client.hmget(keys.SETTLED, some)
        for order_id, written in zip(some, kept, strict=True):
            decision = None if written is None else _decision(written)
            if decision is None or decision.amount is None:
                continue
            if decision.status == OrderStatus.ACCEPT:
                sums = right[owners[order_id]]
                with localcontext(prec=market.PRECISION):
                    total = sums.taken + decision.amount
                right[owners[order_id]] = Sums(sums.orders + 1, total)
    return right


def _unknown(client: redis.Redis, until: float) -> list[Unknown]:
    """Orders that Redis has decided and Postgres does not have, though each begins there.

    And what is kept as a decision, and is none.
    """
    found: list[Unknown] = []
    for some in _chunks(client.hscan_iter(keys.SETTLED, count=1_000)):
        ids = {order_id.decode(errors="replace"): written for order_id, written in some}
        known = known_orders(ids)
        found += [
            # PostgreSQL, which keeps what is found, takes no NUL.
            Unknown(order_id, written.decode(errors="replace").replace("\0", "\\0"))
            for order_id, written in ids.items()
            if order_id not in known or _decision(written) is None
        ]
        if time.monotonic() > until:
            raise redis.TimeoutError("there was no time to read all that Redis has decided")
    return sorted(found)


def _decision(written: bytes) -> Decision | None:
    """None for what others have written there."""
    try:
        return Decision.read(written)
    except (ValueError, TypeError, KeyError, ArithmeticError):
        return None


def known_orders(ids: Iterable[str]) -> set[str]:
    """Those that Postgres has."""
    wanted = [each for each in map(uuid_of, ids) if each is not None]
    return set(
        map(str, Order.objects.filter(order_id__in=wanted).values_list("order_id", flat=True))
    )


def uuid_of(order_id: str) -> UUID | None:
    """None for what is none."""
    try:
        return UUID(order_id)
    except ValueError:
        return None


def _trouble(account: Account) -> str:
    try:
        return "it is missing" if account.purse() is None else ""
    except credit.Unreadable as error:
        return str(error)


def _chunks(given: Iterable[Any]) -> Iterator[Sequence[Any]]:
    rest = iter(given)
    while some := list(islice(rest, AT_ONCE)):
        yield some
