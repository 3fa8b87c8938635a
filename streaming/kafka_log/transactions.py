"""Outputs and the offsets they follow from, written together or not at all.

One of the two places where kafka-python's silent traps are cured; the other is membership.py.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaError, UnknownError
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition

from . import connection
from .batches import append
from .discarding import discard
from .known_version import is_known

# The broker aborts what an instance leaves open after this; readers of committed data wait as long.
TRANSACTION_TIMEOUT_MS = 15_000
# Below the transaction's, so that a record's failure is known before the broker gives up.
DELIVERY_TIMEOUT_MS = 10_000
REQUEST_TIMEOUT_MS = 4_500
# Nothing leaves before `flush`, unless a batch is full: one request a partition, not many.
LINGER_MS = 5_000
BATCH_BYTES = 1024 * 1024
# The library's 100 ms are added to every transaction: adding a partition is always answered
# "try again" while the one before is still being finished.
RETRY_BACKOFF_MS = 5
CLOSE_SECONDS = 1.0


class Message(NamedTuple):
    """What is to be written to one partition of a topic."""

    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Uncommitted(Exception):
    """A transaction that failed, or of which it is not known. The cause is the error.

    What was in memory has gone on, so compare it with the committed offsets before the next one.
    """


class Transactions:
    """A transactional producer, made anew after any failure.

    Offsets of a failed transaction would leak into the next one of the same kafka-python producer.
    """

    def __init__(
        self, transactional_id: str, topics: Iterable[str], *, short_cut: bool = True
    ) -> None:
        """Written are `topics` alone. `short_cut`: skip the per-record overhead of `send`.

        Both write the same; the short cut is off where the installed kafka-python is another than
        the one it was written for.
        """
        self._id = transactional_id
        self._topics = tuple(topics)
        self._short_cut = short_cut and is_known("sent")
        self._producer: KafkaProducer | None = None

    def open(self) -> None:
        """Be ready to commit; ends what an earlier holder of the id has left open.

        To be called before committed offsets are compared. Raises KafkaError.
        """
        if self._producer is not None:
            return
        producer = KafkaProducer(
            **connection.options(),
            client_id=self._id,
            transactional_id=self._id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            max_block_ms=TRANSACTION_TIMEOUT_MS,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            linger_ms=LINGER_MS,
            batch_size=BATCH_BYTES,
            bootstrap_timeout_ms=5_000,
            metrics_enabled=False,
        )
        try:
            producer.init_transactions()
            for topic in self._topics:
                # Without having asked, the commit of a first transaction can wait for ever.
                producer.partitions_for(topic)
        except BaseException:
            discard(producer, CLOSE_SECONDS)
            raise
        self._producer = producer

    def partition_count(self, topic: str) -> int:
        """Partitions of one of the topics, as of now. To be called when open. Raises KafkaError."""
        if self._producer is None:
            raise RuntimeError("partition_count before open")
        return len(self._producer.partitions_for(topic))

    def commit(
        self,
        messages: Mapping[tuple[str, int], list[Message]],
        topic: str,
        offsets: Mapping[int, tuple[int, str]],
        member: ConsumerGroupMetadata,
    ) -> None:
        """Write `messages`, by topic and partition, and commit `offsets` of `topic`'s partitions.

        `offsets` holds the next offset to read and a text kept beside it. `member` is the identity
        under which the offsets were read; the broker refuses one that is no longer of the group.
        Raises Uncommitted, after which `open` is to be called again.
        """
        if member.generation_id < 0 or not member.member_id:
            # The broker would take these offsets from anybody.
            raise ValueError(f"not a member of a group: {member}")
        found = {
            TopicPartition(topic, partition): OffsetAndMetadata(offset, text, -1)
            for partition, (offset, text) in offsets.items()
        }
        self._commit(messages, lambda producer: producer.send_offsets_to_transaction(found, member))

    def write(self, messages: Mapping[tuple[str, int], list[Message]]) -> None:
        """Write `messages`, by topic and partition: all of them or none.

        Raises Uncommitted, after which `open` is to be called again.
        """
        self._commit(messages, lambda producer: None)

    def _commit(
        self,
        messages: Mapping[tuple[str, int], list[Message]],
        send_offsets: Callable[[KafkaProducer], None],
    ) -> None:
        producer = self._producer
        if producer is None:
            raise RuntimeError("commit before open")
        try:
            producer.begin_transaction()
            futures = (self._append if self._short_cut else self._send)(producer, messages)
            flush(producer, TRANSACTION_TIMEOUT_MS / 1000)
            # `flush` only logs failures, and `commit_transaction` succeeds in spite of them.
            for future in futures:
                if not future.succeeded():
                    raise future.exception or KafkaError("a record is neither written nor refused")
            send_offsets(producer)
            producer.commit_transaction()
        except KafkaError as error:
            self.close()
            raise Uncommitted(connection.in_words(error)) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the producer; what is open is ended by the next holder of the id."""
        producer, self._producer = self._producer, None
        if producer is not None:
            discard(producer, CLOSE_SECONDS)

    @staticmethod
    def _send(
        producer: KafkaProducer, messages: Mapping[tuple[str, int], list[Message]]
    ) -> list[Any]:
        return [
            producer.send(
                topic, value, key, headers, partition=partition, timestamp_ms=timestamp_ms
            )
            for (topic, partition), batch in messages.items()
            for timestamp_ms, key, value, headers in batch
        ]

    @staticmethod
    def _append(
        producer: KafkaProducer, messages: Mapping[tuple[str, int], list[Message]]
    ) -> list[Any]:
        return [
            written
            for (topic, partition), batch in messages.items()
            if batch
            for written in append(producer, TopicPartition(topic, partition), batch)
        ]


def flush(producer: KafkaProducer, seconds: float) -> None:
    """Until each record is written or refused. Raises KafkaError, KafkaTimeoutError among them."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            producer.flush(timeout=max(0.0, deadline - time.monotonic()))
            return
        except UnknownError:
            # A batch was too large for the broker. Its halves are on their way.
            if time.monotonic() > deadline:
                raise
