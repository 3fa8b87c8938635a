"""How fast counters grow: for snapshots of consumers."""

from collections import deque

# Rates are of this time, so that they don't jump about.
RATE_SECONDS = 10.0


class Rates:
    """Records a second over the last RATE_SECONDS, from counters that only grow."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, tuple[int, ...]]] = deque()

    def add(self, now: float, *counters: int) -> tuple[float, ...]:
        """The rates of `counters` at `now` (monotonic seconds)."""
        self._seen.append((now, counters))
        while len(self._seen) > 2 and self._seen[1][0] <= now - RATE_SECONDS:
            self._seen.popleft()
        since, before = self._seen[0]
        span = now - since
        return tuple(
            round((counter - old) / span, 1) if span > 0 else 0.0
            for counter, old in zip(counters, before, strict=True)
        )
