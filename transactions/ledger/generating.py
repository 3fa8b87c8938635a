"""Sends transactions to the queue as the specification's producer does, each confirmed.

Hosted by `manage.py generate_transactions`. Messages are not waited for one by one: some are on
their way to the broker while it confirms others.
"""

import json
import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pika
import pika.exceptions

from .engine import intake

# Messages that the broker has not confirmed yet, at most.
MOST_UNDER_WAY = 1_000
TICK_SECONDS = 0.01
# A longer delay is not made up for by sending faster.
MOST_BEHIND_SECONDS = 1.0
# After the last message, for its confirmation.
CONFIRM_SECONDS = 10.0
# Whole amounts that are sent, both ends included.
LEAST, MOST = -1_000, 1_000
PERSISTENT = 2


class Stopped(Exception):
    """The broker did not take all. The text says why."""


@dataclass
class Tally:
    """How many messages were handed over, and how many of these the broker has."""

    sent: int = 0
    confirmed: int = 0


def messages(providers: Sequence[int], source: random.Random) -> Iterator[bytes]:
    """Bodies without end: any of the providers, any whole amount."""
    while True:
        message = {"id": source.choice(providers), "value": source.randint(LEAST, MOST)}
        yield json.dumps(message).encode()


class Generator:
    """One run, with a connection of its own; `tally` counts while it runs."""

    def __init__(
        self,
        url: str,
        queue: str,
        bodies: Iterator[bytes],
        *,
        rate: float | None,
        count: int | None,
        ids: bool,
        ended: Callable[[], bool],
        told: Callable[[int], object] = lambda confirmed: None,
    ) -> None:
        """`rate`: messages a second, None for as fast as possible; `count`: None for no end;
        `ids`: whether each has a message id; `told` gets how many more are confirmed."""
        self.tally = Tally()
        self._queue, self._bodies = queue, bodies
        self._rate, self._count, self._ids = rate, count, ids
        self._ended, self._told = ended, told
        self._parameters = pika.URLParameters(url)
        self._parameters.heartbeat = intake.HEARTBEAT_SECONDS
        self._parameters.blocked_connection_timeout = intake.BLOCKED_SECONDS
        self._failure: BaseException | None = None
        self._under_way: set[int] = set()
        self._due_at = time.monotonic()
        self._last_sent_at = 0.0
        self._connection: Any = None
        self._channel: Any = None

    def run(self) -> None:
        """Send until the count or the end that is asked for. Raises Stopped."""
        # Makes the queue where it is missing, and says in plain errors what is wrong.
        try:
            connection = pika.BlockingConnection(self._parameters)
            intake.declare(connection, self._queue)
            connection.close()
        except (pika.exceptions.AMQPError, OSError) as error:
            raise Stopped(f"RabbitMQ: {in_words(error)}") from error
        self._connection = pika.SelectConnection(
            self._parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_closed,
            on_close_callback=self._on_closed,
        )
        self._connection.ioloop.start()
        if self._failure is not None:
            raise Stopped(f"RabbitMQ: {in_words(self._failure)}") from self._failure

    def _on_open(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._on_channel_closed)
        channel.add_on_return_callback(self._on_returned)
        channel.confirm_delivery(self._on_confirmed, callback=lambda frame: self._tick())

    def _tick(self) -> None:
        if not self._channel.is_open:
            return
        if self._finished():
            late = time.monotonic() - self._last_sent_at > CONFIRM_SECONDS
            if not self._under_way or late:
                if self._under_way:
                    self._fail(TimeoutError(f"no confirmation for {CONFIRM_SECONDS:g} s"))
                self._connection.close()
                return
        else:
            self._send()
        self._connection.ioloop.call_later(TICK_SECONDS, self._tick)

    def _finished(self) -> bool:
        return self._failure is not None or self._ended() or self.tally.sent == self._count

    def _send(self) -> None:
        """What is due, as far as the broker keeps up."""
        now = time.monotonic()
        self._due_at = max(self._due_at, now - MOST_BEHIND_SECONDS)
        while len(self._under_way) < MOST_UNDER_WAY and self._due_at <= now:
            if self._finished():
                return
            properties = pika.BasicProperties(
                content_type="application/json",
                delivery_mode=PERSISTENT,
                message_id=str(uuid.uuid4()) if self._ids else None,
            )
            body = next(self._bodies)
            # mandatory: a queue that is gone would swallow them with a confirmation.
            self._channel.basic_publish("", self._queue, body, properties, mandatory=True)
            self.tally.sent += 1
            self._under_way.add(self.tally.sent)
            self._last_sent_at = now
            if self._rate:
                self._due_at += 1 / self._rate

    def _on_confirmed(self, frame: Any) -> None:
        method = frame.method
        tag = method.delivery_tag
        answered = {each for each in self._under_way if each <= tag} if method.multiple else {tag}
        self._under_way -= answered
        if isinstance(method, pika.spec.Basic.Nack):
            # What else is under way is still to be heard of.
            self._fail(OSError("the broker refused a message: the queue is full"))
            return
        self.tally.confirmed += len(answered)
        self._told(len(answered))

    def _on_returned(self, _channel: Any, method: Any, _properties: Any, _body: bytes) -> None:
        self._fail(OSError(f"queue {self._queue} is gone: {method.reply_text}"))
        if self._connection.is_open:
            self._connection.close()

    def _on_channel_closed(self, _channel: Any, reason: BaseException) -> None:
        if not isinstance(reason, pika.exceptions.ChannelClosedByClient):
            self._fail(reason)
            if self._connection.is_open:
                self._connection.close()

    def _on_closed(self, _connection: Any, reason: BaseException) -> None:
        if not isinstance(reason, pika.exceptions.ConnectionClosedByClient):
            self._fail(reason)
        self._connection.ioloop.stop()

    def _fail(self, reason: BaseException) -> None:
        self._failure = self._failure or reason


def in_words(error: BaseException) -> str:
    """pika's errors have no text at times."""
    return str(error) or type(error).__name__
