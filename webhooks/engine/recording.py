"""Writes down how attempts ended, and what follows for deliveries and endpoints."""

import json
import logging
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from webhooks.models import Attempt

from . import breaker, verdict
from .claims import Taken
from .sender import Answer

logger = logging.getLogger(__name__)

DATABASE_AWAY = (OperationalError, InterfaceError)
ERROR_CHARACTERS = Attempt._meta.get_field("error").max_length or 0


@dataclass(frozen=True)
class Ended:
    """An attempt that is over."""

    taken: Taken
    request_headers: dict[str, str]  # as they may be shown
    answer: Answer


LOCK = """
SELECT h.endpoint_id, h.last_success_at, h.last_failure_at, h.failures_in_a_row, h.failing_since,
    h.held_until, n.deleted_at IS NOT NULL, n.url, clock_timestamp()
FROM webhooks_health h JOIN webhooks_endpoint n ON n.id = h.endpoint_id
WHERE h.endpoint_id = ANY(%s) ORDER BY h.endpoint_id FOR UPDATE OF h SKIP LOCKED
"""

END_DELIVERIES = """
UPDATE webhooks_delivery d SET state = ended.state, claimed_until = NULL,
    next_attempt_at = clock_timestamp() + make_interval(secs => ended.delay),
    finished_at = CASE WHEN ended.delay IS NULL THEN clock_timestamp() END,
    last_status_code = ended.status_code, last_error = ended.error
FROM unnest(%s::bigint[], %s::int[], %s::text[], %s::float8[], %s::int[], %s::text[])
    AS ended(id, claim, state, delay, status_code, error)
WHERE d.id = ended.id AND d.claim = ended.claim AND d.state = 'sending'
RETURNING d.id
"""

# Also of those that count as lost by now: this is what really happened.
END_ATTEMPTS = """
UPDATE webhooks_attempt a SET state = ended.state, finished_at = clock_timestamp(),
    duration_ms = ended.duration_ms, status_code = ended.status_code, error = ended.error,
    address = ended.address, request_headers = ended.request_headers::jsonb,
    response_headers = ended.response_headers::jsonb, response_body = ended.response_body,
    response_truncated = ended.truncated
FROM unnest(%s::bigint[], %s::text[], %s::int[], %s::int[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::text[], %s::bool[]) AS ended(id, state, duration_ms, status_code, error,
    address, request_headers, response_headers, response_body, truncated)
WHERE a.id = ended.id
"""

UPDATE_HEALTH = """
UPDATE webhooks_health h SET last_success_at = now.last_success_at,
    last_failure_at = now.last_failure_at, failures_in_a_row = now.failures_in_a_row,
    failing_since = now.failing_since, held_until = now.held_until
FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::int[], %s::timestamptz[],
    %s::timestamptz[]) AS now(endpoint_id, last_success_at, last_failure_at, failures_in_a_row,
    failing_since, held_until)
WHERE h.endpoint_id = now.endpoint_id
"""

DISABLE = """
UPDATE webhooks_endpoint SET enabled = false, disabled_at = clock_timestamp(),
    disabled_reason = %s, version = version + 1, updated_at = clock_timestamp()
WHERE id = %s AND enabled AND deleted_at IS NULL
"""


def record(ended: Sequence[Ended]) -> list[Ended]:
    """Write down `ended`; returns those whose endpoint somebody else holds at the moment.

    These are to be given again: nobody's frozen transaction keeps other endpoints' from being
    recorded. Twice is as good as once. Raises DATABASE_AWAY.

    What the database does not take (an answer that nobody thought of) is recorded without the
    answer, as a failure: else it would be sent again for ever, and with it all that ended then.
    """
    try:
        return _record(ended)
    except DATABASE_AWAY:
        raise
    except Exception as error:
        if len(ended) > 1:
            return [left for one in ended for left in record([one])]
        (one,) = ended
        logger.exception("delivery %s: its answer can't be kept", one.taken.delivery_id)
        return _record([replace(one, request_headers={}, answer=failed_here(error))])


def failed_here(error: Exception) -> Answer:
    """What stands for the answer where Stockroom itself is to blame."""
    return Answer(error=f"Stockroom itself failed: {type(error).__name__}.")


def _record(given: Sequence[Ended]) -> list[Ended]:
    endpoints = sorted({one.taken.endpoint.pk for one in given})
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK, [endpoints])
        health: dict[int, breaker.HealthState] = {}
        deleted: set[int] = set()
        urls: dict[int, str] = {}
        for endpoint, *state, is_deleted, url, at in cursor.fetchall():
            health[endpoint], urls[endpoint], now = breaker.HealthState(*state), url, at
            if is_deleted:
                deleted.add(endpoint)
        ended = [one for one in given if one.taken.endpoint.pk in health]
        if not ended:
            return list(given)
        verdicts = {one.taken.attempt_id: _verdict(one, now, deleted) for one in ended}
        ours = _end_deliveries(cursor, ended, verdicts)
        _end_attempts(cursor, ended, verdicts)
        counted = [
            one
            for one in ended
            if one.taken.delivery_id in ours
            and not one.taken.test
            # What the address before it answered says nothing of the present one.
            and one.taken.endpoint.url == urls[one.taken.endpoint.pk]
            # 410 to a callback is about its own URL, not about the host.
            and not (one.taken.endpoint.for_callbacks and verdicts[one.taken.attempt_id].gone)
        ]
        _update_health(cursor, counted, verdicts, health, now)
    return [one for one in given if one.taken.endpoint.pk not in health]


def _verdict(one: Ended, now: datetime, deleted: set[int]) -> verdict.Verdict:
    steps = settings.WEBHOOK_RETRY_SECONDS
    found = verdict.decide(one.answer, one.taken.tries, steps, now, random.random)
    if found.state == "retry" and (one.taken.test or one.taken.endpoint.pk in deleted):
        return verdict.Verdict("failed")
    return found


def _end_deliveries(
    cursor: Any, ended: Sequence[Ended], verdicts: dict[int, verdict.Verdict]
) -> set[int]:
    """Those that were still this worker's."""
    rows = []
    for one in ended:
        found = verdicts[one.taken.attempt_id]
        state = "pending" if found.state == "retry" else found.state
        rows.append(
            (
                *(one.taken.delivery_id, one.taken.claim, state, found.delay_seconds),
                *(one.answer.status_code, _cut(one.answer.error)),
            )
        )
    cursor.execute(END_DELIVERIES, _columns(rows))
    return {row[0] for row in cursor.fetchall()}


def _end_attempts(
    cursor: Any, ended: Sequence[Ended], verdicts: dict[int, verdict.Verdict]
) -> None:
    rows = []
    for one in ended:
        succeeded = verdicts[one.taken.attempt_id].state == "succeeded"
        answer = one.answer
        rows.append(
            (
                *(one.taken.attempt_id, "succeeded" if succeeded else "failed"),
                *(answer.duration_ms, answer.status_code, _cut(answer.error), answer.address),
                *(json.dumps(one.request_headers), json.dumps(answer.headers)),
                *(answer.body, answer.truncated),
            )
        )
    cursor.execute(END_ATTEMPTS, _columns(rows))


def _update_health(
    cursor: Any,
    ended: Sequence[Ended],
    verdicts: dict[int, verdict.Verdict],
    health: dict[int, breaker.HealthState],
    now: datetime,
) -> None:
    by_endpoint: dict[int, list[Ended]] = defaultdict(list)
    for one in ended:
        by_endpoint[one.taken.endpoint.pk].append(one)
    if not by_endpoint:
        return
    rows = []
    for endpoint, attempts in sorted(by_endpoint.items()):
        state = health[endpoint]
        for one in attempts:
            found = verdicts[one.taken.attempt_id]
            state = breaker.after(
                state,
                succeeded=found.state == "succeeded",
                started_at=one.taken.started_at,
                at=now,
                hold_seconds=found.hold_seconds,
                break_after=settings.WEBHOOK_BREAK_AFTER,
                break_seconds=settings.WEBHOOK_BREAK_SECONDS,
            )
        _log_pause(endpoint, health[endpoint], state)
        rows.append(
            (
                *(endpoint, state.last_success_at, state.last_failure_at),
                *(state.failures_in_a_row, state.failing_since, state.held_until),
            )
        )
        reason = _why_disable(state, now, [verdicts[one.taken.attempt_id] for one in attempts])
        # Nobody could enable one for callbacks again.
        if reason and not attempts[0].taken.endpoint.for_callbacks:
            cursor.execute(DISABLE, [reason, endpoint])
            if cursor.rowcount:
                logger.warning("webhook endpoint %s is disabled: %s", endpoint, reason)
    cursor.execute(UPDATE_HEALTH, _columns(rows))


def _log_pause(endpoint: int, before: breaker.HealthState, now: breaker.HealthState) -> None:
    """One line where the circuit opens, one where it closes."""
    was, failures = before.failures_in_a_row, now.failures_in_a_row
    if was < settings.WEBHOOK_BREAK_AFTER <= failures:
        logger.warning("webhook endpoint %s is paused after %s failures", endpoint, failures)
    elif was >= settings.WEBHOOK_BREAK_AFTER > failures:
        logger.info("webhook endpoint %s works again after %s failures", endpoint, was)


def _why_disable(
    state: breaker.HealthState, now: datetime, verdicts: Sequence[verdict.Verdict]
) -> str:
    if any(found.gone for found in verdicts):
        return "It answered 410 Gone: it does not want any more."
    hours = settings.WEBHOOK_DISABLE_AFTER_HOURS
    if breaker.given_up(state, now, timedelta(hours=hours)):
        return f"All attempts failed for more than {hours:g} hours."
    return ""


def _cut(error: str) -> str:
    """With a host's name of 253 characters in it an error gets long."""
    return error if len(error) <= ERROR_CHARACTERS else f"{error[: ERROR_CHARACTERS - 1]}…"


def _columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
