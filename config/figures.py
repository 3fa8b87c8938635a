"""Figures as people read them. Pure."""

import math
from datetime import UTC, datetime

UNITS = ("kB", "MB", "GB", "TB")


def rate(per_second: float) -> str:
    """ "0", "0.4", "1,235"."""
    return f"{per_second:,.1f}" if 0 < per_second < 10 else f"{per_second:,.0f}"


def size(count: int) -> str:
    """ "512 bytes", "9.8 MB"."""
    if count < 1000:
        return f"{count} byte{'' if count == 1 else 's'}"
    number, unit = count / 1000, 0
    while number >= 1000 and unit < len(UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.1f} {UNITS[unit]}" if number < 10 else f"{number:,.0f} {UNITS[unit]}"


def span(seconds: float) -> str:
    """What follows "the last": "10 minutes", "90 seconds", "hour"."""
    unit, name = 1, "second"
    for larger, its_name in ((3600, "hour"), (60, "minute")):
        if seconds == larger or (seconds > larger and seconds % larger == 0):
            unit, name = larger, its_name
            break
    return name if seconds == unit else f"{seconds / unit:,g} {name}s"


def instant(epoch: float | None) -> datetime | None:
    """Seconds since 1970 as a datetime; None for what no calendar has."""
    if epoch is None or not math.isfinite(epoch):
        return None
    try:
        return datetime.fromtimestamp(epoch, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def numbers(values: list[int], most: int = 12) -> str:
    """ "0 to 3", "1, 4 and 7", "0, 2, 4, …"."""
    if len(values) > 2 and values == list(range(values[0], values[-1] + 1)):
        return f"{values[0]} to {values[-1]}"
    texts = [str(value) for value in values]
    if len(texts) > most:
        return f"{', '.join(texts[:most])}, …"
    return " and ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:])))
