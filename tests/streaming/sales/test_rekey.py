"""A topic copied by StockCode on a real Kafka: exactly once, whatever happens meanwhile."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from kafka import KafkaConsumer
from kafka.structs import OffsetAndMetadata, TopicPartition

from config.services.engine import Engine
from streaming.kafka_log.membership import Group
from streaming.kafka_log.partitions import partition_of
from tests.consumers.processes import Process
from tests.services.waiting import until
from tests.streaming.sales.kafka_stage import KafkaStage, Message, sale

T0 = 1_674_744_306.978004


@pytest.fixture
def topics(kafka_stage: KafkaStage, settings: Any) -> KafkaStage:
    """The stage's input is what is copied."""
    settings.SALES_INPUT_TOPIC = kafka_stage.input
    settings.SALES_GROUP = kafka_stage.group
    return kafka_stage


@pytest.fixture
def target(topics: KafkaStage) -> str:
    return f"{topics.name}.data2"


def rekey(target: str, **options: Any) -> None:
    call_command("rekey_sales", target=target, **options)


# In small transactions with pauses, so that there is a middle to be killed in.
SLOWLY = """
import sys
import time
from django.core.management import execute_from_command_line
from streaming.sales import rekey
rekey.MOST_RECORDS = 500
copy = rekey.Copy._copy
rekey.Copy._copy = lambda *arguments: (time.sleep(0.1), copy(*arguments))
execute_from_command_line(["manage.py", "rekey_sales", *sys.argv[1:]])
"""
MANY = 20_000


def started(stage: KafkaStage, folder: Path, target: str, *arguments: str) -> Process:
    """The command as a process."""
    log = folder / f"rekey{len(stage.instances)}.log"
    names = {"KAFKA_BOOTSTRAP_SERVERS": stage.bootstrap, "STOCKROOM_VAR": str(folder)}
    topics = ["--from", stage.input, "--to", target]
    process = Process(["-c", SLOWLY, *topics, *arguments], names, log)
    stage.instances.append(process)
    return process


def code_of(number: int) -> str:
    return f"code{number % 40}"


def sales(count: int, start: int = 0, key: bytes | None = b"invoice") -> list[Message]:
    """As the spec's producer writes them, each with a time of its own."""
    return [
        Message(sale(code_of(number), T0 + number, 2, 1.25), key)
        for number in range(start, start + count)
    ]


def spread(messages: list[Message], partitions: int) -> list[Message]:
    return [each._replace(partition=n % partitions) for n, each in enumerate(messages)]


def content(record: Any) -> tuple[Any, ...]:
    return record.value, record.timestamp, tuple(record.headers)


def in_order(stage: KafkaStage, topic: str) -> list[Any]:
    """By timestamp and offset."""
    found = [record for records in stage.read(topic).values() for record in records]
    return sorted(found, key=lambda record: (record.timestamp, record.offset))


def assert_copied(stage: KafkaStage, target: str, partitions: int) -> None:
    """Each record once, keyed by its StockCode, where its key belongs, in order per StockCode."""
    source, copies = stage.read(stage.input), stage.read(target)
    assert len(copies) == partitions
    for number, records in copies.items():
        assert {partition_of(record.key, partitions) for record in records} <= {number}
        for record in records:
            assert b'"StockCode": "' + record.key + b'"' in record.value
    originals = [record for records in source.values() for record in records]
    copied = [record for records in copies.values() for record in records]
    assert sorted(map(content, copied)) == sorted(map(content, originals))
    # What one partition of the source held of a StockCode is in the same order in the copy.
    places = {content(record): (number, at) for number, records in copies.items()
              for at, record in enumerate(records)}  # fmt: skip
    for records in source.values():
        last: dict[bytes, tuple[int, int]] = {}
        for record in records:
            code = record.value.split(b'"StockCode": "')[1].split(b'"')[0]
            place = places[content(record)]
            assert last.get(code, (place[0], -1)) < place
            last[code] = place


def test_a_topic_with_one_key_becomes_spread(
    topics: KafkaStage, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    topics.create(1)
    topics.produce(sales(3000))
    rekey(target, partitions=4)
    assert_copied(topics, target, 4)
    assert all(topics.read(target).values())
    assert "Copied 3,000 records" in capsys.readouterr().out
    # Marks of transactions in the source are no records: it comes to the end all the same.
    rekey(f"{target}b", source=target, partitions=2)
    assert "3,000 had it before" in capsys.readouterr().out
    assert_copied(topics, f"{target}b", 2)


def test_what_is_no_sale_is_copied_as_it_is(topics: KafkaStage, target: str) -> None:
    topics.create(1)
    number = b'{"StockCode": 21, "Quantity": 1, "Price": 1.5, "InvoiceDate": 1}'
    nan = sale("x", float("nan"))
    sent = [
        *[(number, b"any"), (nan, b"kept"), (b"garbage", None), (None, b"tomb"), (b"", b"")],
        (sale("É £", T0), None),
    ]
    headers = [("trace", b"1"), ("trace", b"2"), ("empty", b"")]
    producer = topics.producer()
    for at, (value, key) in enumerate(sent):
        producer.send(topics.input, value, key, headers=headers if at % 2 else [])
    producer.flush()
    producer.close()
    rekey(target, partitions=3)
    copies = in_order(topics, target)
    originals = in_order(topics, topics.input)
    assert sorted(map(repr, map(content, copies))) == sorted(map(repr, map(content, originals)))
    keys = {(each.value, each.key) for each in copies}
    assert keys == {
        *[(number, b"21"), (nan, b"kept"), (b"garbage", None), (None, b"tomb"), (b"", b"")],
        (sale("É £", T0), "É £".encode()),
    }
    for record in copies:
        if record.key is not None:
            assert record.partition == partition_of(record.key, 3)


def test_partitions_are_put_together_by_time(topics: KafkaStage, target: str) -> None:
    """Else the second partition's sales would be late behind those of the first."""
    topics.create(3, message_timestamp_type="CreateTime")
    now_ms = round(time.time() * 1000) - 10_000_000
    producer = topics.producer()
    # Enough that a poll doesn't bring a whole partition.
    for number in range(9000):
        partition = number // 3000 if number % 2 else number % 3
        value = sale(code_of(number), T0 + number)
        producer.send(topics.input, value, b"k", partition=partition, timestamp_ms=now_ms + number)
    producer.flush()
    producer.close()
    rekey(target, partitions=1)
    (copies,) = topics.read(target).values()
    assert [record.timestamp - now_ms for record in copies] == list(range(9000))


def copied(stage: KafkaStage, target: str) -> int:
    """Offsets used in the target; 0 where it is missing."""
    with stage.consumer() as consumer:
        numbers = consumer.partitions_for_topic(target) or ()
        ends = consumer.end_offsets([TopicPartition(target, number) for number in numbers])
    return sum(ends.values())


def test_killed_again_and_again_it_copies_exactly_once(
    topics: KafkaStage, target: str, tmp_path: Path
) -> None:
    topics.create(3)
    topics.produce(spread(sales(MANY, key=None), 3))
    kills = 0
    for share in (0.01, 0.3, 0.6):
        process = started(topics, tmp_path, target, "--partitions=4")
        until(lambda p=process, s=share: ended(p) or copied(topics, target) > s * MANY, 90)
        kills += not ended(process)
        process.send(signal.SIGKILL)
        process.exit_code()
    assert kills >= 2
    process = started(topics, tmp_path, target)
    assert process.exit_code(90) == 0, process.log
    assert_copied(topics, target, 4)


def ended(process: Process) -> bool:
    return process.child.poll() is not None


def test_a_partition_that_was_paused_gives_what_is_left_of_it(topics: KafkaStage) -> None:
    """kafka-python keeps it back while what it gave out last stands in its way."""
    topics.create(2)
    topics.produce([each._replace(partition=0) for each in sales(500)])
    topics.produce([each._replace(partition=1) for each in sales(50)])
    group = Group(
        topics.input,
        f"{topics.name}.paused",
        client_id="paused",
        static_id=None,
        session_timeout_ms=30_000,
        batch=100,
    )
    read = [0, 0]

    def poll() -> None:
        for number, records in group.poll(0.2).records.items():
            read[number] += len(records)

    try:
        until(lambda: poll() or 0 < read[0] < 500)
        group.pause(0)
        until(lambda: poll() or read[1] == 50)
        group.resume(0)
        until(lambda: poll() or read[0] == 500)
    finally:
        group.close()


def test_a_second_one_takes_over_from_one_that_is_frozen(
    topics: KafkaStage, target: str, tmp_path: Path
) -> None:
    topics.create(2)
    topics.produce(spread(sales(MANY), 2))
    frozen = started(topics, tmp_path, target, "--partitions=2")
    until(lambda: ended(frozen) or copied(topics, target) > 0, 90)
    frozen.send(signal.SIGSTOP)
    assert not ended(frozen)
    second = started(topics, tmp_path, target)
    assert second.exit_code(90) == 0, second.log
    frozen.send(signal.SIGCONT)
    assert frozen.exit_code(90) in (0, 1)
    assert "Traceback" not in frozen.log
    assert_copied(topics, target, 2)


def test_it_ends_where_the_source_ended_at_its_start_and_goes_on_from_there(
    topics: KafkaStage, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    topics.create(2)
    topics.produce(spread(sales(2000), 2))
    with produced_meanwhile(topics):
        rekey(target, partitions=2)
    assert 2000 <= len(in_order(topics, target)) < len(in_order(topics, topics.input))
    rekey(target)
    assert_copied(topics, target, 2)
    capsys.readouterr()
    rekey(target)
    assert "Nothing was left to copy" in capsys.readouterr().out
    assert_copied(topics, target, 2)


@contextmanager
def produced_meanwhile(stage: KafkaStage) -> Iterator[None]:
    ended = threading.Event()

    def produce() -> None:
        number = 10_000
        while not ended.is_set():
            stage.produce(spread(sales(20, number), 2))
            number += 20
        stage.produce(spread(sales(20, number), 2))

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_with_follow_it_goes_on_until_it_is_told_to_end(
    topics: KafkaStage, target: str, tmp_path: Path
) -> None:
    topics.create(2)
    topics.produce(spread(sales(500), 2))
    process = started(topics, tmp_path, target, "--follow")
    for start in (500, 1000):
        until(lambda s=start: copied(topics, target) and len(in_order(topics, target)) == s, 60)
        # One partition alone goes on: the other is not waited for.
        topics.produce([each._replace(partition=1) for each in sales(500, start)])
    until(lambda: len(in_order(topics, target)) == 1500, 60)
    process.send(signal.SIGTERM)
    assert process.exit_code() == 0
    assert "Copied 1,500 records" in process.log
    assert_copied(topics, target, 4)


def test_a_broker_that_is_killed_and_comes_back_is_waited_for(
    topics: KafkaStage, target: str, tmp_path: Path, kafka: Engine
) -> None:
    topics.create(2)
    topics.produce(spread(sales(MANY), 2))
    process = started(topics, tmp_path, target, "--partitions=3")
    until(lambda: ended(process) or copied(topics, target) > 1_000, 90)
    assert not ended(process)
    kafka.kill()
    kafka.start()
    assert process.exit_code(120) == 0, process.log
    assert_copied(topics, target, 3)


def aborted(stage: KafkaStage, topic: str) -> None:
    producer = stage.producer(transactional_id=f"{topic}.aborted")
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(topic, b"given up").get(timeout=30)
    producer.abort_transaction()
    producer.close()


def test_a_target_whose_records_were_given_up_counts_as_empty(
    topics: KafkaStage, target: str
) -> None:
    """As a run leaves it that was killed in its first transaction."""
    topics.create(1)
    topics.produce(sales(50))
    with topics.admin() as admin:
        admin.create_topics({target: {"num_partitions": 2}}, wait_for_metadata=True)
    aborted(topics, target)
    assert copied(topics, target) > 0
    rekey(target)
    assert_copied(topics, target, 2)


def test_a_target_with_records_of_others_is_refused_unless_told(
    topics: KafkaStage, target: str
) -> None:
    topics.create(1)
    topics.produce(sales(50))
    rekey(target, partitions=1)
    with pytest.raises(CommandError, match=f"Topic {target} has records already"):
        rekey(target, group=f"{topics.name}.other")
    assert len(in_order(topics, target)) == 50
    rekey(target, append=True, group=f"{topics.name}.other")
    assert len(in_order(topics, target)) == 100


def test_a_group_that_read_for_something_else_is_refused(topics: KafkaStage, target: str) -> None:
    topics.create(1)
    topics.produce(sales(50))
    group = f"{topics.name}.mine"
    rekey(target, group=group)
    with pytest.raises(CommandError, match=f"Group {group} has read .* for something else"):
        rekey(f"{target}b", group=group)
    with pytest.raises(CommandError, match="is that of sales itself"):
        rekey(f"{target}b", group=topics.group)
    assert not copied(topics, f"{target}b")


def test_a_source_made_anew_is_refused(topics: KafkaStage, target: str) -> None:
    topics.create(1)
    topics.produce(sales(50))
    rekey(target)
    with topics.admin() as admin:
        admin.delete_topics([topics.input])
    until(lambda: not topics.partitions(topics.input), 60)
    with topics.admin() as admin:
        admin.create_topics({topics.input: {"num_partitions": 1}}, wait_for_metadata=True)
    topics.produce(sales(10))
    # The broker has deleted the offsets with the topic.
    with pytest.raises(CommandError, match=f"Topic {target} has records already"):
        rekey(target)


def test_a_source_that_ends_before_the_copy_is_refused(topics: KafkaStage, target: str) -> None:
    """As after a broker's disk was lost."""
    topics.create(1)
    topics.produce(sales(50))
    group = f"rekey.{topics.input}.{target}"
    consumer = KafkaConsumer(bootstrap_servers=topics.bootstrap, group_id=group)
    where = TopicPartition(topics.input, 0)
    consumer.commit({where: OffsetAndMetadata(51, f"rekey1 {target}", -1)})
    consumer.close()
    with pytest.raises(CommandError, match="it is another topic of this name now"):
        rekey(target)


def test_what_a_newcomer_may_get_wrong(topics: KafkaStage, target: str, settings: Any) -> None:
    def refused(words: str, *arguments: str) -> None:
        with pytest.raises(CommandError, match=words):
            call_command("rekey_sales", *arguments)

    refused("following arguments are required: --to")
    refused(r"There is no topic .* to copy from", "--to", target)
    refused("can't be copied into itself", "--to", topics.input)
    refused(r"'0' is no number from 1 to 10,000", "--to", target, "--partitions=0")
    refused("'a b' is no topic", "--to", "a b")
    settings.KAFKA_BOOTSTRAP_SERVERS = ["127.0.0.1:1"]
    refused(r"127\.0\.0\.1:1", "--to", target)
