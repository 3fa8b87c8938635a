"""Each way in which a record can fail fails its transaction, by the short cut and without it."""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka.admin import ConfigResource
from kafka.errors import KafkaError, MessageSizeTooLargeError
from kafka.structs import ConsumerGroupMetadata

from config.services.engine import Engine
from streaming.kafka_log import topics, transactions
from streaming.kafka_log.transactions import Message, Transactions, Uncommitted
from tests.services.waiting import until
from tests.streaming.kafka_log.trial import Trial, joined

BOTH = pytest.mark.parametrize("short_cut", [True, False], ids=["short_cut", "public_api"])
SMALL = 20_000  # bytes of a batch, of the topic


@pytest.fixture
def trial(kafka: Engine) -> Iterator[Trial]:
    trial = Trial(kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"])
    yield trial
    trial.close()


def opened(trial: Trial, name: str, short_cut: bool) -> Transactions:
    made = Transactions(f"{trial.topic}.{name}", [trial.topic], short_cut=short_cut)
    made.open()
    trial._closed_at_the_end(made)
    return made


def with_small_batches(trial: Trial) -> None:
    """Its topic takes batches of SMALL bytes at most."""
    with topics.admin() as client:
        configs = {"max.message.bytes": str(SMALL)}
        client.alter_configs([ConfigResource("TOPIC", trial.topic, configs)])


def between(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """It happens once, after all records were appended and before the first is sent."""
    flush = transactions.flush

    def flushed(*arguments: Any) -> None:
        monkeypatch.setattr(transactions, "flush", flush)
        happens()
        flush(*arguments)

    monkeypatch.setattr(transactions, "flush", flushed)


def commit(ours: Transactions, trial: Trial, member: ConsumerGroupMetadata, *values: bytes) -> None:
    messages = [Message(1_700_000_000_000, b"key", value, []) for value in values]
    ours.commit({(trial.topic, 0): messages}, trial.topic, {0: (10, "")}, member)


@BOTH
def test_messages_of_several_batches_are_written_in_order(trial, short_cut, monkeypatch):
    monkeypatch.setattr(transactions, "BATCH_BYTES", 1_000)
    values = [b"%d" % number for number in range(500)] + [b"x" * 5_000]
    ours = opened(trial, "one", short_cut)
    member = joined(trial.consumer())
    commit(ours, trial, member, *values)
    assert until(lambda: trial.values(0)) == values
    commit(ours, trial, member, b"and on")
    assert until(lambda: trial.values(0)[len(values) :]) == [b"and on"]


@BOTH
def test_a_batch_that_is_too_large_for_the_topic_is_split(trial, short_cut):
    values = [b"%04d" % number * 100 for number in range(500)]  # ten times too large
    ours = opened(trial, "one", short_cut)
    member = joined(trial.consumer())
    with_small_batches(trial)
    commit(ours, trial, member, *values)
    assert until(lambda: trial.values(0)) == values
    commit(ours, trial, member, b"and on")
    assert until(lambda: trial.values(0)[500:]) == [b"and on"]


@BOTH
@pytest.mark.parametrize("place", [0, 300, 499])
def test_a_record_that_is_too_large_fails_all(trial, short_cut, place):
    values = [b"%04d" % number * 100 for number in range(500)]
    values[place] = os.urandom(SMALL)
    ours = opened(trial, "one", short_cut)
    member = joined(trial.consumer())
    with_small_batches(trial)
    with pytest.raises(Uncommitted) as raised:
        commit(ours, trial, member, *values)
    assert isinstance(raised.value.__cause__, KafkaError)
    ours.open()
    assert trial.committed(0) is None
    commit(ours, trial, member, b"without it")
    assert until(lambda: trial.values(0)) == [b"without it"]


@BOTH
def test_a_single_record_that_is_too_large_is_named(trial, short_cut):
    ours = opened(trial, "one", short_cut)
    member = joined(trial.consumer())
    with_small_batches(trial)
    with pytest.raises(Uncommitted) as raised:
        commit(ours, trial, member, os.urandom(SMALL))
    assert isinstance(raised.value.__cause__, MessageSizeTooLargeError)
    assert trial.committed(0) is None


@BOTH
def test_who_was_fenced_between_append_and_flush_writes_nothing(trial, short_cut, monkeypatch):
    ours = opened(trial, "one", short_cut)
    member = joined(trial.consumer())
    twins: list[Transactions] = []
    between(monkeypatch, lambda: twins.append(opened(trial, "one", short_cut)))
    with pytest.raises(Uncommitted):
        commit(ours, trial, member, b"of the first")
    (twin,) = twins
    commit(twin, trial, member, b"of the second")
    assert until(lambda: trial.values(0)) == [b"of the second"]


def test_a_broker_that_dies_between_append_and_flush_fails_the_commit(
    own_kafka, settings, monkeypatch
):
    engine = own_kafka()
    settings.KAFKA_BOOTSTRAP_SERVERS = [engine.variables()["KAFKA_BOOTSTRAP_SERVERS"]]
    monkeypatch.setattr(transactions, "DELIVERY_TIMEOUT_MS", 3000)
    monkeypatch.setattr(transactions, "REQUEST_TIMEOUT_MS", 2500)
    monkeypatch.setattr(transactions, "LINGER_MS", 100)
    trial = Trial(settings.KAFKA_BOOTSTRAP_SERVERS[0])
    try:
        ours = opened(trial, "one", short_cut=True)
        member = joined(trial.consumer())
        between(monkeypatch, lambda: os.kill(engine.pid, signal.SIGKILL))
        with pytest.raises(Uncommitted):
            commit(ours, trial, member, *[b"never"] * 100)
    finally:
        trial.close()
