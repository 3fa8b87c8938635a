"""Who sends what: deliveries are claimed by conditional UPDATE, attempts written beforehand.

Two workers never make the same attempt: a claim raises the delivery's `claim`, and whoever
records an attempt's end proves with that number that the delivery is still its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import TextField
from django.db.models.functions import Cast

from webhooks.models import Endpoint, Event


@dataclass(frozen=True)
class Taken:
    """A delivery that is this worker's until its lease ends, with all that an attempt needs."""

    delivery_id: int
    claim: int
    attempt_id: int
    number: int  # of the attempt, 1 for the first
    tries: int  # steps of the schedule that are used up, this one included
    test: bool
    event: Event  # without its data
    data: str  # of the event, as JSON: read by the attempt, which alone fails where it can't be
    endpoint: Endpoint
    url: str  # where it goes: the endpoint's, or a callback's own
    secrets: tuple[str, ...]
    failing: bool  # its endpoint had failures
    started_at: datetime


LOST_FREELY = 3  # attempts of a delivery

# Rows are looked for by `statement_timestamp()`: no index serves a condition on the volatile
# `clock_timestamp()`.
#
# Health rows are locked first, and what is in flight is counted by the next statement, whose
# snapshot is younger than the locks: so two workers can't both fill the last place.
READY = """
SELECT h.endpoint_id, h.failures_in_a_row
FROM webhooks_health h JOIN webhooks_endpoint n ON n.id = h.endpoint_id
WHERE n.enabled AND n.deleted_at IS NULL AND n.for_callbacks = %(for_callbacks)s
    AND (h.held_until IS NULL OR h.held_until <= statement_timestamp())
    AND (h.failures_in_a_row > 0) = %(failing)s
    AND EXISTS (SELECT FROM webhooks_delivery d WHERE d.endpoint_id = n.id
        AND d.state = 'pending' AND d.next_attempt_at <= statement_timestamp())
ORDER BY h.endpoint_id
FOR UPDATE OF h SKIP LOCKED
"""

DUE = """
SELECT due.id FROM unnest(%(endpoints)s::bigint[], %(most)s::int[]) AS ready(endpoint_id, most)
CROSS JOIN LATERAL (
    SELECT id, next_attempt_at FROM webhooks_delivery
    WHERE endpoint_id = ready.endpoint_id AND state = 'pending'
        AND next_attempt_at <= statement_timestamp()
    ORDER BY next_attempt_at, id
    LIMIT greatest(0, ready.most - (SELECT count(*) FROM webhooks_delivery
        WHERE endpoint_id = ready.endpoint_id AND state = 'sending'))
    FOR UPDATE SKIP LOCKED
) due
ORDER BY due.next_attempt_at, due.id LIMIT %(limit)s
"""

# Above the cap, for somebody waits; but a thousand of them must not take all places.
BY_HAND = """
SELECT due.id FROM (
    SELECT DISTINCT d.endpoint_id, n.for_callbacks
    FROM webhooks_delivery d JOIN webhooks_endpoint n ON n.id = d.endpoint_id
    WHERE n.deleted_at IS NULL AND d.state = 'pending' AND d.by_hand
        AND d.next_attempt_at <= statement_timestamp()
) asked
CROSS JOIN LATERAL (
    SELECT id, next_attempt_at FROM webhooks_delivery
    WHERE endpoint_id = asked.endpoint_id AND state = 'pending' AND by_hand
        AND next_attempt_at <= statement_timestamp()
    ORDER BY next_attempt_at, id
    LIMIT greatest(0, 2 * CASE WHEN asked.for_callbacks THEN %(callbacks)s ELSE %(cap)s END
        - (SELECT count(*) FROM webhooks_delivery
            WHERE endpoint_id = asked.endpoint_id AND state = 'sending'))
    FOR UPDATE SKIP LOCKED
) due
ORDER BY due.next_attempt_at, due.id LIMIT %(limit)s
"""

CLAIM = """
WITH claimed AS (
    UPDATE webhooks_delivery d SET state = 'sending', claim = claim + 1, tries = tries + 1,
        attempts_made = attempts_made + 1, by_hand = false, next_attempt_at = NULL,
        claimed_until = clock_timestamp() + make_interval(secs => %(lease)s)
    FROM webhooks_endpoint n WHERE d.id = ANY(%(ids)s) AND n.id = d.endpoint_id
    RETURNING d.id, d.claim, d.attempts_made, d.tries, d.test, d.event_id, d.endpoint_id,
        coalesce(nullif(d.url, ''), n.url) AS url
), begun AS (
    INSERT INTO webhooks_attempt (delivery_id, endpoint_id, number, state, url, request_headers,
        address, error, response_headers, response_body, response_truncated, started_at)
    SELECT id, endpoint_id, attempts_made, 'sending', url, '{}', '', '', '{}', '', false,
        clock_timestamp()
    FROM claimed ORDER BY id
    RETURNING id AS attempt_id, delivery_id, started_at
)
SELECT c.id, c.claim, b.attempt_id, c.attempts_made, c.tries, c.test, c.event_id, c.endpoint_id,
    c.url, h.failures_in_a_row > 0, b.started_at
FROM claimed c JOIN begun b ON b.delivery_id = c.id
    JOIN webhooks_health h ON h.endpoint_id = c.endpoint_id
ORDER BY c.id
"""

# An endpoint's own ones, or those of whose callbacks they are.
SECRETS = """
SELECT n.id, s.value FROM webhooks_endpoint n JOIN webhooks_secret s
    ON s.endpoint_id = n.id OR (n.for_callbacks AND s.owner_id = n.created_by_id)
WHERE n.id = ANY(%s) AND (s.expires_at IS NULL OR s.expires_at > statement_timestamp())
ORDER BY n.id, s.id DESC
"""


def take(free: int, failing: int, callbacks: int | None = None) -> list[Taken]:
    """Claim up to `free` deliveries that are due, `failing` of them for endpoints with failures.

    Of those that nobody asked for at most `callbacks` are callbacks: their hosts are chosen by who
    places orders, and thousands that hang must not take all places.

    What somebody asked for comes first, whatever its endpoint's circuit says and up to twice its
    cap, then what is for endpoints without failures. One whose circuit was open gets one attempt
    at a time.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        caps = {"cap": _cap(for_callbacks=False), "callbacks": _cap(for_callbacks=True)}
        ids = _column(cursor, BY_HAND, **caps, limit=free)
        callbacks = free if callbacks is None else callbacks
        for with_failures in (False, True):
            limit = min(free - len(ids), failing) if with_failures else free - len(ids)
            due = _due(cursor, limit, callbacks, failing=with_failures)
            ids += [delivery for delivery, _ in due]
            failing -= len(due) if with_failures else 0
            callbacks -= sum(for_callbacks for _, for_callbacks in due)
        if not ids:
            return []
        cursor.execute(CLAIM, {"ids": ids, "lease": settings.WEBHOOK_LEASE_SECONDS})
        return _with_what_they_need(cursor, cursor.fetchall())


def _due(cursor: Any, limit: int, callbacks: int, *, failing: bool) -> list[tuple[int, bool]]:
    """Up to `limit` deliveries, of these up to `callbacks` callbacks: whether each is one."""
    if limit <= 0:
        return []
    ready = {kind: _ready(cursor, failing, kind) for kind in (False, True)}
    # A quarter of all places is for callbacks that wait: a backlog of other events needs the rest.
    kept = max(0, callbacks - settings.WEBHOOK_IN_FLIGHT // 2) if ready[True] else 0
    found: list[tuple[int, bool]] = []
    for kind, most in ((False, limit - kept), (True, callbacks)):
        most = min(most, limit - len(found))
        if ready[kind] and most > 0:
            places = [
                1 if failures >= settings.WEBHOOK_BREAK_AFTER else _cap(for_callbacks=kind)
                for _, failures in ready[kind]
            ]
            endpoints = [endpoint for endpoint, _ in ready[kind]]
            ids = _column(cursor, DUE, endpoints=endpoints, most=places, limit=most)
            found += [(delivery, kind) for delivery in ids]
    return found


def _ready(cursor: Any, failing: bool, for_callbacks: bool) -> list[tuple[int, int]]:
    """Endpoints with something due, and their failures in a row; locked."""
    cursor.execute(READY, {"failing": failing, "for_callbacks": for_callbacks})
    rows: list[tuple[int, int]] = cursor.fetchall()
    return rows


def _cap(*, for_callbacks: bool) -> int:
    """Attempts that one endpoint gets at once."""
    cap: int = (
        settings.WEBHOOK_CALLBACKS_IN_FLIGHT
        if for_callbacks
        else settings.WEBHOOK_IN_FLIGHT_PER_ENDPOINT
    )
    return cap


def _with_what_they_need(cursor: Any, rows: Sequence[tuple[Any, ...]]) -> list[Taken]:
    texts = Event.objects.defer("data").annotate(text=Cast("data", TextField()))
    events = texts.in_bulk({row[6] for row in rows})
    endpoints = Endpoint.objects.in_bulk({row[7] for row in rows})
    cursor.execute(SECRETS, [list(endpoints)])
    secrets: dict[int, tuple[str, ...]] = {}
    for endpoint, value in cursor.fetchall():
        secrets[endpoint] = (*secrets.get(endpoint, ()), value)
    return [
        Taken(
            *row[:6],
            event=events[row[6]],
            data=events[row[6]].text,
            endpoint=endpoints[row[7]],
            url=row[8],
            secrets=secrets.get(row[7], ()),
            failing=row[9],
            started_at=row[10],
        )
        for row in rows
    ]


LOST = """
WITH lost AS (
    SELECT id FROM webhooks_delivery
    WHERE state = 'sending' AND claimed_until < statement_timestamp()
    LIMIT 1000 FOR UPDATE SKIP LOCKED
), attempts AS (
    UPDATE webhooks_attempt SET state = 'lost', finished_at = clock_timestamp(),
        error = 'The worker was stopped: nobody knows whether it arrived.'
    WHERE delivery_id IN (SELECT id FROM lost) AND state = 'sending'
)
UPDATE webhooks_delivery SET state = 'pending', claim = claim + 1,
    tries = tries - (attempts_made - tries < %s)::int,
    next_attempt_at = clock_timestamp(), claimed_until = NULL, by_hand = test
WHERE id IN (SELECT id FROM lost)
"""


def release_lost() -> int:
    """Give back what killed workers had; returns how many.

    A lost try is not counted, but for those above LOST_FREELY: the delivery itself may be what
    kills.
    """
    with connection.cursor() as cursor:
        cursor.execute(LOST, [LOST_FREELY])
        return cursor.rowcount


def _column(cursor: Any, statement: str, **values: object) -> list[Any]:
    cursor.execute(statement, values)
    return [row[0] for row in cursor.fetchall()]
