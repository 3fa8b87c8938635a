"""A loop of sales in the test's own process, and what tests of it produce and set."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kafka.errors import RetriableError
from kafka.structs import OffsetAndMetadata, TopicPartition

from streaming.kafka_log import KafkaError
from streaming.kafka_log.transactions import Uncommitted
from streaming.sales.limits import Limits
from streaming.sales.loop import Loop
from streaming.sales.options import Options
from tests.services.waiting import until
from tests.streaming.sales.kafka_stage import KafkaStage, Message
from tests.streaming.sales.records import message

T0 = 1674744306.5
LIMITS = Limits(600.0, 600.0, 300.0)


def options(stage: KafkaStage, **other: Any) -> Options:
    given: dict[str, Any] = {
        "input_topic": stage.input,
        "output_topic": stage.output,
        "dead_letter_topic": stage.dead_letters,
        "group": stage.group,
        "partitions": 2,
        "accept_keys": False,
        "session_timeout_ms": 3000,
        "batch": 2000,
        "snapshot_seconds": 1.0,
        "static_membership": False,
        "limits": LIMITS,
        **other,
    }
    return Options(**given)


@contextmanager
def looping(stage: KafkaStage, slot: str = "one", **other: Any) -> Iterator[Loop]:
    """A loop that owns its partitions."""
    short_cut = other.pop("short_cut", True)
    loop = Loop(options(stage, **other), slot, short_cut=short_cut)
    try:
        step_until(loop, lambda: loop.owned)
        yield loop
    finally:
        loop.close()


def step_until(loop: Loop, condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Step, and step again after what a step may raise, until `condition` holds."""

    def stepped() -> Any:
        with suppress(KafkaError, Uncommitted):
            loop.step(0.05)
        return condition()

    until(stepped, seconds)


def work_off(loop: Loop, count: int) -> None:
    """Until so many have been taken in all."""
    step_until(loop, lambda: loop.taken >= count)
    assert loop.taken == count


def sales(count: int, start: int = 0, **more: Any) -> list[Message]:
    return [
        Message(message(f"c{i % 5}", T0 + i, price=1.25, **more), b"c%d" % (i % 5), partition=i % 2)
        for i in range(start, start + count)
    ]


def one_partition(count: int, start: int = 0) -> list[Message]:
    return [each._replace(partition=0) for each in sales(count, start)]


def set_offset(stage: KafkaStage, offset: int, text: str = "") -> None:
    """As `kafka-consumer-groups.sh --reset-offsets` does."""
    wanted = {TopicPartition(stage.input, 0): OffsetAndMetadata(offset, text, -1)}

    def done() -> bool:
        with suppress(RetriableError):  # a cluster's first group has no coordinator for a moment
            admin.alter_group_offsets(stage.group, wanted)
            return stage.committed(1) == {0: offset}
        return False

    with stage.admin() as admin:
        until(done)
