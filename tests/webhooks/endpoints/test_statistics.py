import math
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webhooks.dispatch import emit
from webhooks.endpoints import statistics
from webhooks.endpoints.statistics import at_a_glance
from webhooks.models import Attempt, AttemptState, Delivery, DeliveryState, Endpoint, Health

pytestmark = pytest.mark.django_db


def deliver(endpoint: Endpoint, **columns: Any) -> Delivery:
    event = emit("product.created", {})
    return Delivery.objects.create(event=event, endpoint=endpoint, event_type=event.type, **columns)


def attempt(delivery: Delivery, *durations_ms: int, **columns: Any) -> None:
    """Answered attempts, the oldest first."""
    ended = {"state": AttemptState.SUCCEEDED, "status_code": 200} | columns
    Attempt.objects.bulk_create(
        Attempt(
            delivery=delivery,
            endpoint=delivery.endpoint,
            number=number,
            duration_ms=duration,
            **ended,
        )
        for number, duration in enumerate(durations_ms, 1)
    )


def times(endpoint: Endpoint) -> tuple[int | None, int | None]:
    glance = at_a_glance([endpoint.pk])[endpoint.pk]
    return glance.p50_ms, glance.p95_ms


def test_a_new_endpoint_has_no_history(make_endpoint):
    endpoint = make_endpoint()
    assert at_a_glance([endpoint.pk]) == {
        endpoint.pk: statistics.Glance(0, 0, None, None, 0, None, None, None, None)
    }
    assert at_a_glance([]) == {}


def test_all_endpoints_take_one_query(make_endpoint, django_assert_num_queries):
    endpoints = [make_endpoint() for _ in range(5)]
    make_endpoint()
    for endpoint in endpoints:
        attempt(deliver(endpoint), 10, 20)
    with django_assert_num_queries(1):
        assert set(at_a_glance(endpoint.pk for endpoint in endpoints)) == {
            endpoint.pk for endpoint in endpoints
        }


def test_it_has_the_health_of_each(make_endpoint):
    one, other = make_endpoint(), make_endpoint()
    now = timezone.now()
    Health.objects.filter(pk=one.pk).update(
        last_success_at=now,
        last_failure_at=now - timedelta(1),
        failures_in_a_row=3,
        failing_since=now - timedelta(2),
        held_until=now + timedelta(1),
    )
    found = at_a_glance([one.pk, other.pk])
    assert found[one.pk] == statistics.Glance(
        *(0, 0, now, now - timedelta(1), 3, now - timedelta(2), now + timedelta(1), None, None)
    )
    assert found[other.pk].failures_in_a_row == 0


def test_deliveries_are_counted_by_endpoint(make_endpoint):
    one, other = make_endpoint(), make_endpoint()
    now = timezone.now()
    failed = {"state": DeliveryState.FAILED, "finished_at": now}
    for _ in range(3):
        deliver(one, next_attempt_at=now)
    deliver(one, state=DeliveryState.SENDING)
    deliver(one, state=DeliveryState.SUCCEEDED, finished_at=now)
    deliver(one, **failed)
    deliver(one, **failed, created_at=now - timedelta(days=4))
    deliver(one, **failed | {"finished_at": now - timedelta(hours=25)})
    deliver(one, **failed, test=True)
    deliver(other, **failed)
    found = at_a_glance([one.pk, other.pk])
    assert (found[one.pk].waiting, found[one.pk].failed_24h) == (3, 2)
    assert (found[other.pk].waiting, found[other.pk].failed_24h) == (0, 1)


def test_counts_end_somewhere(make_endpoint, monkeypatch):
    monkeypatch.setattr(statistics, "COUNTED_AT_MOST", 2)
    endpoint = make_endpoint()
    for _ in range(4):
        deliver(endpoint)
        deliver(endpoint, state=DeliveryState.FAILED, finished_at=datetime.now().astimezone())
    glance = at_a_glance([endpoint.pk])[endpoint.pk]
    assert (glance.waiting, glance.failed_24h) == (2, 2)


def test_times_are_of_answers_alone(make_endpoint):
    endpoint = make_endpoint()
    delivery = deliver(endpoint)
    attempt(delivery, 10)
    attempt(delivery, 20, state=AttemptState.FAILED, status_code=500)
    attempt(delivery, 15_000, state=AttemptState.FAILED, status_code=None)
    Attempt.objects.create(delivery=delivery, endpoint=endpoint, number=9)
    assert times(endpoint) == (10, 20)


def test_times_are_not_of_tests(make_endpoint):
    endpoint = make_endpoint()
    attempt(deliver(endpoint), 10)
    attempt(deliver(endpoint, test=True), 9_000)
    assert times(endpoint) == (10, 10)
    attempt(deliver(endpoint, test=True), *[9_000] * 99)  # of the last hundred it takes
    assert times(endpoint) == (None, None)


def test_times_are_of_the_last_attempts(make_endpoint):
    endpoint = make_endpoint()
    attempt(deliver(endpoint), *[9_000] * 50, *[7] * 100)
    assert times(endpoint) == (7, 7)
    attempt(deliver(endpoint), *[15_000] * 100, state=AttemptState.FAILED, status_code=None)
    assert times(endpoint) == (None, None)


@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=130))
def test_times_are_those_of_the_nearest_rank(make_endpoint, durations):
    endpoint = make_endpoint()
    attempt(deliver(endpoint), *durations)
    last = sorted(durations[-100:])
    ranks = [math.ceil(share * len(last)) - 1 for share in (0.5, 0.95)]
    assert times(endpoint) == tuple(last[rank] for rank in ranks)
