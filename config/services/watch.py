"""Engines that were started stay started: one that dies is started again."""

import logging
import threading
import time

from config.services.engine import Engine, EngineError

logger = logging.getLogger(__name__)

WATCH_SECONDS = 0.5
BACKOFF_SECONDS = (1.0, 30.0)


class Watch:
    """Looks after engines, each in a thread of its own: one that recovers for minutes keeps no
    other one away. A new start is on the same address and data."""

    def __init__(self, stopping: threading.Event) -> None:
        """Nothing is started once `stopping` is set."""
        self._stopping = stopping
        self._watched: set[str] = set()
        self._threads: dict[str, threading.Thread] = {}

    def over(self, engine: Engine) -> None:
        """Look after this one, which runs, from now on."""
        self._watched.add(engine.name)
        if engine.name not in self._threads:
            thread = self._threads[engine.name] = threading.Thread(
                target=self._run, args=(engine,), name=f"watch {engine.name}", daemon=True
            )
            thread.start()

    def leave(self, engine: Engine) -> None:
        """Look after it no more, until it is given again."""
        self._watched.discard(engine.name)

    def _run(self, engine: Engine) -> None:
        first, last = BACKOFF_SECONDS
        delay, due = first, 0.0
        while not self._stopping.wait(WATCH_SECONDS):
            now = time.monotonic()
            if engine.name not in self._watched or now < due:
                continue
            try:
                if engine.running:
                    engine.bound_log()
                    if now > due + last:
                        delay = first
                    continue
                logger.warning("%s is gone, starting it again", engine.name)
                engine.start()
            except EngineError as error:
                logger.error("%s", error)
            except Exception as error:  # a full disk, no fork: nobody would start this thread again
                logger.error("%s can't be looked after: %s", engine.name, error)
            due = time.monotonic() + delay
            delay = min(2 * delay, last)
            if self._stopping.is_set():
                engine.stop()
