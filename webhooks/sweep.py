"""What time alone brings: events old enough to be forgotten with all that came of them."""

import logging
import math
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import SET_NULL, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from .endpoints import service
from .models import Attempt, Delivery, DeliveryState, Endpoint, Event, Secret

logger = logging.getLogger(__name__)

# Of one transaction: some tenths of a second with the ten attempts that a delivery may have.
EVENTS_AT_ONCE = 1_000
DELIVERIES_AT_ONCE = 1_000
ROWS_AT_MOST = 200_000  # of one call, a third of the tasks' time limit; the next goes on


def purge(now: datetime, deadline: float = math.inf) -> int:
    """Delete what is older than EVENT_KEEP_DAYS, and what was kept for it; returns how many rows.

    Deliveries go with their events, also those that still wait, but not while they are sent: the
    next call has these. No transaction begins after `deadline` (time.monotonic).
    """
    _end_callbacks_of_nobody()
    service.end_deliveries_of_deleted()
    deleted = _count(Secret.objects.filter(expires_at__lt=now))
    before = now - timedelta(days=settings.EVENT_KEEP_DAYS)
    while deleted < ROWS_AT_MOST and time.monotonic() < deadline:
        some = _forget_some(before, now)
        deleted += some
        if not some:
            break
    deleted += _forget_endpoints(before)
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
        _forget_mentions(deliveries)
        deleted = _count(Attempt.objects.filter(delivery__in=deliveries))
        deleted += _count(Delivery.objects.filter(pk__in=deliveries))
        left = Exists(Delivery.objects.filter(event=OuterRef("pk")))
        return deleted + _count(Event.objects.filter(~left, pk__in=events))


def _forget_mentions(deliveries: list[int]) -> None:
    """Have the rows of other areas let go of these deliveries, as Django's cascade would."""
    for relation in Delivery._meta.related_objects:
        if relation.on_delete is SET_NULL:
            name = relation.field.name
            rows = relation.related_model._base_manager.filter(**{f"{name}__in": deliveries})
            rows.update(**{name: None})


def _end_callbacks_of_nobody() -> None:
    """Delete the callbacks of deleted accounts: no secret signs them any more."""
    orphans = Endpoint.objects.filter(for_callbacks=True, created_by=None, deleted_at=None)
    orphans.update(deleted_at=Now())


def _forget_endpoints(before: datetime) -> int:
    """Delete the endpoints of which no delivery speaks any more, deleted or for callbacks.

    Those for callbacks since `before`: clients choose the hosts, and there may be ever new ones.
    """
    with transaction.atomic():
        unwanted = ~Q(deleted_at=None) | Q(for_callbacks=True, created_at__lt=before)
        gone = Endpoint.objects.select_for_update(skip_locked=True).filter(unwanted)
        spoken_of = Exists(Delivery.objects.filter(endpoint=OuterRef("pk")))
        ids = list(gone.filter(~spoken_of).values_list("pk", flat=True))
        # Asked again: they are locked now, so that none can be added.
        unused = Endpoint.objects.filter(~spoken_of, pk__in=ids)
        return unused.delete()[0] if ids else 0


def _count(rows: QuerySet) -> int:
    """Delete rows in one statement: those that refer to them are gone already."""
    return rows._raw_delete(rows.db) or 0  # None where it is plain that there are none
