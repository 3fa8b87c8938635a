"""Who works on which order, in Postgres: taken by conditional UPDATE, given up with silence.

A worker says every BEAT_SECONDS that it lives; after ORDERS_STALE_SECONDS of silence others take
its orders. What it still does with them then is refused: each claim raises the order's `claim`.
"""

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from transactions.models import OPEN, OrderWorker

BEAT_SECONDS = 0.5
PORTION = 2_000  # orders claimed by one statement: so many take well below a second

FREE = """
SELECT o.id FROM transactions_order o
WHERE o.status IN ('received', 'verifying', 'verified') AND {which}
    AND (o.holder IS NULL
        OR ({lost})
        OR (o.holder <> %(worker)s AND %(others)s
            AND NOT EXISTS (SELECT FROM transactions_orderworker w WHERE w.id = o.holder
                AND w.beat_at > statement_timestamp() - make_interval(secs => %(stale)s))))
ORDER BY o.id LIMIT %(limit)s FOR UPDATE OF o SKIP LOCKED
"""

TAKE = """
WITH free AS ({free})
UPDATE transactions_order o SET holder = %(worker)s, claim = o.claim + 1,
    status = CASE o.status WHEN 'received' THEN 'verifying' ELSE o.status END,
    verification_began_at = CASE o.status WHEN 'verified' THEN o.verification_began_at
        ELSE clock_timestamp() END,
    verifications = o.verifications + (o.status <> 'verified')::int
FROM free WHERE o.id = free.id
RETURNING o.id, o.order_id, o."user", o.stockname, o.quantity, o.claim, o.status = 'verified',
    o.verifications
"""

BEAT = """
INSERT INTO transactions_orderworker (id, host, pid, started_at, beat_at)
VALUES (%s, %s, %s, clock_timestamp(), clock_timestamp())
ON CONFLICT (id) DO UPDATE SET beat_at = clock_timestamp()
"""

RELEASE = """
UPDATE transactions_order SET holder = NULL, claim = claim + 1,
    verifications = verifications - (status = 'verifying')::int
WHERE holder = %s AND status IN ('received', 'verifying', 'verified')
"""


@dataclass(frozen=True)
class Claimed:
    """An order that is this worker's, for as long as nobody raises its claim."""

    id: int
    order_id: UUID
    user: str
    stockname: str
    quantity: int
    claim: int
    verified: bool  # by whoever had it before
    verifications: int  # begun, this one included


class Worker:
    """This process, as others see it."""

    def __init__(self) -> None:
        """Raises what Django's database does."""
        self._host, self._pid = socket.gethostname(), os.getpid()
        self.id = OrderWorker.objects.create(host=self._host, pid=self._pid).pk
        self._beat_at = time.monotonic()
        self._patient_until = 0.0

    def beat(self) -> None:
        """Say that it lives.

        Where that was not possible for a while, others could not say so either: theirs are left
        alone for as long as a silence takes.
        """
        with connection.cursor() as cursor:
            cursor.execute(BEAT, [self.id, self._host, self._pid])
        now, stale = time.monotonic(), settings.ORDERS_STALE_SECONDS
        if now - self._beat_at > max(stale / 2, 2 * BEAT_SECONDS):
            self._patient_until = now + stale
        self._beat_at = now

    def take(
        self, limit: int, *, order_ids: Sequence[UUID] | None = None, held: Sequence[int] = ()
    ) -> list[Claimed]:
        """Claim up to `limit` orders that nobody has: of these, or else the oldest of all.

        Of all, those too that are this worker's and not among `held`, the ids of what it has in
        hand: the answer to their claim was lost.
        """
        if limit <= 0 or (order_ids is not None and not order_ids):
            return []
        which, lost = "o.order_id = ANY(%(orders)s)", "false"
        if order_ids is None:
            which, lost = "true", "o.holder = %(worker)s AND o.id <> ALL(%(held)s::bigint[])"
        values = {
            "worker": self.id,
            "stale": settings.ORDERS_STALE_SECONDS,
            "limit": min(limit, PORTION),
            "others": time.monotonic() >= self._patient_until,
            "held": list(held),
            "orders": list(order_ids or ()),
        }
        with connection.cursor() as cursor:
            cursor.execute(TAKE.format(free=FREE.format(which=which, lost=lost)), values)
            return sorted((Claimed(*row) for row in cursor.fetchall()), key=lambda each: each.id)

    def release(self) -> None:
        """Give back all it has: its end, in good order."""
        with connection.cursor() as cursor:
            cursor.execute(RELEASE, [self.id])
        OrderWorker.objects.filter(pk=self.id).delete()


def still_open(order_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the orders that are not decided."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT order_id FROM transactions_order WHERE order_id = ANY(%s) AND status = ANY(%s)",
            [list(order_ids), [each.value for each in OPEN]],
        )
        return {row[0] for row in cursor.fetchall()}


END_VERIFICATIONS = """
UPDATE transactions_order o SET status = 'verified',
    verified_at = coalesce(o.verified_at, clock_timestamp() - make_interval(secs => e.age))
FROM unnest(%s::bigint[], %s::int[], %s::float8[]) AS e(id, claim, age)
WHERE o.id = e.id AND o.claim = e.claim AND o.status IN ('verifying', 'verified')
RETURNING o.id
"""


STILL_OURS = """
SELECT o.id FROM transactions_order o JOIN unnest(%s::bigint[], %s::int[]) AS e(id, claim)
    ON o.id = e.id AND o.claim = e.claim
WHERE o.status = 'verified'
"""


def still_ours(found: Sequence[Claimed]) -> set[int]:
    """The ids of those that are known as verified and still ours."""
    with connection.cursor() as cursor:
        cursor.execute(STILL_OURS, columns([(each.id, each.claim) for each in found], 2))
        return {row[0] for row in cursor.fetchall()}


def verified(found: Sequence[tuple[Claimed, float]]) -> set[int]:
    """Write down that these were verified, so many seconds ago; the ids of those still ours."""
    rows = [(each.id, each.claim, age) for each, age in found]
    with connection.cursor() as cursor:
        cursor.execute(END_VERIFICATIONS, columns(rows, 3))
        return {row[0] for row in cursor.fetchall()}


def columns(rows: Sequence[tuple[Any, ...]], count: int) -> list[list[Any]]:
    """For unnest()."""
    return [[row[number] for row in rows] for number in range(count)]
