"""What time alone brings: events old enough to be forgotten with all that came of them."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from .endpoints import service
from .models import Attempt, Delivery, DeliveryState, Endpoint, Event, Secret

logger = logging.getLogger(__name__)

# Of one transaction: some tenths of a second with the ten attempts that a delivery may have.
EVENTS_AT_ONCE = 1_000
DELIVERIES_AT_ONCE = 1_000
ROWS_AT_MOST = 200_000  # of one call, a third of the tasks' time limit; the next goes on


def purge(now: datetime) -> int:
    """Delete what is older than EVENT_KEEP_DAYS, and what was kept for it; returns how many rows.

    Deliveries go with their events, also those that still wait, but not while they are sent: the
    next call has these.
    """
    service.end_deliveries_of_deleted()
    deleted = _count(Secret.objects.filter(expires_at__lt=now))
    before = now - timedelta(days=settings.EVENT_KEEP_DAYS)
    while deleted < ROWS_AT_MOST:
        some = _forget_some(before, now)
        deleted += some
        if not some:
            break
    deleted += _forget_endpoints()
    if deleted:
        logger.info("webhooks: purged %s rows", deleted)
    return deleted


def _forget_some(before: datetime, now: datetime) -> int:
    """Delete some of the oldest events with their deliveries and attempts; returns how many rows.

    Not by Django's cascade, which would load all deliveries of these events. Nobody is waited
    for: rows that others have locked are passed over, so that a deadlock can't be either.
    """
    with transaction.atomic():
        # Locked, so that neither deliveries nor attempts can be added below them meanwhile.
        old = Event.objects.select_for_update(skip_locked=True).filter(occurred_at__lt=before)
        events = list(old.order_by("occurred_at").values_list("pk", flat=True)[:EVENTS_AT_ONCE])
        free = (
            Delivery.objects.select_for_update(skip_locked=True)
            .filter(event__in=events)
            .exclude(state=DeliveryState.SENDING, claimed_until__gt=now)
        )
        deliveries = list(free.values_list("pk", flat=True)[:DELIVERIES_AT_ONCE])
        deleted = _count(Attempt.objects.filter(delivery__in=deliveries))
        deleted += _count(Delivery.objects.filter(pk__in=deliveries))
        left = Exists(Delivery.objects.filter(event=OuterRef("pk")))
        return deleted + _count(Event.objects.filter(~left, pk__in=events))


def _forget_endpoints() -> int:
    """Delete the deleted endpoints of which no delivery speaks any more."""
    with transaction.atomic():
        gone = Endpoint.objects.select_for_update(skip_locked=True).exclude(deleted_at=None)
        spoken_of = Exists(Delivery.objects.filter(endpoint=OuterRef("pk")))
        ids = list(gone.filter(~spoken_of).values_list("pk", flat=True))
        # Asked again: they are locked now, so that none can be added.
        unused = Endpoint.objects.filter(~spoken_of, pk__in=ids)
        return unused.delete()[0] if ids else 0


def _count(rows: QuerySet) -> int:
    """Delete rows in one statement: those that refer to them are gone already."""
    return rows._raw_delete(rows.db) or 0  # None where it is plain that there are none
