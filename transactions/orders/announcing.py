"""Tells the consumer through RabbitMQ that an order has come in. Called by reception.py on commit.

A thread of the process does the work, so that a broker that is away or hangs holds up no request.
What is announced while the connection is away waits in memory, BACKLOG orders of it; more are
dropped, as is what a broken connection still had to send. The sweep of the consumer finds the rows
of all of them, a little later.
"""

import atexit
import logging
import os
import threading
from collections import deque
from contextlib import suppress
from uuid import UUID

import pika
import pika.exceptions
from django.conf import settings

from transactions.ledger.engine import intake

logger = logging.getLogger(__name__)

BACKLOG = 10_000
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.25, 5.0
# A wake-up that went to a connection that was just being replaced is lost.
LOOK_SECONDS = 1.0
# For what was announced just before a process ends.
END_SECONDS = 1.0
PERSISTENT = pika.BasicProperties(
    content_type="text/plain", delivery_mode=pika.DeliveryMode.Persistent.value
)
ERRORS = (pika.exceptions.AMQPError, OSError)


def announce(order_id: UUID) -> None:
    """Hand the order over to this process's thread. Never waits for the broker, never raises.

    Nothing happens where AMQP_URL is not set.
    """
    try:
        if settings.AMQP_URL:
            _announcer(settings.AMQP_URL, settings.ORDERS_QUEUE).add(order_id)
    except Exception:
        logger.exception("order %s is not announced: the sweep finds it", order_id)


def close(seconds: float = END_SECONDS) -> None:
    """Send what is left and end the thread; wait at most so long for it.

    A later `announce` begins anew.
    """
    global _current
    with _lock:
        announcer, _current = _current, None
    if announcer is not None:
        announcer.close(seconds)


class Announcer:
    """A connection to RabbitMQ that publishes to one queue, in a thread that keeps no process."""

    def __init__(self, url: str, queue: str) -> None:
        self.place = url, queue
        self._url, self._queue = url, queue
        self._backlog: deque[UUID] = deque()
        self._closing = threading.Event()
        self._woken = False  # the connection is about to look into the backlog
        self._connection: pika.BlockingConnection | None = None
        self._is_away = False
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="orders.announcing", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(self, order_id: UUID) -> None:
        """From any thread."""
        if len(self._backlog) >= BACKLOG:
            self._dropped += 1
            return
        self._backlog.append(order_id)
        if not self._woken:
            self._wake()

    def close(self, seconds: float) -> None:
        """Send what is there, if the broker takes it; wait at most so long."""
        self._closing.set()
        self._wake()
        self._thread.join(seconds)

    def _wake(self) -> None:
        connection = self._connection
        if connection is not None:
            self._woken = True
            with suppress(*ERRORS):
                connection.add_callback_threadsafe(lambda: None)

    def _run(self) -> None:
        wait = FIRST_WAIT_SECONDS
        while not self._closing.is_set():
            try:
                self._publish()
            except Exception as error:
                if not self._is_away:
                    wait = FIRST_WAIT_SECONDS
                    self._say(error)
            finally:
                self._leave()
            self._closing.wait(wait)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    def _publish(self) -> None:
        """Connect, and publish what is there and what comes, until told to end."""
        self._connection = connection = intake.connect(self._url)
        channel, _ = intake.declare(connection, self._queue)
        while True:
            # Before the look: who adds after it wakes us again.
            self._woken = False
            while self._backlog:
                channel.basic_publish("", self._queue, str(self._backlog[0]).encode(), PERSISTENT)
                self._backlog.popleft()
            if self._is_away:
                self._is_away = False
                logger.info("orders are announced again; %d were not", self._dropped)
                self._dropped = 0
            if self._closing.is_set():
                return
            # Serves heartbeats until something comes.
            connection.process_data_events(time_limit=LOOK_SECONDS)
            if not channel.is_open:
                raise pika.exceptions.AMQPChannelError("the broker has closed the channel")

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*ERRORS):
                connection.close()

    def _say(self, error: Exception) -> None:
        self._is_away = True
        known = isinstance(error, ERRORS)
        logger.warning(
            "orders are not announced, the sweep finds them: RabbitMQ: %r",
            error,
            exc_info=None if known else error,
        )


_lock = threading.Lock()
_current: Announcer | None = None


def _announcer(url: str, queue: str) -> Announcer:
    """This process's thread; begun anew where the settings have changed, as tests do."""
    global _current
    announcer = _current
    if announcer is not None and announcer.place == (url, queue):
        return announcer
    with _lock:
        if _current is not None and _current.place == (url, queue):
            return _current
        before, made = _current, Announcer(url, queue)
        made.start()
        _current = made
    if before is not None:
        before.close(0)
    return made


def _forget() -> None:
    """In a forked child, which has no thread of its parent and perhaps its lock."""
    global _lock, _current
    _lock, _current = threading.Lock(), None


os.register_at_fork(after_in_child=_forget)
atexit.register(close)
