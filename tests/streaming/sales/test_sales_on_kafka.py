"""Sales on a real Kafka: instances as processes, judged by the oracle from what is committed."""

import json
import random
import signal

from kafka import KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType

from tests.services.waiting import until
from tests.streaming.sales.kafka_stage import KafkaStage, Message, sale

T0 = 1_674_744_306.978004

TABLE = """
10:32 1 10 2 20
10:33 2 20 1 20
10:37 1 10 2 40
10:45 2 20 1 20
10:46 2 20 3 80
10:47 1 10 2 40
10:48 2 20 1 100
10:49 1 10 3 50
10:50 2 20 1 120
10:51 2 20 3 180
"""


def some_sales(count: int, seed: int, start: float = T0, codes: int = 20) -> list[Message]:
    """Rising by a second each, keyed by their StockCode."""
    rng = random.Random(seed)
    found = []
    for number in range(count):
        code = f"code{rng.randrange(codes)}"
        value = sale(code, start + number, rng.randint(-3, 12), rng.randrange(1000) / 100)
        found.append(Message(value, code.encode()))
    return found


def test_the_table_of_the_spec(kafka_stage: KafkaStage) -> None:
    """On topics that are missing at the start and made here."""
    stage = kafka_stage
    stage.start()
    until(lambda: stage.partitions(stage.input), 60)
    messages = []
    right: dict[bytes, list[bytes]] = {b"1": [], b"2": []}
    for row in TABLE.split("\n")[1:-1]:
        at, code, price, quantity, total = row.split()
        hours, minutes = at.split(":")
        epoch = int(hours) * 3600 + int(minutes) * 60
        messages.append(Message(sale(code, epoch, int(quantity), int(price)), code.encode()))
        value = f'{{"StockCode": "{code}", "Epoch": {epoch}, "10minutesSum": {total}.0}}'
        right[code.encode()].append(value.encode())
    stage.produce(messages)
    stage.wait_until_done()

    judged = stage.assert_right()

    outputs = [record for records in judged.outputs.values() for record in records]
    assert {code: [each.value for each in outputs if each.key == code] for code in right} == right
    assert stage.partitions(stage.output) == stage.partitions(stage.input) == 4


def test_instances_come_and_go(kafka_stage: KafkaStage) -> None:
    """Without SALES_INSTANCE on one machine, each owns partitions; SIGTERM drains."""
    stage = kafka_stage
    stage.create(4)
    first = stage.start()
    stage.produce(some_sales(1500, seed=1))
    stage.wait_for_owners(1, 4)
    second = stage.start()
    stage.wait_for_owners(2, 4)
    assert len({each["instance"] for each in stage.snapshots()}) == 2
    stage.produce(some_sales(1500, seed=2, start=T0 + 1500))
    stage.wait_until_done()
    producer = stage.producer()
    for number, each in enumerate(some_sales(2000, seed=3, start=T0 + 3000)):
        producer.send(stage.input, each.value, each.key)
        if number == 1000:
            producer.flush(timeout=30)
            first.send(signal.SIGTERM)
    producer.close(timeout=30)
    assert first.exit_code() == 0, first.log
    stage.wait_for_owners(1, 4)
    stage.wait_until_done()
    second.send(signal.SIGTERM)
    assert second.exit_code() == 0, second.log
    stage.produce(some_sales(100, seed=4, start=T0 + 5000))
    stage.start()
    stage.wait_until_done()

    assert stage.assert_right().right == 5100


def halted(stage: KafkaStage) -> dict[int, tuple[str, int]]:
    return {
        number: (each["halted"]["reason"], each["halted"]["offset"])
        for number, each in stage.shown().items()
        if each["halted"]
    }


def test_keys_that_would_split_a_sum_halt_their_partition_alone(kafka_stage: KafkaStage) -> None:
    stage = kafka_stage
    stage.create(4)
    messages = []
    for partition in range(4):
        for number in range(20):
            code = f"code{partition}-{number % 4}"
            key = code.encode()
            if number == 8 and partition == 1:
                key = None
            if number == 12 and partition == 2:
                key = b"another"
            messages.append(Message(sale(code, T0 + number, 1, 2), key, partition))
    messages += [Message(b"no sale", None, 0), Message(b"", b"another", 3)]
    process = stage.start()
    stage.produce(messages)
    right = {1: ("no_key", 8), 2: ("two_keys", 12)}
    stage.wait_until_shown(lambda _: halted(stage) == right)
    stage.wait_for_commits({0: 21, 1: 8, 2: 12, 3: 21})

    # Whoever takes the partitions over sees the same, and goes no further.
    stage.start()
    stage.wait_for_owners(2, 4)
    stage.wait_until_shown(lambda _: halted(stage) == right)
    stage.produce(some_sales(200, seed=5, start=T0 + 20))
    ends = {number: records[-1].offset + 1 for number, records in stage.read(stage.input).items()}
    stage.wait_for_commits({**ends, 1: 8, 2: 12})
    assert {**ends, 1: 8, 2: 12} == stage.committed(4)
    assert {number: len(records) for number, records in stage.read(stage.output).items()} == {
        0: ends[0] - 1,
        1: 8,
        2: 12,
        3: ends[3] - 1,
    }
    for each in stage.shown().values():
        if each["halted"]:
            assert "SALES_ACCEPT_KEYS=1" in each["halted"]["advice"]
            assert each["halted"]["detail"]
    assert process.child.poll() is None

    for instance in stage.instances:
        instance.send(signal.SIGTERM)
    for instance in stage.instances:
        assert instance.exit_code() == 0, instance.log
    stage.start(SALES_ACCEPT_KEYS="1")
    stage.wait_until_done()
    assert stage.assert_right().right == 280


def test_the_constant_key_of_the_original_generator_is_right_and_warned_of(
    kafka_stage: KafkaStage,
) -> None:
    stage = kafka_stage
    stage.create(4)
    stage.start()
    stage.produce(each._replace(key=b"invoice") for each in some_sales(1000, seed=6))

    def warned(snapshots: list[dict]) -> bool:
        return any(
            warning["code"] == "shared_key" and "invoice" in warning["words"]
            for each in snapshots
            for warning in each["warnings"]
        )

    stage.wait_until_shown(warned)
    stage.wait_until_done()
    judged = stage.assert_right()
    assert [len(records) for records in judged.outputs.values() if records] == [1000]


def test_a_single_partition_needs_no_keys(kafka_stage: KafkaStage) -> None:
    """And all garbage there is becomes dead letters, 1 MB too, more of it than a fetch takes."""
    stage = kafka_stage
    stage.create(1)
    rng = random.Random(7)
    long = json.dumps({"StockCode": "x" * 1_000_000}).encode()
    garbage: list[bytes | None] = [
        *(None, b"", b"\xff\xfe", b"no sale", b"[]", b"{}", b"[" * 900_000, long),
        *(rng.randbytes(1_000_000) for _ in range(12)),
        sale("code", T0 + 10**10),
        sale("code", 1.0),
        sale("", T0),
        sale("code", T0, quantity=1e-7),
        sale("code", T0, quantity=10**18),
    ]
    messages = [each._replace(key=None) for each in some_sales(300, seed=8)]
    for value in garbage:
        messages.insert(rng.randrange(1, len(messages)), Message(value, rng.randbytes(2000)))
    messages.append(messages[-1])
    stage.produce(messages, max_request_size=2**21)
    stage.start()
    stage.wait_until_done()
    judged = stage.assert_right()
    assert judged.right + judged.reasons.total() == len(messages)
    assert set(judged.reasons) == {
        *("empty", "not_utf8", "not_json", "not_an_object", "missing_field", "bad_stock_code"),
        *("too_precise", "out_of_range", "late", "ahead"),
    }


def test_compressed_batches_of_each_kind_and_transactions_in_the_input(
    kafka_stage: KafkaStage,
) -> None:
    """The broker compresses as the topic says; what a producer gave up counts nowhere."""
    stage = kafka_stage
    stage.create(2)
    stage.start()
    start = T0
    for kind in ("gzip", "snappy", "lz4", "zstd"):
        with stage.admin() as admin:
            setting = {"compression.type": kind}
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, stage.input, setting)])
        producer = KafkaProducer(
            bootstrap_servers=stage.bootstrap, transactional_id=f"{stage.name}-{kind}"
        )
        producer.init_transactions()
        for kept in (True, False, True):
            producer.begin_transaction()
            for each in some_sales(300, seed=9, start=start):
                producer.send(stage.input, each.value, each.key)
            if kept:
                producer.commit_transaction()
                start += 300
            else:
                producer.flush(timeout=30)
                producer.abort_transaction()
        producer.close(timeout=5)
    # Much in one batch: 3 MB when unpacked.
    padding = "A" * 20_000
    stage.produce(
        (
            Message(
                sale("code1", start + number)[:-1] + f', "x": "{padding}"}}'.encode(), b"code1", 0
            )
            for number in range(150)
        ),
        batch_size=900_000,
        compression_type="gzip",
        max_request_size=2**21,
    )
    stage.wait_until_done()
    assert stage.assert_right().right == 4 * 600 + 150


def test_partitions_that_are_added_are_taken_up(kafka_stage: KafkaStage) -> None:
    """Without a restart; outputs get partitions of the same numbers."""
    stage = kafka_stage
    stage.create(2)
    quick = "sales=tests.streaming.sales.quick.QuickSales"
    stage.start(CONSUMER_CLASSES=quick)
    stage.produce(some_sales(300, seed=10))
    stage.wait_for_owners(1, 2)
    with stage.admin() as admin:
        admin.create_partitions({stage.input: 5})
    until(lambda: stage.partitions(stage.input) == 5)
    stage.produce(
        each._replace(partition=number % 5)
        for number, each in enumerate(
            Message(sale(f"new{number % 5}", T0 + 300 + number), b"new%d" % (number % 5))
            for number in range(500)
        )
    )
    stage.wait_for_owners(1, 5)
    stage.wait_until_done()
    judged = stage.assert_right()
    assert judged.right == 800
    assert all(judged.outputs[number] for number in range(5))
