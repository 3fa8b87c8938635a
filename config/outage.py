"""Remembers that an engine is away, so that nobody waits for its time-outs again and again.

Used where losing a message is harmless: live events and wake-ups of workers.
"""

import logging
import threading
import time

from django.conf import settings

logger = logging.getLogger(__name__)


class Outage:
    """After a failure nothing is tried for LIVE_OUTAGE_SECONDS; said once at its begin and end."""

    def __init__(self, what: str) -> None:
        """`what` is lost meanwhile, in words for the log, e.g. "live events"."""
        self._what = what
        self._lock = threading.Lock()
        self._retry_at: float | None = None

    def holds(self) -> bool:
        """Whether it is too early to try again."""
        retry_at = self._retry_at
        return retry_at is not None and time.monotonic() < retry_at

    def begin(self, error: Exception) -> None:
        """A try has failed with `error`."""
        with self._lock:
            first = self._retry_at is None
            self._retry_at = time.monotonic() + settings.LIVE_OUTAGE_SECONDS
        if first:
            logger.warning("%s are lost while Redis is away: %s", self._what, type(error).__name__)

    def end(self) -> None:
        """A try has succeeded."""
        if self._retry_at is None:
            return
        with self._lock:
            self._retry_at = None
        logger.info("%s are sent again", self._what)
