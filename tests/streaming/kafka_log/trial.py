"""A topic and a group on a real Kafka, with plain clients of kafka-python and ours."""

import time
import uuid
from contextlib import suppress
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import MemberToRemove
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import KafkaError, RetriableError
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition

from streaming.kafka_log.membership import Group
from streaming.kafka_log.transactions import Transactions
from tests.services.waiting import until

# Members of one group must have an assignor in common.
AS_OURS = {"partition_assignment_strategy": (StickyPartitionAssignor,)}
COOPERATIVE = {"partition_assignment_strategy": (CooperativeStickyAssignor,)}

# One that is starved, or whose broker is frozen, stays a member.
SESSION_MS = 30_000


class Trial:
    """A topic of 2 partitions with 10 records each, and a group, of fresh names."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.topic = f"trap-{uuid.uuid4().hex[:10]}"
        self.group = f"{self.topic}.group"
        self._opened: list[Any] = []
        self.admin = self._closed_at_the_end(KafkaAdminClient(bootstrap_servers=bootstrap))
        self.admin.create_topics({self.topic: {"num_partitions": 2}}, wait_for_metadata=True)
        producer = self._closed_at_the_end(KafkaProducer(bootstrap_servers=bootstrap))
        for number in range(20):
            producer.send(self.topic, b"%d" % (number // 2), partition=number % 2)
        producer.flush(timeout=60)

    def at(self, partition: int) -> TopicPartition:
        return TopicPartition(self.topic, partition)

    def consumer(self, **options: Any) -> KafkaConsumer:
        """A member of the group, two records a poll."""
        listener = options.pop("listener", None)
        consumer = KafkaConsumer(
            bootstrap_servers=self.bootstrap,
            group_id=self.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=200,
            max_poll_records=2,
            **options,
        )
        consumer.subscribe([self.topic], listener=listener)
        return self._closed_at_the_end(consumer)

    def ours(self) -> Group:
        group = Group(
            self.topic,
            self.group,
            client_id="trial",
            static_id=None,
            session_timeout_ms=6000,
            batch=2,
        )
        return self._closed_at_the_end(group)

    def producer(self, **options: Any) -> KafkaProducer:
        """A transactional one, ready."""
        producer = KafkaProducer(
            bootstrap_servers=self.bootstrap,
            transactional_id=f"{self.topic}.{uuid.uuid4().hex[:6]}",
            retry_backoff_ms=5,
            **options,
        )
        producer.init_transactions()
        producer.partitions_for(self.topic)
        return self._closed_at_the_end(producer)

    def transactions(self) -> Transactions:
        made = Transactions(f"{self.topic}.{uuid.uuid4().hex[:6]}", [self.topic])
        made.open()
        return self._closed_at_the_end(made)

    def values(self, partition: int) -> list[bytes]:
        """What readers of committed records see behind the first 10."""
        consumer = KafkaConsumer(
            bootstrap_servers=self.bootstrap, isolation_level="read_committed", group_id=None
        )
        try:
            at = self.at(partition)
            consumer.assign([at])
            consumer.seek(at, 10)
            end = consumer.end_offsets([at])[at]
            found: list[bytes] = []
            deadline = time.monotonic() + 60
            while consumer.position(at) < end and time.monotonic() < deadline:
                found += [each.value for each in consumer.poll(timeout_ms=100).get(at, [])]
            return found
        finally:
            consumer.close(autocommit=False)

    def committed(self, partition: int) -> int | None:
        at = self.at(partition)
        deadline = time.monotonic() + 60
        while True:
            try:
                found = self.admin.list_group_offsets({self.group: [at]})[self.group].get(at)
            except RetriableError:  # its coordinator is being found, or still reads its log
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
                continue
            return None if found is None or found.offset < 0 else found.offset

    def remove(self, member_id: str) -> None:
        """As the broker does with a member it has not heard of for too long."""
        self.admin.remove_group_members(self.group, [MemberToRemove(member_id=member_id)])

    def work_as_another(self, partition: int) -> None:
        """Another member takes all over, commits 10 for the partition, and leaves."""
        other = self.consumer(**AS_OURS)
        joined(other)
        other.commit({self.at(partition): OffsetAndMetadata(10, "by another", -1)})
        other.close(autocommit=False)

    def close(self) -> None:
        for each in reversed(self._opened):
            with suppress(KafkaError):
                each.close()

    def _closed_at_the_end(self, client: Any) -> Any:
        self._opened.append(client)
        return client


def joined(consumer: KafkaConsumer) -> ConsumerGroupMetadata:
    """Poll until it is a member that owns something."""
    until(lambda: (consumer.poll(timeout_ms=500), consumer.assignment())[1], 60)
    return consumer.group_metadata()
