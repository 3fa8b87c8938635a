"""Keeps a loop going: makes it, steps it, waits where it can't go on, shows how things are.

Used by the consumers of sales and prices, each with its own loop and words.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

from streaming.kafka_log.connection import pause_seconds
from streaming.kafka_log.membership import NotJoined
from streaming.kafka_log.watchdog import Watchdog

from .show import Show

logger = logging.getLogger(__name__)

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 5.0
WAIT_STEP_SECONDS = 0.5
# As often as this a failed step is made again before the clients are made anew.
FAILURES_IN_A_ROW = 20


class Steps(Protocol):
    """A loop: a member of a group that has clients of its own."""

    def step(self) -> int:
        """Wait a moment for records and work them off; how many were read."""

    @property
    def joined(self) -> bool:
        """Whether it knows what it owns."""

    def close(self) -> None:
        """End its clients."""


Loop = TypeVar("Loop", bound=Steps)


class LoopHost(Generic[Loop]):
    """One loop after another until told to stop. For one thread; others may read what it tells."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Loop],
        *,
        curable: tuple[type[Exception], ...],
        in_words: Callable[[Exception], str],
        picture: Callable[[Loop | None, str], dict[str, Any]],
        show: Show,
        watchdog: Watchdog,
    ) -> None:
        """`curable` are errors of `make` and `step` that another try may cure, `in_words` says
        them to operators; `picture` makes the snapshot of a loop, or of none, and of what is
        waited for."""
        self.loop: Loop | None = None
        self.waiting_for = ""
        self._last_step_at: float | None = None
        self._name = name
        self._make = make
        self._curable = curable
        self._in_words = in_words
        self._picture = picture
        self._show = show
        self._watchdog = watchdog

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, whatever happens to the engines meanwhile."""
        wait = FIRST_WAIT_SECONDS
        while not stop.is_set():
            try:
                self.loop = self._make()
            except self._curable as error:
                self._wait(stop, error, wait)
                wait = min(2 * wait, LONGEST_WAIT_SECONDS)
                continue
            wait = FIRST_WAIT_SECONDS
            try:
                self._work(stop, self.loop)
            finally:
                loop, self.loop = self.loop, None
                loop.close()

    def health(self) -> dict[str, Any]:
        """What it waits for and when it last went on."""
        at = self._last_step_at
        return {
            "waiting_for": self.waiting_for or None,
            "last_step_at": at and datetime.fromtimestamp(at, UTC).isoformat(),
        }

    def _work(self, stop: threading.Event, loop: Loop) -> None:
        """Step until `stop`, or until the clients had better be made anew."""
        failures = 0
        while not stop.is_set():
            try:
                worked = loop.step()
            except NotJoined as error:
                logger.warning("%s begins anew: %s", self._name, error)
                return
            except self._curable as error:
                failures += 1
                if failures > FAILURES_IN_A_ROW:
                    logger.warning(
                        "%s begins anew after %d failures: %s", self._name, failures, error
                    )
                    return
                if failures == 1:  # as when the group changes hands during a step
                    logger.info("%s tries again at once: %s", self._name, error)
                    continue
                wait = min(FIRST_WAIT_SECONDS * 2 ** (failures - 2), LONGEST_WAIT_SECONDS)
                self._wait(stop, error, wait)
                continue
            if worked:
                failures = 0
            if loop.joined and self.waiting_for:
                logger.info("%s goes on", self._name)
                self.waiting_for = ""
            self._last_step_at = time.time()
            self._show_now()

    def _wait(self, stop: threading.Event, error: Exception, seconds: float) -> None:
        words = self._in_words(error)
        if words != self.waiting_for:
            logger.warning("%s waits: %s", self._name, words)
        self.waiting_for = words
        deadline = time.monotonic() + max(seconds, pause_seconds(error))
        while not stop.is_set() and time.monotonic() < deadline:
            self._watchdog.beat()
            self._show_now()
            stop.wait(min(WAIT_STEP_SECONDS, max(0.0, deadline - time.monotonic())))

    def _show_now(self) -> None:
        if self._show.due():
            with self._show.making():
                made = self._picture(self.loop, self.waiting_for)
            self._show.put(made)
