"""What the topics are like, and making those that are missing."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import (
    InvalidPartitionsError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from . import connection
from .incarnation import text_of

logger = logging.getLogger(__name__)

REQUEST_TIMEOUT_MS = 10_000

Client = KafkaAdminClient


@dataclass(frozen=True)
class TopicFacts:
    """What sales wants to know of a topic; None: the broker would not tell."""

    partitions: int
    log_append_time: bool | None = None  # the broker stamps the records, not their producer
    retention_ms: int | None = None  # negative: for ever


@contextmanager
def admin() -> Iterator[KafkaAdminClient]:
    """A client for the work of administrators. Raises KafkaError."""
    client = KafkaAdminClient(
        **connection.options(),
        client_id="stockroom-admin",
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        bootstrap_timeout_ms=5_000,
    )
    try:
        yield client
    finally:
        client.close()


def partition_counts(client: KafkaAdminClient, names: list[str]) -> dict[str, int]:
    """Partitions by topic; those that are missing are left out. Raises KafkaError."""
    return {
        topic["name"]: len(topic["partitions"])
        for topic in client.describe_topics(names)
        if topic["error_code"] == 0
    }


def topic_id(client: KafkaAdminClient, name: str) -> str | None:
    """The id that Kafka gave `name` when it was made, None where it is missing. Raises KafkaError.

    As `Incarnation` tells it.
    """
    (found,) = client.describe_topics([name])
    error = for_code(found["error_code"])
    if error is UnknownTopicOrPartitionError:
        return None
    if found["error_code"]:
        raise error(name)
    return text_of(found["topic_id"])


def facts(client: KafkaAdminClient, name: str) -> TopicFacts | None:
    """What `name` is like, None where it is missing. Raises KafkaError."""
    count = partition_counts(client, [name]).get(name)
    if count is None:
        return None
    settings = _settings(client, name)
    stamped, kept = settings.get("message.timestamp.type"), settings.get("retention.ms")
    return TopicFacts(
        count,
        None if stamped is None else stamped == "LogAppendTime",
        None if kept is None else int(kept),
    )


def create(
    client: KafkaAdminClient, name: str, partitions: int, settings: Mapping[str, str] | None = None
) -> bool:
    """Make a topic and wait until it can be used; False where it was there already.

    Raises KafkaError, also where this client may not.
    """
    try:
        client.create_topics(
            {name: {"num_partitions": partitions, "configs": dict(settings or {})}},
            timeout_ms=REQUEST_TIMEOUT_MS,
            wait_for_metadata=True,
        )
    except TopicAlreadyExistsError:
        return False
    logger.info("made topic %s with %d partitions", name, partitions)
    return True


def grow(client: KafkaAdminClient, name: str, partitions: int) -> None:
    """Give a topic more partitions. Raises KafkaError, also where this client may not."""
    with suppress(InvalidPartitionsError):  # somebody else has meanwhile
        client.create_partitions({name: partitions}, timeout_ms=REQUEST_TIMEOUT_MS)
        logger.info("topic %s has %d partitions now", name, partitions)


def _settings(client: KafkaAdminClient, name: str) -> dict[str, Any]:
    wanted = {"message.timestamp.type": None, "retention.ms": None}
    resource = ConfigResource(ConfigResourceType.TOPIC, name, wanted)
    described: dict[str, Any] = client.describe_configs([resource], config_filter="all")
    found: dict[str, Any] = {}
    for by_name in described.values():
        found.update(by_name.get(name, {}))
    return {key: setting.get("value") for key, setting in found.items()}
