"""RabbitMQ's side of the consumer: which orders are waiting. A thread with pika's connection.

A message is acknowledged when its order is decided; those of a dead process come again at once.
Losing messages is harmless: the sweep finds their orders.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID

import pika
import pika.exceptions
from django.conf import settings

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10
POLL_SECONDS = 1.0
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.25, 5.0
PRECONDITION_FAILED = 406
ERRORS = (pika.exceptions.AMQPError, OSError)


class Arrival(NamedTuple):
    """A message that is not acknowledged yet."""

    order_id: UUID
    tag: int
    connection: object  # on which it came; its tag means nothing on another
    again: bool = False  # whoever had it before has not acknowledged it


class OrderQueue:
    """Hands on what arrives, for as long as it lives; comes back after each cut."""

    def __init__(self, most: int, arrived: Callable[[list[Arrival]], None]) -> None:
        """At most `most` are not acknowledged. `arrived` is called in the queue's thread."""
        self._most, self._arrived = most, arrived
        self._connection: Any = None
        self._channel: Any = None
        self._batch: list[Arrival] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="orders.queue", daemon=True)
        self.problem = ""
        self.strangers = 0  # messages that name no order

    def start(self) -> None:
        self._thread.start()

    def close(self, seconds: float = 5.0) -> None:
        """Give back what is not acknowledged. Waits at most so long."""
        self._closing.set()
        connection = self._connection
        if connection is not None:
            with suppress(*ERRORS):
                connection.add_callback_threadsafe(lambda: None)
        self._thread.join(seconds)

    def acknowledge(self, arrivals: Sequence[Arrival]) -> None:
        """Their orders are decided. From any thread."""
        connection = self._connection
        tags = [each.tag for each in arrivals if each.connection is connection]
        if connection is None or not tags:
            return
        with suppress(*ERRORS):
            connection.add_callback_threadsafe(lambda: self._acknowledge(connection, tags))

    def _acknowledge(self, connection: object, tags: list[int]) -> None:
        if connection is self._connection and self._channel.is_open:
            for tag in tags:
                self._channel.basic_ack(tag)

    def _run(self) -> None:
        wait = FIRST_WAIT_SECONDS
        while not self._closing.is_set():
            if not settings.AMQP_URL:
                self.problem = "the address of RabbitMQ is not set (AMQP_URL)"
                return
            try:
                self._consume()
            except Exception as error:  # whatever pika raises: the sweep goes on
                if not self.problem:
                    wait = FIRST_WAIT_SECONDS
                    unexpected = None if isinstance(error, ERRORS) else error
                    logger.warning(
                        "orders go on by the sweep alone: RabbitMQ: %r", error, exc_info=unexpected
                    )
                self.problem = f"RabbitMQ: {str(error) or type(error).__name__}"
            finally:
                self._leave()
            self._closing.wait(wait)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    def _consume(self) -> None:
        parameters = pika.URLParameters(settings.AMQP_URL)
        if parameters.heartbeat is None:
            parameters.heartbeat = HEARTBEAT_SECONDS
        self._connection = connection = pika.BlockingConnection(parameters)
        self._channel = channel = _declared(connection, settings.ORDERS_QUEUE)
        channel.basic_qos(prefetch_count=self._most)
        channel.basic_consume(settings.ORDERS_QUEUE, self._on_message)
        if self.problem:
            logger.info("orders have RabbitMQ again")
            self.problem = ""
        while not self._closing.is_set():
            connection.process_data_events(time_limit=POLL_SECONDS)
            if not channel.is_open or not channel.consumer_tags:
                raise pika.exceptions.AMQPChannelError("the broker has ended the reading")
            if self._batch:
                batch, self._batch = self._batch, []
                self._arrived(batch)
        connection.process_data_events(time_limit=0)  # the last acknowledgements

    def _on_message(self, channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        try:
            order_id = UUID(body.decode("ascii"))
        except ValueError:
            # Nobody of ours sent it, and nothing is known of it that could be kept elsewhere.
            self.strangers += 1
            logger.warning("queue of orders: a message that is no id is left out: %.80r", body)
            channel.basic_ack(method.delivery_tag)
            return
        self._batch.append(
            Arrival(order_id, method.delivery_tag, self._connection, method.redelivered)
        )

    def _leave(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        self._batch.clear()
        if connection is not None:
            with suppress(*ERRORS):
                connection.close()


def _declared(connection: Any, queue: str) -> Any:
    """A channel on which the durable queue is there, as we make it or as others made it."""
    channel = connection.channel()
    try:
        channel.queue_declare(queue, durable=True)
    except pika.exceptions.ChannelClosedByBroker as error:
        if error.reply_code != PRECONDITION_FAILED:
            raise
        channel = connection.channel()
        channel.queue_declare(queue, passive=True)
    return channel
