"""Instants as operators type them: `2026-11-21T21:30`, with a zone or without, `-15m`. Pure."""

import re
from datetime import UTC, datetime, timedelta

AGO = re.compile(r"-(\d{1,9}(?:\.\d{1,9})?)([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse(text: str, now: datetime) -> datetime:
    """The instant, aware. Without a zone it is UTC; `-15m`, `-2h`, `-30s`, `-1d` are before `now`.

    Raises ValueError with a text for whoever typed it.
    """
    ago = AGO.fullmatch(text)
    try:
        if ago is not None:
            return now - timedelta(seconds=float(ago[1]) * SECONDS[ago[2]])
        instant = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no instant: write 2026-11-21T21:30 (UTC unless it has a zone) or -15m."
        ) from None
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


def milliseconds(instant: datetime) -> int:
    """Since 1970, exact, rounded down."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def shown(milliseconds: int) -> str:
    """In UTC, for people."""
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    return f"{instant:%Y-%m-%d %H:%M:%S}.{milliseconds % 1000:03d}Z"
