"""Times of day as rows have them: hhmmss, and the HH:MM of values that others wrote. Pure."""

import re
from functools import lru_cache

DIGITS = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})")
COLONS = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")
IN_A_DAY = 86_400


@lru_cache(maxsize=100_000)
def clock(text: str) -> str | None:
    """The time as hhmmss, which texts of are in the order of times; None for what is no time."""
    found = DIGITS.fullmatch(text) or COLONS.fullmatch(text)
    if found is None:
        return None
    hours, minutes, seconds = found[1].zfill(2), found[2], found[3] or "00"
    if hours > "23" or minutes > "59" or seconds > "59":
        return None
    return f"{hours}{minutes}{seconds}"


@lru_cache(maxsize=100_000)
def seconds(text: str) -> int | None:
    """Seconds since midnight."""
    found = clock(text)
    if found is None:
        return None
    return 3600 * int(found[:2]) + 60 * int(found[2:4]) + int(found[4:])


def shown(text: str) -> str:
    """ "09:00:06"; what is no time as it is."""
    found = clock(text)
    return text if found is None else f"{found[:2]}:{found[2:4]}:{found[4:]}"


def of_seconds(count: float) -> str:
    """ "09:00:06" of seconds since a midnight."""
    whole = round(count) % IN_A_DAY
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
