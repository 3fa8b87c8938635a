"""Deliveries in templates: `{% load deliveries %}{{ delivery|subject }}`."""

import json
from datetime import datetime, timedelta

from django import template
from django.utils import timezone

from webhooks.deliveries import words
from webhooks.engine import message
from webhooks.models import Attempt, AttemptState, Delivery, Event

register = template.Library()
register.filter("duration", words.duration)
register.filter("outcome", words.outcome)
register.filter("place", words.place)
register.filter("name", words.name)
register.filter("receiver", words.receiver)
register.filter("size", words.size)

RECENT = timedelta(hours=24)
ATTEMPT_TAGS = {AttemptState.FAILED: "bad", AttemptState.LOST: "warn", AttemptState.SENDING: "off"}


@register.filter
def standing(delivery: Delivery) -> words.Standing:
    """How it stands now."""
    return words.standing(delivery, timezone.now())


@register.filter
def answer(delivery: Delivery) -> str:
    """How its last attempt ended; "" before the first one has."""
    return words.answer(delivery.last_status_code, delivery.last_error)


@register.filter
def until(at: datetime) -> str:
    """ "in 4 min"."""
    return words.until(at, timezone.now())


@register.filter
def recent(at: datetime) -> bool:
    """Whether the log shows how long ago it was instead of the date."""
    return timezone.now() - at < RECENT


@register.filter
def attempt_tag(attempt: Attempt) -> str:
    """The CSS class of its tag."""
    return ATTEMPT_TAGS.get(AttemptState(attempt.state), "")


@register.filter
def sent(event: Event) -> str:
    """The body that is sent."""
    return message.body(event.type, event.occurred_at, event.data).decode()


@register.filter
def payload(event: Event) -> str:
    """The body that is sent, laid out for reading."""
    return json.dumps(json.loads(sent(event)), ensure_ascii=False, indent=2)
