"""Holds the events of a channel down to LIVE_EVENTS_PER_SECOND. Called by what makes progress."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from django.conf import settings

from .publishing import publish

Snapshot = Callable[[], dict[str, Any]]

KEPT = 1000  # channels of one process whose last sending is remembered


class Throttle:
    """At most `per_second` events on a channel; what is between them is never even computed.

    Nothing is sent later by itself (no thread, no timer): whoever publishes ends with `flush`, so
    that the last state always goes out.
    """

    def __init__(
        self,
        channel: str,
        *,
        per_second: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`per_second` is LIVE_EVENTS_PER_SECOND unless given; `clock` returns seconds."""
        self.channel = channel
        self._interval = 1 / (per_second or settings.LIVE_EVENTS_PER_SECOND)
        self._clock = clock
        self._next = float("-inf")
        self._held: Snapshot | None = None
        # Held through make and send: of two threads the one with the newer state sends last.
        self._lock = threading.Lock()

    def publish(self, make_snapshot: Snapshot) -> bool:
        """Send `make_snapshot()` now or hold it for `flush`; returns whether it was sent."""
        with self._lock:
            if self._clock() < self._next:
                self._held = make_snapshot
                return False
            self._send(make_snapshot)
            return True

    def flush(self, make_snapshot: Snapshot | None = None) -> None:
        """Send `make_snapshot()`, or what is held, at once."""
        with self._lock:
            if make_snapshot is not None or self._held is not None:
                self._send(make_snapshot or self._held)

    def _send(self, make_snapshot: Snapshot) -> None:
        self._held = None
        self._next = self._clock() + self._interval
        publish(self.channel, make_snapshot())


_throttles: OrderedDict[str, Throttle] = OrderedDict()
_throttles_lock = threading.Lock()


def throttle(channel: str) -> Throttle:
    """This process's only Throttle of `channel`: short tasks of one job share its limit."""
    with _throttles_lock:
        found = _throttles.get(channel)
        if found is None:
            found = _throttles[channel] = Throttle(channel)
            if len(_throttles) > KEPT:
                _throttles.popitem(last=False)
        _throttles.move_to_end(channel)
        return found
