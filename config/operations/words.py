"""Figures, states and times of operations as people read them. Pure."""

from datetime import UTC, datetime
from typing import Any

from config import figures

ENGINES = {
    "postgres": "PostgreSQL",
    "redis": "Redis",
    "prices-redis": "The Redis of prices",
    "keydb": "KeyDB",
    "kafka": "Kafka",
    "rabbitmq": "RabbitMQ",
}
STANDS_STILL = {  # by role, where no process of it runs
    "web": "Nobody can open a page.",
    "worker": "Imports, stock sync and sweeps stand still.",
    "deliveries": "No webhook is sent.",
    "sales": "Sums of sales stand still.",
    "prices": "Prices stand still.",
    "performance": "No metric is calculated.",
    "ledger": "Balances are not written.",
    "orders": "Orders stay open.",
    "beat": "Nothing starts by the clock: no sweep, no metric.",
}
CONSUMER_TAGS = {"running": "", "crashed": "bad"}
MINUTE, HOUR, DAY = 60, 3600, 86_400


def duration(seconds: float | None) -> str:
    """ "400 ms", "3 s", "2 min", "1 h 5 min", "3 d"; "–" for None."""
    if seconds is None:
        return "–"
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms" if seconds else "0 s"
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    if seconds < HOUR:
        return f"{seconds / MINUTE:.0f} min"
    if seconds < DAY:
        hours, rest = divmod(round(seconds / MINUTE), MINUTE)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{seconds / DAY:.0f} d"


def count(number: float | None) -> str:
    """ "12,345"; "–" for None."""
    return "–" if number is None else f"{number:,.0f}"


def many(number: int, one: str, more: str = "") -> str:
    """ "1 problem", "1,200 problems"."""
    return f"{number:,} {one if number == 1 else more or f'{one}s'}"


def engine(name: str) -> str:
    """An engine's own name, at the beginning of a sentence."""
    return ENGINES.get(name, name)


def clock(epoch: float) -> str:
    """ "12:03 UTC"."""
    at = figures.instant(epoch)
    return f"{at:%H:%M} UTC" if at is not None else "a minute"


def listed(names: list[str], most: int = 3) -> str:
    """ "a", "a and b", "a, b, c and 4 more"."""
    shown, left = names[:most], len(names) - most
    if left > 0:
        return f"{', '.join(shown)} and {left} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))


def age_of_version(version: str, ours: str) -> str:
    """ "" for our own version, else whether a process's is "older", "newer" or just "other"."""
    if version == ours:
        return ""
    theirs, mine = _numbers(version), _numbers(ours)
    if theirs is None or mine is None or theirs == mine:
        return "other"
    return "older" if theirs < mine else "newer"


def _numbers(version: str) -> tuple[int, ...] | None:
    try:
        return tuple(int(part) for part in version.partition("+")[0].split("."))
    except ValueError:
        return None


def moment(text: Any) -> datetime | None:
    """The instant that `text` is in ISO 8601 with an offset; None for any other text."""
    if not isinstance(text, str) or len(text) < len("2026-01-02T03:04Z") or text[4:5] != "-":
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo is not None else None
