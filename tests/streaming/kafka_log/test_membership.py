"""A member of a group on a real Kafka, and what kafka-python forgets about joining."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from kafka.structs import MemberState

from config.services.engine import Engine
from streaming.kafka_log import membership, topics
from streaming.kafka_log.membership import Group, NotJoined
from streaming.kafka_log.producer import Producer
from tests.services.waiting import until


@pytest.fixture
def topic(kafka: Engine, settings: Any) -> str:
    settings.KAFKA_BOOTSTRAP_SERVERS = [kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"]]
    name = f"t{uuid.uuid4().hex[:10]}"
    with topics.admin() as client:
        assert topics.create(client, name, 2)
        assert not topics.create(client, name, 2)
    return name


@pytest.fixture
def group(topic: str) -> Iterator[Group]:
    made = Group(
        topic, topic, client_id="one", static_id=None, session_timeout_ms=30_000, batch=100
    )
    yield made
    made.close()


def joined(group: Group) -> Any:
    return until(lambda: group.poll(0.2).member, 60)


def test_a_join_that_the_library_forgets_is_made_again(group):
    """Left so where the topic's metadata change, a join begins, and they change back before its
    answer: the library thinks that it need not join, and waits for nothing."""
    before = joined(group)
    coordinator = group._consumer._coordinator
    coordinator._disable_heartbeat()
    coordinator.state = MemberState.REBALANCING
    until(lambda: not coordinator.need_rejoin())
    after = joined(group)
    assert after.generation_id > before.generation_id
    assert group.assigned() == {0, 1}


def test_a_group_that_is_never_joined_is_given_up(group):
    joined(group)
    group._join_seconds = 0.0
    group._consumer._coordinator.request_rejoin()
    with pytest.raises(NotJoined):
        group.poll(0.0)


def test_it_tells_bounds_ends_and_offsets_by_time(group):
    joined(group)
    assert group.partition_count() == 2
    assert group.bounds({0, 1}) == {0: (0, 0), 1: (0, 0)}
    assert group.ends({1}) == {1: 0}
    assert group.offset_at(0, 1) is None
    assert group.committed(0) is None
    group.seek(7, 3)  # partitions that have been lost meanwhile
    group.pause(7)
    group.resume(7)
    assert group.position(7) is None
    until(lambda: group.position(0) == 0)


def send(topic: str, *values: bytes) -> None:
    with Producer() as producer:
        for value in values:
            producer.send(topic, None, value, partition=0)


def values(group: Group) -> list[bytes]:
    return [record.value for record in group.poll(0.2).records.get(0, ())]


def test_a_poll_gives_also_what_came_after_the_answer_that_lay_ready(topic, group, monkeypatch):
    joined(group)
    send(topic, b"first")
    assert until(lambda: values(group), 60) == [b"first"]
    # What the library has asked for meanwhile is answered with the first that comes.
    assert group._consumer.poll(0) == {}
    send(topic, b"second")
    until(lambda: group._consumer._fetcher._completed_fetches, 60)
    send(topic, b"third", b"fourth")
    monkeypatch.setattr(membership, "FRESH_MS", 20_000)
    assert values(group) == [b"second", b"third", b"fourth"]


def test_a_poll_gives_no_more_than_a_batch(topic, group):
    joined(group)
    sent = [b"%d" % number for number in range(250)]
    send(topic, *sent)
    found = until(lambda: values(group), 60)
    assert len(found) <= 100
    while len(found) < len(sent):
        more = values(group)
        assert len(more) <= 100
        found += more
    assert found == sent


def test_ends_are_seen_with_what_is_read(topic, group):
    joined(group)
    assert group.seen_ends({7}) == {}
    send(topic, b"a", b"b", b"c")
    until(lambda: values(group), 60)
    assert group.seen_ends({0})[0] >= 1
    until(lambda: group.poll(0.1) and group.seen_ends({0}) == {0: 3}, 60)
