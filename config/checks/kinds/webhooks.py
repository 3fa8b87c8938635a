"""Events with their deliveries and attempts: what the rules of the engine leave no room for.

Of the last days only, by indexes; each question is one statement and so of one moment.
"""

from typing import Any

from django.conf import settings
from django.urls import reverse

from config.checks.findings import Finding, Outcome, counted
from config.checks.watch import Watch
from webhooks.event_types import BY_NAME

DAYS = 7.0
# The engine looks each WEBHOOK_POLL_SECONDS; a minute is a long time for it.
LATE_SECONDS = 60.0
SHOWN = 100  # of each kind

# Certain only for endpoints that nobody has changed since the event. Tests and callbacks are made
# for one endpoint each, whatever others want; some types must be wanted by their names.
UNTOLD = """
SELECT e.id, e.type, n.id, n.url FROM webhooks_event e
JOIN webhooks_endpoint n ON n.enabled AND n.deleted_at IS NULL AND NOT n.for_callbacks
    AND n.created_at <= e.occurred_at AND n.updated_at <= e.occurred_at
    AND n.event_types && CASE WHEN e.type = ANY(%(by_name)s)
        THEN ARRAY[e.type] ELSE ARRAY[e.type, '*'] END::varchar[]
WHERE e.fanned_out_at IS NOT NULL AND e.occurred_at > %(since)s
    AND NOT EXISTS (
        SELECT FROM webhooks_delivery d WHERE d.event_id = e.id AND d.endpoint_id = n.id)
    AND NOT EXISTS (
        SELECT FROM webhooks_delivery d JOIN webhooks_endpoint c ON c.id = d.endpoint_id
        WHERE d.event_id = e.id AND (d.test OR c.for_callbacks))
"""
WAITING = """
SELECT id, type, round(extract(epoch FROM now() - occurred_at)) FROM webhooks_event
WHERE fanned_out_at IS NULL AND occurred_at < now() - make_interval(secs => %(late)s)
"""
NO_LEASE = """
SELECT id, NULL, claimed_until FROM webhooks_delivery WHERE state = 'sending'
    AND (claimed_until IS NULL OR claimed_until < now() - make_interval(secs => %(late)s))
"""
NEVER_DUE = """
SELECT id, NULL, NULL FROM webhooks_delivery WHERE state = 'pending' AND next_attempt_at IS NULL
"""
NO_END = """
SELECT id, state, NULL FROM webhooks_delivery
WHERE created_at > %(since)s AND ((state IN ('succeeded', 'failed')) <> (finished_at IS NOT NULL))
"""
NO_SUCCESS = """
SELECT d.id, NULL, NULL FROM webhooks_delivery d
WHERE d.created_at > %(since)s AND d.state = 'succeeded' AND NOT EXISTS (
    SELECT FROM webhooks_attempt a WHERE a.delivery_id = d.id AND a.state = 'succeeded')
"""
MISCOUNTED = """
SELECT d.id, d.attempts_made, count(a.id) FROM webhooks_delivery d
LEFT JOIN webhooks_attempt a ON a.delivery_id = d.id
WHERE d.created_at > %(since)s GROUP BY d.id HAVING count(a.id) <> d.attempts_made
"""
LEFT_BEHIND = """
SELECT d.id, a.number, NULL FROM webhooks_attempt a JOIN webhooks_delivery d ON d.id = a.delivery_id
WHERE d.created_at > %(since)s AND a.state = 'sending' AND d.state <> 'sending'
"""
NO_HEALTH = """
SELECT n.id, n.url, NULL FROM webhooks_endpoint n WHERE n.deleted_at IS NULL
    AND NOT EXISTS (SELECT FROM webhooks_health h WHERE h.endpoint_id = n.id)
"""
NO_SECRET = """
SELECT n.id, n.url, NULL FROM webhooks_endpoint n WHERE n.deleted_at IS NULL AND n.enabled
    AND (NOT n.for_callbacks OR n.created_by_id IS NOT NULL)
    AND NOT EXISTS (SELECT FROM webhooks_secret s WHERE s.expires_at IS NULL
        AND (s.endpoint_id = n.id OR (n.for_callbacks AND s.owner_id = n.created_by_id)))
"""
COUNTS = """
SELECT (SELECT count(*) FROM webhooks_event WHERE occurred_at > %(since)s),
    (SELECT count(*) FROM webhooks_delivery WHERE created_at > %(since)s),
    (SELECT count(*) FROM webhooks_endpoint WHERE deleted_at IS NULL AND NOT for_callbacks)
"""
REPORT = "Please report this: it should not be possible."
START = (
    "Start the consumer `deliveries`, or look under Operations at what it says: nothing is sent"
    " without it."
)
# What is asked, the words for a row, what to do.
QUESTIONS: tuple[tuple[str, str, str], ...] = (
    (NO_LEASE, "is being sent by nobody: its lease ended at {2}", START),
    (NEVER_DUE, "waits, and is never due", "Send it again by hand: Retry on its page."),
    (NO_END, "is {1}, which does not go with its end", REPORT),
    (NO_SUCCESS, "counts as succeeded, and no attempt did", "Send it again by hand: Retry."),
    (MISCOUNTED, "counts {1} attempts, and {2} are kept", REPORT),
    (LEFT_BEHIND, "is not being sent any more, and its attempt {1} is", REPORT),
)
ENDPOINTS: tuple[tuple[str, str, str], ...] = (
    (NO_HEALTH, "has no health, so nothing is ever sent to it", "Delete it, and make it anew."),
    (NO_SECRET, "has no secret, so nothing is signed", "Rotate its secret."),
)


def run(watch: Watch) -> Outcome:
    """Raises NotChecked."""
    outcome = Outcome()
    days = min(DAYS, settings.EVENT_KEEP_DAYS * 0.9)
    watch.say("Looking at events and deliveries")
    with watch.cursor() as cursor:
        cursor.execute("SELECT now() - make_interval(secs => %s)", [days * 86_400])
        values = {"since": cursor.fetchone()[0], "late": LATE_SECONDS, "by_name": sorted(BY_NAME)}
        cursor.execute(COUNTS, values)
        events, deliveries, endpoints = cursor.fetchone()
        for untold in _ask(cursor, UNTOLD, values, outcome):
            event, kind, endpoint, url = untold
            outcome.add(
                f"event evt_{event.hex}",
                f"{kind} was never made a delivery for {url}, which wants it",
                f"Tell the receiver by hand. {REPORT}",
                reverse("webhooks:endpoint", args=[endpoint]),
            )
        _waiting(cursor, values, outcome)
        for question, words, advice in QUESTIONS:
            for row in _ask(cursor, question, values, outcome):
                url = reverse("webhooks:delivery", args=[row[0]])
                outcome.add(f"delivery {row[0]}", words.format(*row), advice, url)
        for question, words, advice in ENDPOINTS:
            for row in _ask(cursor, question, values, outcome):
                outcome.add(f"endpoint {row[1]}", words, advice, reverse("webhooks:endpoints"))
    outcome.looked_at = events + deliveries + endpoints
    outcome.summary = (
        f"{counted(events, 'event')} and {counted(deliveries, 'delivery', 'deliveries')} of the"
        f" last {days:g} days, {counted(endpoints, 'endpoint')}."
        if outcome.looked_at
        else f"There are no endpoints, and no events of the last {days:g} days."
    )
    return outcome


def _ask(cursor: Any, question: str, values: dict[str, Any], outcome: Outcome) -> list[Any]:
    """The first rows; the others are counted as found."""
    cursor.execute(question, values)
    rows: list[Any] = cursor.fetchall()
    outcome.count([], max(0, len(rows) - SHOWN))
    return rows[:SHOWN]


def _waiting(cursor: Any, values: dict[str, Any], outcome: Outcome) -> None:
    """All in one: a stopped engine is one thing that is wrong."""
    cursor.execute(WAITING, values)
    rows = cursor.fetchall()
    if rows:
        oldest = max(round(seconds) for _, _, seconds in rows)
        what = f"{counted(len(rows), 'event')} without deliveries, the oldest for {oldest:,} s"
        finding = Finding("new events", what, START, reverse("operations"))
        outcome.count([finding], 1)
