"""Counts of this web process's requests. Pure; `count` is called by config/request_log.py.

sums.py adds them up over all processes.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SUM = "us"  # in the place of a bucket: the durations' sum in whole microseconds
KINDS = ("page", "api", "live", "other")
STATUSES = ("unanswered", "1xx", "2xx", "3xx", "4xx", "5xx")

_counts: dict[str, int] = {}
"""Of this process since its start, by "kind status bucket". Written by the event loop only."""


@dataclass
class Answered:
    """Requests of one kind and status class."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_SECONDS) + 1))
    """How many took up to each of BUCKETS_SECONDS and longer than the one before; last: longer."""
    seconds: float = 0.0
    """All together."""

    @property
    def count(self) -> int:
        return sum(self.buckets)


def kind(path: str, query: bytes) -> str:
    """`live` (streams and waits, long by design), `api`, `other` (probes, files) or `page`."""
    if path.startswith("/events/") or (path.startswith("/api/orders/") and b"wait=" in query):
        return "live"
    if path.startswith("/api/"):
        return "api"
    if path.startswith(("/static/", "/healthz", "/readyz", "/metrics")):
        return "other"
    return "page"


def count(path: str, query: bytes, status: int, seconds: float) -> None:
    """Count a request that is over; `status` is 0 where none was sent."""
    answered = f"{kind(path, query)} {STATUSES[min(status // 100, 5)]} "
    bucket = f"{answered}{bisect_left(BUCKETS_SECONDS, seconds)}"
    _counts[bucket] = _counts.get(bucket, 0) + 1
    total = answered + SUM
    _counts[total] = _counts.get(total, 0) + round(seconds * 1_000_000)


def counted() -> dict[str, int]:
    """All that this process has counted, as `parsed` takes it."""
    return _counts.copy()  # whole, whoever counts meanwhile


def parsed(counts: Mapping[str, str | int]) -> dict[tuple[str, str], Answered]:
    """Counts as figures by kind and status class; entries of another version are passed over."""
    found: dict[tuple[str, str], Answered] = {}
    for name, number in counts.items():
        words = name.split(" ")
        if len(words) != 3 or words[1] not in STATUSES:
            continue
        kind, status, bucket = words
        answered = found.setdefault((kind, status), Answered())
        if bucket == SUM:
            answered.seconds = int(number) / 1_000_000
        elif bucket.isdecimal() and int(bucket) < len(answered.buckets):
            answered.buckets[int(bucket)] = int(number)
    return found
