"""Runs consumers, a thread each, and sees to it that the process ends as it should.

Knows nothing of Celery: `bootstep.py` hosts it in a worker, `manage.py run_consumer` alone.
"""

import logging
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NoReturn

import psutil
from django.db import connections

from config.memory import set_aside
from config.operations.processes import about

from .health import Reporter
from .registry import Consumer

logger = logging.getLogger(__name__)

EXIT_DRAINED = 0
EXIT_FAILED = 1
# Time the process has to end by itself once its consumers have ended. Celery may be waiting for a
# broker that accepts and never answers; nothing of the consumers depends on it any more.
LEAVE_SECONDS = 5.0
# Supervisors and Heroku signal a process and also its group, so one stop may arrive twice.
REPEAT_SECONDS = 1.0
LAST_REPORT_SECONDS = 2.0
# A signal that arrives when Python has looked for one and is about to wait for a lock wakes nobody:
# its handler runs only when the main thread runs again.
SIGNAL_SECONDS = 0.5


class EndedEarly(RuntimeError):
    """`run` returned although nobody asked it to stop."""


class Hosted:
    """One consumer with its thread, its state and its reporter."""

    def __init__(
        self,
        name: str,
        consumer: Consumer,
        stop: threading.Event,
        on_end: Callable[["Hosted"], None],
    ) -> None:
        self.name = name
        self.error: str | None = None
        self._consumer = consumer
        self._stop = stop
        self._on_end = on_end
        self._ended = False
        self._started_at: datetime | None = None
        # Daemons: a consumer that does not drain must not keep a process that gives up.
        self._thread = threading.Thread(target=self._run, name=f"consumer.{name}", daemon=True)
        self.reporter = Reporter(name, self._snapshot)

    def start(self) -> None:
        self._started_at = datetime.now(UTC)
        self._thread.start()
        self.reporter.start()

    @property
    def state(self) -> str:
        """running, draining, stopped or crashed."""
        if self._ended:
            return "stopped" if self.error is None else "crashed"
        return "draining" if self._stop.is_set() else "running"

    def _run(self) -> None:
        logger.info("consumer %s starts", self.name)
        try:
            self._consumer.run(self._stop)
            if not self._stop.is_set():
                raise EndedEarly("run() returned although nobody asked it to stop")
        except BaseException as error:
            self.error = f"{type(error).__name__}: {error}"
            logger.critical("consumer %s crashed", self.name, exc_info=True)
        else:
            logger.info("consumer %s drained", self.name)
        finally:
            try:
                connections.close_all()
            finally:
                self._ended = True
                self.reporter.end()
                self._on_end(self)

    def _snapshot(self) -> dict[str, Any]:
        health: dict[str, Any] = {}
        error = self.error
        try:
            health = self._consumer.health()
        except Exception as failure:
            error = error or f"health() raised {type(failure).__name__}: {failure}"
        return {
            "name": self.name,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "state": self.state,
            "started_at": self._started_at,
            "beaten_at": datetime.now(UTC),
            "error": error,
            "health": health,
            **about(),
        }


class Host:
    """Consumers that live and end together: one crashed or asked to stop, all drain and it ends.

    A watching thread decides, whatever the main thread is doing, and ends the process by force
    where it would not end by itself: never a half-dead one.
    """

    def __init__(
        self,
        consumers: Mapping[str, Consumer],
        *,
        drain_seconds: float,
        tasks_beside: bool = False,
        on_crash: Callable[[], None] = lambda: None,
    ) -> None:
        """`drain_seconds`: time all consumers have from the first request to stop to their end.

        `tasks_beside`: whether the process runs tasks too, which then have as much time to end.
        `on_crash` is called from the watching thread when a consumer ends unasked, before the
        others have drained.
        """
        self.exit_code = EXIT_DRAINED
        self._drain_seconds = drain_seconds
        self._tasks_beside = tasks_beside
        self._on_crash = on_crash
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._signalled_at: float | None = None
        # SimpleQueue.put is reentrant, which Event.set is not: signal handlers may call it.
        self._mail: queue.SimpleQueue[Hosted | signal.Signals | None] = queue.SimpleQueue()
        self._hosted = [
            Hosted(name, consumer, self._stop, self._mail.put)
            for name, consumer in consumers.items()
        ]

    def start(self) -> None:
        """Start the consumers and return."""
        set_aside()
        threading.Thread(target=self._watch, name="consumer host", daemon=True).start()
        for hosted in self._hosted:
            hosted.start()

    def stop(self) -> None:
        """Ask all consumers to drain. Returns at once."""
        self._mail.put(None)

    def signalled(self, number: int) -> None:
        """Take note of a signal; to be called by its handler.

        The first SIGTERM or SIGINT drains, a second one more than a second later gives up, SIGQUIT
        gives up at once. SIGINT exits with 1 even when drained, as Celery does.
        """
        self._mail.put(signal.Signals(number))

    def join(self) -> None:
        """Wait until all consumers have ended; `exit_code` is then what the process should give.

        In the main thread it lets handlers of signals run.
        """
        while not self._ended.wait(SIGNAL_SECONDS):
            pass

    def _watch(self) -> None:
        try:
            deadline = self._see_to_their_end()
            for hosted in self._hosted:
                hosted.reporter.join(LAST_REPORT_SECONDS)
            self._ended.set()
            leave_by = time.monotonic() + LEAVE_SECONDS
            if self._tasks_beside:
                leave_by = max(leave_by, deadline)
            self._see_to_the_process_end(leave_by)
        except BaseException:
            logger.critical("the consumer host failed", exc_info=True)
            _exit_now(EXIT_FAILED)

    def _see_to_their_end(self) -> float:
        """Return when all have ended, with the instant (monotonic) by which they had to."""
        alive = set(self._hosted)
        deadline: float | None = None
        while alive:
            try:
                mail = self._mail.get(timeout=None if deadline is None else _left(deadline))
            except queue.Empty:
                names = ", ".join(sorted(hosted.name for hosted in alive))
                logger.critical("not drained after %g s: %s", self._drain_seconds, names)
                _exit_now(EXIT_FAILED)
            if isinstance(mail, Hosted):
                alive.discard(mail)
                if mail.error is not None:
                    self.exit_code = EXIT_FAILED
            elif mail is not None:
                self._note_signal(mail)
            if deadline is None:
                # Whatever the first mail is, it ends them all.
                deadline = time.monotonic() + self._drain_seconds
                self._stop.set()
                logger.info(
                    "draining %s, at most %g s",
                    ", ".join(sorted(hosted.name for hosted in alive)) or "nothing",
                    self._drain_seconds,
                )
                if isinstance(mail, Hosted):
                    self._on_crash()
        assert deadline is not None
        return deadline

    def _see_to_the_process_end(self, deadline: float) -> NoReturn:
        while True:
            try:
                mail = self._mail.get(timeout=_left(deadline))
            except queue.Empty:
                logger.critical("the process does not end by itself: ended by force")
                _exit_now(self.exit_code)
            if isinstance(mail, signal.Signals):
                self._note_signal(mail)

    def _note_signal(self, number: signal.Signals) -> None:
        now = time.monotonic()
        if number == signal.SIGQUIT:
            self._give_up("SIGQUIT")
        elif self._signalled_at is None:
            self._signalled_at = now
            if number == signal.SIGINT:
                self.exit_code = EXIT_FAILED
        elif now - self._signalled_at > REPEAT_SECONDS:
            self._give_up(f"a second signal ({number.name})")

    def _give_up(self, why: str) -> NoReturn:
        states = ", ".join(f"{hosted.name} {hosted.state}" for hosted in self._hosted)
        logger.critical("ended at once by %s: %s", why, states)
        _exit_now(EXIT_FAILED)


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _exit_now(code: int) -> NoReturn:
    """End the process whatever its threads do, and with it its children (an embedded beat)."""
    with suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
    os._exit(code)
