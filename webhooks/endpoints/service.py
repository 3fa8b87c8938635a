"""Add, change, delete and test endpoints: called by the pages and the API.

Each is one short transaction. `values` and `changes` are cleaned already (fields.clean). Where
both are locked, the health's row comes first, as in the engine, so that they never wait for each
other.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from config.accounts.actors import Actor
from webhooks import signing
from webhooks.dispatch import wake
from webhooks.engine.fan_out import fan_out
from webhooks.event_types import EVENT_TYPES
from webhooks.models import Delivery, Endpoint, Event, Health, Secret

from . import rotation
from .fields import FIELDS, EndpointValues, FieldErrors, check_event_type

__all__ = [
    "FieldErrors",
    "Stale",
    "TooMany",
    "active_secrets",
    "create",
    "delete",
    "disable",
    "enable",
    "end_deliveries_of_deleted",
    "live",
    "old_secret_expires_at",
    "resume",
    "rotate",
    "send_test",
    "update",
]

logger = logging.getLogger(__name__)

MAX_ENDPOINTS = (
    100  # each gets every event that it wants: 100 of them make 100 requests of one edit
)
DELETED = "The endpoint was deleted."
ENDED_AT_ONCE = 1_000  # deliveries of one UPDATE
ENDED_AT_MOST = 20_000  # of one request, a second or two; the sweep ends the rest
FANNED_OUT_AT_MOST = 50  # times 200 events, in one request: some seconds
CREATING = 0x53_54_57_45  # number of the advisory lock that who adds an endpoint holds

# Materialized, so that `most` are looked for once: as a subquery of IN, they may be looked for, and
# others found, for each row of the table that is thought to be small.
END_DELIVERIES = """
WITH waiting AS MATERIALIZED (
    SELECT d.id FROM webhooks_endpoint n JOIN webhooks_delivery d ON d.endpoint_id = n.id
    WHERE n.deleted_at IS NOT NULL AND d.state = 'pending'
    LIMIT %(most)s FOR UPDATE OF d SKIP LOCKED
)
UPDATE webhooks_delivery SET state = 'failed', last_error = %(error)s, next_attempt_at = NULL,
    finished_at = clock_timestamp()
WHERE id IN (SELECT id FROM waiting)
"""


class Stale(Exception):
    """Somebody has changed the endpoint since; `current` is how it is now."""

    def __init__(self, current: Endpoint) -> None:
        super().__init__(f"endpoint {current.pk} has changed since")
        self.current = current


class TooMany(Exception):
    """There are MAX_ENDPOINTS already."""

    def __init__(self) -> None:
        super().__init__(
            f"There are {MAX_ENDPOINTS} endpoints, which is the most. Delete one that is not"
            " needed any more."
        )


def live() -> Any:
    """Those that are not deleted, without the hosts of callbacks."""
    return Endpoint.objects.filter(deleted_at=None, for_callbacks=False)


def create(actor: Actor, values: EndpointValues) -> tuple[Endpoint, str]:
    """Add an endpoint; returns it with its secret, which is shown this once. Raises TooMany."""
    with transaction.atomic():
        with connection.cursor() as cursor:  # until the end: the next one counts this one
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CREATING])
        if live().count() >= MAX_ENDPOINTS:
            raise TooMany
        disabled_at = None if values["enabled"] else timezone.now()
        endpoint = Endpoint.objects.create(**values, disabled_at=disabled_at, created_by=actor.user)
        Health.objects.create(endpoint=endpoint)
        secret = Secret.objects.create(endpoint=endpoint, value=signing.new_secret())
    logger.info("webhook endpoint %s is added by %s", endpoint.pk, actor.name)
    return endpoint, secret.value


def update(
    actor: Actor,
    endpoint_id: int,
    changes: Mapping[str, Any],
    *,
    version: int | str | None = None,
) -> Endpoint:
    """Change the fields in `changes`; what is so already is no change and leaves no trace.

    With `version` only if the endpoint still has it. Enabled again, or with another URL, it starts
    anew: its failures are forgotten and its circuit is closed. Raises Endpoint.DoesNotExist, Stale.
    """
    with transaction.atomic():
        Health.objects.select_for_update().filter(pk=endpoint_id).first()
        endpoint = _locked(endpoint_id, version)
        new: dict[str, Any] = {
            field: changes[field]
            for field in FIELDS
            if field in changes and changes[field] != getattr(endpoint, field)
        }
        if not new:
            return endpoint
        starts_anew = "url" in new or new.get("enabled") is True
        changed = ", ".join(f"{name} {new[name]}" if name == "enabled" else name for name in new)
        if {"enabled", "event_types"} & new.keys():
            _fan_out_what_happened()
        if "enabled" in new:
            new |= {"disabled_at": None if new["enabled"] else Now(), "disabled_reason": ""}
        Endpoint.objects.filter(pk=endpoint_id).update(
            **new, version=F("version") + 1, updated_at=Now()
        )
        if starts_anew:
            Health.objects.filter(pk=endpoint_id).update(
                failures_in_a_row=0, failing_since=None, held_until=None
            )
            wake()
        endpoint.refresh_from_db()
    logger.info("webhook endpoint %s: changed by %s: %s", endpoint_id, actor.name, changed)
    return endpoint


def _fan_out_what_happened() -> None:
    """Make the deliveries of events so far, by what endpoints want until now.

    The engine does so within a second, but it may be stopped: who then disables an endpoint gets
    what happened before, and who enables one does not.
    """
    for _ in range(FANNED_OUT_AT_MOST):
        if not fan_out():
            return
    logger.warning("webhooks: too many events wait; their deliveries follow the new settings")


def enable(actor: Actor, endpoint_id: int, *, version: int | str | None = None) -> Endpoint:
    """Send events to it; what waits goes on. Raises Endpoint.DoesNotExist, Stale."""
    return update(actor, endpoint_id, {"enabled": True}, version=version)


def disable(actor: Actor, endpoint_id: int, *, version: int | str | None = None) -> Endpoint:
    """Send nothing to it; what waits goes on waiting. Raises Endpoint.DoesNotExist, Stale."""
    return update(actor, endpoint_id, {"enabled": False}, version=version)


def delete(actor: Actor, endpoint_id: int, *, version: int | str | None = None) -> None:
    """Send nothing to it any more: its secrets go, what waits fails, the log stays.

    Raises Endpoint.DoesNotExist, Stale.
    """
    with transaction.atomic():
        _locked(endpoint_id, version)
        Endpoint.objects.filter(pk=endpoint_id).update(
            deleted_at=Now(), updated_at=Now(), version=F("version") + 1
        )
        Secret.objects.filter(endpoint=endpoint_id).delete()
    # Not in that transaction: the engine must not wait until thousands of rows are written.
    end_deliveries_of_deleted()
    logger.info("webhook endpoint %s is deleted by %s", endpoint_id, actor.name)


def end_deliveries_of_deleted(most: int = ENDED_AT_MOST) -> int:
    """Let the pending deliveries of deleted endpoints fail, about `most`; returns how many.

    Also for a sweep: more may be there, or made by an engine that did not see the deletion yet.
    """
    ended = 0
    while ended < most:
        with connection.cursor() as cursor:
            cursor.execute(END_DELIVERIES, {"error": DELETED, "most": ENDED_AT_ONCE})
            ended += cursor.rowcount
            if cursor.rowcount < ENDED_AT_ONCE:
                break
    return ended


def rotate(actor: Actor, endpoint_id: int) -> str:
    """Make a new secret and return it. The present one signs on for WEBHOOK_ROTATION_HOURS.

    So do those before it whose time is not over, up to rotation.MAX_SECRETS in all: the receiver
    knows at least one of them. Raises Endpoint.DoesNotExist.
    """
    with transaction.atomic():
        _locked(endpoint_id)
        new = rotation.rotate(endpoint_id=endpoint_id)
    logger.info("webhook endpoint %s: secret rotated by %s", endpoint_id, actor.name)
    return new


def active_secrets(endpoint_id: int, now: datetime) -> list[str]:
    """The secrets that sign at `now`, the newest first."""
    secrets = Secret.objects.filter(endpoint=endpoint_id).exclude(expires_at__lte=now)
    return list(secrets.order_by("-pk").values_list("value", flat=True))


def old_secret_expires_at(endpoint_id: int, now: datetime) -> datetime | None:
    """Until when the secret before the present one signs, too; None where it does not."""
    old = Secret.objects.filter(endpoint=endpoint_id, expires_at__gt=now)
    return old.order_by("-pk").values_list("expires_at", flat=True).first()


def send_test(actor: Actor, endpoint_id: int, event_type: str) -> Delivery:
    """Have a sample of `event_type` sent once, now, whether the endpoint is enabled or not.

    Returns the delivery, whose state tells how it goes. It does not count for the health. Raises
    FieldErrors (of `event_type`), Endpoint.DoesNotExist.
    """
    name = check_event_type(event_type)
    with transaction.atomic():
        endpoint = _locked(endpoint_id)
        event = Event.objects.create(
            type=name, data=EVENT_TYPES[name].sample, fanned_out_at=timezone.now()
        )
        delivery = Delivery.objects.create(
            event=event,
            endpoint=endpoint,
            event_type=name,
            next_attempt_at=Now(),
            by_hand=True,
            test=True,
        )
        delivery.refresh_from_db()  # next_attempt_at is the database's
        wake()
    logger.info("webhook endpoint %s: test %s by %s", endpoint_id, delivery.pk, actor.name)
    return delivery


def _locked(endpoint_id: int, version: int | str | None = None) -> Endpoint:
    """The endpoint, which nobody else can change until the transaction ends.

    Deliveries and attempts of it can be made meanwhile (no_key).
    """
    endpoint: Endpoint = live().select_for_update(no_key=True).get(pk=endpoint_id)
    if version is not None and str(version) != str(endpoint.version):
        raise Stale(endpoint)
    return endpoint


def resume(actor: Actor, endpoint_id: int) -> Endpoint:
    """End its pause. Failures stay, so one attempt decides. Raises Endpoint.DoesNotExist."""
    with transaction.atomic():
        Health.objects.select_for_update().filter(pk=endpoint_id).first()
        endpoint = _locked(endpoint_id)
        Health.objects.filter(pk=endpoint_id).update(held_until=None)
        wake()
    logger.info("webhook endpoint %s: its pause is ended by %s", endpoint_id, actor.name)
    return endpoint
