"""The events of one StockCode and the rolling sum over them. Pure; used by partition.py.

times, oldest first:   e0 │ e1   e2 │ e3   e4   e5
                          │         └─ low: the running sum holds e3 … e5,
                          │            the closed window [at − window, at]
                          └─ keep: what is older is freed
"""

import json
from array import array
from bisect import bisect_left, bisect_right
from itertools import accumulate


class KeyWindow:
    """Times and units of a StockCode's accepted events, sorted by time, equal ones by offset.

    `at` is the greatest time the running sum was moved to; no event is newer.
    """

    __slots__ = ("at", "key", "low", "quoted", "record_key", "room", "times", "total", "units")

    def __init__(self, stock_code: str) -> None:
        self.times = array("d")
        self.units = array("q")
        self.at = float("-inf")
        self.low = 0  # index of the first event of the running sum
        self.total = 0  # the running sum
        self.room = 8  # so many events, then it is worth while to free some
        self.key = stock_code.encode()
        escaped = json.dumps(stock_code)[1:-1]
        self.quoted = stock_code if escaped == stock_code else escaped
        self.record_key: bytes | None = None

    def add(self, at: float, units: int, window: float) -> int:
        """Puts an event in; the sum over [at − window, at] with it."""
        if at < self.at:
            return self._add_behind(at, units, window)
        times = self.times
        times.append(at)
        self.units.append(units)
        self.at = at
        total = self.total + units
        first = at - window
        low = self.low
        if times[low] < first:
            while times[low] < first:
                total -= self.units[low]
                low += 1
            self.low = low
        self.total = total
        return total

    def _add_behind(self, at: float, units: int, window: float) -> int:
        """Between or before others. From the running sum, or anew where that is shorter:

        running sum             low ├──────────────┤ self.at
        wanted          start ├──────────┤ index      minus what is after index,
                                                      plus start … low
        """
        times, amounts = self.times, self.units
        index = bisect_right(times, at)
        times.insert(index, at)
        amounts.insert(index, units)
        if at < self.at - window:
            self.low += 1
        else:
            self.total += units
        end = index + 1
        start = bisect_left(times, at - window, 0, end)
        if end - start <= len(times) - end + self.low - start:
            return sum(amounts[start:end])
        return self.total - sum(amounts[end:]) + sum(amounts[start : self.low])

    def advance(self, at: float, window: float) -> int:
        """Moves the running sum on to [at − window, at], never back; the sum."""
        if at > self.at:
            self.at = at
            first = at - window
            times = self.times
            low = self.low
            while low < len(times) and times[low] < first:
                self.total -= self.units[low]
                low += 1
            self.low = low
        return self.total

    def free(self, keep: float) -> int:
        """Frees the events before `keep`; how many."""
        count = bisect_left(self.times, keep)
        if count:
            if count > self.low:
                self.total -= sum(self.units[self.low : count])
                self.low = count
            self.low -= count
            del self.times[:count]
            del self.units[:count]
        held = len(self.times)
        self.room = held + (held >> 4) + 4
        return count

    def sums(self, instants: list[float], window: float) -> list[int]:
        """The sum over [instant − window, instant] at each instant."""
        before = [0, *accumulate(self.units)]
        times = self.times
        return [
            before[bisect_right(times, at)] - before[bisect_left(times, at - window)]
            for at in instants
        ]
