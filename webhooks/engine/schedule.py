"""When the next attempt is made: the schedule, and what the endpoint asks for.

Pure. Used by verdict.py.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

JITTER = 0.1  # of a step, either way: what failed together does not come back together
MAX_RETRY_AFTER_SECONDS = 86_400.0
DIGITS = re.compile("[0-9]+")


def delay(tries: int, steps: Sequence[float], random: Callable[[], float]) -> float | None:
    """Seconds from the end of the `tries`-th failed attempt (from 1) to the next; None: no more.

    `steps` holds the seconds after the first, the second, …; random() is in [0, 1).
    """
    if tries > len(steps):
        return None
    return steps[tries - 1] * (1 - JITTER + 2 * JITTER * random())


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header, at most a day; `now` is aware.

    RFC 9110 10.2.3: seconds or an HTTP date. None without it, for the past, and for what is
    neither.
    """
    text = (value or "").strip()
    if DIGITS.fullmatch(text):
        seconds = float(text)  # int() refuses very long ones
    else:
        at = _http_date(text)
        if at is None or at <= now:
            return None
        seconds = (at - now).total_seconds()
    return min(seconds, MAX_RETRY_AFTER_SECONDS)


def _http_date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    # The form without a zone (asctime) is in UTC, RFC 9110 5.6.7.
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
