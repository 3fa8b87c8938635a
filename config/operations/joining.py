"""Makes a sample of its sections, and what only the samples before it can tell. Pure.

Called by taking.py. All that is remembered is in the sample itself, so that any leader goes on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Sample = dict[str, Any]
Row = dict[str, Any]
REJECTS_ORDER = ("imports", "stock sync", "sales", "prices", "ledger", "webhooks")
PLACES_MOST = 100  # of instances, the last that were heard of
ENDED = ("stopped", "crashed", "not running")


def joined(
    sections: Mapping[str, Any],
    before: Sample,
    points: Sequence[Mapping[str, Any]],
    *,
    at: float,
    cost_seconds: float,
    queue_of: Mapping[str, str],
    sales: Row,
) -> Sample:
    """The sample of `at`.

    `before` and `points` are those there were ({} and none at first); `queue_of` has the queue that
    a consumer takes from; `sales` is the row of sales among the rejects, without its numbers.
    """
    found = {"at": at, "cost_seconds": round(cost_seconds, 4), **sections}
    found["consumers"] = _with_queues(found.get("consumers"), found.get("queues"), queue_of)
    found |= _refused(found["consumers"], before)
    found["rejects"] = _rejects(found, points, sales)
    found["requests"] = _requests(found.get("requests"), before, at)
    found["roles_seen_at"] = _roles_seen(found, before, at)
    found["roles_seen"] = sorted(found["roles_seen_at"])
    return found


def point(sample: Sample) -> dict[str, Any]:
    """What the plots need of it; None for what nobody knows."""
    queues, consumers = _rows(sample, "queues"), _rows(sample, "consumers")
    rates = {
        name: _sum(each["rate"] for each in consumers if each["name"] == name)
        for name in ("sales", "prices", "ledger", "orders", "deliveries")
    }
    return {
        "at": sample["at"],
        "queue_waiting": _sum(each["waiting"] for each in queues),
        "lag": _sum(each["lag"] for each in consumers),
        "deliveries_due": _fact(sample, "deliveries", "due"),
        "rollup_lateness_seconds": _fact(sample, "rollup", "lateness_seconds"),
        "orders_open": _fact(sample, "orders", "open"),
        "requests_per_second": _fact(sample, "requests", "per_second"),
        **{f"{name}_rate": value for name, value in rates.items()},
        "refused": _totals(sample),
    }


def _with_queues(consumers: Any, queues: Any, queue_of: Mapping[str, str]) -> Any:
    """What waits in a queue is the lag of its consumers together: it stands with the first."""
    if not isinstance(consumers, list) or not isinstance(queues, list):
        return consumers
    waiting = {each["name"]: each["waiting"] for each in queues}
    told: set[str] = set()
    rows = []
    for each in consumers:
        name = each["name"]
        if name in queue_of and name not in told and each["state"] not in ENDED:
            told.add(name)
            each = {**each, "lag": waiting.get(queue_of[name])}
        rows.append(each)
    return rows


def _refused(consumers: Any, before: Sample) -> Row:
    """How many records sales has refused since samples are taken: its instances only know since
    when they began."""
    known: dict[str, int] = before.get("sales_refused_by") or {}
    total: int = before.get("sales_refused") or 0
    if not isinstance(consumers, list):
        return {"sales_refused": total, "sales_refused_by": known}
    now = {
        f"{each['host']} {each['pid']}": int(each["refused"])
        for each in consumers
        if each["name"] == "sales" and each.get("refused") is not None
    }
    if before:
        for place, refused in now.items():
            last = known.get(place, 0)
            total += refused - last if refused >= last else refused
    # One that a sample has missed comes back with all it ever refused.
    kept = [*((place, count) for place, count in known.items() if place not in now), *now.items()]
    return {"sales_refused": total, "sales_refused_by": dict(kept[-PLACES_MOST:])}


def _rejects(sample: Sample, points: Sequence[Mapping[str, Any]], sales: Row) -> Any:
    given = sample.get("rejects")
    if not isinstance(given, list):
        return given
    rows = {each["kind"]: each for each in [*given, sales]}
    oldest = points[0].get("refused") or {} if points else {}
    for kind, total in _totals({**sample, "rejects": given}).items():
        if kind in rows and total is not None:
            last_hour = max(0, total - (oldest.get(kind, total)))
            rows[kind] = {**rows[kind], "last_hour": last_hour}
    return [rows[kind] for kind in REJECTS_ORDER if kind in rows]


def _totals(sample: Sample) -> dict[str, int]:
    """By kind, of those of which only a total is known."""
    found = {"sales": sample["sales_refused"]}
    for each in _rows(sample, "rejects"):
        if each["kind"] == "prices" and each["total"] is not None:
            found["prices"] = each["total"]
    return found


def _requests(given: Any, before: Sample, at: float) -> Any:
    if not isinstance(given, dict) or "total" not in given:
        return given
    last = before.get("requests")
    rate = None
    if isinstance(last, dict) and "total" in last and at > before["at"]:
        rate = round(max(0, given["total"] - last["total"]) / (at - before["at"]), 3)
    return {**given, "per_second": rate}


def _roles_seen(sample: Sample, before: Sample, at: float) -> dict[str, float]:
    """When each role was seen last; none is forgotten, since that one is gone mends nothing."""
    known: dict[str, float] = before.get("roles_seen_at") or {}
    return known | {each["role"]: at for each in _rows(sample, "processes")}


def _rows(sample: Sample, name: str) -> list[Row]:
    section = sample.get(name)
    return section if isinstance(section, list) else []


def _fact(sample: Sample, section: str, name: str) -> Any:
    found = sample.get(section)
    return found.get(name) if isinstance(found, dict) else None


def _sum(values: Any) -> Any:
    known = [each for each in values if each is not None]
    return round(sum(known), 3) if known else None
