"""What operations shows of stock sync: jobs under way, and events that they refused.

Called for each sample (config/operations/facts): few queries, each by an index.
"""

from datetime import timedelta
from typing import Any

from django.db import connection
from django.urls import reverse

from config.jobs.shown import shown
from stocksync.models import SyncJob

JOBS_MOST = 100  # the oldest: they are worked on first
LOOKED_AT = 500
HOUR = timedelta(hours=1)

REJECTED = """
SELECT coalesce(sum((
    SELECT sum(value::bigint) FROM jsonb_each_text(newest.counts -> 'refused')
)), 0)::bigint
FROM (
    SELECT counts, created_at, finished_at FROM stocksync_syncjob ORDER BY id DESC LIMIT %s
) newest
WHERE (created_at > statement_timestamp() - %s OR finished_at > statement_timestamp() - %s)
    AND counts ? 'refused'
"""


def jobs() -> list[dict[str, Any]]:
    """Jobs that have not ended, the oldest first, as `shown` has them."""
    found = (
        SyncJob.objects.exclude(state__in=SyncJob.ENDED)
        .select_related("events")
        .defer("checkpoint", "counts")
        .order_by("pk")
    )
    return [
        shown(
            job,
            "stock sync",
            job.events.name,
            reverse("stocksync:job", args=[job.pk]),
            of=(job.read_bytes, job.events.size_bytes),
            steps=(job.read_bytes, job.decisions),
        )
        for job in found[:JOBS_MOST]
    ]


def rejects() -> dict[str, Any]:
    """How many events the jobs refused that were made or ended in the last hour."""
    with connection.cursor() as cursor:
        cursor.execute(REJECTED, [LOOKED_AT, HOUR, HOUR])
        (count,) = cursor.fetchone()
    return {
        "kind": "stock sync",
        "last_hour": count,
        "total": None,
        "url": reverse("stocksync:jobs"),
    }
