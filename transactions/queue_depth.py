"""How many messages wait in a queue of RabbitMQ: asked for pages and API, kept for some seconds."""

import logging
import threading
import time
from contextlib import suppress
from typing import NamedTuple

import pika
import pika.exceptions
from django.conf import settings

logger = logging.getLogger(__name__)

KEPT_SECONDS = 2.0
# Who doesn't answer is not asked again and again.
AWAY_SECONDS = 10.0
ANSWER_SECONDS = 2.0
NOT_FOUND = 404
ERRORS = (pika.exceptions.AMQPError, OSError)


class Depth(NamedTuple):
    """`messages` wait to be delivered; None where `problem` says why nobody knows.

    `missing`: there is no such queue, as before its first consumer.
    """

    messages: int | None
    consumers: int | None = None
    problem: str = ""
    missing: bool = False


_lock = threading.Lock()
_known: dict[tuple[str, str], tuple[float, Depth]] = {}


def depth(queue: str) -> Depth:
    """Of that queue, some seconds old at most."""
    place = settings.AMQP_URL, queue
    until, known = _known.get(place, (0.0, None))
    if known is not None and time.monotonic() < until:
        return known
    # One asks, the others take what was known before.
    if not _lock.acquire(blocking=known is None, timeout=-1 if known else 2 * ANSWER_SECONDS):
        return known or Depth(None, problem="RabbitMQ has not answered yet")
    try:
        until, known = _known.get(place, (0.0, None))
        if known is not None and time.monotonic() < until:
            return known
        found = _asked(*place)
        kept = AWAY_SECONDS if found.problem else KEPT_SECONDS
        _known[place] = (time.monotonic() + kept, found)
        return found
    finally:
        _lock.release()


def forget() -> None:
    """Ask anew the next time."""
    _known.clear()


def _asked(url: str, queue: str) -> Depth:
    if not url:
        return Depth(None, problem="AMQP_URL is not set")
    parameters = pika.URLParameters(url)
    parameters.connection_attempts = 1
    parameters.socket_timeout = parameters.stack_timeout = ANSWER_SECONDS
    parameters.blocked_connection_timeout = ANSWER_SECONDS
    try:
        connection = pika.BlockingConnection(parameters)
    except ERRORS as error:
        return _away(error)
    try:
        found = connection.channel().queue_declare(queue, passive=True).method
        return Depth(found.message_count, found.consumer_count)
    except pika.exceptions.ChannelClosedByBroker as error:
        if error.reply_code == NOT_FOUND:
            return Depth(None, problem=f"there is no queue {queue} yet", missing=True)
        return _away(error)
    except ERRORS as error:
        return _away(error)
    finally:
        with suppress(*ERRORS):
            connection.close()


def _away(error: Exception) -> Depth:
    words = str(error) or type(error).__name__
    logger.info("RabbitMQ doesn't say how many messages wait: %s", words)
    return Depth(None, problem=f"RabbitMQ does not answer ({words[:200]})")
