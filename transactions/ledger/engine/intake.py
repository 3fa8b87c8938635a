"""RabbitMQ's queue into Postgres: batches, each committed before it is acknowledged.

The queue is the specification's: durable, classic, no arguments; its messages have no id. Which of
them come again after a crash is known by receipts.py and by what is kept of the last batches.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pika
import pika.exceptions
import psycopg2

from . import headers, inbox, tables
from .inbox import Inserted, Kept, Message
from .receipts import Receipt, Receipts
from .tables import Unready

logger = logging.getLogger(__name__)

BATCH = 1_000
# So many batches are on their way while one is inserted.
AHEAD = 2
# So long a first message waits for others.
LINGER_SECONDS = 0.05
POLL_SECONDS = 0.05
# When nothing has come for so long after the start, the broker has no more to deliver again.
SILENCE_SECONDS = 1.0
HEARTBEAT_SECONDS = 10
BLOCKED_SECONDS = 30.0
# RabbitMQ takes back by itself what is not acknowledged for 30 minutes, by its defaults; on a
# quorum queue, since 4.3, it then passes over an acknowledgement that comes too late.
MOST_UNACKNOWLEDGED_SECONDS = 20 * 60.0
RESOURCE_LOCKED, PRECONDITION_FAILED = 405, 406


class Held(Exception):
    """RabbitMQ still takes another consumer of the queue for alive."""


class Arrival(NamedTuple):
    """A message that is not acknowledged yet. `at` is by time.monotonic()."""

    tag: int
    message: Message
    at: float


class NotInserted(Exception):
    """Postgres has refused a batch (a full disk) and keeps nothing of it; the next step tries it
    again. `why` is its error, or Unready."""

    def __init__(self, why: Exception) -> None:
        super().__init__(str(why))
        self.why = why


class Intake:
    """One channel and one session of Postgres; made anew after any failure but NotInserted.

    Not for several threads.
    """

    def __init__(
        self,
        channel: Any,
        queue: str,
        database: Any,
        *,
        connect: Callable[[], Any],
        batch: int = BATCH,
    ) -> None:
        """Begins to consume. `channel` is of `declare`, `database` psycopg2's connection; `connect`
        opens another one to RabbitMQ. Raises what both raise, and Held.
        """
        self._channel, self._queue, self._database = channel, queue, database
        self._batch = batch
        self._arrived: list[Arrival] = []
        self._first_at = self._last_at = time.monotonic()
        self._without_since: float | None = None
        lock(channel, queue)
        self._receipts = Receipts(channel, queue, connect)
        with database, database.cursor() as cursor:
            self._kept: Kept | None = inbox.kept(cursor)
        channel.tx_select()
        # All that may come again must fit in, or it could not be compared.
        channel.basic_qos(prefetch_count=min(max(AHEAD * batch, len(self._kept.digests)), 65_535))
        channel.basic_consume(queue, self._on_message, exclusive=True)

    def _on_message(self, _channel: Any, method: Any, _properties: Any, message: Message) -> None:
        self._last_at = time.monotonic()
        if not self._arrived:
            self._first_at = self._last_at
        self._arrived.append(Arrival(method.delivery_tag, message, self._last_at))

    def step(self) -> Inserted | None:
        """Wait a moment for messages and insert a batch where there is one.

        Raises what RabbitMQ and Postgres raise, and NotInserted.
        """
        channel, arrived = self._channel, self._arrived
        ready = self._kept is None and len(arrived) >= self._batch
        channel.connection.process_data_events(time_limit=0 if ready else POLL_SECONDS)
        if not channel.is_open or not channel.consumer_tags:
            raise pika.exceptions.AMQPChannelError(f"the broker has ended reading {self._queue}")
        if arrived and self._waited(arrived[0].at) > MOST_UNACKNOWLEDGED_SECONDS:
            raise pika.exceptions.AMQPChannelError(
                "messages were held for long: they are read anew"
            )
        receipt = self._receipts.take()
        if receipt is None:
            self._without_since = self._without_since or time.monotonic()
            return None
        self._without_since = None
        if self._kept is not None:
            self._compare(self._kept, receipt)
            return None
        full = len(arrived) >= self._batch
        if not arrived or not (full or self._waited(self._first_at) > LINGER_SECONDS):
            return None
        return self._insert(receipt)

    def serve(self) -> None:
        """Wait a moment, and give RabbitMQ the signs of life it waits for."""
        self._channel.connection.process_data_events(time_limit=POLL_SECONDS)

    @property
    def busy(self) -> bool:
        """Whether it holds messages, or does not know yet which of them come again."""
        return bool(self._arrived) or self._kept is not None

    @property
    def idle(self) -> bool:
        """Whether nothing has come for a while."""
        return not self.busy and self._waited(self._last_at) > SILENCE_SECONDS

    @property
    def waits_for_receipts(self) -> bool:
        """Whether RabbitMQ takes no messages of ours: perhaps it is out of memory or disk."""
        since = self._without_since
        return since is not None and self._waited(since) > SILENCE_SECONDS

    def _compare(self, kept: Kept, receipt: Receipt) -> None:
        """Once it is known which of the last batches come again: acknowledge them."""
        messages = [each.message for each in self._arrived]
        wanted = kept.open_since(receipt.name)
        if wanted:
            fresh = any(not message.redelivered for message in messages)
            enough = fresh or len(messages) >= len(kept.digests)
            same = [each.digest for each in messages[:wanted]] == kept.digests[-wanted:]
            if not (same or enough or self._waited(self._last_at) > SILENCE_SECONDS):
                return
            again = inbox.again(kept, wanted, messages)
            if again:
                logger.info("ledger: %d messages came again and are in the table already", again)
                self._acknowledge(again)
        self._kept = None

    def _insert(self, receipt: Receipt) -> Inserted:
        batch = [each.message for each in self._arrived[: self._batch]]
        with self._database, self._database.cursor() as cursor:
            try:
                # Anew for each: what a column can't keep any more PostgreSQL rounds in silence.
                numbers = tables.adopt(cursor, hold=True)
                inserted = inbox.insert(cursor, batch, numbers, receipt.name)
            except (psycopg2.Error, Unready) as error:
                # Before the commit: nothing is there. Of a commit that fails only the receipt
                # tells, to the next intake.
                if self._database.closed:
                    raise
                raise NotInserted(error) from error
        self._acknowledge(len(batch))
        return inserted

    def _acknowledge(self, count: int) -> None:
        """The first messages and the receipt, both or neither."""
        last = self._arrived[count - 1].tag
        self._channel.basic_ack(last, multiple=True)
        self._receipts.use(last)
        self._channel.tx_commit()
        del self._arrived[:count]
        self._first_at = time.monotonic()

    @staticmethod
    def _waited(since: float) -> float:
        return time.monotonic() - since


def readable_id(found: str | bytes | None) -> str | None:
    """An id that Postgres can keep; an empty one is none. One that is no UTF-8 comes as bytes."""
    text = found.decode("utf-8", "backslashreplace") if isinstance(found, bytes) else found
    return text.replace("\0", "\\0") if text else None


def connect(url: str) -> pika.BlockingConnection:
    """Raises pika.exceptions.AMQPError, OSError."""
    headers.pass_over_unreadable()
    parameters = pika.URLParameters(url)
    if parameters.heartbeat is None:  # where the address says ?heartbeat=…, that is it
        parameters.heartbeat = HEARTBEAT_SECONDS
    parameters.blocked_connection_timeout = BLOCKED_SECONDS
    return pika.BlockingConnection(parameters)


def declare(connection: pika.BlockingConnection, queue: str) -> tuple[Any, str]:
    """A channel on which `queue` is there, as the specification has it or as others made it.

    And how it is different, "" where it is not. What is consumed on it comes as Message.
    """
    channel = connection.channel()
    difference = ""
    try:
        channel.queue_declare(queue, durable=True)
    except pika.exceptions.ChannelClosedByBroker as error:
        if error.reply_code != PRECONDITION_FAILED:
            raise
        channel = connection.channel()
        channel.queue_declare(queue, passive=True)
        difference = error.reply_text
    cut_on_arrival(channel)
    return channel, difference


def cut_on_arrival(channel: Any) -> None:
    """Have what is consumed come as Message, without the rest of a body that is too large.

    pika collects all that RabbitMQ sends before the answer that it waits for: whole bodies, as many
    as the prefetch count.
    """
    collect = channel._on_consumer_message_delivery

    def arrived(implementation: Any, method: Any, properties: Any, body: bytes) -> None:
        message = Message(body, readable_id(properties.message_id), method.redelivered)
        collect(implementation, method, properties, message.cut())

    channel._on_consumer_message_delivery = arrived


def lock(channel: Any, queue: str) -> None:
    """Keep other instances from `queue` as long as this connection lasts.

    RabbitMQ gives a lock back after what the connection held, so that all that comes again is there
    when the next one has it. Raises Held.
    """
    try:
        channel.queue_declare(f"{queue}.lock", exclusive=True)
    except pika.exceptions.ChannelClosedByBroker as error:
        if error.reply_code != RESOURCE_LOCKED:
            raise
        words = f"RabbitMQ to give up another consumer of {queue}: {2 * HEARTBEAT_SECONDS} s or so"
        raise Held(words) from None
