"""The two ways into webhooks for other areas: events for endpoints, and callbacks to one URL."""

import json
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from config.accounts.models import User

from .engine.addresses import Refused, origin
from .models import Event
from .signing import new_secret

logger = logging.getLogger(__name__)

CHANNEL = "stockroom_webhooks"  # on which PostgreSQL wakes the engine


@dataclass(frozen=True)
class Callback:
    """`data` (JSON-able) for `url`, signed with the secret of the account `owner_id`."""

    owner_id: int
    url: str
    data: dict[str, Any]
    request_id: str = ""
    """Of the request that it is the outcome of."""


def emit(event_type: str, data: dict[str, Any]) -> Event:
    """Record that `event_type` (see event_types.py) happened; called in the change's transaction.

    `data` is JSON-able. The engine makes the deliveries after the commit: the cost of a change
    does not grow with the number of endpoints.
    """
    event: Event = Event.objects.create(type=event_type, data=data)
    wake()
    return event


def wake() -> None:
    """Have the engine look for work once the current transaction commits.

    Losing this is harmless: it looks every WEBHOOK_POLL_SECONDS anyway.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


# Locked, so that the purge of unused ones passes these over; nobody else waits for that.
FIND = """
SELECT n.created_by_id, n.url, n.id
FROM unnest(%(owners)s::bigint[], %(origins)s::text[]) AS wanted(owner, origin)
JOIN webhooks_endpoint n ON n.created_by_id = wanted.owner AND n.url = wanted.origin
    AND n.for_callbacks AND n.deleted_at IS NULL
FOR KEY SHARE OF n
"""

# In one order, so that two that make the same can't deadlock. An account that is deleted at this
# moment is waited for, and gets none.
MAKE = f"""
WITH made AS (
    INSERT INTO webhooks_endpoint (url, created_by_id, for_callbacks, event_types, description,
        headers, enabled, disabled_reason, version)
    SELECT wanted.origin, owner.id, true, '{{}}', '', '{{}}', true, '', 1
    FROM unnest(%(owners)s::bigint[], %(origins)s::text[]) AS wanted(owner, origin)
    JOIN {User._meta.db_table} owner ON owner.id = wanted.owner
    ORDER BY owner.id, wanted.origin FOR KEY SHARE OF owner
    ON CONFLICT (created_by_id, url) WHERE for_callbacks AND deleted_at IS NULL DO NOTHING
    RETURNING id
)
INSERT INTO webhooks_health (endpoint_id, failures_in_a_row) SELECT id, 0 FROM made
"""

SIGN = f"""
INSERT INTO webhooks_secret (owner_id, value)
SELECT owner.id, wanted.value
FROM unnest(%(owners)s::bigint[], %(secrets)s::text[]) AS wanted(owner, value)
JOIN {User._meta.db_table} owner ON owner.id = wanted.owner
ORDER BY owner.id FOR KEY SHARE OF owner
ON CONFLICT (owner_id) WHERE expires_at IS NULL DO NOTHING
"""

TELL = """
WITH told AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(data)s::text[], %(endpoints)s::bigint[],
        %(urls)s::text[], %(requests)s::text[])
        WITH ORDINALITY AS one(id, data, endpoint, url, request, place)
), happened AS (
    INSERT INTO webhooks_event (id, type, data, occurred_at, fanned_out_at, request_id)
    SELECT id, %(type)s, data::jsonb, statement_timestamp(), statement_timestamp(), request
    FROM told
)
INSERT INTO webhooks_delivery (event_id, endpoint_id, url, event_type, state, next_attempt_at,
    claim, tries, attempts_made, by_hand, test, last_error)
SELECT id, endpoint, url, %(type)s, 'pending', statement_timestamp(),
    0, 0, 0, false, false, ''
FROM told ORDER BY place
RETURNING event_id, id
"""


def call_back(event_type: str, callbacks: Sequence[Callback]) -> list[int | None]:
    """Have each told to its URL as an event of its own; called in the change's transaction.

    Returns the ids of their deliveries in the same order: None for what nobody can be told of,
    since its account is deleted or its URL is none. Takes a handful of statements, however many
    there are. The guard of addresses looks at the URL when it is sent.
    """
    keys = [_key(one) for one in callbacks]
    endpoints = _endpoints({key for key in keys if key is not None})
    given = [
        (place, endpoints[key], one)
        for place, (key, one) in enumerate(zip(keys, callbacks, strict=True))
        if key is not None and key in endpoints
    ]
    if len(given) < len(callbacks):
        logger.warning("callbacks: %s have nowhere to go", len(callbacks) - len(given))
    found: list[int | None] = [None] * len(callbacks)
    if not given:
        return found
    events = [uuid.uuid4() for _ in given]
    values: dict[str, Any] = {
        "type": event_type,
        "ids": [str(event) for event in events],
        "data": [json.dumps(one.data, allow_nan=False) for *_, one in given],
        "endpoints": [endpoint for _, endpoint, _ in given],
        "urls": [one.url for *_, one in given],
        "requests": [one.request_id for *_, one in given],
    }
    with connection.cursor() as cursor:
        cursor.execute(TELL, values)
        deliveries = dict(cursor.fetchall())
    for (place, *_), event in zip(given, events, strict=True):
        found[place] = deliveries[event]
    wake()
    return found


Key = tuple[int, str]  # an account and the host that it is called back at


def _key(one: Callback) -> Key | None:
    try:
        return one.owner_id, origin(one.url)
    except Refused as refusal:
        logger.warning("callback of account %s: %s", one.owner_id, refusal)
        return None


def _endpoints(wanted: set[Key]) -> dict[Key, int]:
    """The endpoint of each, made where it is missing; none for who has no account any more."""
    found = _find(wanted)
    missing = wanted - found.keys()
    if missing:
        owners = sorted({owner for owner, _ in missing})
        with connection.cursor() as cursor:
            cursor.execute(MAKE, _columns(missing))
            cursor.execute(SIGN, {"owners": owners, "secrets": [new_secret() for _ in owners]})
        found |= _find(missing)
    return found


def _find(wanted: set[Key]) -> dict[Key, int]:
    with connection.cursor() as cursor:
        cursor.execute(FIND, _columns(wanted))
        return {(owner, url): pk for owner, url, pk in cursor.fetchall()}


def _columns(keys: set[Key]) -> dict[str, list[Any]]:
    return {"owners": [owner for owner, _ in keys], "origins": [url for _, url in keys]}
