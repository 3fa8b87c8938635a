"""What arguments of these commands may be."""

import math
from argparse import ArgumentTypeError


def whole(text: str) -> int:
    """A whole number from 1 on, up to 15 digits. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 15 and int(text) > 0):
        raise ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def rate(text: str) -> float | None:
    """Messages a second; None for as fast as the broker takes them. Raises ArgumentTypeError."""
    if text == "max":
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ArgumentTypeError(f"{text!r} is neither a number above 0 nor max")
    return number
