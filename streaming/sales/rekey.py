"""Copies a topic by StockCode, exactly once. Hosted by `manage.py rekey_sales`.

Records, and how far they are copied, are written in one transaction, so the copy may be killed and
started again at any time. Cures of kafka-python's traps: streaming/kafka_log.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Self

from streaming.kafka_log import KafkaError
from streaming.kafka_log.connection import curable, in_words, pause_seconds
from streaming.kafka_log.membership import Group, Polled
from streaming.kafka_log.partitions import partition_of
from streaming.kafka_log.reader import Reader
from streaming.kafka_log.transactions import Message, Transactions, Uncommitted
from streaming.kafka_log.trouble import replaced

from .merge import Merge
from .messages import Refusal, parse
from .rekey_plan import INSTANCE, Plan, Refused, check_target

logger = logging.getLogger(__name__)

SESSION_TIMEOUT_MS = 10_000
BATCH = 2_000
POLL_SECONDS = 0.5
MOST_RECORDS, MOST_BYTES = 5_000, 4 * 1024 * 1024  # of a transaction, about
HELD_BYTES = 4 * 1024 * 1024  # of a partition that is ahead of the others, about
FOLLOW_SECONDS = 1.0  # between looks at how far the source has come
ALONE_SECONDS = 60.0  # to get all partitions
QUIET_SECONDS = 30.0  # without records of a partition that has some
PATIENCE_SECONDS = 300.0  # with a broker that is away, from the last record copied
LONGEST_PAUSE_SECONDS = 5.0  # a failure with a longer one waits for somebody: no use trying again


class Tally:
    """Records copied in this run, by what happened to their keys."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()  # new_key, same_key, no_sale
        self._written: Counter[str] = Counter()
        self._after: dict[int, int] = {}

    def attempt(self, written: Counter[str], after: dict[int, int]) -> None:
        """These go into a transaction now; `after`: the next offsets, should it be committed."""
        self._written, self._after = written, after

    def settle(self, following: Mapping[int, int]) -> None:
        """Count the last attempt, if by `following`, the next offsets, it was committed."""
        if self._after and all(following[number] >= at for number, at in self._after.items()):
            self.counts += self._written
        self._after = {}


class Copy:
    """One instance at work; `step` until it returns False. To be closed, as a context manager."""

    def __init__(self, plan: Plan, ends: Mapping[int, int], tally: Tally) -> None:
        """Copied is up to `ends`, offsets by partition. Raises KafkaError, Unusable."""
        self.left: int | None = None  # offsets still to be copied, at most; None: not known yet
        self._plan = plan
        self._ends = dict(ends)
        self._tally = tally
        self._identity: tuple[int, str] | None = None
        self._merge = Merge([])
        self._next: dict[int, int] = {}
        self._read: dict[int, int] = {}  # offsets that are to come next
        self._full = False
        self._alone_by = time.monotonic() + ALONE_SECONDS
        self._look_at = 0.0
        self._heard_at = time.monotonic()
        self._transactions = Transactions(plan.instance, [plan.target])
        self._transactions.open()
        try:
            self._targets = self._transactions.partition_count(plan.target)
            self._group = Group(
                plan.source,
                plan.group,
                client_id=plan.instance,
                static_id=INSTANCE,
                session_timeout_ms=SESSION_TIMEOUT_MS,
                batch=BATCH,
            )
        except BaseException:
            self._transactions.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._group.close()
        self._transactions.close()

    def step(self) -> bool:
        """Read, and copy what can be in one transaction. False at the end.

        Raises Refused; KafkaError and Uncommitted, after which another Copy can go on.
        """
        polled = self._group.poll(0 if self._full else POLL_SECONDS)
        self._full = False
        if polled.member is None:
            self._identity = None
            self._wait_for_all("it can't be joined")
            return True
        identity = (polled.member.generation_id, polled.member.member_id)
        if identity != self._identity:
            # What was polled is read again from where the committed offsets stand.
            self._identity = identity if self._take_over() else None
            return True
        self._look()
        displaced = self._group.displaced(self._read, polled.records)
        for number, where in displaced.items():
            if where == "back":
                raise Refused(
                    f"{self._plan.source}/{number} was cut while it was copied: offset"
                    f" {self._read[number]} is not there any more. Copy it into another topic."
                )
        if displaced:  # what was deleted before it was copied is told when it is taken over
            self._identity = None
            return True
        for number, records in polled.records.items():
            self._read[number] = records[-1].offset + 1
            self._merge.add(number, self._wanted(number, records))
        over = self._over()
        if polled.records or over == self._next.keys():
            self._heard_at = time.monotonic()
        elif time.monotonic() - self._heard_at > QUIET_SECONDS:
            raise KafkaError(f"no records in {QUIET_SECONDS:g} s, though there are some")
        taken = self._merge.take(MOST_RECORDS, MOST_BYTES, over)
        if taken:
            self._full = True
            self._copy(taken, polled)
        self._hold_back(over)
        self.left = sum(max(0, end - self._next[number]) for number, end in self._ends.items())
        return self._plan.follow or bool(self._next.keys() - over) or self._merge.holds_any()

    def _wait_for_all(self, why: str) -> None:
        if time.monotonic() > self._alone_by:
            raise Refused(
                f"Group {self._plan.group} gave this process not all partitions of"
                f" {self._plan.source} in {ALONE_SECONDS:g} s: {why}. Name another with --group."
            )

    def _take_over(self) -> bool:
        """Begin where the committed offsets stand; False while others have partitions."""
        assigned = self._group.assigned()
        if assigned != set(range(self._group.partition_count())):
            self._wait_for_all("it has other members")
            return False
        bounds = self._group.bounds(assigned)
        self._merge = Merge(assigned)
        for number in sorted(assigned):
            first, end = bounds[number]
            self._next[number] = self._begin(number, first, end)
            self._ends.setdefault(number, end if self._plan.follow else 0)
            self._read[number] = self._next[number]
            self._group.seek(number, self._next[number])
        self._tally.settle(self._next)
        logger.info("copies %s from %s", self._plan.source, self._next)
        return True

    def _begin(self, number: int, first: int, end: int) -> int:
        committed = self._group.committed(number)
        if committed is None:
            return first
        offset, text = committed
        name = f"{self._plan.source}/{number}"
        if text != self._plan.mark:
            raise Refused(
                f"Group {self._plan.group} has read {name} for something else than this copy."
                " Name another with --group."
            )
        if offset > end:
            raise Refused(
                f"{name} ends at offset {end}, but was copied up to {offset}: it is another topic"
                " of this name now. Copy it into another topic, or name another --group."
            )
        if offset < first:
            logger.warning(
                "%s begins at offset %d, and was copied up to %d: %d offsets are lost to its"
                " retention",
                *(name, first, offset, first - offset),
            )
        return max(first, offset)

    def _look(self) -> None:
        """Where the source goes on, see how far it has come."""
        if self._plan.follow and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + FOLLOW_SECONDS
            for number, (_, end) in self._group.bounds(set(self._next)).items():
                self._ends[number] = end

    def _wanted(self, number: int, records: list[Any]) -> list[Any]:
        if self._plan.follow:
            return records
        return [record for record in records if record.offset < self._ends[number]]

    def _over(self) -> set[int]:
        """Partitions of which no more has to be read before others go on."""
        return {
            number
            for number in self._next
            if (self._group.position(number) or 0) >= self._ends[number]
        }

    def _hold_back(self, over: set[int]) -> None:
        """Read no more of what is far ahead of the others, or read to its end."""
        for number in self._next:
            held = self._merge.held_bytes(number)
            if held > HELD_BYTES or (number in over and not self._plan.follow):
                self._group.pause(number)
            elif held < HELD_BYTES // 2:
                self._group.resume(number)

    def _copy(self, records: list[Any], polled: Polled) -> None:
        messages: dict[tuple[str, int], list[Message]] = {}
        written: Counter[str] = Counter()
        after: dict[int, int] = {}
        for record in records:
            key = record.key
            sale = parse(record.value)
            if isinstance(sale, Refusal):
                written["no_sale"] += 1
            elif (code := sale[0].encode()) == key:
                written["same_key"] += 1
            else:
                key = code
                written["new_key"] += 1
            if key is None:
                number = record.offset % self._targets
            else:
                number = partition_of(key, self._targets)
            messages.setdefault((self._plan.target, number), []).append(
                Message(record.timestamp, key, record.value, list(record.headers))
            )
            after[record.partition] = record.offset + 1
        assert polled.member is not None
        self._tally.attempt(written, after)
        self._transactions.commit(
            messages,
            self._plan.source,
            {number: (offset, self._plan.mark) for number, offset in after.items()},
            polled.member,
        )
        self._next |= after
        self._tally.settle(self._next)


def run(
    plan: Plan, tally: Tally, ended: Callable[[], bool], told: Callable[[int | None], object]
) -> bool:
    """Copy up to the end that the source has now, or with `plan.follow` until the end asked for.

    `told` hears after each step how many offsets are left. Whether all was copied is returned.
    A broker that is away for a moment is waited for. Raises Refused, KafkaError, Uncommitted.
    """
    with Reader() as reader:
        ends = reader.end(plan.source)
    failing_since, before, checked = 0.0, -1, False
    while not ended():
        try:
            if not checked:
                check_target(plan)
                checked = True
            with Copy(plan, ends, tally) as copy:
                while not ended():
                    more = copy.step()
                    told(copy.left)
                    if not more:
                        return True
        except (KafkaError, Uncommitted) as error:
            cause = error.__cause__ if isinstance(error, Uncommitted) else error
            if tally.counts.total() != before:
                failing_since, before = time.monotonic(), tally.counts.total()
            pause = pause_seconds(cause) if cause is not None else 0.0
            if (
                cause is None
                or time.monotonic() - failing_since > PATIENCE_SECONDS
                or pause > LONGEST_PAUSE_SECONDS
                or replaced(cause)
                or not curable(cause)
            ):
                raise
            logger.warning("copying waits %g s: %s", pause, in_words(cause))
            until = time.monotonic() + pause
            while not ended() and time.monotonic() < until:
                time.sleep(0.1)
    return False
