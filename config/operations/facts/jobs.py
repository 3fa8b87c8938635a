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

    `since` is when a job was first seen to be as far as it is.
    """
    rows = before.get("jobs")
    known = {_key(each): each for each in rows} if isinstance(rows, list) else {}
    found = []
    for job in jobs:
        last = known.get(_key(job), {})
        stands = job["has_work"] and last.get("has_work")
        same = stands and last.get("progress") == job["progress"]
        since = last["since"] if same else now
        found.append({**job, "since": since, "stalled": now - since >= stalled_seconds})
    return found


def _key(job: Row) -> tuple[str, int]:
    return job["kind"], job["id"]
