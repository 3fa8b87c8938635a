"""Puts records of several partitions into the order of their timestamps. Pure; called by rekey.

Copied one after the other, the partitions of a topic would make most sales late: what the second
brings lies hours behind what the first has brought. Order within a partition is kept.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Set
from typing import Any


def size_bytes(record: Any) -> int:
    """Of the key and value of a record."""
    return len(record.key or b"") + len(record.value or b"")


class Merge:
    """What was read of each partition and is not taken yet.

    Records have partition, timestamp (ms), key and value, as kafka-python's ConsumerRecord.
    """

    def __init__(self, partitions: Iterable[int]) -> None:
        self._waiting: dict[int, deque[Any]] = {number: deque() for number in partitions}
        self._bytes = dict.fromkeys(self._waiting, 0)
        # (timestamp, partition) of the first record of each partition that has one.
        self._heads: list[tuple[int, int]] = []

    def add(self, partition: int, records: Iterable[Any]) -> None:
        """Put what was read next behind what is there."""
        waiting = self._waiting[partition]
        was_empty = not waiting
        for record in records:
            waiting.append(record)
            self._bytes[partition] += size_bytes(record)
        if was_empty and waiting:
            heapq.heappush(self._heads, (waiting[0].timestamp, partition))

    def take(self, most: int, most_bytes: int, over: Set[int]) -> list[Any]:
        """The next records, as far as no earlier one can come; about `most_bytes` at most.

        A partition that has none here can bring earlier ones, unless it is in `over`.
        """
        open_ones = {
            number
            for number, waiting in self._waiting.items()
            if not waiting and number not in over
        }
        taken: list[Any] = []
        size = 0
        while self._heads and not open_ones and len(taken) < most and size < most_bytes:
            _, number = self._heads[0]
            waiting = self._waiting[number]
            record = waiting.popleft()
            taken.append(record)
            bytes_ = size_bytes(record)
            size += bytes_
            self._bytes[number] -= bytes_
            if waiting:
                heapq.heapreplace(self._heads, (waiting[0].timestamp, number))
            else:
                heapq.heappop(self._heads)
                if number not in over:
                    open_ones.add(number)
        return taken

    def held_bytes(self, partition: int) -> int:
        """Of the partition's records that are here."""
        return self._bytes[partition]

    def holds_any(self) -> bool:
        """Whether any records are here."""
        return bool(self._heads)
