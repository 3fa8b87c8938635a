"""The reader on a real Kafka, also on one that falls silent."""

import os
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from config.services.engine import Engine
from streaming.kafka_log import KafkaError, topics
from streaming.kafka_log.producer import Producer
from streaming.kafka_log.reader import Reader


@pytest.fixture
def topic(kafka: Engine, settings: Any) -> str:
    settings.KAFKA_BOOTSTRAP_SERVERS = [kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"]]
    name = f"t{uuid.uuid4().hex[:10]}"
    with topics.admin() as client:
        topics.create(client, name, 2)
    return name


def test_it_reads_from_one_offset_to_another_and_the_tail(topic):
    with Producer() as producer:
        for number in range(20):
            producer.send(
                topic,
                b"key",
                b"%d" % number,
                headers=[("a", b"b")],
                partition=number % 2,
                timestamp_ms=1_700_000_000_000 + number,
            )
    with Reader() as reader:
        assert reader.partitions(topic) == [0, 1]
        assert (reader.begin(topic), reader.end(topic)) == ({0: 0, 1: 0}, {0: 10, 1: 10})
        assert reader.high(topic) == {0: 10, 1: 10}
        read = list(reader.read(topic, 1, 3, 6))
        assert [(each.offset, each.value) for each in read] == [(3, b"7"), (4, b"9"), (5, b"11")]
        assert (read[0].key, read[0].headers) == (b"key", (("a", b"b"),))
        assert [each.value for each in reader.tail(topic, 2)] == [b"16", b"18", b"17", b"19"]
        assert reader.offsets_at(topic, 1_700_000_000_011) == {0: 6, 1: 5}
        assert list(reader.read(topic, 0, 10, 10)) == []
        assert reader.committed("nobody", topic) == {}


def test_a_missing_topic_has_no_partitions(topic):
    with Reader() as reader:
        assert reader.partitions(f"{topic}.missing") == []
        assert reader.end(f"{topic}.missing") == {}


def test_a_broker_that_falls_silent_is_given_up_in_time(own_kafka, settings):
    engine = own_kafka()
    settings.KAFKA_BOOTSTRAP_SERVERS = [engine.variables()["KAFKA_BOOTSTRAP_SERVERS"]]
    with Reader(timeout_seconds=5.0) as reader:
        assert reader.partitions("missing") == []
        os.killpg(os.getpgid(engine.pid), signal.SIGSTOP)
        try:
            with ThreadPoolExecutor(1) as thread, pytest.raises(KafkaError):
                thread.submit(reader.partitions, "another").result(60)  # and not for ever
        finally:
            os.killpg(os.getpgid(engine.pid), signal.SIGCONT)
