"""A group without a position, on a real Kafka: a first start goes on, a lost position halts."""

from zlib import crc32

from kafka.structs import TopicPartition

from streaming.kafka_log.partitions import partition_of
from streaming.sales.snapshot import Rates, snapshot
from tests.streaming.sales.kafka_stage import Message
from tests.streaming.sales.looping import (
    T0,
    looping,
    one_partition,
    set_offset,
    work_off,
)
from tests.streaming.sales.records import message


def forget(stage) -> None:
    """As `offsets.retention.minutes` does."""
    with stage.admin() as admin:
        admin.delete_groups([stage.group])
    assert stage.committed(1) == {0: 0}


def test_a_lost_position_halts_and_nothing_is_put_out_twice(stage):
    stage.create(1)
    stage.produce(one_partition(10))
    with looping(stage) as loop:
        work_off(loop, 10)
    forget(stage)
    with looping(stage) as loop:
        (shown,) = snapshot(loop, "one", Rates())["partitions"]
        assert (shown["halted"]["reason"], shown["halted"]["offset"]) == ("no_offset", 0)
        assert "--reset-offsets" in shown["halted"]["advice"]
        for _ in range(5):
            assert loop.step(0.05) == 0
    assert len(stage.read(stage.output)[0]) == 10

    set_offset(stage, 10)  # the operator's decision
    stage.produce(one_partition(5, start=10))
    with looping(stage) as loop:
        work_off(loop, 5)
    assert stage.assert_right().right == 15


def test_what_a_first_start_left_unfinished_is_no_output(stage):
    stage.create(1)
    stage.produce(one_partition(10))
    with stage.producer(transactional_id=stage.output) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(stage.output, b"{}", b"c1", partition=0).get(timeout=30)
        producer.abort_transaction()
    with looping(stage) as loop:
        assert loop.owned[0].halted is None
        work_off(loop, 10)


def test_outputs_of_an_input_topic_that_was_there_before_halt_nothing(stage):
    stage.create(1)
    with stage.producer() as producer:
        old = producer.send(stage.output, b"{}", b"c1", partition=0, timestamp_ms=1)
        old.get(timeout=30)
    stage.produce(one_partition(10))
    with looping(stage) as loop:
        assert loop.owned[0].halted is None
        work_off(loop, 10)


def test_deleted_records_leave_nothing_to_be_put_out_twice(stage):
    stage.create(1)
    stage.produce(one_partition(10))
    with looping(stage) as loop:
        work_off(loop, 10)
    forget(stage)
    with stage.admin() as admin:
        admin.delete_records({TopicPartition(stage.input, 0): 10})
    stage.produce(one_partition(1, start=10))
    with looping(stage) as loop:
        work_off(loop, 1)


def test_producers_with_different_partitioners_are_told_of(stage, caplog):
    code = next(
        f"8512{n}"
        for n in range(99)
        if partition_of(b"8512%d" % n, 2) == 0 and crc32(b"8512%d" % n) % 2 == 1
    )
    stage.create(2)
    stage.produce([Message(message(code, T0), code.encode())])  # murmur2, of kafka-python
    stage.produce([Message(message(code, T0 + 1), code.encode(), partition=1)])  # librdkafka
    with looping(stage) as loop:
        work_off(loop, 2)
        shown = snapshot(loop, "one", Rates())
    (words,) = [each["words"] for each in shown["warnings"] if each["code"] == "partitioner"]
    assert words.startswith("Partition 1: ") and code in words
    assert shown["state"] == "running"
    assert [each for each in caplog.messages if "murmur2" in each] == [
        f"partition 1: {words.removeprefix('Partition 1: ').removesuffix('.')}"
    ]
