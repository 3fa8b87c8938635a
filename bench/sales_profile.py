"""Where kafka-python spends its time when much is sent in transactions. For bench.sales."""

import cProfile
import io
import pstats
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

from kafka import KafkaProducer
from kafka.producer.sender import Sender

from bench.sales_stage import BATCH, PARTITIONS, PRODUCER, Stage, load
from bench.sample_sales import Sold, even
from streaming.kafka_log.transactions import Message, Transactions

CODES = 1_000
TOP = 18
BEGIN = 1_700_000_000.0
SUM = b'{"StockCode": "%s", "Epoch": 1700000000.125, "10minutesSum": 1234.5}'
PACKAGE = re.compile(r"\S*/(site-packages|lib/python[0-9.]+)/")
Batch = dict[tuple[str, int], list[Message]]
Way = Callable[[KafkaProducer, Batch], list[object]]


def show(stage: Stage, count: int) -> None:
    print(
        f"\nkafka-python sending {count:,} messages in transactions of {BATCH:,}, load {load()}",
        flush=True,
    )
    sums = [Sold(sold.key, SUM % sold.key) for sold in even(CODES, count, BEGIN)]
    for name, way in {"public API": Transactions._send, "short cut": Transactions._append}.items():
        each = [1e6 * seconds / count for seconds in sent(stage, sums, way)]
        print(
            f"   {name:<11} {sum(each):5.1f} µs of CPU a message: {each[0]:.1f} in the calling"
            f" thread, {each[1]:.1f} in the producer's own",
            flush=True,
        )
    calling, own = cProfile.Profile(time.thread_time), cProfile.Profile(time.thread_time)
    with profiled_sender(own):
        sent(stage, sums, Transactions._send, calling)
    for title, profile in {
        "the calling thread, public API": calling,
        "the producer's own thread": own,
    }.items():
        print(f"\n   {title}, {TOP} by their own CPU time under cProfile, which slows calls down:")
        text = io.StringIO()
        pstats.Stats(profile, stream=text).sort_stats("tottime").print_stats(TOP)
        _, _, table = text.getvalue().partition("   ncalls")
        print("   ncalls" + PACKAGE.sub("", table.rstrip()), flush=True)


def sent(
    stage: Stage, sums: list[Sold], way: Way, profile: cProfile.Profile | None = None
) -> tuple[float, float]:
    """CPU seconds of the calling thread and of all others, all transactions together."""
    topic = stage.topic("output")
    producer = KafkaProducer(
        bootstrap_servers=stage.servers,
        transactional_id=stage.name("profile"),
        retry_backoff_ms=5,
        **PRODUCER,
    )
    producer.init_transactions()
    producer.partitions_for(topic)
    began, began_all = time.thread_time(), time.process_time()
    if profile is not None:
        profile.enable()
    for batch in batches(topic, sums):
        producer.begin_transaction()
        futures = way(producer, batch)
        producer.flush()
        if not all(future.succeeded() for future in futures):  # type: ignore[attr-defined]
            raise SystemExit("a record was not sent")
        producer.commit_transaction()
    if profile is not None:
        profile.disable()
    calling = time.thread_time() - began
    others = time.process_time() - began_all - calling
    producer.close()
    return calling, others


def batches(topic: str, sums: list[Sold]) -> Iterator[Batch]:
    source = iter(sums)
    while part := list(islice(source, BATCH)):
        batch: Batch = {(topic, number): [] for number in range(PARTITIONS)}
        for place, sold in enumerate(part):
            batch[topic, place % PARTITIONS].append(
                Message(int(BEGIN * 1000), sold.key, sold.value, [])
            )
        yield batch


@contextmanager
def profiled_sender(profile: cProfile.Profile) -> Iterator[None]:
    """Within the block, producers' threads are profiled."""
    run = Sender.run

    def profiled(self: Sender) -> None:
        assert threading.current_thread() is self
        profile.enable()
        try:
            run(self)
        finally:
            profile.disable()

    Sender.run = profiled
    try:
        yield
    finally:
        Sender.run = run
