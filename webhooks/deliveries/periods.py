"""Since when deliveries are meant on the pages: a period back from now, or an instant."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from . import log

INSTANT = "at"
PERIODS = {
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(hours=24)),
    "7d": ("Last 7 days", timedelta(days=7)),
}
NAMES = {key: name for key, (name, _) in PERIODS.items()}


@dataclass(frozen=True)
class Since:
    """`key` is one of PERIODS, INSTANT, or "" with `at` None: from the first one that is kept."""

    key: str = ""
    at: datetime | None = None

    @classmethod
    def from_query(cls, query: Mapping[str, str], now: datetime, default: str = "") -> Self:
        """From `since`: a key of PERIODS or an instant; with "at" the instant is in `at`.

        What can't be read, or is not given, is the period `default`.
        """
        given = query.get("since", default)
        if given in PERIODS:
            return cls(given, now - PERIODS[given][1])
        at = instant(query.get("at", "") if given == INSTANT else given)
        if at is not None:
            return cls(INSTANT, at)
        return cls(default, now - PERIODS[default][1]) if default and given else cls()

    @property
    def parameter(self) -> str:
        """The same for an address; a period stays one, so that a bookmark moves with the time."""
        if self.key == INSTANT and self.at is not None:
            return self.at.isoformat().replace("+00:00", "Z")
        return self.key


def instant(text: str) -> datetime | None:
    """An instant in ISO 8601, UTC unless it says otherwise; None where it is none."""
    try:
        return log.instant(text, zone=UTC)
    except ValueError:
        return None
