"""The three spans of time that say which events count. Pure."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, each finite and not below 0: the window; how far an event may be behind the
    greatest accepted one; how far ahead of the broker's timestamp it may be.
    """

    window_seconds: float
    lateness_seconds: float
    max_skew_seconds: float

    def __post_init__(self) -> None:
        for seconds in (self.window_seconds, self.lateness_seconds, self.max_skew_seconds):
            if not (math.isfinite(seconds) and seconds >= 0):
                raise ValueError(f"{seconds} is no span of time: {self}")

    @property
    def kept_seconds(self) -> float:
        """How far behind the watermark an event can still be part of a sum to come."""
        return self.window_seconds + self.lateness_seconds
