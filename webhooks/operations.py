"""What operations shows of webhooks: what is due, which endpoints fail, and what was given up.

Called for each sample (config/operations/facts): few queries, each by an index.
"""

from typing import Any

from django.conf import settings
from django.db import connection
from django.urls import reverse

from webhooks.deliveries.backlog import COUNTED_AT_MOST, DUE
from webhooks.models import Endpoint

WAITING = f"""
SELECT count(*), extract(epoch FROM statement_timestamp() - min(since))::float FROM (
    SELECT due.since {DUE} LIMIT %(most)s
) few
"""
# Events whose deliveries are not made yet wait too.
OUTBOX = """
SELECT count(*), extract(epoch FROM statement_timestamp() - min(occurred_at))::float FROM (
    SELECT occurred_at FROM webhooks_event WHERE fanned_out_at IS NULL
    ORDER BY occurred_at LIMIT %(most)s
) few
"""
FAILED = """
SELECT count(*) FROM (
    SELECT FROM webhooks_delivery
    WHERE state = 'failed' AND finished_at > statement_timestamp() - interval '1 hour'
    LIMIT %(most)s
) few
"""


def deliveries() -> dict[str, Any]:
    """The section `deliveries` of the sample.

    `due` counts deliveries and events without any yet, COUNTED_AT_MOST of each. An endpoint is
    failing from WEBHOOK_BREAK_AFTER attempts in vain on; a disabled one is named where the engine
    did it, and nobody has enabled or deleted it since.
    """
    with connection.cursor() as cursor:
        counts, ages = zip(*(_row(cursor, each) for each in (WAITING, OUTBOX)), strict=True)
        (failed,) = _row(cursor, FAILED)
    shown = Endpoint.objects.filter(deleted_at=None, for_callbacks=False)
    failing = shown.filter(
        enabled=True, health__failures_in_a_row__gte=settings.WEBHOOK_BREAK_AFTER
    ).order_by("-health__failures_in_a_row", "pk")
    disabled = shown.filter(enabled=False).exclude(disabled_reason="").order_by("-disabled_at")
    # All of them, since one that is not named counts as well again: there are MAX_ENDPOINTS.
    return {
        "due": sum(counts),
        "oldest_due_seconds": max((max(0.0, age) for age in ages if age is not None), default=None),
        "failing_endpoints": [
            {"id": pk, "url": url, "failures": failures}
            for pk, url, failures in failing.values_list("pk", "url", "health__failures_in_a_row")
        ],
        "disabled_endpoints": [
            {"id": pk, "url": url, "reason": reason}
            for pk, url, reason in disabled.values_list("pk", "url", "disabled_reason")
        ],
        "failed_last_hour": failed,
    }


def rejects() -> dict[str, Any]:
    """How many deliveries of the last hour were given up, COUNTED_AT_MOST."""
    with connection.cursor() as cursor:
        (failed,) = _row(cursor, FAILED)
    url = f"{reverse('webhooks:deliveries')}?state=failed"
    return {"kind": "webhooks", "last_hour": failed, "total": None, "url": url}


def _row(cursor: Any, statement: str) -> Any:
    cursor.execute(statement, {"most": COUNTED_AT_MOST})
    return cursor.fetchone()
