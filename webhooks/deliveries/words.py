"""Deliveries in words for the pages: how one stands, what it is about, what was answered. Pure."""

import math
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from webhooks.models import Attempt, AttemptState, Delivery, DeliveryState, Endpoint, Health

PHRASES = {status.value: status.phrase for status in HTTPStatus}
MINUTE, HOUR, DAY = 60, 3600, 86_400


@dataclass(frozen=True)
class Standing:
    """How a delivery stands: `state` in one word, `kind` of its tag, and the rest of the sentence.

    `at` is when it goes on by itself, where that is known and ahead.
    """

    state: str  # "failed"
    kind: str  # CSS class of the tag: "", "off", "warn", "bad"
    rest: str  # "after 10 attempts"; before `at`: "next attempt"
    short: str = ""  # for the column "Next attempt" while there is no `at`
    at: datetime | None = None


def standing(delivery: Delivery, now: datetime) -> Standing:
    """How `delivery` stands; its endpoint comes with its health."""
    made = delivery.attempts_made
    match delivery.state:
        case DeliveryState.SUCCEEDED:
            how = "at the first attempt" if made == 1 else f"after {_attempts(made)}"
            return Standing("succeeded", "", how)
        case DeliveryState.FAILED:
            how = f"after {_attempts(made)}" if made else "before the first attempt"
            return Standing("failed", "bad", how)
        case DeliveryState.SENDING:
            return Standing("sending", "off", f"attempt {made:,}", "now")
    kind = "warn" if delivery.last_error or delivery.last_status_code is not None else "off"
    rest, short, at = _what_for(delivery, delivery.endpoint, now)
    return Standing("waiting", kind, rest, short, at)


def _what_for(
    delivery: Delivery, endpoint: Endpoint, now: datetime
) -> tuple[str, str, datetime | None]:
    """What a pending delivery waits for, in the order in which the engine asks."""
    due = delivery.next_attempt_at
    if delivery.by_hand:
        return "to be sent at once", "now", None
    if endpoint.deleted_at is not None:
        return "but its endpoint was deleted, so it is not sent", "never", None
    if not endpoint.enabled:
        return "until its endpoint is enabled", "when enabled", None
    health: Health | None = getattr(endpoint, "health", None)
    held = health.held_until if health is not None else None
    if held is not None and held > now and (due is None or held > due):
        return "while its endpoint is paused, next attempt", "", held
    if due is not None and due > now:
        return "next attempt", "", due
    return "to be sent, it is due", "due", None


def _attempts(number: int) -> str:
    return f"{number:,} attempt{'' if number == 1 else 's'}"


def until(at: datetime, now: datetime) -> str:
    """How far ahead `at` is: "in 20 s", "in 4 min", "in 3 h", "in 2 days", or "now".

    templates/static/webhooks/deliveries_part.js says the same as time goes by.
    """
    seconds = (at - now).total_seconds()
    return "now" if seconds < 1 else f"in {span(seconds)}"


def span(seconds: float) -> str:
    """A time, rounded down: "20 s", "4 min", "3 h", "2 days"."""
    if seconds < MINUTE:
        return f"{math.floor(seconds)} s"
    if seconds < HOUR:
        return f"{math.floor(seconds / MINUTE)} min"
    if seconds < 2 * DAY:
        return f"{math.floor(seconds / HOUR)} h"
    return f"{math.floor(seconds / DAY)} days"


def subject(data: Any) -> str:
    """What an event is about, "" where its data don't say: a SKU, how many products, an order."""
    match data:
        case {"product": {"sku": str(sku)}}:
            return sku
        case {"count": int(count)}:
            return f"{count:,} product{'' if count == 1 else 's'}"
        case {"order_id": str(order_id)}:
            return order_id
    return ""


def answer(status_code: int | None, error: str) -> str:
    """A status with its name ("503 Service Unavailable"), or why there is none."""
    if status_code is None:
        return error
    return f"{status_code} {PHRASES.get(status_code, '')}".strip()


def outcome(attempt: Attempt) -> str:
    """What came of `attempt` in words: the name of its status, or why there is none."""
    if attempt.status_code is not None:
        return PHRASES.get(attempt.status_code, "")
    return attempt.error or ("" if attempt.state == AttemptState.SENDING else "No answer.")


def duration(milliseconds: int | None) -> str:
    """ "133 ms", "15.0 s", "" where it is not known."""
    if milliseconds is None:
        return ""
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def size(number: int) -> str:
    """ "4 KB", "512 bytes"."""
    return f"{number / 1024:g} KB" if number >= 1024 else f"{number} bytes"


def place(endpoint: Endpoint) -> str:
    """An endpoint's URL without its scheme."""
    url: str = endpoint.url
    return url.partition("://")[2] or url


def receiver(delivery: Delivery) -> str:
    """What people call who gets it: the endpoint's name, or a callback's own URL."""
    url: str = delivery.url
    return url.partition("://")[2] or name(delivery.endpoint)


def name(endpoint: Endpoint) -> str:
    """What people call an endpoint: its description, else where it is."""
    description: str = endpoint.description
    return description or place(endpoint)
