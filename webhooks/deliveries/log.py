"""The log of deliveries: what its filters mean, and its pages. Used by the pages and the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from config.api_input import MAX_ID
from config.listing import Page, newest_first
from webhooks.event_types import LOGGED
from webhooks.models import Attempt, Delivery, DeliveryState

from . import search, walk

FIELDS = ("endpoint", "event_type", "state", "since", "webhook_id", "sku")
ID_DIGITS = len(str(MAX_ID))
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)  # far from the calendar's end: zones can be added
INSTANT = "Write a date and time with its offset: 2026-03-01T09:30:00Z. In an address + is %2B."
LOCAL_INSTANT = "Write a date and time: 2026-03-01T09:30."

# Longest time between the begin of a statement that makes deliveries (their created_at) and the
# moment in which they get their ids: fan_out takes a fraction of a second.
MADE_WITHIN = timedelta(minutes=1)


@dataclass(frozen=True)
class Filter:
    """Which deliveries; what is None or "" does not filter."""

    endpoint: int | None = None
    event_type: str = ""
    state: str = ""
    since: datetime | None = None  # made then or later
    webhook_id: UUID | None = None  # its event's id
    sku: str = ""  # of its event's product, in any case; of the newest search.EVENTS_AT_MOST events

    def as_query(self) -> dict[str, str]:
        """The parameters that `read` makes this filter of."""
        since = "" if self.since is None else self.since.astimezone(UTC).isoformat()
        values = {
            "endpoint": str(self.endpoint or ""),
            "event_type": self.event_type,
            "state": self.state,
            "since": since.replace("+00:00", "Z"),
            "webhook_id": "" if self.webhook_id is None else f"evt_{self.webhook_id.hex}",
            "sku": self.sku,
        }
        return {name: value for name, value in values.items() if value}

    @property
    def columns(self) -> dict[str, int | str]:
        """What the filters but `since` ask of the table of deliveries, by column."""
        values = {
            "endpoint_id": self.endpoint,
            "state": self.state,
            "event_type": self.event_type,
        }
        return {name: value for name, value in values.items() if value}


def read(
    given: Mapping[str, str], *, zone: tzinfo | None = None
) -> tuple[Filter, dict[str, list[str]]]:
    """The filter that a query's parameters mean, and what is wrong with them by name.

    What is wrong does not filter, nor what is left empty; other parameters are not looked at.
    Times without an offset are those of `zone`; without it they are wrong.
    """
    text = {name: given.get(name, "").strip() for name in FIELDS}
    wrong: dict[str, list[str]] = {}
    endpoint = text["endpoint"]
    number = endpoint.isascii() and endpoint.isdigit() and len(endpoint) <= ID_DIGITS
    known = number and 0 < int(endpoint) <= MAX_ID
    if endpoint and not known:
        wrong["endpoint"] = ["This is no id of an endpoint: a whole number."]
    for name, words in (("event_type", list(LOGGED)), ("state", DeliveryState.values)):
        if text[name] and text[name] not in words:
            wrong[name] = [f"Use one of: {', '.join(words)}."]
    since = None
    if text["since"]:
        try:
            since = instant(text["since"], zone=zone)
        except ValueError as error:
            wrong["since"] = [str(error)]
    webhook_id = None
    if text["webhook_id"]:
        try:
            webhook_id = search.event_id(text["webhook_id"])
        except ValueError as error:
            wrong["webhook_id"] = [str(error)]
    if "\0" in text["sku"]:
        wrong["sku"] = ["No SKU has the NUL character."]
    found = Filter(
        endpoint=int(endpoint) if known else None,
        event_type="" if "event_type" in wrong else text["event_type"],
        state="" if "state" in wrong else text["state"],
        since=since,
        webhook_id=webhook_id,
        sku="" if "sku" in wrong else text["sku"],
    )
    return found, wrong


def looked_for(text: str) -> dict[str, Any]:
    """Of Filter, what one field for both means: the id of an event that there is, else a SKU."""
    try:
        webhook_id = search.event_id(text)
    except ValueError:
        return {"sku": text}
    known = search.events(webhook_id, "")
    return {"webhook_id": webhook_id} if known else {"sku": text}


def instant(text: str, *, zone: tzinfo | None = None) -> datetime:
    """The instant, in UTC, that ISO 8601 text means; without an offset it is the time in `zone`.

    Raises ValueError with what to write instead.
    """
    advice = INSTANT if zone is None else LOCAL_INSTANT
    try:
        value = datetime.fromisoformat(text.strip().upper())
    except ValueError:
        raise ValueError(advice) from None
    if value.tzinfo is None:
        if zone is None:
            raise ValueError(advice)
        value = value.replace(tzinfo=zone)
    return min(max(value, EARLIEST), LATEST).astimezone(UTC)


def find(
    filter: Filter, *, before: int | None = None, after: int | None = None, size: int = 50
) -> Page:
    """A page of deliveries with their endpoints and events (without `data`), the newest first.

    With two filters beside `since` a page may have fewer rows than there are, even none: see
    walk.LOOKED_AT. Its `older` (or `newer`) is None only where there are no more. With
    `webhook_id` or `sku` pages are full.
    """
    rows = Delivery.objects.select_related("endpoint", "event").defer("event__data")
    edges = {"before": before, "after": after, "size": size}
    since = filter.since or EARLIEST
    if filter.webhook_id is not None or filter.sku:
        events = search.events(filter.webhook_id, filter.sku)
        return _page(rows, search.page(events, filter.columns, since=since, **edges))
    least = 0 if filter.since is None else _id_before(filter.since)
    if not filter.columns:
        if filter.since is not None:
            rows = rows.filter(created_at__gte=filter.since, pk__gt=least)
        return newest_first(rows, **edges)
    return _page(rows, walk.page(filter.columns, since=since, least=least, **edges))


def get(pk: int) -> Delivery:
    """A delivery with its endpoint and the whole event. Raises Delivery.DoesNotExist."""
    delivery: Delivery = Delivery.objects.select_related("endpoint", "event").get(pk=pk)
    return delivery


def attempts(delivery_id: int) -> QuerySet[Attempt]:
    """Those of a delivery, the newest first."""
    return Attempt.objects.filter(delivery=delivery_id).order_by("-pk")


def _page(rows: QuerySet[Delivery], found: walk.Walked) -> Page:
    return Page(list(rows.filter(pk__in=found.ids).order_by("-pk")), found.newer, found.older)


def _id_before(since: datetime) -> int:
    """An id that all deliveries made since then are above, and few others.

    So a page that is not full ends its walk there instead of at the oldest delivery.
    """
    older = Delivery.objects.filter(created_at__lt=since - MADE_WITHIN)
    return older.order_by("-created_at").values_list("pk", flat=True).first() or 0
