"""Kafka, Valkey, topics and processes for the bench of sales, and what the processes take."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

import psutil
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.errors import RetriableError

from bench.sample_sales import Sold
from config.services.spawn import spawn
from config.services.stack import PROJECT, Stack

PARTITIONS = 4
BATCH = 2_000
POLL_SECONDS = 0.05
WARM_SECONDS = 600.0
DRAIN_SECONDS = 40
TAIL_BYTES = 3_000
# kafka-python's settings of all benched producers: those of streaming/kafka_log/transactions.py.
PRODUCER = {"linger_ms": 5_000, "batch_size": 1024 * 1024, "metrics_enabled": False}
# The consumer's process, sending by kafka-python's public API, as with a version it doesn't know;
# with such a one it would not read by its short cut either, which this one does.
PUBLIC_API = """
import sys
from streaming.kafka_log import transactions
transactions.is_known = lambda what: False
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "run_consumer", "sales"])
"""


class Progress(NamedTuple):
    """How far a process had come at an instant: offsets its group has committed."""

    at: float
    cpu_seconds: float
    done: int


class Rate(NamedTuple):
    """What a process did after its warm-up."""

    messages: int
    seconds: float
    cpu_seconds: float

    @property
    def a_second(self) -> float:
        return self.messages / self.seconds

    @property
    def a_core(self) -> float:
        """Messages for each second of CPU."""
        return self.messages / self.cpu_seconds


class Stage:
    """The engines, and what is made on them; every topic and group is used once."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.environment = stack.environment
        self.servers = stack.environment["KAFKA_BOOTSTRAP_SERVERS"]
        self.folder = folder
        self._admin = KafkaAdminClient(bootstrap_servers=self.servers)
        self._numbers = count(1)

    def name(self, what: str) -> str:
        """A name that nothing had yet."""
        return f"{what}-{next(self._numbers)}"

    def topic(self, what: str, *, stamped: bool = False) -> str:
        """Make a topic; `stamped`: the broker's time of appending is each record's timestamp."""
        name = self.name(what)
        kind = "LogAppendTime" if stamped else "CreateTime"
        self._admin.create_topics(
            {
                name: {
                    "num_partitions": PARTITIONS,
                    "replication_factor": 1,
                    # Event times are made up, some lie hours back.
                    "configs": {"message.timestamp.type": kind, "retention.ms": "-1"},
                }
            },
            wait_for_metadata=True,
        )
        return name

    def filled(self, messages: Iterable[Sold]) -> str:
        """An input topic with these messages, each in its key's partition."""
        topic = self.topic("input", stamped=True)
        self.fill(topic, messages)
        return topic

    def fill(self, topic: str, messages: Iterable[Sold]) -> None:
        """Append these messages."""
        with KafkaProducer(
            bootstrap_servers=self.servers, **{**PRODUCER, "linger_ms": 50}
        ) as producer:
            for sold in messages:
                producer.send(topic, sold.value, sold.key)
            producer.flush()

    def committed(self, group: str, topic: str) -> int:
        """How many messages of the topic the group has done with."""
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        try:
            offsets = self._admin.list_group_offsets({group: partitions})[group]
        except RetriableError:  # until the first group is there
            return 0
        return sum(max(0, each.offset) for each in offsets.values())

    def consumer(
        self, source: str, output: str, group: str, *, public_api: bool = False, **variables: str
    ) -> "Worker":
        """Start the real consumer's process."""
        given = {
            "SALES_INPUT_TOPIC": source,
            "SALES_OUTPUT_TOPIC": output,
            "SALES_DEAD_LETTER_TOPIC": f"{output}.dlq",
            "SALES_GROUP": group,
            "SALES_BATCH": str(BATCH),
            **variables,
        }
        words = ["-c", PUBLIC_API] if public_api else ["manage.py", "run_consumer", "sales"]
        return self.worker("consumer", words, given)

    def bare(self, source: str, output: str, group: str) -> "Worker":
        """Start a bare copy from topic to topic."""
        words = ["-m", "bench.sales_bare", self.servers, source, output, group, str(BATCH)]
        return self.worker("bare", words, {})

    def worker(self, what: str, words: Sequence[str], variables: dict[str, str]) -> "Worker":
        """Start a Python process with these arguments."""
        log = self.folder / f"{self.name(what)}.log"
        return Worker(words, {**self.environment, **variables}, log)

    def close(self) -> None:
        self._admin.close()


class Worker:
    """A process on the stage. Use it as a context manager to have it ended."""

    def __init__(self, words: Sequence[str], environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as file:  # ends with this process, however that ends
            self._process = spawn(
                [sys.executable, *words], environment=environment, directory=PROJECT, output=file
            )
        self._watched = psutil.Process(self._process.pid)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def check(self) -> None:
        """Raise SystemExit with the end of its log when it is no longer there."""
        code = self._process.poll()
        if code is not None:
            raise SystemExit(f"{self._log.name} ended with {code}:\n{self.said()}")

    def said(self) -> str:
        """The end of what it printed."""
        return self._log.read_bytes()[-TAIL_BYTES:].decode(errors="replace")

    def wait(self, seconds: float) -> str:
        """Until it ends by itself, well; returns what it printed."""
        if self._process.wait(seconds) != 0:
            self.check()
        return self.said()

    def cpu_seconds(self) -> float:
        """Of all its threads so far."""
        times = self._watched.cpu_times()
        return times.user + times.system

    def resident_bytes(self) -> int:
        return self._watched.memory_info().rss


def follow(
    stage: Stage,
    worker: Worker,
    group: str,
    topic: str,
    total: int,
    *,
    warm: int,
    seconds: float = 600.0,
) -> Rate:
    """Watch a group work off `total` messages; gives its rate after `warm`, for `seconds` at most.

    Counted are messages whose offsets are committed, from one commit to another.
    """
    began: Progress | None = None
    last = Progress(time.monotonic(), worker.cpu_seconds(), 0)
    deadline = last.at + WARM_SECONDS
    while last.done < total and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        worker.check()
        done = stage.committed(group, topic)
        if done == last.done:
            continue
        last = Progress(time.monotonic(), worker.cpu_seconds(), done)
        if began is None and done >= warm:
            began = last
            deadline = last.at + seconds
    if began is None or began is last:
        raise SystemExit(f"{group} did {last.done:,} of {total:,} messages:\n{worker.said()}")
    return Rate(last.done - began.done, last.at - began.at, last.cpu_seconds - began.cpu_seconds)


def load() -> str:
    """Of the machine, over the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


@contextmanager
def running(folder: Path) -> Iterator[Stage]:
    """Kafka and Valkey of the bench's own; no database, sales needs none."""
    environment = {
        "LOG_LEVEL": "WARNING",
        "DATABASE_URL": "postgresql://bench@127.0.0.1:1/bench",
        **os.environ,
    }
    with Stack(folder / "var", environment, roles=(), engines=("valkey", "kafka"), port=0) as stack:
        stack.start_engines()
        os.environ.update(stack.environment)
        import django

        django.setup()
        stage = Stage(stack, folder)
        try:
            yield stage
        finally:
            stage.close()
