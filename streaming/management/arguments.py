"""What arguments of these commands may be, and how their counts are written."""

import math
import re
from argparse import ArgumentTypeError

MOST_PARTITIONS = 10_000


def partitions(text: str) -> int:
    """A number of partitions as an argument. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST_PARTITIONS):
        raise ArgumentTypeError(f"{text!r} is no number from 1 to {MOST_PARTITIONS:,}")
    return int(text)


def topic(text: str) -> str:
    """A topic's name as an argument. Raises ArgumentTypeError."""
    if text in (".", "..") or not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", text):
        raise ArgumentTypeError(f"{text!r} is no topic: letters, digits, '.', '_', '-', up to 249")
    return text


def rate(text: str) -> float | None:
    """Records a second; None for as fast as Kafka takes them. Raises ArgumentTypeError."""
    if text == "max":
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise ArgumentTypeError(f"{text!r} is neither a number from 0 on nor max")
    return number or None


def plural(count: int, noun: str) -> str:
    """1 partition, 2 partitions."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
