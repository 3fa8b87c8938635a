"""Sends one event to all web processes by Redis. Called from workers, commands and web threads."""

import logging
import threading
import time
from typing import Any

from django.conf import settings
from django_eventstream import send_event
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)


class _Outage:
    """Whether Redis is away, so that a job neither waits for it nor logs it with each event.

    With a Redis that swallows packets every attempt costs its time-outs (1 s each, twice): at
    four events a second an import would stand still. So after a failure none is made for
    LIVE_OUTAGE_SECONDS.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._retry_at: float | None = None

    def holds(self) -> bool:
        retry_at = self._retry_at
        return retry_at is not None and time.monotonic() < retry_at

    def begin(self, error: Exception) -> None:
        with self._lock:
            first = self._retry_at is None
            self._retry_at = time.monotonic() + settings.LIVE_OUTAGE_SECONDS
        if first:
            logger.warning("live events are lost while Redis is away: %s", type(error).__name__)

    def end(self) -> None:
        with self._lock:
            ended, self._retry_at = self._retry_at is not None, None
        if ended:
            logger.info("live events are sent again")


_outage = _Outage()


def publish(channel: str, snapshot: dict[str, Any], *, event: str = "snapshot") -> None:
    """Send `snapshot` (what DjangoJSONEncoder can write) to the viewers of `channel`.

    Call it after the commit: a viewer who then reads the state must see at least as much. Where
    Redis is away the event is lost and nothing is raised; viewers read the state once it is back.
    """
    if _outage.holds():
        return
    try:
        send_event(channel, event, snapshot)
    except (RedisError, OSError) as error:
        _outage.begin(error)
    else:
        _outage.end()
