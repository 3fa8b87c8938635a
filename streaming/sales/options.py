"""The variables of sales, read once at the start of a process."""

from dataclasses import dataclass
from typing import Self

from django.conf import settings

from .limits import Limits


@dataclass(frozen=True)
class Options:
    """Names as Kafka has them (KAFKA_PREFIX included), and limits."""

    input_topic: str
    output_topic: str
    dead_letter_topic: str
    group: str
    partitions: int  # of topics that we make
    accept_keys: bool
    session_timeout_ms: int
    batch: int
    snapshot_seconds: float
    static_membership: bool
    limits: Limits

    @classmethod
    def from_settings(cls) -> Self:
        """What config/variables.py says."""
        return cls(
            input_topic=settings.SALES_INPUT_TOPIC,
            output_topic=settings.SALES_OUTPUT_TOPIC,
            dead_letter_topic=settings.SALES_DEAD_LETTER_TOPIC,
            group=settings.SALES_GROUP,
            partitions=settings.SALES_PARTITIONS,
            accept_keys=settings.SALES_ACCEPT_KEYS,
            session_timeout_ms=settings.SALES_SESSION_TIMEOUT_MS,
            batch=settings.SALES_BATCH,
            snapshot_seconds=settings.SALES_SNAPSHOT_SECONDS,
            static_membership=settings.SALES_STATIC_MEMBERSHIP,
            limits=Limits(
                settings.SALES_WINDOW_SECONDS,
                settings.SALES_LATENESS_SECONDS,
                settings.SALES_MAX_SKEW_SECONDS,
            ),
        )
