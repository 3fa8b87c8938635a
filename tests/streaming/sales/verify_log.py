"""Topics of one test of verify_sales, written by hand: inputs, what came of them, commits."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.conf import settings
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.structs import OffsetAndMetadata, TopicPartition

from tests.streaming.sales import oracle
from tests.streaming.sales.oracle import Record


class Written(NamedTuple):
    """A record to be written."""

    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class VerifyLog:
    """Input, outputs and dead letters under fresh names, which are those of the settings."""

    def __init__(self, django_settings: Any, partitions: int = 1, **input_settings: str) -> None:
        """`input_settings`: of the input topic, with _ for dots. Timestamps are the test's."""
        name = f"v{uuid.uuid4().hex[:10]}"
        self.data, self.agg, self.dlq = f"{name}.data", f"{name}.agg", f"{name}.dlq"
        self.group = f"{name}.sales"
        django_settings.SALES_INPUT_TOPIC = self.data
        django_settings.SALES_OUTPUT_TOPIC = self.agg
        django_settings.SALES_DEAD_LETTER_TOPIC = self.dlq
        django_settings.SALES_GROUP = self.group
        configs = {key.replace("_", "."): value for key, value in input_settings.items()}
        # Old test data, which must not be deleted under our hands.
        kept = {"retention.ms": "-1"}
        self.admin = KafkaAdminClient(bootstrap_servers=settings.KAFKA_BOOTSTRAP_SERVERS)
        self.admin.create_topics(
            {
                self.data: {"num_partitions": partitions, "configs": {**kept, **configs}},
                self.agg: {"num_partitions": partitions, "configs": kept},
                self.dlq: {"num_partitions": 1, "configs": kept},
            },
            wait_for_metadata=True,
        )

    def close(self) -> None:
        self.admin.close()

    def write(
        self,
        topic: str,
        records: Iterable[Written],
        partition: int = 0,
        *,
        transaction: bool = False,
    ) -> list[Any]:
        """Append records, in order; what the broker says of each."""
        producer = KafkaProducer(
            bootstrap_servers=settings.KAFKA_BOOTSTRAP_SERVERS,
            linger_ms=5,
            max_request_size=2**22,
            **({"transactional_id": f"{topic}.{partition}"} if transaction else {}),
        )
        try:
            if transaction:
                producer.init_transactions()
                producer.begin_transaction()
            sent = [
                producer.send(
                    topic,
                    each.value,
                    each.key,
                    headers=list(each.headers),
                    partition=partition,
                    timestamp_ms=each.timestamp_ms,
                )
                for each in records
            ]
            producer.flush(timeout=60)
            if transaction:
                producer.commit_transaction()
            return [future.get(timeout=10) for future in sent]
        finally:
            producer.close(timeout=5)

    def take(self, records: Iterable[Written], partition: int = 0) -> list[Record]:
        """Append inputs. Returns them as the oracle reads them, with what the broker says."""
        records = list(records)
        told = self.write(self.data, records, partition)
        return [
            Record(each.offset, each.timestamp, record.key, record.value)
            for each, record in zip(told, records, strict=True)
        ]

    def commit(self, offset: int, partition: int = 0) -> None:
        """The group has worked off what is below `offset`."""
        consumer = KafkaConsumer(
            bootstrap_servers=settings.KAFKA_BOOTSTRAP_SERVERS,
            group_id=self.group,
            enable_auto_commit=False,
        )
        try:
            where = TopicPartition(self.data, partition)
            consumer.assign([where])
            consumer.commit({where: OffsetAndMetadata(offset, "", -1)})
        finally:
            consumer.close(autocommit=False)

    def delete(self, topic: str, offset: int, partition: int = 0) -> None:
        """As retention does: what is below `offset` is gone."""
        self.admin.delete_records({TopicPartition(topic, partition): offset})

    def outcome(
        self, records: Sequence[Record], partition: int = 0, **limits: float
    ) -> tuple[list[Written], list[Written]]:
        """The outputs and dead letters that must come of one partition's inputs."""
        by_offset: Mapping[int, Record] = {each.offset: each for each in records}
        right = oracle.run(records, **limits)
        outputs = [
            Written(by_offset[each.offset].timestamp, each.key, each.value)
            for each in right.outputs
        ]
        letters = [
            self.letter(by_offset[each.offset], each.reason, partition)
            for each in right.dead_letters
        ]
        return outputs, letters

    def letter(self, record: Record, reason: str, partition: int = 0) -> Written:
        """The dead letter of a record."""
        value = record.value or b""
        headers = {
            "reason": reason,
            "detail": "said for people, not compared",
            "topic": self.data,
            "partition": str(partition),
            "offset": str(record.offset),
            "timestamp": str(record.timestamp),
            "value_bytes": str(len(value)),
        }
        return Written(
            record.timestamp,
            record.key,
            value[: 64 * 1024],
            [(name, text.encode()) for name, text in headers.items()],
        )

    def put_out(
        self, outputs: Sequence[Written], letters: Sequence[Written], partition: int = 0
    ) -> None:
        """Append what came of inputs."""
        self.write(self.agg, outputs, partition)
        self.write(self.dlq, letters)

    def work_off(self, records: Sequence[Record], partition: int = 0) -> None:
        """What a right system does with all inputs of a partition."""
        self.put_out(*self.outcome(records, partition), partition)
        self.commit(records[-1].offset + 1, partition)
