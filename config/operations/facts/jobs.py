"""Imports, bulk changes and stock syncs under way, and which of them stand still."""

import time
from typing import Any

from django.conf import settings

from products import operations as products
from stocksync import operations as stocksync

Sample = dict[str, Any]
Row = dict[str, Any]


def facts(before: Sample) -> list[Row]:
    """One row a job. Raises django.db.Error."""
    found = [*products.jobs(), *stocksync.jobs()]
    return marked(found, before, time.time(), settings.OPERATIONS_STALLED_SECONDS)


def marked(jobs: list[Row], before: Sample, now: float, stalled_seconds: float) -> list[Row]:
    """`jobs` with `stalled`: a worker could go on, and has not for `stalled_seconds`. Pure.

    One that waits its turn doesn't stand still while any other gets on or ends, whatever its kind:
    processes of `worker` serve all. `since` is when a job was first seen to be as far as it is,
    `moved_at` when any was last seen to get on, None where that was never seen.
    """
    rows = before.get("jobs")
    known = {_key(each): each for each in rows} if isinstance(rows, list) else {}
    moved_at = now if _moved(jobs, known) else _moved_at(known)
    found = []
    for job in jobs:
        last = known.get(_key(job), {})
        stands = job["has_work"] and last.get("has_work")
        same = stands and last.get("progress") == job["progress"]
        since = last["since"] if same else now
        free_since = max(since, moved_at or since) if job["waits_its_turn"] else since
        stalled = now - free_since >= stalled_seconds
        found.append({**job, "since": since, "moved_at": moved_at, "stalled": stalled})
    return found


def _moved(jobs: list[Row], known: dict[tuple[str, int], Row]) -> bool:
    """Whether any has got on or ended since it was known."""
    progress = {_key(job): job["progress"] for job in jobs}
    working = {key: row["progress"] for key, row in known.items() if row.get("has_work")}
    return any(progress.get(key) != before for key, before in working.items())


def _moved_at(known: dict[tuple[str, int], Row]) -> float | None:
    return max((row["moved_at"] for row in known.values() if row.get("moved_at")), default=None)


def _key(job: Row) -> tuple[str, int]:
    return job["kind"], job["id"]
