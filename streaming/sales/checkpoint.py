"""From where a partition's state can be made again: the metadata of its committed offset. Pure."""

import math
import re
from typing import NamedTuple, Self

NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"  # as repr() writes a finite one
FORM = re.compile(rf"sales1 ([0-9]{{1,19}}) (-|{NUMBER}) ({NUMBER})")


class Checkpoint(NamedTuple):
    """The replay begins at `replay_from` with the watermark there (None: there was none).

    It restores what is at most `kept_seconds` behind the watermark at the committed offset.
    """

    replay_from: int
    watermark_before: float | None
    kept_seconds: float

    def encode(self) -> str:
        """`sales1 <replay_from> <watermark_before or -> <kept_seconds>`."""
        watermark = "-" if self.watermark_before is None else repr(self.watermark_before)
        return f"sales1 {self.replay_from} {watermark} {self.kept_seconds!r}"

    @classmethod
    def decode(cls, text: str) -> Self | None:
        """What encode() wrote; None for everything else: the metadata may be anybody's."""
        found = FORM.fullmatch(text)
        if found is None:
            return None
        watermark = None if found[2] == "-" else float(found[2])
        kept = float(found[3])
        if not math.isfinite(kept) or kept < 0:
            return None
        if watermark is not None and not math.isfinite(watermark):
            return None
        return cls(int(found[1]), watermark, kept)
