"""The one way into webhooks for other areas."""

from typing import Any

from .models import Event


def emit(event_type: str, data: dict[str, Any]) -> Event:
    """Record that `event_type` ("product.updated") happened; called in the change's transaction.

    `data` is JSON-able. Nothing is delivered yet: endpoints come with the webhooks themselves.
    """
    return Event.objects.create(type=event_type, data=data)
