"""The log of some events alone: found by their webhook-id, or by the SKU of their product."""

import re
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Value
from django.db.models.functions import Lower

from config.api_input import MAX_ID
from webhooks.models import Event
from webhooks.models.event import SKU

from .walk import Columns, Walked

# Of one SKU, the newest. With a hundred endpoints a page then looks at 100,000 deliveries, some
# tenths of a second; with five it takes some milliseconds.
EVENTS_AT_MOST = 1_000
WEBHOOK_ID = re.compile(
    r"(?:evt_)?([0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE
)


def event_id(text: str) -> UUID:
    """The event of a `webhook-id`, which may lack "evt_" or have a UUID's hyphens.

    Raises ValueError.
    """
    match = WEBHOOK_ID.fullmatch(text)
    if match is None:
        raise ValueError("This is no webhook-id: evt_ and 32 hexadecimal digits.")
    return UUID(match[1])


def events(webhook_id: UUID | None, sku: str) -> list[UUID]:
    """The newest EVENTS_AT_MOST events with this id and this SKU, whatever its case.

    None or "" asks for nothing. Events of many products have no SKU.
    """
    found = Event.objects.order_by("-occurred_at")
    if webhook_id is not None:
        found = found.filter(pk=webhook_id)
    if sku:
        found = found.alias(sku=SKU).filter(sku=Lower(Value(sku)))
    return list(found.values_list("pk", flat=True)[:EVENTS_AT_MOST])


def page(
    events: list[UUID],
    columns: Columns,
    *,
    since: datetime,
    before: int | None,
    after: int | None,
    size: int,
) -> Walked:
    """The `size` deliveries of these events next to an id; the rest as in walk.page."""
    low, high = 0 if after is None else after, MAX_ID
    if after is None and before is not None:
        high = before
    ids = _nearest(events, columns, since, (low, high), size + 1, downwards=after is None)
    more, ids = len(ids) > size, ids[:size]
    if after is None:
        return Walked(
            ids, ids[0] if ids and before is not None else None, ids[-1] if more else None
        )
    if not more:  # nothing newer is left: this is the first page, filled up
        return page(events, columns, since=since, before=None, after=None, size=size)
    return Walked(ids[::-1], ids[-1], ids[0])


def _nearest(
    events: list[UUID],
    columns: Columns,
    since: datetime,
    between: tuple[int, int],
    size: int,
    *,
    downwards: bool,
) -> list[int]:
    # MATERIALIZED keeps the order out: for its sake the planner would walk the whole log by id.
    statement = f"""
        WITH told AS MATERIALIZED (
            SELECT id, endpoint_id, state, event_type, created_at
            FROM webhooks_delivery WHERE event_id = ANY(%(events)s)
        )
        SELECT id FROM told
        WHERE id > %(low)s AND id < %(high)s AND created_at >= %(since)s
            {"".join(f" AND {name} = %({name})s" for name in columns)}
        ORDER BY id {"DESC" if downwards else ""} LIMIT %(size)s
    """
    low, high = between
    values = {"events": events, "since": since, "low": low, "high": high, "size": size}
    with connection.cursor() as cursor:
        cursor.execute(statement, {**columns, **values})
        return [pk for (pk,) in cursor.fetchall()]
