"""Ends a kafka-python producer for good, whatever state it is in."""

from contextlib import suppress

from kafka import KafkaProducer
from kafka.errors import KafkaError


def discard(producer: KafkaProducer, seconds: float) -> None:
    """Close it; what is not written after `seconds` is given up.

    The library's `close` raises where its flush fails, and then neither ends the sender's thread
    nor counts as done: it is called again, and raises again, when the object is destroyed.
    """
    with suppress(KafkaError):
        producer.close(timeout=seconds)
    if producer._sender.is_alive():
        producer._sender.force_close()
    producer._closed = True
