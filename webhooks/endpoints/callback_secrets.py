"""The secret of an account, which signs all its callbacks. Used by the page of callbacks."""

import logging
from datetime import datetime

from django.db import transaction

from config.accounts.actors import Actor
from config.accounts.models import User
from webhooks.models import Secret

from . import rotation

logger = logging.getLogger(__name__)


def present(owner_id: int) -> Secret | None:
    """The one that signs, None before the first callback and the first rotation."""
    found: Secret | None = Secret.objects.filter(owner=owner_id, expires_at=None).first()
    return found


def old_expires_at(owner_id: int, now: datetime) -> datetime | None:
    """Until when the one before signs, too; None where it does not."""
    old = Secret.objects.filter(owner=owner_id, expires_at__gt=now)
    found: datetime | None = old.order_by("-pk").values_list("expires_at", flat=True).first()
    return found


def rotate(actor: Actor, known: int | None) -> str:
    """Make a new one and return it; the one before signs on for WEBHOOK_ROTATION_HOURS.

    `known` is the id of the present one as the person saw it, None for none: where another one
    has come since by a rotation, "" is returned and nothing changes (a form sent twice).
    """
    with transaction.atomic():
        # Also against the first callback, which makes one.
        User.objects.select_for_update().get(pk=actor.user.pk)
        found = present(actor.user.pk)
        if known != (found.pk if found else None):
            return ""
        new = rotation.rotate(owner_id=actor.user.pk)
    logger.info("callbacks: secret of %s rotated", actor.name)
    return new
