"""The loop of sales: poll → check identity → take → one transaction → poll.

Outputs, dead letters and offsets of a poll are one transaction, never open across a poll. The
state in memory is worth something only while it stands exactly where the group's committed offset
stands; whenever this could have changed, it is compared, and what doesn't fit is rebuilt by reading
the window again.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

from config.memory import set_aside
from streaming.kafka_log.membership import Group, Polled
from streaming.kafka_log.transactions import Message, Transactions

from . import recovery, searching
from .letters import Letters
from .messages import Refusal
from .options import Options
from .ownership import Owned
from .partition import Halt, Output, PartitionState
from .preparation import TopicWarning, prepare
from .strays import Strays

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2
JOIN_POLL_SECONDS = 1.0
RECENT_REFUSALS = 20
# How often the ends of the partitions are asked for, which also shows that Kafka answers.
LOOK_SECONDS = 2.0
NO_HEADERS: list[tuple[str, bytes]] = []


class Loop:
    """One instance of the group. Not for several threads; `step` is all that has to be called."""

    def __init__(
        self,
        options: Options,
        slot: str,
        *,
        beat: Callable[[], None] = lambda: None,
        short_cut: bool = True,
    ) -> None:
        """Joins the group. `beat` is called when something went on. Raises KafkaError, Unprepared.

        `short_cut`: see `Transactions`.
        """
        self.options = options
        self.owned: dict[int, Owned] = {}
        self.warnings: list[TopicWarning] = prepare(options)
        self.partition_count = 0
        self.taken = self.put_out = self.refused = 0
        self.recent_refusals: deque[tuple[Any, Refusal]] = deque(maxlen=RECENT_REFUSALS)
        self.ends: dict[int, int] = {}  # by partition, as of the last look at them
        self._look_at = 0.0
        self._beat = beat
        self._identity: tuple[int, str] | None = None
        self._sent_back: dict[int, str] = {}  # by partition: what to say of it
        beat()
        name = f"{options.group}.{slot}"
        self._transactions = Transactions(
            name, (options.output_topic, options.dead_letter_topic), short_cut=short_cut
        )
        # Before joining: it may take as long as the broker needs to end what a former self has
        # left open.
        self._transactions.open()
        beat()
        try:
            self._letters = Letters(options.dead_letter_topic, self._transactions.partition_count)
            self.group = Group(
                options.input_topic,
                options.group,
                client_id=name,
                static_id=slot if options.static_membership else None,
                session_timeout_ms=options.session_timeout_ms,
                batch=options.batch,
            )
        except BaseException:
            self._transactions.close()
            raise

    def step(self, timeout_seconds: float = POLL_SECONDS) -> int:
        """Wait for records, at most so long, and work them off. Returns how many were read.

        Raises Uncommitted, KafkaError and Unprepared, which another step may cure: it compares all
        states with what is committed first.
        """
        try:
            return self._step(timeout_seconds)
        except BaseException:
            # What was polled may be lost, so positions are worth nothing: compare them anew.
            self._identity = None
            raise

    def _step(self, timeout_seconds: float) -> int:
        # A join whose answer comes between two polls is begun anew, so rather wait for it in one.
        polled = self.group.poll(timeout_seconds if self.joined else JOIN_POLL_SECONDS)
        self._beat()
        member = polled.member
        if member is None:
            self._identity = None
            return 0
        looked = self._look_at_ends(idle=not polled.records)
        identity = (member.generation_id, member.member_id)
        if identity != self._identity or not polled.records.keys() <= self.owned.keys():
            # What was polled is read again from where the states stand.
            self._identity = None
            self._take_over()
            self._identity = identity
            return 0
        if looked or not polled.records:
            self._see_ends_of_replays(polled.records.keys())
        if polled.records and self._displaced(polled):
            self._identity = None
            return 0
        if polled.records:
            self._work_off(polled)
        return sum(map(len, polled.records.values()))

    @property
    def joined(self) -> bool:
        """Whether this instance is a member of the group and knows what it owns."""
        return self._identity is not None

    def close(self) -> None:
        """Leave the group, so that others go on at once."""
        self.owned.clear()
        self.group.close()
        self._transactions.close()

    def _take_over(self) -> None:
        # A transaction of ours of unknown outcome is ended by this, so that offsets are final.
        self._transactions.open()
        if self.group.partition_count() != self.partition_count:
            self.warnings = prepare(self.options)
            self.partition_count = self.group.partition_count()
        assigned = self.group.assigned()
        for lost in self.owned.keys() - assigned:
            del self.owned[lost]
        bounds = self.group.bounds(assigned)
        kept = []
        for number in sorted(assigned):
            self._beat()
            committed = self.group.committed(number)
            owned = self.owned.get(number)
            first, end = bounds[number]
            if (
                owned is not None
                and committed is not None
                and owned.stands_at(committed[0])
                and first <= owned.position
                and committed[0] <= end
            ):
                kept.append(number)
                owned.state.check_keys = self._check_keys
                owned.state.strays.recount(self.partition_count)
            else:
                self.owned.pop(number, None)
                owned = self.owned[number] = self._begin(number, committed, first, end)
            owned.notice = owned.notice or self._sent_back.get(number, "")
            self.group.seek(number, owned.position)
            if owned.halted is not None:
                self.group.pause(number)
            else:
                self.group.resume(number)
        logger.info(
            "sales owns partitions %s of %d, state kept for %s",
            sorted(assigned) or "none",
            self.partition_count,
            kept or "none",
        )
        set_aside()

    @property
    def _check_keys(self) -> bool:
        return self.partition_count > 1 and not self.options.accept_keys

    def _begin(self, number: int, committed: tuple[int, str] | None, first: int, end: int) -> Owned:
        limits = self.options.limits
        needed = limits.window_seconds + limits.lateness_seconds
        put_out = committed is None and searching.put_out_already(self.options, number, first, end)
        plan = recovery.plan(committed, first, end, needed, put_out=put_out)
        if isinstance(plan, recovery.Impossible):
            logger.error("partition %d is halted: %s", number, plan.detail)
            halt = Halt(plan.offset, plan.reason, plan.detail)
            state = PartitionState(limits)
            return Owned(number, state, plan.offset, plan.offset, plan.offset, halted=halt)
        seek_to, notice = plan.seek_to, plan.notice
        if plan.by_time:
            seek_to = searching.offset_by_time(
                self.group, self.options, number, first, plan.live_from, end
            )
            why = "the offset was set by something else, or the window is longer now"
            notice = notice or f"the window is looked for by time from offset {seek_to}: {why}"
        if notice:
            logger.warning("partition %d: %s", number, notice)
        if seek_to < plan.live_from:
            logger.info(
                "partition %d: reads %d to %d again for its window", number, seek_to, plan.live_from
            )
        strays = Strays(number, self.partition_count)
        state = PartitionState(limits, start=plan.start, check_keys=self._check_keys, strays=strays)
        return Owned(number, state, seek_to, plan.live_from, seek_to, notice=notice)

    def _look_at_ends(self, *, idle: bool) -> bool:
        """Whether it was time to look."""
        now = time.monotonic()
        if not self.owned or now < self._look_at:
            return False
        self._look_at = now + LOOK_SECONDS
        if not idle and not any(owned.past_end for owned in self.owned.values()):
            # Kafka answers, and has told the ends with the records: no round trip for them.
            self.ends |= self.group.seen_ends(set(self.owned))
            return True
        self.ends = self.group.ends(set(self.owned))
        for owned in list(self.owned.values()):
            if owned.past_end and self.ends.get(owned.number, 0) >= owned.position:
                # A broker that died knows its end again only some time after its start.
                del self.owned[owned.number]
                self._identity = None
        if idle:
            # Behind the last record there may be marks of transactions, which nobody takes.
            for owned in self.owned.values():
                owned.reached = self.group.position(owned.number) or 0
        return True

    def _see_ends_of_replays(self, with_records: Collection[int]) -> None:
        # Offsets at the end of a replay may be marks of transactions, which are no records.
        for owned in self.owned.values():
            if owned.replaying and owned.number not in with_records:
                at = self.group.position(owned.number)
                if at is not None and at >= owned.live_from:
                    owned.position = owned.live_from

    def _displaced(self, polled: Polled) -> bool:
        """Whether these are not the records that come next; then their place is found anew."""
        records = {
            number: found
            for number, found in polled.records.items()
            if self.owned[number].halted is None
        }
        positions = {number: self.owned[number].position for number in records}
        displaced = self.group.displaced(positions, records)
        for number, where in displaced.items():
            if where == "back":
                lowest = min(record.offset for record in records[number])
                words = (
                    f"Kafka no longer had offset {positions[number]} and went back to {lowest},"
                    " where the topic was cut or begins. Nothing is put out twice; but what was"
                    " written anew below that offset is in no sum"
                )
                logger.warning("partition %d: %s", number, words)
                self.owned[number].notice = self._sent_back[number] = words
        return bool(displaced)

    def _work_off(self, polled: Polled) -> None:
        messages: dict[tuple[str, int], list[Message]] = {}
        offsets: dict[int, tuple[int, str]] = {}
        halts: list[tuple[Owned, Halt]] = []
        refusals: list[tuple[Any, Refusal]] = []
        for number, records in polled.records.items():
            owned = self.owned[number]
            if owned.halted is not None:
                continue
            replayed_to = owned.position if owned.replaying else None
            halt = owned.take(records)
            if words := owned.state.strays.news():
                logger.warning("partition %d: %s", number, words)
            if halt is not None:
                halts.append((owned, halt))
            if owned.taken:
                self._write(owned, messages, refusals)
                offsets[number] = (owned.position, owned.state.checkpoint().encode())
            elif replayed_to is not None and not owned.replaying:
                logger.info("partition %d: window complete", number)
                set_aside()
        if offsets:
            assert polled.member is not None
            self._transactions.commit(messages, self.options.input_topic, offsets, polled.member)
        count = sum(map(len, messages.values()))
        self.taken += count
        self.refused += len(refusals)
        self.put_out += count - len(refusals)
        self.recent_refusals.extend(refusals)
        for owned, halt in halts:
            self._halt(owned, halt)
        self._beat()

    def _write(
        self,
        owned: Owned,
        messages: dict[tuple[str, int], list[Message]],
        refusals: list[tuple[Any, Refusal]],
    ) -> None:
        outputs: list[Any] = []  # plain tuples: making a Message costs as much as a sum
        for record, outcome in owned.taken:
            if isinstance(outcome, Output):
                outputs.append((record.timestamp, outcome[0], outcome[1], NO_HEADERS))
            else:
                refusals.append((record, outcome))
                partition, letter = self._letters.letter(record, outcome)
                at = (self.options.dead_letter_topic, partition)
                messages.setdefault(at, []).append(letter)
        owned.taken = []
        if outputs:
            messages[self.options.output_topic, owned.number] = outputs

    def _halt(self, owned: Owned, halt: Halt) -> None:
        owned.halted = halt
        owned.position = halt.offset
        self.group.pause(owned.number)
        self.group.seek(owned.number, halt.offset)
        logger.error("partition %d is halted at offset %d: %s", owned.number, *halt[::2])
