"""Reads what is committed in a topic, from one offset to another, outside of any group."""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple, Self

from kafka import KafkaConsumer
from kafka.errors import KafkaError, KafkaTimeoutError, RetriableError
from kafka.protocol.consumer import OffsetSpec
from kafka.structs import TopicPartition

from . import connection, topics
from .decoding import quicken

REQUEST_TIMEOUT_MS = 10_000
BATCH = 2_000
POLL_SECONDS = 0.5
RETRY_SECONDS = 0.2


class Record(NamedTuple):
    """One record as it stands in its topic."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class Reader:
    """One client for several readings, to be closed (it is a context manager)."""

    def __init__(self, *, timeout_seconds: float = 30.0) -> None:
        """`timeout_seconds`: longest silence of the broker. Raises KafkaError."""
        self._timeout = timeout_seconds
        self._timeout_ms = round(min(timeout_seconds * 1000, REQUEST_TIMEOUT_MS))
        self._consumer = KafkaConsumer(
            **connection.options(),
            client_id="stockroom-reader",
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=BATCH,
            bootstrap_timeout_ms=self._timeout_ms,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
        quicken(self._consumer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End its connections and its thread."""
        with suppress(KafkaError):
            self._consumer.close(autocommit=False, timeout_ms=1_000)

    def partitions(self, topic: str) -> list[int]:
        """The topic's partitions, [] where there is no such topic. Raises KafkaError."""
        # `partitions_for_topic` would wait for ever on a broker that has fallen silent.
        consumer, cluster = self._consumer, self._consumer._cluster
        cluster.need_all_topic_metadata = True
        for _ in range(2):  # an update that was under way already may leave other topics out
            if cluster.partitions_for_topic(topic) is None:
                update = cluster.request_update()
                consumer._net.run(consumer._manager.wait_for, update, self._timeout_ms)
        return sorted(cluster.partitions_for_topic(topic) or ())

    def begin(self, topic: str) -> dict[int, int]:
        """First offset that is still there, by partition. Raises KafkaError."""
        return self._bounds(topic, self._consumer.beginning_offsets)

    def end(self, topic: str) -> dict[int, int]:
        """Offset after the last that is committed, by partition. Raises KafkaError."""
        return self._bounds(topic, self._consumer.end_offsets)

    def high(self, topic: str) -> dict[int, int]:
        """Offset after the last one written, committed or not, by partition. Raises KafkaError."""
        with topics.admin() as client:
            found = client.list_partition_offsets(
                dict.fromkeys(self._all(topic), OffsetSpec.LATEST), timeout_ms=self._timeout_ms
            )
        return {where.partition: at.offset for where, at in found.items()}

    def offsets_at(self, topic: str, timestamp_ms: int) -> dict[int, int | None]:
        """First offset of a record not older than that, by partition. Raises KafkaError."""
        wanted = {where: max(0, timestamp_ms) for where in self._all(topic)}
        if not wanted:
            return {}
        found = self._consumer.offsets_for_times(wanted, timeout_ms=self._timeout_ms)
        return {
            where.partition: None if at is None or at.offset < 0 else at.offset
            for where, at in found.items()
        }

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        """The records of offsets `start` to below `end`, as far as they are committed.

        `end` must not be above what `Reader.end` gave. Raises KafkaError, also after
        `timeout_seconds` without progress.
        """
        where = TopicPartition(topic, partition)
        if start >= end:
            return
        self._consumer.assign([where])
        self._consumer.seek(where, start)
        deadline = time.monotonic() + self._timeout
        position = start
        while position < end:
            for found in self._consumer.poll(timeout_ms=round(POLL_SECONDS * 1000)).get(where, ()):
                if found.offset >= end:
                    return
                yield Record(
                    partition,
                    found.offset,
                    found.timestamp,
                    found.key,
                    found.value,
                    tuple(found.headers or ()),
                )
            # Past marks of transactions too, which are no records.
            reached = self._consumer.position(where, timeout_ms=self._timeout_ms)
            if reached is not None and reached > position:
                position, deadline = reached, time.monotonic() + self._timeout
            elif time.monotonic() > deadline:
                raise KafkaTimeoutError(f"{topic}/{partition} gives nothing after {position}")

    def tail(self, topic: str, count: int) -> list[Record]:
        """About the last `count` records of each partition, in order of partition and offset.

        Marks of transactions count, so there may be fewer. Raises KafkaError.
        """
        first, last = self.begin(topic), self.end(topic)
        return [
            record
            for partition in sorted(last)
            for record in self.read(
                topic, partition, max(first[partition], last[partition] - count), last[partition]
            )
        ]

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """The group's next offsets by partition, without those it never committed.

        Raises KafkaError.
        """
        deadline = time.monotonic() + self._timeout
        with topics.admin() as client:
            while True:
                try:
                    found = client.list_group_offsets({group: self._all(topic)}).get(group, {})
                    break
                except RetriableError:  # the cluster's first group: being prepared
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(RETRY_SECONDS)
        return {where.partition: at.offset for where, at in found.items() if at.offset >= 0}

    def _all(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, partition) for partition in self.partitions(topic)]

    def _bounds(self, topic: str, ask: object) -> dict[int, int]:
        where = self._all(topic)
        found = ask(where, timeout_ms=self._timeout_ms) if where else {}  # type: ignore[operator]
        return {at.partition: offset for at, offset in found.items()}
