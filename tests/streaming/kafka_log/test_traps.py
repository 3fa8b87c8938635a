"""kafka-python's silent traps on a real Kafka: what plain use of it does, and what ours does.

A test named `…_trap` fails once a version of kafka-python no longer has the trap.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.errors import CommitFailedError, KafkaError, KafkaTimeoutError
from kafka.structs import MemberState, OffsetAndMetadata, TopicPartition

from config.services.engine import Engine
from streaming.kafka_log import membership, transactions
from streaming.kafka_log.membership import Group, Polled
from streaming.kafka_log.transactions import Message, Uncommitted
from tests.services.waiting import freeze, until
from tests.streaming.kafka_log.trial import AS_OURS, COOPERATIVE, Trial, joined

TRIES = 5


@pytest.fixture
def trial(kafka: Engine) -> Iterator[Trial]:
    trial = Trial(kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"])
    yield trial
    trial.close()


@contextmanager
def frozen(kafka: Engine) -> Iterator[None]:
    assert kafka.pid is not None
    freeze(kafka.pid)
    try:
        yield
    finally:
        os.kill(kafka.pid, signal.SIGCONT)


def polled(group: Group, wanted: Callable[[Polled], object]) -> Polled:
    """The first poll that is as wanted."""
    found: list[Polled] = []

    def look() -> object:
        found.append(group.poll(0.3))
        return wanted(found[-1])

    until(look, 60)
    return found[-1]


# A commit succeeds although records were given up.


def test_commit_succeeds_without_the_records_that_timed_out_trap(
    kafka: Engine, trial: Trial
) -> None:
    producer = trial.producer(
        delivery_timeout_ms=6000, request_timeout_ms=5500, max_in_flight_requests_per_connection=1
    )
    producer.begin_transaction()
    producer.send(trial.topic, b"first", partition=0).get(timeout=60)
    with frozen(kafka):
        # More than a batch: one may be on its way, the others wait for it.
        given_up = [producer.send(trial.topic, b"x" * 15_000, partition=0) for _ in range(3)]
        until(lambda: all(each.is_done for each in given_up))
    producer.flush()
    producer.commit_transaction()

    lost = [each for each in given_up if isinstance(each.exception, KafkaTimeoutError)]
    assert len(lost) >= 2
    found = until(lambda: trial.values(0))
    assert found[0] == b"first"
    assert len(found) <= 2


def test_our_commit_fails_where_a_record_timed_out(
    kafka: Engine, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "DELIVERY_TIMEOUT_MS", 3000)
    monkeypatch.setattr(transactions, "REQUEST_TIMEOUT_MS", 2500)
    monkeypatch.setattr(transactions, "LINGER_MS", 100)
    member = joined(trial.consumer())
    ours = trial.transactions()
    records = [Message(0, None, b"never", [])] * 3
    with frozen(kafka):
        begun = threading.Timer(5.0, os.kill, (kafka.pid, signal.SIGCONT))
        begun.start()
        with pytest.raises(Uncommitted):
            ours.commit({(trial.topic, 0): records}, trial.topic, {0: (10, "")}, member)
        begun.join()
    monkeypatch.undo()  # the broker needs its time to go on
    ours.open()
    assert trial.committed(0) is None
    ours.commit(
        {(trial.topic, 0): [Message(0, None, b"now", [])]}, trial.topic, {0: (10, "")}, member
    )
    assert until(lambda: trial.values(0)) == [b"now"]


# Offsets of a failed transaction are committed by the next one.


def test_offsets_of_a_failed_transaction_are_committed_by_the_next_trap(trial: Trial) -> None:
    member = joined(trial.consumer())
    producer = trial.producer()
    producer.begin_transaction()
    with pytest.raises(CommitFailedError):
        producer.send_offsets_to_transaction(
            {trial.at(0): OffsetAndMetadata(10, "failed", -1)},
            member._replace(generation_id=member.generation_id + 5),
        )
    producer.abort_transaction()
    producer.begin_transaction()
    producer.send_offsets_to_transaction({trial.at(1): OffsetAndMetadata(3, "", -1)}, member)
    producer.commit_transaction()

    until(lambda: trial.committed(1) == 3)
    assert trial.committed(0) == 10


def test_our_failed_transaction_leaves_nothing_to_the_next(trial: Trial) -> None:
    member = joined(trial.consumer())
    ours = trial.transactions()
    stale = member._replace(generation_id=member.generation_id + 5)
    with pytest.raises(Uncommitted):
        ours.commit({}, trial.topic, {0: (10, "failed")}, stale)
    ours.open()
    ours.commit({}, trial.topic, {1: (3, "")}, member)

    until(lambda: trial.committed(1) == 3)
    assert trial.committed(0) is None


# A member that was thrown out becomes nobody, and nobody is not fenced.


def test_offsets_are_taken_from_a_member_that_was_thrown_out_trap(trial: Trial) -> None:
    consumer = trial.consumer()
    member = joined(consumer)
    trial.remove(member.member_id)
    until(lambda: consumer.group_metadata().generation_id < 0)
    assert consumer.group_metadata()[:3] == (trial.group, -1, "")
    assert consumer.assignment()  # as if nothing had happened
    trial.work_as_another(0)
    producer = trial.producer()
    producer.begin_transaction()
    producer.send_offsets_to_transaction(
        {trial.at(0): OffsetAndMetadata(2, "", -1)}, consumer.group_metadata()
    )
    producer.commit_transaction()

    until(lambda: trial.committed(0) == 2)  # others had come to 10


def test_ours_works_on_no_partitions_as_nobody_and_is_refused_as_who_it_was(trial: Trial) -> None:
    group = trial.ours()
    before = polled(group, lambda each: each.records).member
    assert before is not None
    trial.remove(before.member_id)
    until(lambda: group._consumer.group_metadata().generation_id < 0)
    trial.work_as_another(0)
    ours = trial.transactions()

    with pytest.raises(Uncommitted):
        ours.commit({}, trial.topic, {0: (2, "")}, before)
    ours.open()
    for nobody in (group._consumer.group_metadata(), before._replace(member_id="")):
        with pytest.raises(ValueError, match="not a member"):
            ours.commit({}, trial.topic, {0: (2, "")}, nobody)

    assert trial.committed(0) == 10
    after = polled(group, lambda each: each.member is not None).member
    assert after is not None
    assert after[1:3] != before[1:3]


# Partitions that others have worked on come back as if nothing had happened.


class Callbacks(ConsumerRebalanceListener):
    """What a state per partition is usually made and dropped by."""

    def __init__(self) -> None:
        self.told: list[tuple[str, set[int]]] = []

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self.told.append(("assigned", {each.partition for each in assigned}))

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self.told.append(("revoked", {each.partition for each in revoked}))

    def on_partitions_lost(self, lost: set[TopicPartition]) -> None:
        self.told.append(("lost", {each.partition for each in lost}))


@contextmanager
def polling(consumer: KafkaConsumer) -> Iterator[None]:
    """Within the block it is polled by another thread, as members join only while all poll."""
    stop = threading.Event()

    def poll() -> None:
        while not stop.is_set():
            consumer.poll(timeout_ms=300)

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def owns_one(consumer: KafkaConsumer) -> bool:
    metadata = consumer.group_metadata()
    return metadata.state == MemberState.STABLE and len(consumer.assignment()) == 1


def lose_and_regain(
    trial: Trial, consumer: KafkaConsumer, poll: Callable[[], object], **options: Any
) -> None:
    """`consumer` is thrown out while it joins anew; others commit 10 for all and leave.

    `poll` polls it.
    """
    slow, new = trial.consumer(**options), trial.consumer(**options)
    with polling(slow):
        until(lambda: (poll(), owns_one(consumer) and owns_one(slow))[1], 60)
    with polling(new):
        # It joins again, and waits for the slow one, which doesn't.
        until(lambda: (poll(), consumer.group_metadata().state == MemberState.REBALANCING)[1], 60)
        poll()
        trial.remove(consumer.group_metadata().member_id)
        until(lambda: consumer.group_metadata().generation_id < 0)
        with polling(slow):
            until(lambda: owns_one(slow) and owns_one(new), 60)
    for other in (slow, new):
        other.commit({at: OffsetAndMetadata(10, "by others", -1) for at in other.assignment()})
        other.close(autocommit=False)


def test_lost_partitions_come_back_without_a_callback_trap(trial: Trial) -> None:
    """With the cooperative assignor, where the member was thrown out while it joined."""
    callbacks = Callbacks()
    consumer = trial.consumer(listener=callbacks, **COOPERATIVE)
    joined(consumer)
    lose_and_regain(trial, consumer, lambda: consumer.poll(timeout_ms=300), **COOPERATIVE)
    (kept,) = [at.partition for at in consumer.assignment()]
    callbacks.told.clear()

    def back() -> bool:
        consumer.poll(timeout_ms=300)
        stable = consumer.group_metadata().state == MemberState.STABLE
        return stable and len(consumer.assignment()) == 2

    until(back, 60)

    assert trial.committed(kept) == 10
    assert callbacks.told == [("assigned", {1 - kept})]


def test_ours_is_another_member_when_its_partitions_come_back(trial: Trial) -> None:
    group = trial.ours()
    seen: list[Polled] = []
    polled(group, lambda each: each.records)
    lose_and_regain(trial, group._consumer, lambda: seen.append(group.poll(0.3)), **AS_OURS)
    before = [each.member for each in seen if each.member is not None][-1]

    after = polled(group, lambda each: each.member is not None and len(group.assigned()) == 2)

    assert after.member is not None
    assert after.member[1:3] != before[1:3]
    assert [group.committed(number) for number in (0, 1)] == [(10, "by others")] * 2


# A question for offsets that timed out is answered later, with what was true then.


def test_committed_answers_an_earlier_question_trap(kafka: Engine) -> None:
    """In one of some tries: on a busy machine the earlier question may be lost altogether."""
    assert any(answers_after_a_silence(kafka) == [None, 10] for _ in range(TRIES))


def answers_after_a_silence(kafka: Engine) -> list[int | None]:
    """Two answers of the library to a member whose partition another has worked on meanwhile."""
    trial = Trial(kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"])
    try:
        consumer = trial.consumer()
        joined(consumer)
        with frozen(kafka):
            with pytest.raises(KafkaTimeoutError):
                consumer.committed(trial.at(0), timeout_ms=300)
        trial.remove(consumer.group_metadata().member_id)
        trial.work_as_another(0)
        return [consumer.committed(trial.at(0), timeout_ms=10_000) for _ in range(2)]
    except KafkaError:
        return []
    finally:
        trial.close()


def test_ours_asks_anew(kafka: Engine, trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    group = trial.ours()
    member = polled(group, lambda each: each.records).member
    assert member is not None
    monkeypatch.setattr(membership, "REQUEST_TIMEOUT_MS", 300)
    with frozen(kafka):
        with pytest.raises(KafkaError):
            group.committed(0)
    monkeypatch.undo()
    trial.remove(member.member_id)
    trial.work_as_another(0)

    assert group.committed(0) == (10, "by another")
