"""Old events go, with all that came of them, and nothing else does."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from webhooks import sweep
from webhooks.models import Attempt, Delivery, Endpoint, Event, Health, Secret

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _three_days(settings):
    settings.EVENT_KEEP_DAYS = 3.0


def days_old(*days: float) -> list[Event]:
    now = timezone.now()
    return Event.objects.bulk_create(
        Event(type=f"{age:g}", data={}, occurred_at=now - timedelta(days=age)) for age in days
    )


def deliver(event: Event, endpoint: Endpoint, attempts: int = 1, **columns) -> Delivery:
    delivery = Delivery.objects.create(
        event=event, endpoint=endpoint, event_type=event.type, **{"state": "failed", **columns}
    )
    Attempt.objects.bulk_create(
        Attempt(delivery=delivery, endpoint=endpoint, number=n + 1, url="x")
        for n in range(attempts)
    )
    return delivery


@pytest.fixture
def purges() -> Iterator[Callable[[], Future]]:
    """`purges()`: the Future of a purge in a thread with a connection of its own."""

    def purge() -> int:
        try:
            return sweep.purge(timezone.now())
        finally:
            connections.close_all()

    with ThreadPoolExecutor() as pool:
        yield lambda: pool.submit(purge)


def kept() -> set[str]:
    return set(Event.objects.values_list("type", flat=True))


def rows() -> tuple[int, int, int]:
    return Event.objects.count(), Delivery.objects.count(), Attempt.objects.count()


def test_old_events_are_purged():
    days_old(0, 2.9, 3.1, 40)
    assert sweep.purge(timezone.now()) == 2
    assert kept() == {"0", "2.9"}
    assert sweep.purge(timezone.now()) == 0


@pytest.mark.parametrize("state", ["pending", "succeeded", "failed"])
def test_their_deliveries_and_attempts_go_with_them(make_endpoint, state):
    one, two = make_endpoint(), make_endpoint()
    old, new = days_old(3.1, 2.9)
    for event in (old, new):
        for endpoint in (one, two):
            deliver(event, endpoint, attempts=2, state=state)
    assert sweep.purge(timezone.now()) == 1 + 2 + 4
    assert rows() == (1, 2, 4)
    assert set(Delivery.objects.values_list("event", flat=True)) == {new.pk}


def test_what_is_being_sent_is_left_until_it_is_over(make_endpoint):
    event, other = days_old(4, 5)
    now = timezone.now()
    sending = deliver(
        event, make_endpoint(), state="sending", claimed_until=now + timedelta(seconds=9)
    )
    done = deliver(event, make_endpoint())
    deliver(other, make_endpoint(), state="sending", claimed_until=now - timedelta(seconds=9))
    sweep.purge(now)
    assert not Delivery.objects.filter(pk=done.pk).exists()
    assert rows() == (1, 1, 1)
    Delivery.objects.filter(pk=sending.pk).update(state="pending")
    sweep.purge(now)
    assert rows() == (0, 0, 0)


def test_it_goes_on_in_short_steps_until_all_are_gone(make_endpoint, monkeypatch):
    monkeypatch.setattr(sweep, "EVENTS_AT_ONCE", 2)
    monkeypatch.setattr(sweep, "DELIVERIES_AT_ONCE", 3)
    endpoints = [make_endpoint() for _ in range(4)]
    for event in days_old(1, 4, 5, 6, 7, 8):
        for endpoint in endpoints:
            deliver(event, endpoint)
    assert sweep.purge(timezone.now()) == 5 + 20 + 20
    assert kept() == {"1"}
    assert rows() == (1, 4, 4)


def test_one_call_is_bounded_and_takes_the_oldest_first(monkeypatch):
    monkeypatch.setattr(sweep, "EVENTS_AT_ONCE", 2)
    monkeypatch.setattr(sweep, "ROWS_AT_MOST", 3)
    days_old(1, 8, 4, 6, 5, 7)
    assert sweep.purge(timezone.now()) == 4
    assert kept() == {"1", "4"}


def test_no_statement_grows_with_the_deliveries_of_an_event(make_endpoint):
    endpoints = [make_endpoint() for _ in range(10)]
    events = days_old(*(4 + n / 1000 for n in range(2000)))
    Delivery.objects.bulk_create(
        Delivery(event=event, endpoint=endpoint, event_type="x", state="succeeded")
        for event in events
        for endpoint in endpoints
    )
    with CaptureQueriesContext(connection) as captured:
        assert sweep.purge(timezone.now()) == 22_000
    # 20 steps of 1,000 deliveries and one that finds nothing; in each a few statements, none of
    # which names more than its step's rows.
    assert len(captured) < 21 * 8 + 20
    assert max(len(query["sql"]) for query in captured) < 1_000 * 50
    assert rows() == (0, 0, 0)


def test_replaced_secrets_go_when_they_have_expired(make_endpoint):
    endpoint = make_endpoint()
    now = timezone.now()
    for minutes in (-1, 1):
        Secret.objects.create(
            endpoint=endpoint, value=f"{minutes}", expires_at=now + timedelta(minutes=minutes)
        )
    assert sweep.purge(now) == 1
    assert not Secret.objects.filter(value="-1").exists()
    assert Secret.objects.filter(endpoint=endpoint).count() == 2


def test_deleted_endpoints_are_kept_as_long_as_the_log_speaks_of_them(make_endpoint):
    live, named, unnamed = make_endpoint(), make_endpoint(), make_endpoint()
    now = timezone.now()
    Endpoint.objects.filter(pk__in=[named.pk, unnamed.pk]).update(deleted_at=now)
    old, new = days_old(4, 2)
    deliver(old, named)
    deliver(old, live)
    remembered = deliver(new, named)
    sweep.purge(now)
    assert set(Endpoint.objects.all()) == {live, named}
    assert Health.objects.count() == 2
    remembered.delete()
    sweep.purge(now)
    assert set(Endpoint.objects.all()) == {live}


def test_what_waits_for_a_deleted_endpoint_fails(make_endpoint):
    gone = make_endpoint(deleted_at=timezone.now())
    (event,) = days_old(0)
    waiting = deliver(event, gone, state="pending", next_attempt_at=timezone.now())
    sweep.purge(timezone.now())
    waiting.refresh_from_db()
    assert (waiting.state, waiting.last_error) == ("failed", "The endpoint was deleted.")


@pytest.mark.django_db(transaction=True)
def test_nobody_is_waited_for(make_endpoint, purges):
    first, second, third = days_old(4, 5, 6)
    held, _ = deliver(first, make_endpoint()), deliver(second, make_endpoint())
    with transaction.atomic():
        Delivery.objects.select_for_update().get(pk=held.pk)
        Event.objects.select_for_update().get(pk=third.pk)
        purges().result(60)
        assert kept() == {"4", "6"}
        assert rows() == (2, 1, 1)
    sweep.purge(timezone.now())
    assert rows() == (0, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_purges_at_once_do_not_meet(make_endpoint, monkeypatch, purges):
    monkeypatch.setattr(sweep, "EVENTS_AT_ONCE", 5)
    monkeypatch.setattr(sweep, "DELIVERIES_AT_ONCE", 7)
    endpoints = [make_endpoint() for _ in range(3)]
    for event in days_old(*(4 + n / 100 for n in range(60))):
        for endpoint in endpoints:
            deliver(event, endpoint)
    for purge in [purges() for _ in range(3)]:
        purge.result(60)
    sweep.purge(timezone.now())  # what one left because another had it
    assert rows() == (0, 0, 0)


def test_nothing_begins_when_its_time_is_over():
    days_old(1, 4)
    sweep.purge(timezone.now(), deadline=0.0)
    assert kept() == {"1", "4"}
