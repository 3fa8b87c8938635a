"""Tables of webhooks: what happened, who wants to be told, and each attempt to tell them."""

from .delivery import Attempt, AttemptState, Delivery, DeliveryState
from .endpoint import Endpoint, Health, Secret
from .event import Event

__all__ = [
    "Attempt",
    "AttemptState",
    "Delivery",
    "DeliveryState",
    "Endpoint",
    "Event",
    "Health",
    "Secret",
]
