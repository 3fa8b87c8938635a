"""One test's topics and instances of sales on a real Kafka, and the comparison with the oracle.

Reads and writes with plain kafka-python, never with streaming.kafka_log.
"""

import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import redis
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from config.services.spawn import kill_tree
from streaming.sales import board
from tests.consumers.processes import Process
from tests.services.waiting import until
from tests.streaming.sales.judgement import Judged, judge

SESSION_MS = 3000
# An older snapshot may be of an instance that has gone.
FRESH_SECONDS = 2.5
# The transaction's time-out, and as long until the broker looks for those that are over.
OPEN_SECONDS = 60.0


class Message(NamedTuple):
    """To be produced; `partition` None: where the key belongs."""

    value: bytes | None
    key: bytes | None
    partition: int | None = None


class KafkaStage:
    """Topics and a group of fresh names; `close` ends all instances."""

    def __init__(self, bootstrap: str, folder: Path, **environment: str) -> None:
        """`environment`: variables of all instances."""
        self.bootstrap = bootstrap
        self.name = f"t{uuid.uuid4().hex[:10]}"
        self.input = f"{self.name}.data"
        self.output = f"{self.name}.agg"
        self.dead_letters = f"{self.name}.data.dlq"
        self.group = f"{self.name}.sales"
        self.instances: list[Process] = []
        self._folder = folder
        self._environment = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "SALES_INPUT_TOPIC": self.input,
            "SALES_OUTPUT_TOPIC": self.output,
            "SALES_DEAD_LETTER_TOPIC": self.dead_letters,
            "SALES_GROUP": self.group,
            "SALES_SESSION_TIMEOUT_MS": str(SESSION_MS),
            "SALES_SNAPSHOT_SECONDS": "0.25",
            "CONSUMER_HEALTH_SECONDS": "0.5",
            "STOCKROOM_VAR": str(folder),
            **environment,
        }

    # Topics

    def create(self, partitions: int = 4, outputs: int | None = None, **settings: str) -> None:
        """Make the three topics; `settings` are the input's, with _ for dots."""
        stamped = {"message.timestamp.type": "LogAppendTime"}
        stamped |= {name.replace("_", "."): value for name, value in settings.items()}
        outputs = outputs or partitions
        with self.admin() as admin:
            admin.create_topics(
                {
                    self.input: {"num_partitions": partitions, "configs": stamped},
                    self.output: {"num_partitions": outputs},
                    self.dead_letters: {"num_partitions": outputs},
                },
                wait_for_metadata=True,
            )

    @contextmanager
    def admin(self) -> Iterator[KafkaAdminClient]:
        client = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            yield client
        finally:
            client.close()

    def partitions(self, topic: str) -> int:
        """0 where it is missing."""
        with self.admin() as admin:
            found = admin.describe_topics([topic])[0]
        return len(found["partitions"]) if found["error_code"] == 0 else 0

    # Input

    def producer(self, **options: Any) -> KafkaProducer:
        return KafkaProducer(bootstrap_servers=self.bootstrap, **{"linger_ms": 5, **options})

    def produce(self, messages: Iterable[Message], **options: Any) -> None:
        """All at once, in order within each partition."""
        producer = self.producer(**options)
        try:
            sent = [
                producer.send(self.input, each.value, each.key, partition=each.partition)
                for each in messages
            ]
            producer.flush(timeout=60)
            for future in sent:
                future.get(timeout=1)
        finally:
            producer.close(timeout=5)

    # Instances

    def start(self, slot: str | None = None, **environment: str) -> Process:
        """Start an instance; `slot` is its SALES_INSTANCE."""
        log = self._folder / f"instance{len(self.instances)}.log"
        own = {"SALES_INSTANCE": slot} if slot is not None else {}
        process = Process(
            ["manage.py", "run_consumer", "sales"],
            {**self._environment, **own, **environment},
            log,
        )
        self.instances.append(process)
        return process

    def logs(self) -> str:
        return "\n".join(
            f"--- instance {number}, {process.child.returncode}\n{process.log[-6000:]}"
            for number, process in enumerate(self.instances)
        )

    def snapshots(self) -> list[dict[str, Any]]:
        """Those of this stage's group."""
        try:
            found = board.snapshots()
        except redis.RedisError:
            return []
        return [each for each in found if each["group"] == self.group]

    def shown(self) -> dict[int, dict[str, Any]]:
        """What the snapshots show of each partition."""
        return {
            partition["partition"]: {**partition, "instance": each["instance"]}
            for each in self.snapshots()
            for partition in each["partitions"]
        }

    # What has come of it

    def committed(self, partitions: int) -> dict[int, int]:
        """Next offsets by partition, 0 where nothing is committed."""
        with self.admin() as admin:
            where = [TopicPartition(self.input, number) for number in range(partitions)]
            found = admin.list_group_offsets({self.group: where}).get(self.group, {})
        return {at.partition: max(found[at].offset, 0) if at in found else 0 for at in where}

    def wait_until_done(self, seconds: float = 60.0) -> None:
        """Until the group has committed all that is in the input now."""
        wanted = {
            partition: records[-1].offset + 1 if records else 0
            for partition, records in self.read(self.input).items()
        }
        self.wait_for_commits(wanted, seconds)

    def wait_for_commits(self, wanted: Mapping[int, int], seconds: float = 60.0) -> None:
        """Until the group's next offsets are at least `wanted`, by partition."""
        found: dict[int, int] = {}

        def done() -> bool:
            self.check()
            with suppress(KafkaError):
                found.update(self.committed(len(wanted)))
            return all(found.get(partition, 0) >= offset for partition, offset in wanted.items())

        try:
            until(done, seconds)
        except AssertionError:
            raise AssertionError(
                f"not done in {seconds} s: {found} of {wanted}; {self.snapshots()}\n{self.logs()}"
            ) from None

    def wait_until_shown(
        self, look: Callable[[list[dict[str, Any]]], object], seconds: float = 60.0
    ) -> None:
        """Until `look` finds what it wants in this group's snapshots."""
        try:
            until(lambda: look(self.snapshots()), seconds)
        except AssertionError:
            raise AssertionError(f"not shown: {self.snapshots()}\n{self.logs()}") from None

    def wait_for_owners(self, instances: int, partitions: int) -> None:
        """Until so many instances work on all partitions together, each on at least one."""

        def shared(snapshots: list[dict[str, Any]]) -> bool:
            owned = [
                [partition["partition"] for partition in each["partitions"]]
                for each in snapshots
                if each["state"] in ("running", "halted") and each["age_seconds"] < FRESH_SECONDS
            ]
            busy = [numbers for numbers in owned if numbers]
            everything = sorted(number for numbers in busy for number in numbers)
            return len(busy) == instances and everything == list(range(partitions))

        self.wait_until_shown(shared)

    def check(self) -> None:
        """Fails where an instance has crashed; one that was killed or drained has not."""
        for process in self.instances:
            code = process.child.poll()
            assert code in (None, 0, -9), f"an instance exited with {code}:\n{process.log}"

    @contextmanager
    def consumer(self, **others: Any) -> Iterator[KafkaConsumer]:
        options: dict[str, Any] = {
            "isolation_level": "read_committed",
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "max_poll_records": 5000,
        }
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, **{**options, **others})
        try:
            yield consumer
        finally:
            consumer.close(autocommit=False)

    def read(self, topic: str, seconds: float = 120.0) -> dict[int, list[Any]]:
        """All that is committed in a topic, as ConsumerRecords by partition.

        Waits for what a killed instance has left open: until its next self or the broker ends
        that, committed outputs behind it can't be read.
        """
        found: dict[int, list[Any]] = {}
        with self.consumer() as consumer:
            where = self._where(consumer, topic)
            with self.consumer(isolation_level="read_uncommitted") as impatient:
                ends = impatient.end_offsets(where)
            until(lambda: _reached(consumer.end_offsets(where), ends), OPEN_SECONDS)
            consumer.assign(where)
            consumer.seek_to_beginning(*where)
            deadline = time.monotonic() + seconds
            for at in where:
                found[at.partition] = []
            while any(consumer.position(at) < ends[at] for at in where):
                assert time.monotonic() < deadline, f"{topic} can't be read to its end {ends}"
                for at, records in consumer.poll(timeout_ms=200).items():
                    found[at.partition] += records
        return found

    def _where(self, consumer: KafkaConsumer, topic: str) -> list[TopicPartition]:
        numbers = until(lambda: consumer.partitions_for_topic(topic))
        return [TopicPartition(topic, number) for number in sorted(numbers)]

    # The judgement

    def assert_right(self, **limits: float) -> Judged:
        """Outputs and dead letters are those of the oracle, byte for byte and in order.

        0 lost, 0 doubled, 0 wrong: inputs = outputs + dead letters. `limits` are the oracle's.
        """
        inputs, outputs = self.read(self.input), self.read(self.output)
        return judge(self.input, inputs, outputs, self.read(self.dead_letters), limits)

    def close(self) -> None:
        for process in self.instances:
            if process.child.poll() is None and _is_stopped(process.child.pid):
                os.kill(process.child.pid, signal.SIGCONT)
            kill_tree(process.child)


def _reached(found: Mapping[Any, int], wanted: Mapping[Any, int]) -> bool:
    return all(found[at] >= offset for at, offset in wanted.items())


def _is_stopped(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


def sale(code: str, time: float, quantity: float = 1, price: float = 1) -> bytes:
    """A message as the generator writes it, bare NaN and all."""
    return json.dumps(
        {
            "Invoice": "489434",
            "StockCode": code,
            "Description": float("nan"),
            "Quantity": quantity,
            "Price": price,
            "Customer ID": float("nan"),
            "Country": "United Kingdom",
            "InvoiceDate": time,
        }
    ).encode()
