"""Headers of messages, which the ledger never reads: none of them may hold up the queue.

pika can't decode all that RabbitMQ lets pass, for one a time after the year 9999, as a producer has
it that writes milliseconds. It then gives up the connection, and does so again at each attempt.
"""

import struct
from collections.abc import Callable
from typing import Any

import pika.data
import pika.exceptions

UNREADABLE = (ValueError, ArithmeticError, OSError, TypeError, struct.error)

_decode: Callable[[bytes, int], tuple[dict[str, Any], int]] = pika.data.decode_table


def decode(encoded: bytes, offset: int) -> tuple[dict[str, Any], int]:
    """pika.data.decode_table, {} for a table that it can't decode; and where the table ends."""
    try:
        return _decode(encoded, offset)
    except (*UNREADABLE, pika.exceptions.AMQPError):
        (size,) = struct.unpack_from(">I", encoded, offset)
        return {}, offset + 4 + size


def pass_over_unreadable() -> None:
    """For all connections of this process."""
    pika.data.decode_table = decode
