"""What the page of orders shows from Postgres: how many wait, how the last hour went, the list."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import OperationalError, connection, transaction
from django.db.models import Count, QuerySet
from psycopg2.errors import QueryCanceled

from config.listing import Page, newest_first
from transactions.models import OPEN, Order, OrderStatus

from . import words

HOUR = timedelta(hours=1)
COUNTED = 10_000  # of the last hour's decisions, the newest: what is counted and measured
TIMEOUT_MS = 1_000
# What a row of the list doesn't show, and may be long.
NOT_SHOWN = ("detail", "callback_url")

# Delays are those from the verification's end; an order denied at once has none.
DECIDED = """
WITH newest AS (
    SELECT status, decided_at - verified_at AS delay
    FROM transactions_order WHERE decided_at > %(since)s
    ORDER BY decided_at DESC LIMIT %(most)s
)
SELECT count(*) FILTER (WHERE status = 'Accept'), count(*) FILTER (WHERE status = 'Deny'),
       percentile_disc(0.5) WITHIN GROUP (ORDER BY delay),
       percentile_disc(0.95) WITHIN GROUP (ORDER BY delay)
FROM newest
"""


class TooMany(Exception):
    """Looking for these orders takes too long."""


@dataclass(frozen=True)
class Filter:
    """What the list is narrowed to; "" for all."""

    user: str = ""
    stockname: str = ""
    status: str = ""  # one of words.STATUSES

    def __bool__(self) -> bool:
        return bool(self.user or self.stockname or self.status)


@dataclass(frozen=True)
class Decided:
    """Of the last hour. Delays in seconds, None where there is none to measure."""

    accepted: int
    denied: int
    median: float | None
    p95: float | None

    @property
    def total(self) -> int:
        return self.accepted + self.denied

    @property
    def cut(self) -> bool:
        """There are more: these are the newest."""
        return self.total >= COUNTED


@dataclass(frozen=True)
class Figures:
    """The tiles."""

    open: dict[str, int] = field(default_factory=dict)  # by status
    decided: Decided | None = None  # None: they could not be counted in time

    @property
    def total_open(self) -> int:
        return sum(self.open.values())


def figures(now: datetime) -> Figures:
    """Two queries, bounded by ORDERS_MOST_OPEN, COUNTED and TIMEOUT_MS. Raises TooMany."""
    with bounded():
        waiting = Order.objects.filter(status__in=OPEN).order_by().values_list("status")
        counts: dict[str, int] = dict(waiting.annotate(Count("pk")))
        with connection.cursor() as cursor:
            cursor.execute(DECIDED, {"since": now - HOUR, "most": COUNTED})
            accepted, denied, median, p95 = cursor.fetchone()
    delays = (None if each is None else max(0.0, each.total_seconds()) for each in (median, p95))
    return Figures(
        {each.value: counts.get(each, 0) for each in OPEN}, Decided(*(accepted, denied), *delays)
    )


def page(
    orders: QuerySet[Order], given: Filter, *, before: int | None, after: int | None, size: int
) -> Page:
    """Those of `orders` that match, the newest first. Raises TooMany."""
    found = orders.defer(*NOT_SHOWN)
    if given.user:
        found = found.filter(user=given.user)
    if given.stockname:
        found = found.filter(stockname=given.stockname)
    if given.status == words.OPEN:
        found = found.filter(status__in=OPEN)
    elif given.status in OrderStatus:
        found = found.filter(status=given.status)
    with bounded():
        return newest_first(found, before=before, after=after, size=size)


def open_by_user(users: Iterable[str]) -> dict[str, int]:
    """How many orders of each are not decided; one query. Those without any are left out."""
    rows = Order.objects.filter(status__in=OPEN, user__in=list(users)).order_by()
    return dict(rows.values_list("user").annotate(Count("pk")))


@contextmanager
def bounded() -> Iterator[None]:
    """Statements that only read, each for at most TIMEOUT_MS. Raises TooMany."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {TIMEOUT_MS}")
            yield
            transaction.set_rollback(True)  # the setting ends with it, in a savepoint too
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooMany from error
        raise
