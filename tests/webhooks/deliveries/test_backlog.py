"""When the engine is said to be behind."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from webhooks.deliveries import backlog as module
from webhooks.deliveries.backlog import backlog
from webhooks.models import Attempt, Endpoint, Event, Health

from .conftest import deliver

pytestmark = pytest.mark.django_db


def ago(seconds: float):
    return timezone.now() - timedelta(seconds=seconds)


@pytest.fixture
def endpoint(make_endpoint) -> Endpoint:
    """As it is since an hour."""
    endpoint = make_endpoint()
    Endpoint.objects.update(created_at=ago(3600), updated_at=ago(3600))
    return endpoint


def waits(endpoint: Endpoint, count: int = 1, seconds: float = 150) -> None:
    for _ in range(count):
        deliver(endpoint, "pending", ago(seconds))


def test_nothing_waits(endpoint):
    deliver(endpoint, "failed", ago(300))
    deliver(endpoint, "pending", ago(-300))
    assert backlog() is None


@pytest.mark.parametrize("seconds", [5, 20])
def test_what_is_due_for_a_moment_is_no_backlog(endpoint, seconds):
    waits(endpoint, seconds=seconds)
    Event.objects.create(type="product.created", data={}, occurred_at=ago(seconds))
    assert backlog() is None


def test_nothing_was_sent_although_much_is_due(endpoint):
    deliver(endpoint, "pending", ago(10))
    waits(endpoint, 3)
    found = backlog()
    assert found.silent and found.silent_for == "2 min" == found.oldest_for
    assert (found.deliveries, found.events) == (4, 0)


def test_events_wait_that_nobody_has_made_deliveries_of(db):
    Event.objects.create(type="product.created", data={}, occurred_at=ago(45))
    found = backlog()
    assert found.silent and (found.deliveries, found.events) == (0, 1)
    assert found.silent_for == "45 s"


def test_something_is_sent_but_too_little(endpoint, make_endpoint):
    waits(endpoint)
    Attempt.objects.create(
        delivery=deliver(make_endpoint()), endpoint=endpoint, number=1, started_at=ago(60)
    )
    assert backlog().silent_for == "1 min"
    other = deliver(make_endpoint())
    Attempt.objects.create(delivery=other, endpoint=endpoint, number=1, started_at=ago(2))
    found = backlog()
    assert not found.silent and found.oldest_for == "2 min"


def test_disabled_deleted_and_held_endpoints_do_not_count(endpoint, make_endpoint):
    waits(endpoint)
    for columns in ({"enabled": False}, {"deleted_at": timezone.now()}):
        Endpoint.objects.update(**{"enabled": True, "deleted_at": None} | columns)
        assert backlog() is None
    Endpoint.objects.update(enabled=True, deleted_at=None)
    Health.objects.update(held_until=ago(-60))
    assert backlog() is None
    Health.objects.update(held_until=ago(60))
    assert backlog().silent_for == "1 min"


def test_what_was_just_enabled_or_let_go_gets_its_time(endpoint):
    waits(endpoint)
    Health.objects.update(held_until=ago(3))
    assert backlog() is None
    Health.objects.update(held_until=None)
    Endpoint.objects.update(updated_at=ago(3))
    assert backlog() is None


def test_a_slow_endpoint_is_behind_itself(endpoint):
    waits(endpoint)
    sending = deliver(endpoint, "sending", ago(-10))
    assert backlog() is None
    sending.claimed_until = ago(1)  # of a worker that was killed
    sending.save()
    assert backlog() is not None


def test_counting_stops(endpoint, monkeypatch):
    monkeypatch.setattr(module, "COUNTED_AT_MOST", 2)
    waits(endpoint, 4)
    assert backlog().deliveries == 2


MANY = """
INSERT INTO webhooks_event (id, type, data, occurred_at, fanned_out_at)
SELECT gen_random_uuid(), 'product.updated', '{}', now() - n * interval '1 second', now()
FROM generate_series(1, 20000) n;
INSERT INTO webhooks_delivery (event_id, endpoint_id, event_type, state, claim, tries,
    attempts_made, by_hand, test, last_error, next_attempt_at, created_at)
SELECT id, %s, type, CASE WHEN random() < 0.5 THEN 'pending' ELSE 'failed' END, 0, 0, 1, false,
    false, '', occurred_at, occurred_at
FROM webhooks_event;
ANALYZE webhooks_event, webhooks_delivery
"""


def test_it_reads_no_table_wholly(endpoint):
    with connection.cursor() as cursor:
        cursor.execute(MANY, [endpoint.pk])
        cursor.execute(f"EXPLAIN {module.OLDEST}", {"most": 1})
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan on webhooks_delivery" not in plan and "Seq Scan on webhooks_event" not in plan
    assert "webhooks_delivery_due" in plan and "webhooks_event_outbox" in plan
