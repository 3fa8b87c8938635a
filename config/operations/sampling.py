"""Takes samples for as long as a web process lives, in the one of them that leads.

Started by config/web_worker.py in each. The leader has a lease in Redis; one that is killed is
followed within three periods of OPERATIONS_SAMPLE_SECONDS.
"""

import logging
import os
import secrets
import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import redis
from django.conf import settings

from config import live

from . import alerts, joining, limits, problems, sample
from .lanes import Lane
from .taking import Taker

logger = logging.getLogger(__name__)

CHANNEL = "operations"
# Of OPERATIONS_SAMPLE_SECONDS. Others look so often that, with the lease, three are not reached.
LEASE_PERIODS = 2.0
LOOK_PERIODS = 0.5
END_SECONDS = 2.0
TELL_SECONDS = 5.0
TELL_STATEMENT_MS = 5_000


class Sampler:
    """A daemon thread that leads when nobody else does. Nothing that it meets ends it."""

    def __init__(self) -> None:
        # The pid is for people who look; another process may have had it.
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="operations", daemon=True)
        self._telling = Lane("alerts", in_database=True, statement_ms=TELL_STATEMENT_MS)
        self._taker = Taker()
        self._leads = self._away = self._failing = self._untold = False

    def start(self) -> None:
        """Returns at once."""
        self._thread.start()

    def end(self) -> None:
        """Take no more, and let another lead. Waits END_SECONDS at most."""
        self._ended.set()
        self._thread.join(END_SECONDS)

    def turn(self) -> bool:
        """Take a sample where this one leads; whether it does. Raises redis.RedisError."""
        leads = sample.lead(self.name, LEASE_PERIODS * settings.OPERATIONS_SAMPLE_SECONDS)
        if leads and not self._leads:
            logger.info("operations: %s takes the samples", self.name)
        self._leads = leads
        if not leads:
            return False
        before, points = sample.read() or {}, sample.points()
        found = self._taker.take(before, points)
        if sample.keep(found, _point(found, points), by=self.name):
            self._tell(found)
            live.publish(CHANNEL, {"at": found["at"]})
        return True

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ended.is_set():
            leads = self._try_turn()
            period: float = settings.OPERATIONS_SAMPLE_SECONDS
            now = time.monotonic()
            # By the clock, whatever a sample takes; what has passed is left out.
            due = max(due + period, now) if leads else now + LOOK_PERIODS * period
            self._ended.wait(due - now)
        with suppress(redis.RedisError):  # the lease ends by itself
            sample.leave(self.name)

    def _try_turn(self) -> bool:
        try:
            leads = self.turn()
        except redis.RedisError as error:
            if not self._away:
                logger.warning("operations: no samples while Redis is away: %s", error)
            self._away = True
            return False
        except Exception:
            if not self._failing:
                logger.exception("operations: no sample could be taken")
            self._failing = True
            return False
        if self._away:
            logger.info("operations: Redis is back")
        self._away = self._failing = False
        return leads

    def _tell(self, found: dict[str, Any]) -> None:
        """Have alerts told of what is wrong. One that hangs is not joined by a second."""
        self._telling.begin(lambda: self._try_to_tell(found))
        self._telling.wait(TELL_SECONDS)

    def _try_to_tell(self, found: dict[str, Any]) -> None:
        try:
            wrong = problems.problems(found, limits.limits())
            alerts.tell(wrong, datetime.fromtimestamp(found["at"], UTC))
        except Exception:
            if not self._untold:
                logger.exception("operations: alerts wait until they can be told")
            self._untold = True
        else:
            if self._untold:
                logger.info("operations: alerts are told again")
            self._untold = False


def _point(found: dict[str, Any], points: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The next one for the plots, POINTS_MOST an hour."""
    last = points[-1]["at"] if points else 0.0
    # Half a second less: of samples every ten seconds none is to be left out.
    return joining.point(found) if found["at"] - last >= sample.POINT_SECONDS - 0.5 else None
