"""How an endpoint stands, in words for its pages. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from webhooks.models import Endpoint

from .statistics import Glance


@dataclass(frozen=True)
class Condition:
    """`words` and the CSS class `tag` of its tag; `until` goes behind the words."""

    words: str
    tag: str = ""
    until: datetime | None = None


def given_up(endpoint: Endpoint) -> bool:
    """Whether it was disabled by the engine, not by somebody."""
    return not endpoint.enabled and bool(endpoint.disabled_reason)


def paused(endpoint: Endpoint, glance: Glance, now: datetime) -> bool:
    """Whether nothing is sent for a while, although it is enabled."""
    return endpoint.enabled and glance.held_until is not None and glance.held_until > now


def condition(endpoint: Endpoint, glance: Glance, now: datetime) -> Condition:
    """What matters most about it."""
    if given_up(endpoint):
        return Condition("disabled automatically", "bad")
    if not endpoint.enabled:
        return Condition("disabled", "off")
    if paused(endpoint, glance, now):
        return Condition("paused until", "warn", glance.held_until)
    if glance.failures_in_a_row:
        return Condition("failing", "warn")
    return Condition("enabled")


def disabled_then(endpoint: Endpoint, glance: Glance, after: timedelta) -> datetime | None:
    """When the engine disables it if all goes on failing; None while that is no matter."""
    if not endpoint.enabled or glance.failing_since is None:
        return None
    return glance.failing_since + after
