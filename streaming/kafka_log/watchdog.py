"""Ends a process whose Kafka loop hangs: some calls of kafka-python can wait for ever."""

import faulthandler
import logging
import os
import sys
import threading
from typing import NoReturn, Self

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0


class Watchdog:
    """Counts its own ticks since the last beat, so that a frozen process is not taken for one that
    hangs: ticks stop with it, a clock would not."""

    def __init__(self, name: str, limit_seconds: float) -> None:
        """The process exits 1 where nothing beats for `limit_seconds`."""
        self._name = name
        self._limit = max(1, round(limit_seconds / TICK_SECONDS))
        self._ticks = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watchdog.{name}", daemon=True)

    def beat(self) -> None:
        """Say that the loop goes on."""
        self._ticks = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(TICK_SECONDS):
            self._ticks += 1
            if self._ticks >= self._limit:
                self._bite()

    def _bite(self) -> NoReturn:
        logger.critical("%s hangs: no progress for %d s, ended by force", self._name, self._limit)
        faulthandler.dump_traceback(file=sys.stderr)
        os._exit(1)
