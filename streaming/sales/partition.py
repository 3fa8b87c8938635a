"""The state of one input partition: which records are accepted, and the output of each. Pure.

Decisions depend on the log alone, never on the clock, so that a replay makes the same state.
Used by the loop.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from .amounts import amount_text as amount_text
from .checkpoint import Checkpoint
from .limits import Limits
from .messages import Refusal, parse, shown
from .segments import NONE, RECORDS, Segment, Segments
from .strays import Strays
from .window import KeyWindow

# Measured with tracemalloc, see size_bytes().
EVENT_BYTES = 17
KEY_BYTES = 480
SEGMENT_BYTES = 300

# What Output(…) ends in; that one is a function of Python's and takes twice as long.
as_tuple = tuple.__new__


class Record(Protocol):
    """A record of the input topic; `timestamp` is the broker's in ms, negative where unknown."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class Output(NamedTuple):
    """Key and value of the record for the output topic."""

    key: bytes
    value: bytes


class Halt(NamedTuple):
    """The record that can't be taken: reason `no_key` or `two_keys`, and the same in words."""

    offset: int
    reason: str
    detail: str


class Selling(NamedTuple):
    """What a StockCode sold within the window that ends at the watermark."""

    stock_code: str
    units: int
    sales: int
    last_time: float


class PartitionState:
    """Takes the records of a partition in the order of their offsets.

    With `start` it expects the records from start.replay_from on, by absorb() up to the committed
    offset. `check_keys`: the topic has several partitions, so a StockCode must keep its key, and
    `strays` keeps those whose key belongs elsewhere.
    `events` and `keys` are what is held, `accepted` and `refused` what take() decided.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        start: Checkpoint | None = None,
        check_keys: bool = False,
        strays: Strays | None = None,
        segment_records: int = RECORDS,
    ) -> None:
        self.limits = limits
        self.check_keys = check_keys
        self.strays = strays or Strays()
        self.next_offset: int | None = None
        self.events = self.accepted = self.refused = 0
        self._watermark = NONE
        self._windows: dict[str, KeyWindow] = {}
        self._other_keys = False  # whether any record's key was not its StockCode
        self._segments = Segments(segment_records)
        if start is not None:
            if start.watermark_before is not None:
                self._watermark = start.watermark_before
            self._segments.begin(start.replay_from, self._watermark)

    @property
    def watermark(self) -> float | None:
        return None if self._watermark == NONE else self._watermark

    @property
    def keys(self) -> int:
        return len(self._windows)

    def take(self, records: Iterable[Record]) -> tuple[list[Output | Refusal], Halt | None]:
        """One outcome per record, in order, up to the record that halts, if one does.

        That one is not taken and changes nothing; taken again it halts again.
        """
        outcomes: list[Output | Refusal] = []
        halt = self._follow(list(records), outcomes)
        return outcomes, halt

    def absorb(self, records: Iterable[Record]) -> None:
        """A replay: the same decisions, no output, and never a halt."""
        self._follow(list(records), None)

    def checkpoint(self) -> Checkpoint:
        """From where a state that has taken the same records can be made again.

        Before the first record that is `start`, or else the beginning of the partition.
        """
        oldest = self._segments.oldest
        if oldest is None:
            return Checkpoint(0, None, self.limits.kept_seconds)
        before = None if oldest.watermark_before == NONE else oldest.watermark_before
        return Checkpoint(oldest.first, before, self.limits.kept_seconds)

    def _follow(
        self, records: list[Record], outcomes: list[Output | Refusal] | None
    ) -> Halt | None:
        start = 0
        halt = None
        while start < len(records) and halt is None:
            segment = self._segments.open(records[start].offset, self._watermark)
            part = records[start : start + self._segments.size - segment.records]
            taken, halt = self._follow_part(part, segment, outcomes)
            segment.records += taken
            if taken:
                self.next_offset = part[taken - 1].offset + 1
            start += taken
            self._forget()
        return halt

    def _follow_part(
        self, part: Sequence[Record], segment: Segment, outcomes: list[Output | Refusal] | None
    ) -> tuple[int, Halt | None]:
        """Records of one segment; how many were taken, and the halt at the next one."""
        window_seconds = self.limits.window_seconds
        lateness, skew = self.limits.lateness_seconds, self.limits.max_skew_seconds
        windows = self._windows
        watermark = self._watermark
        greatest = segment.greatest
        keep = self._keep()
        accepted = refused = freed = 0
        halt = None
        check_keys = self.check_keys and outcomes is not None
        strays = self.strays if self.check_keys else None
        for record in part:
            sale = parse(record.value)
            if isinstance(sale, Refusal):
                refused += 1
                if outcomes is not None:
                    outcomes.append(sale)
                continue
            code, given, units = sale
            at = float(given)
            timestamp = record.timestamp
            if timestamp >= 0 and at > timestamp / 1000 + skew:
                refused += 1
                if outcomes is not None:
                    outcomes.append(self._ahead(given, timestamp))
                continue
            if at < watermark - lateness:
                refused += 1
                if outcomes is not None:
                    outcomes.append(self._late(given, watermark))
                continue
            window = windows.get(code)
            key = record.key
            if check_keys and (key is None or (window is not None and key != window.record_key)):
                halt = self._halt(record, code, window, max(watermark, at))
                if halt is not None:
                    break
            if window is None:
                window = windows[code] = KeyWindow(code)
                segment.codes.append(code)
            if key != window.record_key:
                if strays is not None and key is not None:
                    strays.look(code, key)
                if key == window.key:
                    window.record_key = window.key
                else:
                    window.record_key = key
                    self._other_keys = True
            if at > watermark:
                watermark = at
            if at > greatest:
                greatest = at
            total = window.add(at, units, window_seconds)
            accepted += 1
            if len(window.times) >= window.room:
                freed += window.free(keep)
            if outcomes is not None:
                text = (
                    f'{{"StockCode": "{window.quoted}", "Epoch": {given!r}, '
                    f'"10minutesSum": {amount_text(total)}}}'
                )
                outcomes.append(as_tuple(Output, (window.key, text.encode())))
        self._watermark = watermark
        segment.greatest = greatest
        self.events += accepted - freed
        if outcomes is not None:
            self.accepted += accepted
            self.refused += refused
        return accepted + refused, halt

    def _keep(self) -> float:
        """No sum to come can hold an event before this time."""
        return self._watermark - self.limits.lateness_seconds - self.limits.window_seconds

    def _forget(self) -> None:
        """Frees StockCodes without events of late: nobody else would look at them."""
        keep = self._keep()
        for code in self._segments.leave(keep):
            window = self._windows[code]
            last = window.times[-1]
            if last < keep:
                self.events -= len(window.times)
                del self._windows[code]
                self.strays.forget(code)
            else:
                self.events -= window.free(keep)
                self._segments.look_again(code, last)

    def _ahead(self, at: int | float, timestamp: int) -> Refusal:
        return Refusal(
            "ahead",
            f"InvoiceDate {shown(at)} is more than {self.limits.max_skew_seconds} s ahead of the "
            f"broker's timestamp, {timestamp / 1000}.",
        )

    def _late(self, at: int | float, watermark: float) -> Refusal:
        return Refusal(
            "late",
            f"InvoiceDate {shown(at)} is more than {self.limits.lateness_seconds} s behind the "
            f"greatest one accepted in this partition, {watermark}.",
        )

    def _halt(
        self, record: Record, code: str, window: KeyWindow | None, watermark: float
    ) -> Halt | None:
        """Why the record can't be taken: its StockCode may be in other partitions too."""
        if record.key is None:
            return Halt(
                record.offset, "no_key", f"The record of StockCode {shown(code)} has no key."
            )
        if window is None or record.key == window.record_key:
            return None
        keep = watermark - self.limits.lateness_seconds - self.limits.window_seconds
        if window.times[-1] < keep:
            return None
        return Halt(
            record.offset,
            "two_keys",
            f"StockCode {shown(code)} has the key {key_shown(record.key)}, "
            f"before it had {key_shown(window.record_key)}.",
        )

    def size_bytes(self) -> int:
        """What the state takes in memory, estimated from its counts."""
        return (
            self.events * EVENT_BYTES + self.keys * KEY_BYTES + len(self._segments) * SEGMENT_BYTES
        )

    def top(self, count: int) -> list[Selling]:
        """The largest sums over [watermark − window, watermark], largest first, then by code."""
        span, watermark = self.limits.window_seconds, self._watermark
        first = watermark - span
        found = []
        for code, window in self._windows.items():
            low, times = window.low, window.times
            # Out of most nothing has fallen since their last event: no call for those.
            if low < len(times) and times[low] >= first:
                found.append((-window.total, code))
            else:
                units = window.advance(watermark, span)
                if window.low < len(times):
                    found.append((-units, code))
        return [self._sold(code, -less) for less, code in heapq.nsmallest(count, found)]

    def selling(self, stock_code: str) -> Selling | None:
        """One StockCode as `top` gives it; None where it sold nothing within the window."""
        window = self._windows.get(stock_code)
        if window is None:
            return None
        units = window.advance(self._watermark, self.limits.window_seconds)
        return self._sold(stock_code, units) if window.low < len(window.times) else None

    def _sold(self, stock_code: str, units: int) -> Selling:
        window = self._windows[stock_code]
        return Selling(stock_code, units, len(window.times) - window.low, window.times[-1])

    def curve(self, stock_code: str, points: int) -> list[tuple[float, int]]:
        """The rolling sum in units at `points` (2 or more) instants up to the watermark.

        They begin a window before it, later where less is kept. Empty for an unknown StockCode.
        """
        window = self._windows.get(stock_code)
        if window is None or window.times[-1] < self._keep():
            return []
        span = min(self.limits.window_seconds, self.limits.lateness_seconds)
        first = self._watermark - span
        step = span / (points - 1)
        instants = [max(first, self._watermark - step * left) for left in range(points - 1, -1, -1)]
        return list(zip(instants, window.sums(instants, self.limits.window_seconds), strict=True))

    def shared_keys(self, most: int = 5) -> list[tuple[bytes, int]]:
        """Record keys of two or more StockCodes, and of how many; the most shared first."""
        if not self._other_keys:
            return []
        keep = self._keep()
        counts = Counter(
            window.record_key
            for window in self._windows.values()
            if window.record_key is not None and window.times[-1] >= keep
        )
        shared = [(key, count) for key, count in counts.items() if count > 1]
        return sorted(shared, key=lambda one: (-one[1], one[0]))[:most]


def key_shown(key: bytes | None) -> str:
    """A record key as the details show it."""
    return "none" if key is None else shown(key[:160].decode(errors="backslashreplace"))
