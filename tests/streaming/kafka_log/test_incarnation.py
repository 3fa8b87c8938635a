"""A topic deleted and made again is another one; and our readers don't make one."""

from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaConsumer
from kafka.errors import KafkaError

from config.services.engine import Engine
from streaming.kafka_log import topics
from streaming.kafka_log.incarnation import NO_ID, Incarnation, text_of
from tests.services.waiting import until
from tests.streaming.kafka_log.trial import Trial


@pytest.fixture
def trial(kafka: Engine, settings: Any) -> Iterator[Trial]:
    settings.KAFKA_BOOTSTRAP_SERVERS = [kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"]]
    trial = Trial(settings.KAFKA_BOOTSTRAP_SERVERS[0])
    yield trial
    trial.close()


def delete(trial: Trial) -> None:
    trial.admin.delete_topics([trial.topic])
    until(lambda: trial.admin.describe_topics([trial.topic])[0]["error_code"])


def told(trial: Trial) -> str | None:
    """As commands ask for it."""
    with topics.admin() as client:
        return topics.topic_id(client, trial.topic)


def test_a_topic_that_is_made_again_has_another_id(trial: Trial) -> None:
    group = trial.ours()
    until(lambda: (group.poll(0.3), len(group.assigned()) == 2)[1])
    incarnation = Incarnation(group)
    first = incarnation.topic_id({0, 1})
    assert first == incarnation.topic_id({0}) == incarnation.topic_id(()) == told(trial)
    delete(trial)
    assert told(trial) is None
    until(lambda: incarnation.topic_id({0, 1}) is None)
    trial.admin.create_topics({trial.topic: {"num_partitions": 2}}, wait_for_metadata=True)

    def second() -> str | None:
        try:
            return incarnation.topic_id({0, 1})
        except KafkaError:  # its partitions wait for a leader
            return None

    assert until(second) == told(trial) != first


def polled_topic(trial: Trial, consumer: KafkaConsumer) -> bool:
    """Whether the topic is there again after some polls of a consumer."""
    for _ in range(20):
        consumer.poll(timeout_ms=100)
        consumer._cluster.request_update()
    return trial.admin.describe_topics([trial.topic])[0]["error_code"] == 0


def test_a_reader_makes_the_topic_that_it_reads_trap(trial: Trial) -> None:
    """Though it is told not to, in its options."""
    consumer = trial.consumer(allow_auto_create_topics=False)
    until(lambda: (consumer.poll(timeout_ms=300), consumer.assignment())[1])
    delete(trial)
    until(lambda: polled_topic(trial, consumer))


def test_ours_makes_none(trial: Trial) -> None:
    group = trial.ours()
    until(lambda: (group.poll(0.3), group.assigned())[1])
    delete(trial)
    assert not polled_topic(trial, group._consumer)


def test_brokers_that_give_no_ids() -> None:
    assert text_of(None) == NO_ID
    assert text_of("00000000-0000-0000-0000-000000000000") == NO_ID
    assert text_of("0a636b46-6d8d-424b-a62b-5e1040150087").startswith("0a636b46")
