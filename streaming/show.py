"""Puts snapshots on the board beside the loop, at a price the loop doesn't notice."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import redis

from config.live.board import Board
from config.live.rates import Rates

logger = logging.getLogger(__name__)

# At most this share of a loop's time goes into snapshots: those that cost more are rarer.
SHARE = 0.01
END_SECONDS = 3.0
RENEW_SECONDS = 4.0
SILENT = "Kafka to answer: nothing has gone on"


class Show:
    """A thread that publishes the newest snapshot; a context manager.

    Losing one, or Redis, is harmless: nothing waits for it.
    """

    def __init__(
        self, board: Board, period_seconds: float, watched: Callable[[], list[str]] = list
    ) -> None:
        """`watched` tells what pages ask for; its last answer is `self.watched`."""
        self.rates = Rates()
        self.watched: list[str] = []
        self._board = board
        self._look = watched
        self._period = period_seconds
        self._due_at = 0.0
        self._making_seconds = self._publishing_seconds = 0.0
        self._newest: queue.Queue[dict[str, Any] | None] = queue.Queue(maxsize=1)
        self._outage = False
        self._thread = threading.Thread(target=self._run, name=f"{board.name}.show", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._put(None)
        self._thread.join(END_SECONDS)

    def due(self) -> bool:
        """Whether it is time for another snapshot."""
        return time.monotonic() >= self._due_at

    @contextmanager
    def making(self) -> Iterator[None]:
        """Around the making of a snapshot: measures what it costs the loop."""
        began = time.thread_time()
        try:
            yield
        finally:
            self._making_seconds = time.thread_time() - began

    def put(self, snapshot: dict[str, Any]) -> None:
        """Publish `snapshot` as soon as the thread comes to it, and not the one before."""
        # What the thread does counts too: while it makes JSON, the loop stands still.
        cost = self._making_seconds + self._publishing_seconds
        period = max(self._period, cost / SHARE)
        self._due_at = time.monotonic() + period
        self._put({**snapshot, "every_seconds": round(period, 3)})

    def gone(self, group: str, instance: str) -> None:
        """Take the instance off the board, after the end of the block."""
        try:
            self._board.remove(group, instance)
        except redis.RedisError as error:
            logger.info("the board shows %s for some seconds more: %s", instance, error)

    def _put(self, item: dict[str, Any] | None) -> None:
        while True:
            try:
                self._newest.put_nowait(item)
                return
            except queue.Full:
                try:
                    self._newest.get_nowait()
                except queue.Empty:
                    continue

    @staticmethod
    def _renew_seconds(snapshot: dict[str, Any] | None) -> float:
        return max(RENEW_SECONDS, 2 * snapshot["every_seconds"] if snapshot else 0.0)

    def _run(self) -> None:
        snapshot: dict[str, Any] | None = None
        while True:
            try:
                snapshot = self._newest.get(timeout=self._renew_seconds(snapshot))
            except queue.Empty:  # the loop waits in a call, perhaps for a transaction
                if snapshot is None:
                    continue
                silent = time.time() - snapshot["at"]
                snapshot |= {"state": "waiting", "waiting_for": f"{SILENT} for {silent:.0f} s"}
            if snapshot is None:
                return
            began = time.thread_time()
            try:
                self._board.publish(snapshot)
                self.watched = self._look()
            except redis.RedisError as error:
                if not self._outage:
                    logger.warning("%s can't show how things are: %s", self._board.name, error)
                self._outage = True
            else:
                if self._outage:
                    logger.info("%s shows how things are again", self._board.name)
                self._outage = False
            self._publishing_seconds = time.thread_time() - began
