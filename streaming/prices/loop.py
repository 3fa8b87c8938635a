"""The loop of prices: poll → check identity and topic → one change of Redis a partition → poll.

Where to read on stands in Redis beside the histories and changes with them in one step; the
group only shares out the partitions, its offsets are neither read nor committed. Whenever
anything could have changed, positions are looked up and read on from there; and a batch is taken
only where Redis stands exactly where its records begin.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streaming.kafka_log.incarnation import Incarnation
from streaming.kafka_log.membership import Group, Polled

from . import messages
from .options import Options
from .placement import PREFIX, Halt, Position, Start, parse, place, start
from .preparation import Unprepared, prepare
from .store import Batch, Moved, Refused, Store

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2
JOIN_POLL_SECONDS = 1.0
# How often positions, the topic and its ends are looked at, which also shows that both engines
# answer.
LOOK_SECONDS = 2.0


@dataclass
class Owned:
    """A partition between being taken over and being lost."""

    number: int
    expected: str | None  # its position as Redis has it
    position: int  # the next offset to be taken
    reached: int = 0  # past marks of transactions too, as of the last idle look
    halted: Halt | None = None
    notice: str = ""


class Loop:
    """One instance of the group. Not for several threads; `step` is all that has to be called."""

    def __init__(
        self, options: Options, slot: str, store: Store, *, beat: Callable[[], None] = lambda: None
    ) -> None:
        """Joins the group. `beat` is called when something went on.

        Raises KafkaError, redis.RedisError, Unprepared.
        """
        self.options = options
        self.owned: dict[int, Owned] = {}
        self.partition_count = 0
        self.added = self.repeated = self.refused = 0
        self.ends: dict[int, int] = {}  # by partition, as of the last look at them
        self._store = store
        self._beat = beat
        self._topic_id: str | None = None
        self._look_at = 0.0
        self._identity: tuple[int, str] | None = None
        beat()
        self._prepare(store.positions())
        beat()
        self.group = Group(
            options.topic,
            options.group,
            client_id=f"{options.group}.{slot}",
            static_id=None,
            session_timeout_ms=options.session_timeout_ms,
            batch=options.batch,
        )
        self._incarnation = Incarnation(self.group)

    def step(self, timeout_seconds: float = POLL_SECONDS) -> int:
        """Wait for records, at most so long, and work them off. Returns how many were read.

        Raises KafkaError, redis.RedisError and Unprepared, which another step may cure: it looks
        up all positions first.
        """
        try:
            return self._step(timeout_seconds)
        except BaseException:
            # What was polled may be lost, and what was sent may have been done.
            self._identity = None
            raise

    @property
    def joined(self) -> bool:
        """Whether this instance is a member of the group and knows what it owns."""
        return self._identity is not None

    def close(self) -> None:
        """Leave the group, so that others go on at once."""
        self.owned.clear()
        self.group.close()

    def _step(self, timeout_seconds: float) -> int:
        # A join whose answer comes between two polls is begun anew, so rather wait for it in one.
        polled = self.group.poll(timeout_seconds if self.joined else JOIN_POLL_SECONDS)
        self._beat()
        member = polled.member
        if member is None:
            self._identity = None
            return 0
        identity = (member.generation_id, member.member_id)
        if identity != self._identity or not polled.records.keys() <= self.owned.keys():
            # What was polled is read again from where Redis stands.
            self._identity = None
            if self._took_over():
                self._identity = identity
            return 0
        if time.monotonic() >= self._look_at:
            self._look(idle=not polled.records)
        if self._identity is None or not polled.records:
            return 0
        return self._work_off(polled)

    def _prepare(self, positions: dict[str, str]) -> None:
        of_topic = f"{PREFIX}{self.options.topic}:"
        read_before = any(where.startswith(of_topic) for where in positions)
        prepare(self.options, read_before=read_before)

    def _took_over(self) -> bool:
        """Look up where each partition is to be read; whether nothing changed meanwhile."""
        positions = self._store.positions()
        assigned = self.group.assigned()
        topic_id = self._incarnation.topic_id(assigned)
        if topic_id is None:
            self._prepare(positions)
            raise Unprepared(f"topic {self.options.topic} was made just now")
        bounds = self.group.bounds(assigned) if assigned else {}
        if self._incarnation.topic_id(assigned) != topic_id:  # are they this topic's?
            return False
        count = self.partition_count = self.group.partition_count()
        notices = {each.number: each.notice for each in self.owned.values()}
        halted = {each.number: each.halted for each in self.owned.values()}
        seen = {n: positions.get(place(self.options.topic, n)) for n in {*range(count), *assigned}}
        known = [parse(text) for text in seen.values() if text is not None]
        ids = {each.topic_id for each in known if each is not None}
        self.owned = {}
        for number in sorted(assigned):
            self._beat()
            found = start(seen[number], topic_id, *bounds[number], ids)
            owned = Owned(number, seen[number], found.offset, halted=found.halted)
            if found.deleted is not None:
                try:
                    owned.notice = self._pass_over(number, seen[number], found, topic_id)
                except Moved:
                    return False
                owned.expected = str(Position(found.offset, topic_id))
            elif found.halted is None:
                owned.notice = notices.get(number, "")
            self.owned[number] = owned
            self.group.seek(number, owned.position)
            if found.halted is None:
                self.group.resume(number)
            else:
                self.group.pause(number)
                if halted.get(number) != found.halted:
                    logger.error("partition %d is halted: %s", number, found.halted.detail)
        self.ends = {number: end for number, (_, end) in bounds.items()}
        self._topic_id = topic_id
        self._look_at = time.monotonic() + LOOK_SECONDS
        logger.info(
            "prices owns partitions %s of %d",
            {each.number: each.position for each in self.owned.values()} or "none",
            count,
        )
        return True

    def _pass_over(self, number: int, expected: str | None, found: Start, topic_id: str) -> str:
        """Go on behind what can't be read any more, with a dead letter for it. Raises Moved."""
        assert found.deleted is not None
        first, last = found.deleted[0], found.deleted[-1]
        words = f"offsets {first} to {last} were deleted before they were read"
        applied = self._store.apply(
            Batch(
                place(self.options.topic, number),
                expected,
                str(Position(found.offset, topic_id)),
                [],
                [Refused(first, "deleted", words, b"")],
                topic_id,
            )
        )
        self.refused += applied.refused
        logger.error("partition %d: %s", number, words)
        return words

    def _look(self, *, idle: bool) -> None:
        """See whether anything was moved by others, and where the topic ends."""
        self._look_at = time.monotonic() + LOOK_SECONDS
        positions = self._store.positions()
        if self._incarnation.topic_id(self.owned) != self._topic_id:
            self._identity = None
            return
        self.ends = self.group.ends(set(self.owned)) if self.owned else {}
        for owned in self.owned.values():
            past_end = owned.halted is not None and owned.halted.reason == "offset_past_end"
            if positions.get(place(self.options.topic, owned.number)) != owned.expected or (
                # A broker that died knows its end again only some time after its start.
                past_end and self.ends.get(owned.number, 0) >= owned.position
            ):
                self._identity = None
            if idle and owned.halted is None:
                # Behind the last record there may be marks of transactions, which nobody takes.
                owned.reached = self.group.position(owned.number) or 0

    def _work_off(self, polled: Polled) -> int:
        # After the poll, so that what was polled is this topic's.
        topic_id = self._incarnation.topic_id(polled.records)
        if topic_id is None or topic_id != self._topic_id:
            self._identity = None
            return 0
        taken = 0
        for number, records in polled.records.items():
            owned = self.owned[number]
            if owned.halted is not None or not records:
                continue
            if self.group.displaced({number: owned.position}, {number: records}):
                self._identity = None
                return taken
            try:
                self._apply(owned, records, topic_id)
            except Moved as moved:
                logger.warning(
                    "partition %d: somebody else has set its position to %s", number, moved.found
                )
                self._identity = None
                return taken
            taken += len(records)
        return taken

    def _apply(self, owned: Owned, records: list[Any], topic_id: str) -> None:
        rows, refused = messages.sort(records)
        behind = records[-1].offset + 1
        batch = Batch(
            place(self.options.topic, owned.number),
            owned.expected,
            str(Position(behind, topic_id)),
            rows,
            refused,
            topic_id,
        )
        applied = self._store.apply(batch)
        owned.expected, owned.position = batch.next, behind
        self.added += applied.added
        self.repeated += applied.repeated
        self.refused += applied.refused
        self._beat()
