"""Moves how far partitions have been worked off, for `manage.py seek_prices`."""

from collections.abc import Iterator
from typing import NamedTuple

from streaming.kafka_log import topics
from streaming.kafka_log.reader import Reader

from .placement import PREFIX, Position, place
from .store import Moved, Store

# As often as this the consumer may work on meanwhile.
ATTEMPTS = 50


class Refused(ValueError):
    """What can't be done. The text says why, and what can."""


class Sought(NamedTuple):
    """One partition that was moved."""

    partition: int
    before: str | None  # its position as it stood in Redis
    now: Position


class _Topic(NamedTuple):
    id: str
    first: dict[int, int]
    end: dict[int, int]


def seek(store: Store, name: str, to: str, partition: int | None) -> Iterator[Sought]:
    """Let the next row be that at `to`: "beginning", "end" or an offset.

    Of `partition`, or of all. The topic that is there now is the one whose offsets count from
    then on. Raises Refused, Moved, KafkaError, redis.RedisError.
    """
    topic = _look(name)
    numbers = sorted(topic.end) if partition is None else [partition]
    if partition is not None and partition not in topic.end:
        raise Refused(f"topic {name} has partitions 0 to {max(topic.end)}")
    if len(numbers) > 1 and to not in ("beginning", "end"):
        raise Refused(
            f"topic {name} has {len(numbers)} partitions, and an offset is of one: name it by "
            "--partition"
        )
    offsets = {number: _offset(topic, to, number) for number in numbers}
    if partition is None:
        # Those of a topic that had more: should it grow again, they begin anew.
        offsets |= {number: 0 for number in _gone(store, name) if number not in topic.end}
    for number, offset in offsets.items():
        yield _move(store, name, number, Position(offset, topic.id))


def _look(name: str) -> _Topic:
    while True:
        with topics.admin() as client, Reader() as reader:
            before = topics.topic_id(client, name)
            if before is None:
                raise Refused(f"topic {name} is missing: make it first")
            found = _Topic(before, reader.begin(name), reader.end(name))
            if found.end and topics.topic_id(client, name) == before:
                return found


def _offset(topic: _Topic, to: str, number: int) -> int:
    first, end = topic.first[number], topic.end[number]
    if to == "beginning":
        return first
    if to == "end":
        return end
    if not first <= int(to) <= end:
        raise Refused(f"partition {number} has offsets {first} to below {end}: {to} is none")
    return int(to)


def _gone(store: Store, name: str) -> list[int]:
    """The partitions of which there are positions."""
    prefix = f"{PREFIX}{name}:"
    numbers = [each.removeprefix(prefix) for each in store.positions() if each.startswith(prefix)]
    return sorted(int(number) for number in numbers if number.isdecimal())


def _move(store: Store, name: str, number: int, to: Position) -> Sought:
    where = place(name, number)
    for attempt in range(ATTEMPTS):
        before = store.position(where)
        try:
            store.move(where, before, str(to))
        except Moved:
            if attempt + 1 == ATTEMPTS:
                raise
        else:
            return Sought(number, before, to)
    raise AssertionError("unreachable")
