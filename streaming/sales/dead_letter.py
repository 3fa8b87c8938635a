"""One dead letter as it is read from its topic: the message and why it was refused. Pure."""

import base64
from dataclasses import dataclass
from typing import Any

from config import given
from streaming.kafka_log.reader import Record

REASONS = {  # those of messages.py and partition.py, in words
    "empty": "empty",
    "not_utf8": "not UTF-8",
    "not_json": "not JSON",
    "not_an_object": "not an object",
    "missing_field": "field missing",
    "bad_stock_code": "bad StockCode",
    "not_a_number": "not a number",
    "too_precise": "too precise",
    "out_of_range": "out of range",
    "late": "too late",
    "ahead": "ahead of time",
}
LONGEST_HEADER = 2_000


@dataclass(frozen=True)
class DeadLetter:
    """What its record holds. What a foreign record's headers don't say is "" or None."""

    partition: int
    offset: int
    at_ms: int
    reason: str
    detail: str
    source_topic: str
    source_partition: int | None
    source_offset: int | None
    source_at_ms: int | None
    value_bytes: int  # of the message as it came
    key: str | None
    value: bytes  # as far as it is kept
    text: str | None  # None: not UTF-8

    @property
    def cut(self) -> bool:
        """Whether the message had more."""
        return self.value_bytes > len(self.value)

    @property
    def shown(self) -> str:
        """The value for eyes: what is not UTF-8 as \\x…, control characters as pictures."""
        return given.shown(self.value, self.text)


def of_record(record: Record, most_bytes: int | None = None) -> DeadLetter:
    """The dead letter in a record of its topic, with `most_bytes` of its value (None: all)."""
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers if value}
    whole = record.value or b""
    value = whole[:most_bytes]
    size = _number(headers.get("value_bytes"))
    size = len(whole) if size is None else max(size, len(whole))
    return DeadLetter(
        partition=record.partition,
        offset=record.offset,
        at_ms=record.timestamp_ms,
        reason=headers.get("reason", "")[:LONGEST_HEADER],
        detail=headers.get("detail", "")[:LONGEST_HEADER],
        source_topic=headers.get("topic", "")[:LONGEST_HEADER],
        source_partition=_number(headers.get("partition")),
        source_offset=_number(headers.get("offset")),
        source_at_ms=_number(headers.get("timestamp")),
        value_bytes=size,
        key=None if record.key is None else record.key.decode("utf-8", "backslashreplace"),
        value=value,
        text=given.text_of(value, cut=size > len(value)),
    )


def reason_of(record: Record) -> str:
    """Why it was refused, without looking at the rest."""
    return next(
        (value.decode("utf-8", "replace") for name, value in record.headers if name == "reason"), ""
    )


def as_json(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter for programs; one of `value` and `value_base64` is null."""
    binary = letter.text is None
    return {
        "partition": letter.partition,
        "offset": letter.offset,
        "at_ms": letter.at_ms,
        "reason": letter.reason,
        "detail": letter.detail,
        "source_topic": letter.source_topic,
        "source_partition": letter.source_partition,
        "source_offset": letter.source_offset,
        "source_at_ms": letter.source_at_ms,
        "key": letter.key,
        "value_bytes": letter.value_bytes,
        "value_is_cut": letter.cut,
        "value": letter.text,
        "value_base64": base64.b64encode(letter.value).decode() if binary else None,
    }


def _number(text: str | None) -> int | None:
    digits = (text or "").removeprefix("-")
    return int(text or "") if digits.isascii() and digits.isdigit() and len(digits) < 19 else None
