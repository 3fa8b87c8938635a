"""How endpoints do, at a glance: for the pages and the API. One statement for all of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

COUNTED_AT_MOST = 10_000  # a larger count stops there: nobody needs it, and it would take long
LAST_ATTEMPTS = 100


@dataclass(frozen=True)
class Glance:
    """How one endpoint does.

    `waiting` and `failed_24h` are deliveries; COUNTED_AT_MOST stands for as many or more. The times
    until the answer (nearest rank) are those of the last LAST_ATTEMPTS attempts, without tests and
    as far as there was an answer; None where there was none.
    """

    waiting: int
    failed_24h: int
    last_success_at: datetime | None
    last_failure_at: datetime | None
    failures_in_a_row: int
    failing_since: datetime | None
    held_until: datetime | None
    p50_ms: int | None
    p95_ms: int | None


# BETWEEN, since with = the planner goes down the primary key (seen): an endpoint that gets little
# would have the whole table read for its last attempts. Tests are taken off these afterwards: a
# hundred look-ups at most.
AT_A_GLANCE = """
SELECT h.endpoint_id, waiting.deliveries, failed.deliveries, h.last_success_at, h.last_failure_at,
    h.failures_in_a_row, h.failing_since, h.held_until, times.ms[1], times.ms[2]
FROM webhooks_health h
CROSS JOIN LATERAL (
    SELECT count(*) AS deliveries FROM (
        SELECT FROM webhooks_delivery d
        WHERE d.endpoint_id = h.endpoint_id AND d.state = 'pending' LIMIT %(most)s
    ) few
) waiting
CROSS JOIN LATERAL (
    SELECT count(*) AS deliveries FROM (
        SELECT FROM webhooks_delivery d
        WHERE d.endpoint_id = h.endpoint_id AND d.state = 'failed' AND NOT d.test
            AND d.finished_at > statement_timestamp() - interval '24 hours' LIMIT %(most)s
    ) few
) failed
CROSS JOIN LATERAL (
    SELECT percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY last.duration_ms) AS ms
    FROM (
        SELECT a.duration_ms, a.status_code, a.delivery_id FROM webhooks_attempt a
        WHERE a.endpoint_id BETWEEN h.endpoint_id AND h.endpoint_id
        ORDER BY a.endpoint_id, a.id DESC LIMIT %(last)s
    ) last
    JOIN webhooks_delivery d ON d.id = last.delivery_id
    WHERE last.status_code IS NOT NULL AND NOT d.test
) times
WHERE h.endpoint_id = ANY(%(endpoints)s)
"""


def at_a_glance(endpoint_ids: Iterable[int]) -> dict[int, Glance]:
    """How each of these endpoints does, by its id."""
    values: dict[str, Any] = {
        "endpoints": list(endpoint_ids),
        "most": COUNTED_AT_MOST,
        "last": LAST_ATTEMPTS,
    }
    with connection.cursor() as cursor:
        cursor.execute(AT_A_GLANCE, values)
        return {endpoint: Glance(*rest) for endpoint, *rest in cursor.fetchall()}
