"""How far behind each consumer is and how fast it goes."""

from datetime import datetime
from typing import Any

from config.consumers.overview import NOT_RUNNING, overview
from streaming import operations as streaming
from transactions import operations as transactions

Sample = dict[str, Any]
Place = tuple[str, str, int]  # name, host, pid
# What a consumer's health counts, where no board has its rate.
COUNTERS = {"deliveries": "attempts", "orders": "decided"}


def facts(before: Sample) -> list[dict[str, Any]]:
    """One row for each that runs or has just ended, and for those that don't run.

    Beside what the page shows: `refused` (since the consumer began), and `count` at `counted_at`,
    of which the rate of the next sample is made. Raises redis.RedisError.
    """
    instances = {name: streaming.instances(name) for name in ("sales", "prices")}
    ledger = transactions.rates()
    known = {place(row): row for row in rows_of(before)}
    rows = []
    for each in overview():
        if each["state"] == NOT_RUNNING:
            rows.append(_silent(each["name"]))
            continue
        row, name, where = _row(each), each["name"], (each["host"], each["pid"])
        instance = instances.get(name, {}).get(where)
        if instance is not None:
            row |= {"lag": instance.lag, "rate": instance.rate, "refused": instance.refused}
        elif name == "ledger":
            row["rate"] = ledger.get(where)
        elif name in COUNTERS:
            row["count"] = each["health"].get(COUNTERS[name])
            row["rate"] = rate(row, known.get(place(row), {}))
        rows.append(row)
    return rows


def rows_of(sample: Sample) -> list[dict[str, Any]]:
    """Those that run, or have just ended; none where nobody knows."""
    rows = sample.get("consumers")
    return [each for each in rows if each["pid"]] if isinstance(rows, list) else []


def place(row: dict[str, Any]) -> Place:
    """Which process a row is of."""
    return row["name"], row["host"], row["pid"]


def rate(row: dict[str, Any], before: dict[str, Any]) -> float | None:
    """How much a second `count` has grown since the row before; None where nobody knows yet."""
    if row.get("count") is None or before.get("count") is None:
        return None
    seconds: float = row["counted_at"] - before["counted_at"]
    if seconds <= 0:  # it has not beaten since
        known: float | None = before.get("rate")
        return known
    more: int = row["count"] - before["count"]
    return round(max(0.0, more / seconds), 3)


def _row(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": record["name"],
        "host": record["host"],
        "pid": record["pid"],
        "state": record["state"],
        "error": record["error"],
        "lag": None,
        "rate": None,
        "says": [[word, _text(value)] for word, value in record["says"]],
        "counted_at": record["beaten_at"].timestamp(),
    }


def _silent(name: str) -> dict[str, Any]:
    row = {"name": name, "host": "", "pid": None, "state": NOT_RUNNING, "error": None}
    return {**row, "lag": None, "rate": None, "says": []}


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
