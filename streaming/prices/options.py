"""The variables of the consumer `prices`, read once at the start of a process."""

from dataclasses import dataclass
from typing import Self

from django.conf import settings


@dataclass(frozen=True)
class Options:
    """Names as Kafka has them (KAFKA_PREFIX included), and limits."""

    topic: str
    group: str
    partitions: int  # of a topic that we make
    session_timeout_ms: int
    batch: int
    snapshot_seconds: float

    @classmethod
    def from_settings(cls) -> Self:
        """What config/variables.py says."""
        return cls(
            topic=settings.PRICES_TOPIC,
            group=settings.PRICES_GROUP,
            partitions=settings.PRICES_PARTITIONS,
            session_timeout_ms=settings.PRICES_SESSION_TIMEOUT_MS,
            batch=settings.PRICES_BATCH,
            snapshot_seconds=settings.PRICES_SNAPSHOT_SECONDS,
        )
