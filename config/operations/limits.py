"""From where on something is a problem: the settings OPERATIONS_…."""

from dataclasses import dataclass

from django.conf import settings

LATE_SAMPLES = 3
LEAST_SAMPLE_AGE_SECONDS = 30.0
ORDER_GRACE_SECONDS = 60.0  # until it is claimed, and for its decision


@dataclass(frozen=True)
class Limits:
    """What is still right; its defaults are those of the settings."""

    lag: int = 10_000
    """Messages or records that a consumer is behind."""
    queue_age_seconds: float = 60.0
    """How long a queue's oldest message has waited."""
    delivery_age_seconds: float = 300.0
    """How long the oldest due webhook delivery has waited."""
    rejects_per_hour: int = 1000
    """Of one kind."""
    lateness_seconds: float = 5.0
    """How late the ledger's balances were written."""
    sample_age_seconds: float = LEAST_SAMPLE_AGE_SECONDS
    """From when on a sample no longer says how things are."""
    orders_share: float = 0.9
    """Of as many open orders as there may be."""
    order_age_seconds: float = 60.0 + ORDER_GRACE_SECONDS
    """How long the oldest open order is open. No verification, asked or simulated, takes longer."""
    retired_roles: frozenset[str] = frozenset()
    """Roles that do not run any more on purpose: not missed."""


def limits() -> Limits:
    """Those of this deployment."""
    return Limits(
        lag=settings.OPERATIONS_MAX_LAG,
        queue_age_seconds=settings.OPERATIONS_MAX_QUEUE_AGE_SECONDS,
        delivery_age_seconds=settings.OPERATIONS_MAX_DELIVERY_AGE_SECONDS,
        rejects_per_hour=settings.OPERATIONS_MAX_REJECTS_PER_HOUR,
        lateness_seconds=settings.OPERATIONS_MAX_LATENESS_SECONDS,
        sample_age_seconds=max(
            LEAST_SAMPLE_AGE_SECONDS, LATE_SAMPLES * settings.OPERATIONS_SAMPLE_SECONDS
        ),
        order_age_seconds=settings.VERIFIER_TIMEOUT_SECONDS + ORDER_GRACE_SECONDS,
        retired_roles=frozenset(name.strip() for name in settings.OPERATIONS_RETIRED_ROLES),
    )
