"""Finds dead letters in their topic, newest first, with a client that lives as long as a request.

Used by their page, its download and the API.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from django.conf import settings

from streaming.kafka_log import KafkaError
from streaming.kafka_log.connection import in_words
from streaming.kafka_log.reader import Reader

from .dead_letter import DeadLetter, as_json, of_record, reason_of

SHOWN_BYTES = 4_096  # of each value, by pages and API
TIMEOUT_SECONDS = 3.0  # of a broker that says nothing
AT_ONCE = 2  # threads of a web process that may wait for a broker
BUSY_SECONDS = 2.0
_slots = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True)
class Bounds:
    """How far a search goes."""

    first_look: int  # offsets of a partition read at a time, more with each further look …
    largest_look: int
    most: int  # offsets in all
    seconds: float
    value_bytes: int | None  # that are kept of each value


OF_PAGES = Bounds(60, 2_000, 20_000, 5.0, SHOWN_BYTES)
# Whole values have up to 64 KiB: few are held at a time.
OF_DOWNLOADS = Bounds(100, 100, 500_000, 20.0, None)
DOWNLOAD_MOST = 10_000
DOWNLOAD_BYTES = 64 * 1024**2


class Away(Exception):
    """Kafka can't be read just now. The text says why, for people."""


@dataclass(frozen=True)
class Page:
    """Some dead letters, newest first."""

    rows: list[DeadLetter]
    older: str | None  # cursor of those before them; None at the end
    looked_at: int  # offsets that were searched
    whole: bool = True  # False: it took too long to fill the page
    topic_is_there: bool = True


def page(before: str = "", reason: str = "", size: int = 25) -> Page:
    """The newest `size` dead letters below the cursor `before`, of one reason or of all ("").

    Raises Away, and ValueError for what is no cursor.
    """
    bounds = parse_cursor(before)
    with _search(bounds, reason, OF_PAGES) as search:
        rows = list(islice(search, size))
        older = search.cursor if search.more else None
        whole = len(rows) == size or older is None
        return Page(rows, older, search.looked_at, whole, search.topic_is_there)


def json_lines(reason: str = "") -> Iterator[bytes]:
    """The newest dead letters with their whole values, one a line, 10,000 or 64 MiB at most.

    Where there are more, the last line is `{"more": true, …}`. Raises Away.
    """
    size = 0
    with _search({}, reason, OF_DOWNLOADS) as search:
        for number, letter in enumerate(search, 1):
            line = json.dumps(as_json(letter)).encode() + b"\n"
            size += len(line)
            yield line
            if number == DOWNLOAD_MOST or size > DOWNLOAD_BYTES:
                break
        if search.more:
            yield json.dumps({"more": True, "before": search.cursor}).encode() + b"\n"


def parse_cursor(text: str) -> dict[int, int]:
    """Offsets to stay below by partition, "0:120.1:77". Raises ValueError."""
    bounds = {}
    for part in text.split(".") if text else ():
        numbers = part.split(":")
        if len(numbers) != 2 or not all(
            each.isascii() and each.isdigit() and len(each) < 19 for each in numbers
        ):
            raise ValueError(f"not a cursor: {text[:100]}")
        bounds[int(numbers[0])] = int(numbers[1])
    return bounds


class Search:
    """Iterates over dead letters by their time over all partitions, the newest first."""

    def __init__(
        self, reader: Reader, below: Mapping[int, int], reason: str, bounds: Bounds
    ) -> None:
        """Of offsets below `below` by partition, all where it has none. Raises KafkaError."""
        topic = settings.SALES_DEAD_LETTER_TOPIC
        first, ends = reader.begin(topic), reader.end(topic)
        self.topic_is_there = bool(ends)
        self.looked_at = 0
        self._bounds = bounds
        self._deadline = time.monotonic() + bounds.seconds

        def letters(partition: int, start: int, end: int) -> list[DeadLetter]:
            self.looked_at += end - start
            return [
                of_record(record, bounds.value_bytes)
                for record in reader.read(topic, partition, start, end)
                if not reason or reason_of(record) == reason
            ]

        self._partitions = [
            _Backwards(
                partition, first[partition], min(end, below.get(partition, end)), bounds, letters
            )
            for partition, end in sorted(ends.items())
        ]

    @property
    def more(self) -> bool:
        """Whether there may be older ones."""
        return any(each.more for each in self._partitions)

    @property
    def cursor(self) -> str:
        """Where a search goes on after those that were given out."""
        return ".".join(f"{each.partition}:{each.position}" for each in self._partitions)

    def __iter__(self) -> Iterator[DeadLetter]:
        while True:
            # Only when the newest of each partition is known, so is the newest of all.
            unknown = [each for each in self._partitions if each.more and not each.held]
            if unknown:
                if self.looked_at >= self._bounds.most or time.monotonic() > self._deadline:
                    return
                for each in unknown:
                    each.look()
                continue
            known = [each for each in self._partitions if each.held]
            if not known:
                return
            newest = max(known, key=lambda each: (each.held[-1].at_ms, -each.partition))
            yield newest.take()


class _Backwards:
    """One partition, from its end to its beginning."""

    def __init__(
        self,
        partition: int,
        first: int,
        end: int,
        bounds: Bounds,
        letters: Callable[[int, int, int], list[DeadLetter]],
    ) -> None:
        self.partition = partition
        self.held: list[DeadLetter] = []  # found and not given out; the newest is the last
        self._first = first
        self._read_to = max(first, end)  # what is below has not been looked at
        self._given_to = self._read_to
        self._look, self._largest_look = bounds.first_look, bounds.largest_look
        self._letters = letters

    @property
    def more(self) -> bool:
        return bool(self.held) or self._read_to > self._first

    @property
    def position(self) -> int:
        """Offset that all that is still to be given out is below."""
        return self._given_to if self.held else self._read_to

    def look(self) -> None:
        """Read a piece further back."""
        start = max(self._first, self._read_to - self._look)
        self.held = self._letters(self.partition, start, self._read_to)
        self._given_to, self._read_to = self._read_to, start
        self._look = min(2 * self._look, self._largest_look)

    def take(self) -> DeadLetter:
        letter = self.held.pop()
        self._given_to = letter.offset
        return letter


@contextmanager
def _search(below: Mapping[int, int], reason: str, bounds: Bounds) -> Iterator[Search]:
    """A search whose client ends with the block. Raises Away."""
    if not _slots.acquire(timeout=BUSY_SECONDS):
        raise Away("Kafka is slow, and others read dead letters just now. Try again in a moment.")
    try:
        with Reader(timeout_seconds=TIMEOUT_SECONDS) as reader:
            yield Search(reader, below, reason, bounds)
    except (KafkaError, OSError) as error:
        raise Away(in_words(error)) from error
    finally:
        _slots.release()
