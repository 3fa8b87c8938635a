"""A member of a consumer group that knows at every poll under which identity it reads.

One of the two places where kafka-python's silent traps are cured; the other is transactions.py.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from kafka import KafkaConsumer
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import IllegalStateError, KafkaError, KafkaTimeoutError
from kafka.structs import ConsumerGroupMetadata, MemberState, OffsetAndMetadata, TopicPartition

from . import connection
from .decoding import quicken

REQUEST_TIMEOUT_MS = 10_000
PROBE_TIMEOUT_MS = 3_000
# A step may wait for a transaction, never longer than the watchdog.
MAX_POLL_INTERVAL_MS = 60_000
# The broker waits for one that no longer answers until its session ends; and then some.
JOIN_SESSIONS, JOIN_SECONDS = 2, 20.0
# A topic that got more partitions is noticed this soon.
METADATA_AGE_MS = 30_000
CLOSE_MS = 3_000
# A poll that need not wait gives out what the one before had asked for, and asks for the next. So
# what has come since would lie there for a whole turn more; asked for now it is here in a few ms.
FRESH_MS = 25
FETCH_BYTES = 8 * 1024 * 1024
PARTITION_BYTES = 2 * 1024 * 1024


class NotJoined(KafkaError):  # type: ignore[misc]
    """The group could not be joined for so long that a new client had better try."""


class Polled(NamedTuple):
    """One poll. Where `member` is not the one before, nothing of it may be used: see `Group`."""

    member: ConsumerGroupMetadata | None  # None: no member now
    records: Mapping[int, list[Any]]  # by partition, as kafka-python's ConsumerRecord


class Group:
    """Reads one topic as a member of a group, what is committed only, and never commits itself.

    The library's `group_metadata()` is live and can become nobody's, which would switch off the
    broker's fencing, and partitions that were lost may come back without a callback. So every poll
    carries a snapshot; whoever sees another identity than before compares what it holds with
    `committed` for each partition of `assigned`, and seeks. The assignment is eager: all partitions
    are given up and taken over together.
    """

    def __init__(
        self,
        topic: str,
        group: str,
        *,
        client_id: str,
        static_id: str | None,
        session_timeout_ms: int,
        batch: int,
    ) -> None:
        """`batch`: most records of a poll. `static_id`: keeps its partitions over a restart that
        is shorter than the session time-out. Raises KafkaError."""
        self._topic = topic
        self._batch = batch
        self._consumer = KafkaConsumer(
            **connection.options(),
            client_id=client_id,
            group_id=group,
            group_instance_id=static_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            partition_assignment_strategy=(StickyPartitionAssignor,),
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=max(session_timeout_ms // 5, 100),
            max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
            max_poll_records=batch,
            request_timeout_ms=max(REQUEST_TIMEOUT_MS, session_timeout_ms + 5_000),
            metadata_max_age_ms=METADATA_AGE_MS,
            bootstrap_timeout_ms=5_000,
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=PARTITION_BYTES,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
        quicken(self._consumer)
        self._consumer.subscribe([topic])
        self._joined_at = time.monotonic()
        self._join_seconds = JOIN_SECONDS + JOIN_SESSIONS * session_timeout_ms / 1000

    def poll(self, timeout_seconds: float) -> Polled:
        """What has come, with the identity under which it was read.

        Raises KafkaError, NotJoined when a new `Group` is needed.
        """
        began = time.monotonic()
        polled = self._consumer.poll(timeout_ms=round(timeout_seconds * 1000))
        room = self._batch - sum(map(len, polled.values()))
        if polled and room > 0 and time.monotonic() < began + FRESH_MS / 1000:
            for where, found in self._consumer.poll(FRESH_MS, max_records=room).items():
                polled.setdefault(where, []).extend(found)
        member = self._consumer.group_metadata()
        if member.state != MemberState.STABLE or member.generation_id < 0 or not member.member_id:
            self._see_to_joining()
            return Polled(None, {})
        self._joined_at = time.monotonic()
        return Polled(member, {where.partition: found for where, found in polled.items()})

    def _see_to_joining(self) -> None:
        # A join that was begun because the topic's metadata had changed is forgotten by the library
        # when they change back before its answer: no member, no heartbeat, no error, for ever.
        coordinator = self._consumer._coordinator
        if coordinator.state == MemberState.REBALANCING and not coordinator.need_rejoin():
            coordinator.request_rejoin()
        waited = time.monotonic() - self._joined_at
        if waited > self._join_seconds:
            raise NotJoined(f"the group was not joined for {waited:.0f} s")

    def assigned(self) -> set[int]:
        """The partitions that are this member's now."""
        return {where.partition for where in self._consumer.assignment()}

    def partition_count(self) -> int:
        """Partitions of the topic as far as known, 0 where the topic is not."""
        return len(self._consumer.partitions_for_topic(self._topic) or ())

    def committed(self, partition: int) -> tuple[int, str] | None:
        """The group's next offset and the text beside it; waits for transactions under way.

        Raises KafkaError.
        """
        # A question that timed out, also one of the library's own polls, is kept there, and its
        # answer is given to whoever asks the same next, generations later.
        self._consumer._coordinator._offset_fetch_futures.clear()
        found = self._consumer.committed(
            self._at(partition), metadata=True, timeout_ms=REQUEST_TIMEOUT_MS
        )
        if not isinstance(found, OffsetAndMetadata) or found.offset < 0:
            return None
        return found.offset, found.metadata or ""

    def bounds(self, partitions: set[int]) -> dict[int, tuple[int, int]]:
        """First offset that is still there and the next to be read, by partition.

        Raises KafkaError.
        """
        where = [self._at(partition) for partition in sorted(partitions)]
        first = self._consumer.beginning_offsets(where, timeout_ms=REQUEST_TIMEOUT_MS)
        last = self._consumer.end_offsets(where, timeout_ms=REQUEST_TIMEOUT_MS)
        return {at.partition: (first[at], last[at]) for at in where}

    def displaced(
        self, positions: Mapping[int, int], polled: Mapping[int, Sequence[Any]]
    ) -> dict[int, Literal["back", "on"]]:
        """The partitions whose records are not those from their position on, and where they are.

        The library goes by itself: on to the first offset that is there where the position has been
        deleted, back where the topic was cut or made anew. Gaps between records are common: marks
        of transactions, compacted ones. Raises KafkaError.
        """
        found: dict[int, Literal["back", "on"]] = {}
        gaps = []
        for number, records in polled.items():
            first, last = records[0].offset, records[-1].offset
            if first == positions[number] and last - first == len(records) - 1:
                continue
            offsets = (positions[number] - 1, *(record.offset for record in records))
            if any(after <= before for before, after in pairwise(offsets)):
                found[number] = "back"
            else:
                gaps.append(self._at(number))
        if gaps:
            begins = self._consumer.beginning_offsets(gaps, timeout_ms=REQUEST_TIMEOUT_MS)
            moved = (at.partition for at in gaps if begins[at] > positions[at.partition])
            found |= dict.fromkeys(moved, "on")
        return found

    def offset_at(self, partition: int, timestamp_ms: int) -> int | None:
        """First offset of a record not older than that, None where there is none.

        Raises KafkaError.
        """
        at = self._at(partition)
        found = self._consumer.offsets_for_times(
            {at: max(0, timestamp_ms)}, timeout_ms=REQUEST_TIMEOUT_MS
        ).get(at)
        return None if found is None or found.offset < 0 else found.offset

    def seek(self, partition: int, offset: int) -> None:
        """Read from there at the next poll. Nothing happens where the partition has been lost."""
        with suppress(IllegalStateError, ValueError):
            self._consumer.seek(self._at(partition), offset)

    def pause(self, partition: int) -> None:
        """Read no more of it until the group is joined anew."""
        with suppress(KeyError):  # it has been lost meanwhile
            self._consumer.pause(self._at(partition))

    def resume(self, partition: int) -> None:
        """Read on in a partition that was paused."""
        with suppress(KeyError):  # it has been lost meanwhile
            self._consumer.resume(self._at(partition))
        # What was parsed of it before the pause is given out only where nothing is in its place,
        # and the library leaves there what it has given out to the end: it would wait for ever.
        fetcher = self._consumer._fetcher
        if not fetcher._next_partition_records:
            fetcher._next_partition_records = None

    def position(self, partition: int) -> int | None:
        """Next offset to be read, past marks of transactions too; None where it is not known."""
        try:
            at: int | None = self._consumer.position(self._at(partition), timeout_ms=1_000)
        except (IllegalStateError, KafkaTimeoutError):
            return None
        return at

    def ends(self, partitions: set[int]) -> dict[int, int]:
        """The next offsets that could be read now, by partition. Raises KafkaError, soon.

        Also tells whether Kafka answers at all: a poll of a group whose broker is away gives
        nothing, for ever.
        """
        where = [self._at(partition) for partition in sorted(partitions)]
        found = self._consumer.end_offsets(where, timeout_ms=PROBE_TIMEOUT_MS)
        return {at.partition: offset for at, offset in found.items()}

    def seen_ends(self, partitions: set[int]) -> dict[int, int]:
        """The partitions' ends as the answers to polls told them: asks nobody, may lag behind.

        Transactions that are under way count as read. Without those nothing was read of.
        """
        found = {}
        for partition in partitions:
            with suppress(IllegalStateError):  # it has been lost meanwhile
                end = self._consumer.highwater(self._at(partition))
                if end is not None:
                    found[partition] = end
        return found

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        with suppress(KafkaError):
            self._consumer.close(autocommit=False, timeout_ms=CLOSE_MS)

    def _at(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topic, partition)
