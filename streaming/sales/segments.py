"""A partition's log in pieces: where a replay must begin, and which StockCodes may be forgotten.

Pure; used by partition.py.
"""

from bisect import bisect_left

NONE = float("-inf")  # the watermark before the first accepted event

RECORDS = 1_000  # of a segment: a replay begins at most so many records earlier than need be


class Segment:
    """Consecutive records from offset `first` on.

    `watermark_before` holds before the first of them; `greatest` is the greatest accepted time in
    it; `codes` are StockCodes that want another look when the segment ends to matter.
    """

    __slots__ = ("codes", "first", "greatest", "records", "watermark_before")

    def __init__(self, first: int, watermark: float) -> None:
        self.first = first
        self.watermark_before = watermark
        self.greatest = NONE
        self.records = 0
        self.codes: list[str] = []


class Segments:
    """The segments that still matter, oldest first; the last one is open."""

    def __init__(self, size: int = RECORDS) -> None:
        self.size = size
        self._segments: list[Segment] = []

    def __len__(self) -> int:
        return len(self._segments)

    @property
    def oldest(self) -> Segment | None:
        return self._segments[0] if self._segments else None

    def begin(self, first: int, watermark: float) -> None:
        self._segments.append(Segment(first, watermark))

    def open(self, offset: int, watermark: float) -> Segment:
        """The segment that takes the record at `offset`."""
        if not self._segments or self._segments[-1].records >= self.size:
            self.begin(offset, watermark)
        return self._segments[-1]

    def leave(self, keep: float) -> list[str]:
        """Drops the oldest segments while all their events are before `keep`; their codes.

        A code that is kept must be put back by look_again().
        """
        gone = 0
        while gone < len(self._segments) - 1:
            greatest = self._segments[gone].greatest
            if greatest != NONE and greatest >= keep:
                break
            gone += 1
        codes = [code for segment in self._segments[:gone] for code in segment.codes]
        del self._segments[:gone]
        return codes

    def look_again(self, code: str, last: float) -> None:
        """Puts a code whose newest event is at `last` to the segment that ends to matter with it:
        the one that brought the watermark there.
        """
        after = bisect_left(self._segments, last, key=lambda segment: segment.watermark_before)
        self._segments[max(after - 1, 0)].codes.append(code)
