"""Sends deliveries again: one at once, or all that failed since a time. Used by pages and API."""

import logging
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from config.accounts.actors import Actor
from webhooks.dispatch import wake
from webhooks.models import Delivery, DeliveryState, Endpoint

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 5_000  # of one transaction: a fraction of a second
AT_MOST = 50_000  # of one replay, some seconds; the next one goes on
ENDPOINT_DELETED = "The endpoint was deleted, so nothing can be sent to it any more."
IN_FLIGHT = "It is being sent at this moment. Wait for the answer, then try again."


class InFlight(Exception):
    """A worker is sending it: how that ends is not known yet."""

    def __init__(self) -> None:
        super().__init__(IN_FLIGHT)


class EndpointDeleted(Exception):
    """There is nobody to send it to."""

    def __init__(self) -> None:
        super().__init__(ENDPOINT_DELETED)


def retry(actor: Actor, delivery_id: int) -> Delivery:
    """Have a delivery sent at once, with a whole schedule before it, also one that succeeded.

    Returns it as it is then. Raises InFlight, EndpointDeleted, Delivery.DoesNotExist.
    """
    with transaction.atomic():
        # One statement: a worker that claims it at this moment keeps it.
        changed = (
            Delivery.objects.filter(_of_a_live_endpoint(), pk=delivery_id)
            .exclude(state=DeliveryState.SENDING)
            .update(
                state=DeliveryState.PENDING,
                tries=0,
                next_attempt_at=Now(),
                by_hand=True,
                finished_at=None,
            )
        )
        delivery: Delivery = Delivery.objects.select_related("endpoint", "event").get(
            pk=delivery_id
        )
        if changed:
            wake()
    if not changed:
        raise InFlight if delivery.endpoint.deleted_at is None else EndpointDeleted
    logger.info("webhook delivery %s: retry asked for by %s", delivery_id, actor.name)
    return delivery


def replay_failed(
    actor: Actor, since: datetime, endpoint_id: int | None = None, *, callbacks: bool = True
) -> int:
    """Have all deliveries sent again that failed at `since` or later; returns how many.

    They go as new ones do, so caps and circuits hold. Tests, those of deleted endpoints, and
    without `callbacks` the results of orders are left out. At most AT_MOST, the oldest first:
    where it returns so many there may be more, and the next call goes on.
    """
    replayed = 0
    last = 0  # so that one that fails again meanwhile is not taken twice
    while replayed < AT_MOST:
        size = min(ROWS_AT_ONCE, AT_MOST - replayed)
        with transaction.atomic():
            # Who replays at the same time has the others: each goes once.
            rows = _failed(since, endpoint_id, callbacks)
            rows = rows.select_for_update(skip_locked=True, of=("self",))
            ids = list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:size])
            Delivery.objects.filter(pk__in=ids).update(
                state=DeliveryState.PENDING,
                tries=0,
                next_attempt_at=Now(),
                by_hand=False,
                finished_at=None,
            )
        replayed += len(ids)
        if len(ids) < size:
            break
        last = ids[-1]
    if replayed:
        wake()
    logger.info(
        "webhooks: replay of %s deliveries that failed since %s%s asked for by %s",
        replayed,
        since.isoformat(),
        "" if endpoint_id is None else f" for endpoint {endpoint_id}",
        actor.name,
    )
    return replayed


def count_failed(since: datetime, endpoint_id: int | None = None, *, callbacks: bool = True) -> int:
    """How many `replay_failed` would take; AT_MOST + 1 where it needs another call."""
    return _failed(since, endpoint_id, callbacks).order_by()[: AT_MOST + 1].count()


def _failed(since: datetime, endpoint_id: int | None, callbacks: bool) -> QuerySet[Delivery]:
    of_live = _of_a_live_endpoint(callbacks=callbacks)
    rows = Delivery.objects.filter(
        of_live, state=DeliveryState.FAILED, finished_at__gte=since, test=False
    )
    return rows if endpoint_id is None else rows.filter(endpoint=endpoint_id)


def _of_a_live_endpoint(*, callbacks: bool = True) -> Exists:
    live = Endpoint.objects.filter(pk=OuterRef("endpoint_id"), deleted_at=None)
    return Exists(live if callbacks else live.filter(for_callbacks=False))
