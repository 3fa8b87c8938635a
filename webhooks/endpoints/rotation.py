"""Secrets that follow each other: of an endpoint, or of a person, whose callbacks they sign."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from webhooks import signing
from webhooks.models import Secret

MAX_SECRETS = 5  # that sign at once: each makes the signature's header longer by 47 characters


def rotate(*, endpoint_id: int | None = None, owner_id: int | None = None) -> str:
    """A new secret; see service.rotate. For who holds the lock of the endpoint or the owner."""
    now = timezone.now()
    secrets = Secret.objects.filter(endpoint=endpoint_id, owner=owner_id)
    secrets.filter(expires_at__lte=now).delete()
    secrets.filter(expires_at=None).update(
        expires_at=now + timedelta(hours=settings.WEBHOOK_ROTATION_HOURS)
    )
    new = signing.new_secret()
    Secret.objects.create(endpoint_id=endpoint_id, owner_id=owner_id, value=new)
    too_many = secrets.order_by("-pk").values_list("pk", flat=True)[MAX_SECRETS:]
    Secret.objects.filter(pk__in=list(too_many)).delete()
    return new
