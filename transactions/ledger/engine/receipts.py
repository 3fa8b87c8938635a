"""Receipts: how it is known, after a crash, whether RabbitMQ has the last acknowledgement.

A small queue of ours holds messages that mean nothing but their name. Each batch takes one, keeps
its name with its rows, and acknowledges its own messages and that one in one transaction of the
channel: RabbitMQ has done both, or neither. So the receipt that is the first of its queue at the
next start says whether its batch comes again, whatever that looks like. Nothing is published for a
batch: RabbitMQ does not stop a consumer that only acknowledges when its memory or disk runs out.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import pika
import pika.exceptions

logger = logging.getLogger(__name__)

STOCK = 2_000
AT_ONCE = 50
# So few are left, and new ones are sent.
FEW = 500
# Between two attempts to send some.
RETRY_SECONDS = 5.0
ERRORS = (pika.exceptions.AMQPError, OSError)


class Receipt(NamedTuple):
    """One that this channel holds until its batch is acknowledged."""

    name: str
    delivery_tag: int


class Receipts:
    """The receipts of one queue of transactions. Not for several threads."""

    def __init__(self, channel: Any, queue: str, connect: Callable[[], Any]) -> None:
        """`connect` opens a connection of its own to publish on: that may be blocked, ours not.

        Raises pika's errors.
        """
        self._channel, self._connect = channel, connect
        self._queue = f"{queue}.receipts"
        self._held: Receipt | None = None
        self._filling: threading.Thread | None = None
        self._fill_at = 0.0
        self._problem = ""
        channel.queue_declare(self._queue, durable=True)

    def take(self) -> Receipt | None:
        """The first one, the same until it is used; None where new ones are on their way."""
        if self._held is None:
            method, _, body = self._channel.basic_get(self._queue)
            left = 0 if method is None else method.message_count
            if method is not None:
                self._held = Receipt(body.decode(), method.delivery_tag)
            if left < FEW:
                self._fill(STOCK - left)
        return self._held

    def use(self, acknowledged: int) -> None:
        """Acknowledge it too, in the channel's transaction.

        All deliveries up to `acknowledged` are in it already, this one where it came before.
        """
        if self._held is not None and self._held.delivery_tag > acknowledged:
            self._channel.basic_ack(self._held.delivery_tag)
        self._held = None

    def _fill(self, count: int) -> None:
        alive = self._filling is not None and self._filling.is_alive()
        if not alive and time.monotonic() >= self._fill_at:
            self._fill_at = time.monotonic() + RETRY_SECONDS
            self._filling = threading.Thread(
                target=self._publish, args=(count,), name="ledger.receipts", daemon=True
            )
            self._filling.start()

    def _publish(self, count: int) -> None:
        """Persistent; the first ones at once, since batches wait for them."""
        try:
            connection = self._connect()
            try:
                channel = connection.channel()
                channel.tx_select()
                properties = pika.BasicProperties(delivery_mode=2)
                for part in (AT_ONCE, count - AT_ONCE):
                    for _ in range(part):
                        name = uuid.uuid4().hex.encode()
                        channel.basic_publish("", self._queue, name, properties)
                    channel.tx_commit()
            finally:
                if connection.is_open:
                    connection.close()
        except ERRORS as error:
            problem = str(error) or type(error).__name__
            if problem != self._problem:
                logger.warning("ledger: RabbitMQ takes no receipts: %s", problem)
            self._problem = problem
        else:
            self._problem = ""
