"""Whether the engine is behind: for the notice above the endpoints and the log."""

from dataclasses import dataclass
from typing import Any

from django.db import connection

from .words import span

BEHIND_SECONDS = 30.0
COUNTED_AT_MOST = 10_000  # a larger count stops there


@dataclass(frozen=True)
class Backlog:
    """What should have been sent by now."""

    silent_seconds: float
    """For which it waits and nothing at all was sent. Small where only too little is sent."""
    oldest_seconds: float
    """For which the oldest of it waits."""
    deliveries: int
    """That are due; COUNTED_AT_MOST stands for as many or more."""
    events: int
    """Whose deliveries are not made yet, counted in the same way."""

    @property
    def silent(self) -> bool:
        """Whether nothing at all is sent."""
        return self.silent_seconds > BEHIND_SECONDS

    @property
    def silent_for(self) -> str:
        return span(self.silent_seconds)

    @property
    def oldest_for(self) -> str:
        return span(self.oldest_seconds)


# As claims.READY and claims.DUE have it. What a pause or a change of its endpoint held back counts
# from its end; endpoints that are held back (circuit open, Retry-After) are not due.
DUE = """
FROM webhooks_endpoint n JOIN webhooks_health h ON h.endpoint_id = n.id
CROSS JOIN LATERAL (
    SELECT greatest(d.next_attempt_at, h.held_until, n.updated_at) AS since
    FROM webhooks_delivery d
    WHERE d.endpoint_id = n.id AND d.state = 'pending'
        AND d.next_attempt_at <= statement_timestamp()
    ORDER BY d.next_attempt_at LIMIT %(most)s
) due
WHERE n.enabled AND n.deleted_at IS NULL
    AND (h.held_until IS NULL OR h.held_until <= statement_timestamp())
"""
# An endpoint with attempts under way waits for itself: it is slow, the engine is not behind; a
# killed worker's attempts are under way until their lease ends.
NOT_SENT = f"""{DUE}
    AND NOT EXISTS (SELECT FROM webhooks_delivery d WHERE d.endpoint_id = n.id
        AND d.state = 'sending' AND d.claimed_until > statement_timestamp())
"""

OLDEST = f"""
SELECT extract(epoch FROM statement_timestamp() - least(
    (SELECT min(due.since) {NOT_SENT}),
    (SELECT occurred_at FROM webhooks_event WHERE fanned_out_at IS NULL
        ORDER BY occurred_at LIMIT 1)
))::float
"""

DETAILS = f"""
SELECT
    (SELECT extract(epoch FROM statement_timestamp() - started_at)::float
        FROM webhooks_attempt ORDER BY id DESC LIMIT 1),
    (SELECT count(*) FROM (SELECT {NOT_SENT} LIMIT %(most)s) few),
    (SELECT count(*) FROM (
        SELECT FROM webhooks_event WHERE fanned_out_at IS NULL LIMIT %(most)s
    ) few)
"""


def backlog() -> Backlog | None:
    """What has waited for more than BEHIND_SECONDS; None where the engine is not behind."""
    with connection.cursor() as cursor:
        oldest: float | None = _row(cursor, OLDEST, most=1)[0]
        if oldest is None or oldest <= BEHIND_SECONDS:
            return None
        last, deliveries, events = _row(cursor, DETAILS, most=COUNTED_AT_MOST)
    silent = oldest if last is None else min(oldest, last)
    return Backlog(silent, oldest, deliveries, events)


def _row(cursor: Any, statement: str, **values: object) -> Any:
    cursor.execute(statement, values)
    return cursor.fetchone()
