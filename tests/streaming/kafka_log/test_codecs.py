"""Batches of every codec are read as they were written, whoever compressed them."""

import os
import struct
import uuid
from collections import Counter
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from config.services.engine import Engine
from streaming.kafka_log.reader import Reader

# As the attributes of a batch have them.
CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
RECORDS = 3_000
LARGE = 8 * 1024 * 1024
HEADER_BYTES = 61
HEADER = struct.Struct(
    ">qiibIhi"
)  # offset, length, epoch, magic, checksum, attributes, last offset


@pytest.fixture
def address(kafka: Engine, settings: Any) -> str:
    settings.KAFKA_BOOTSTRAP_SERVERS = [kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"]]
    return settings.KAFKA_BOOTSTRAP_SERVERS[0]


def topic_with(address: str, values: list[bytes], codec: str | None, by_broker: str) -> str:
    """A topic that holds `values`; codec of the producer, compression.type of the topic."""
    topic = f"t{uuid.uuid4().hex[:10]}"
    admin = KafkaAdminClient(bootstrap_servers=address)
    configs = {"compression.type": by_broker, "max.message.bytes": str(LARGE)}
    admin.create_topics([NewTopic(topic, 1, 1, topic_configs=configs)])
    admin.close()
    producer = KafkaProducer(
        bootstrap_servers=address, compression_type=codec, linger_ms=60_000,
        batch_size=LARGE, max_request_size=LARGE,
    )  # fmt: skip
    for value in values:
        producer.send(topic, value, partition=0)
    producer.flush(30)
    producer.close()
    return topic


def batches(kafka: Engine, topic: str) -> Counter[tuple[int, int]]:
    """(codec, records) of the batches that the broker keeps."""
    found: Counter[tuple[int, int]] = Counter()
    for file in (kafka.data_dir / "topics" / f"{topic}-0").glob("*.log"):
        log = file.read_bytes()
        at = 0
        while at + HEADER_BYTES <= len(log):
            _, length, _, _, _, attributes, last = HEADER.unpack_from(log, at)
            if not length:
                break
            found[attributes & 7, last + 1] += 1
            at += 12 + length
    return found


def read(topic: str) -> list[bytes | None]:
    with Reader() as reader:
        end = reader.end(topic)[0]
        return [record.value for record in reader.read(topic, 0, 0, end)]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("where", ["producer", "broker"])
def test_a_batch_of_3_mb_is_read_whole(kafka, address, codec, where):
    # A zstd batch of more than 1 MiB was too large for kafka-python once.
    values = [b"%09d " % number * 100 for number in range(RECORDS)]
    assert sum(map(len, values)) == 3_000_000
    if where == "producer":
        topic = topic_with(address, values, codec, "producer")
    else:
        topic = topic_with(address, values, None, codec)
    assert batches(kafka, topic) == {(CODECS[codec], RECORDS): 1}
    assert read(topic) == values


@pytest.mark.parametrize("codec", CODECS)
def test_one_record_that_nothing_compresses_is_read(kafka, address, codec):
    value = os.urandom(1_000_000)
    topic = topic_with(address, [value], None, codec)  # kafka-python would not compress it
    assert batches(kafka, topic) == {(CODECS[codec], 1): 1}
    assert read(topic) == [value]


@pytest.mark.parametrize("codec", CODECS)
def test_what_kafka_python_compresses_the_broker_can_read(kafka, address, codec):
    other = "gzip" if codec == "zstd" else "zstd"
    values = [b"%d" % number for number in range(1000)]
    topic = topic_with(address, values, codec, other)
    assert batches(kafka, topic) == {(CODECS[other], 1000): 1}
    assert read(topic) == values
