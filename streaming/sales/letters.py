"""What becomes of a refused record: a copy with its reason and its place. See docs/sales.md."""

from collections.abc import Callable
from typing import Any

from streaming.kafka_log.transactions import Message

from .messages import Refusal

KEY_BYTES = 1024
VALUE_BYTES = 64 * 1024


class Letters:
    """Makes dead letters for one topic."""

    def __init__(self, topic: str, partition_count: Callable[[str], int]) -> None:
        """`partition_count` gives the number of partitions of a topic."""
        self._count = max(1, partition_count(topic))

    def letter(self, record: Any, refusal: Refusal) -> tuple[int, Message]:
        """The partition it goes to and the letter; key and value are cut to their bounds.

        Headers: reason (a code), detail (words), topic, partition, offset, timestamp (ms) and
        value_bytes (size of the whole value) of the record.
        """
        value = record.value or b""
        headers = {
            "reason": refusal.reason,
            "detail": refusal.detail,
            "topic": record.topic,
            "partition": str(record.partition),
            "offset": str(record.offset),
            "timestamp": str(record.timestamp),
            "value_bytes": str(len(value)),
        }
        message = Message(
            record.timestamp,
            None if record.key is None else record.key[:KEY_BYTES],
            value[:VALUE_BYTES],
            [(name, text.encode("utf-8", "backslashreplace")) for name, text in headers.items()],
        )
        return record.partition % self._count, message
