from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from webhooks.engine import claims
from webhooks.models import Attempt, Delivery, Endpoint, Event, Health

pytestmark = pytest.mark.django_db

PAST = timedelta(seconds=10)


def deliver(endpoint: Endpoint, count: int = 1, **columns) -> list[Delivery]:
    """Deliveries that are due since a moment, the first for the longest."""
    now = timezone.now()
    made = []
    for number in range(count):
        event = Event.objects.create(type="product.created", data={}, fanned_out_at=now)
        due = {"next_attempt_at": now - PAST + timedelta(milliseconds=number)}
        made.append(
            Delivery.objects.create(
                event=event, endpoint=endpoint, event_type=event.type, **{**due, **columns}
            )
        )
    return made


def ids(found: Sequence[claims.Taken]) -> set[int]:
    return {taken.delivery_id for taken in found}


def pks(deliveries: Sequence[Delivery]) -> set[int]:
    return {delivery.pk for delivery in deliveries}


def test_what_is_due_is_claimed_with_all_that_an_attempt_needs(make_endpoint, settings):
    settings.WEBHOOK_LEASE_SECONDS = 100
    endpoint = make_endpoint()
    (due,) = deliver(endpoint)
    deliver(endpoint, next_attempt_at=timezone.now() + PAST)
    (taken,) = claims.take(10, 10)
    assert (taken.delivery_id, taken.number, taken.tries, taken.test, taken.failing) == (
        *(due.pk, 1, 1, False, False),
    )
    assert (taken.endpoint, taken.event) == (endpoint, due.event)
    assert taken.secrets == (endpoint.secrets.get().value,)
    due.refresh_from_db()
    assert (due.state, due.claim, due.attempts_made, due.next_attempt_at) == ("sending", 1, 1, None)
    assert due.claimed_until - taken.started_at == pytest.approx(
        timedelta(seconds=100), abs=timedelta(seconds=5)
    )
    attempt = Attempt.objects.get()
    assert (attempt.pk, attempt.state, attempt.number, attempt.url) == (
        *(taken.attempt_id, "sending", 1, endpoint.url),
    )
    assert claims.take(10, 10) == []


def test_an_endpoint_gets_so_many_at_once_and_no_more(make_endpoint, settings):
    settings.WEBHOOK_IN_FLIGHT_PER_ENDPOINT = 3
    slow, quick = make_endpoint(), make_endpoint()
    waiting = deliver(slow, 5)
    (other,) = deliver(quick)
    taken = claims.take(100, 50)
    assert ids(taken) == pks(waiting[:3]) | {other.pk}
    assert claims.take(100, 50) == []
    Delivery.objects.filter(pk=waiting[1].pk).update(state="succeeded")
    assert ids(claims.take(100, 50)) == {waiting[3].pk}


def test_a_worker_takes_no_more_than_it_has_room_for(make_endpoint):
    first, second = make_endpoint(), make_endpoint()
    deliver(first, 3)
    deliver(second, 3)
    assert len(claims.take(4, 4)) == 4
    assert len(claims.take(4, 4)) == 2


def test_endpoints_that_fail_get_what_is_left_for_them(make_endpoint):
    failing, healthy = make_endpoint(), make_endpoint()
    Health.objects.filter(pk=failing.pk).update(failures_in_a_row=1)
    late = deliver(failing, 4)
    (due,) = deliver(healthy, next_attempt_at=timezone.now())
    taken = claims.take(3, 1)
    assert ids(taken) == {late[0].pk, due.pk}
    assert {one.delivery_id for one in taken if one.failing} == {late[0].pk}
    assert claims.take(3, 0) == []


def test_an_open_circuit_holds_all_then_lets_one_through(make_endpoint, settings):
    settings.WEBHOOK_BREAK_AFTER = 5
    endpoint = make_endpoint()
    deliver(endpoint, 3)
    health = Health.objects.filter(pk=endpoint.pk)
    health.update(failures_in_a_row=5, held_until=timezone.now() + PAST)
    assert claims.take(10, 10) == []
    health.update(held_until=timezone.now() - PAST)
    assert len(claims.take(10, 10)) == 1
    assert claims.take(10, 10) == []
    Delivery.objects.filter(state="sending").update(state="succeeded")
    health.update(failures_in_a_row=0, held_until=None)
    assert len(claims.take(10, 10)) == 2


@pytest.mark.parametrize("how", [{"enabled": False}, {"deleted_at": timezone.now()}])
def test_a_disabled_endpoint_keeps_what_waits_for_it(make_endpoint, how):
    endpoint = make_endpoint()
    (waiting,) = deliver(endpoint)
    Endpoint.objects.filter(pk=endpoint.pk).update(**how)
    assert claims.take(10, 10) == []
    waiting.refresh_from_db()
    assert (waiting.state, waiting.tries) == ("pending", 0)


def test_what_somebody_asked_for_is_sent_whatever_the_endpoint_is_like(make_endpoint, settings):
    settings.WEBHOOK_IN_FLIGHT_PER_ENDPOINT = 1
    endpoint = make_endpoint(enabled=False)
    Health.objects.filter(pk=endpoint.pk).update(
        failures_in_a_row=9, held_until=timezone.now() + PAST
    )
    deliver(endpoint, state="sending", claimed_until=timezone.now() + PAST)
    (asked_for,) = deliver(endpoint, by_hand=True)
    assert ids(claims.take(1, 0)) == {asked_for.pk}
    asked_for.refresh_from_db()
    assert not asked_for.by_hand  # from its second attempt on it waits like all others


def test_what_was_asked_for_a_thousand_times_leaves_room_for_others(make_endpoint, settings):
    settings.WEBHOOK_IN_FLIGHT_PER_ENDPOINT = 2
    deliver(make_endpoint(), 10, by_hand=True)
    (other,) = deliver(make_endpoint())
    taken = claims.take(9, 9)
    assert len(taken) == 5
    assert other.pk in ids(taken)
    assert claims.take(9, 9) == []


def test_all_secrets_that_have_not_expired_sign_the_newest_first(make_endpoint):
    endpoint = make_endpoint()
    newest = endpoint.secrets.get()
    now = timezone.now()
    newest.pk += 10
    endpoint.secrets.update(expires_at=now + PAST)
    older = endpoint.secrets.get()
    newest.value = "whsec_newest"
    newest.save(force_insert=True)
    endpoint.secrets.create(value="whsec_expired", expires_at=now - PAST)
    deliver(endpoint)
    assert claims.take(1, 1)[0].secrets == ("whsec_newest", older.value)


def test_a_killed_workers_attempt_is_lost_and_made_again(make_endpoint):
    endpoint = make_endpoint()
    lost, held = deliver(endpoint, 2)
    claims.take(10, 10)
    Delivery.objects.filter(pk=lost.pk).update(claimed_until=timezone.now() - PAST)
    assert claims.release_lost() == 1
    assert claims.release_lost() == 0
    assert dict(Attempt.objects.values_list("delivery_id", "state")) == {
        lost.pk: "lost",
        held.pk: "sending",
    }
    (again,) = claims.take(10, 10)
    assert (again.delivery_id, again.number, again.tries, again.claim) == (lost.pk, 2, 1, 3)


def test_a_lost_test_is_sent_again_also_to_a_disabled_endpoint(make_endpoint):
    deliver(make_endpoint(enabled=False), by_hand=True, test=True)
    assert len(claims.take(1, 1)) == 1
    Delivery.objects.update(claimed_until=timezone.now() - PAST)
    claims.release_lost()
    assert len(claims.take(1, 1)) == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_have_the_same_nor_too_many(make_endpoint, workers, settings):
    settings.WEBHOOK_IN_FLIGHT_PER_ENDPOINT = 4
    endpoints = [make_endpoint() for _ in range(6)]
    for endpoint in endpoints:
        deliver(endpoint, 10)
    rounds = [workers(claims.take, 8, 8) for _ in range(12)]
    taken = [one for found in rounds for one in found.result(timeout=30)]
    assert len(ids(taken)) == len(taken)
    while more := claims.take(100, 100):
        taken += more
    per_endpoint = [sum(one.endpoint == endpoint for one in taken) for endpoint in endpoints]
    assert per_endpoint == [4] * 6


@pytest.mark.django_db(transaction=True)
def test_a_worker_does_not_wait_for_one_that_claims(make_endpoint, workers):
    deliver(make_endpoint(), 2)
    with transaction.atomic():
        assert len(claims.take(1, 1)) == 1
        assert workers(claims.take, 1, 1).result(timeout=60) == []
    assert len(claims.take(1, 1)) == 1


def test_what_may_kill_its_workers_is_not_tried_for_ever(make_endpoint):
    (delivery,) = deliver(make_endpoint())
    tries = []
    for _ in range(6):
        claims.take(1, 1)
        Delivery.objects.update(claimed_until=timezone.now() - PAST)
        claims.release_lost()
        delivery.refresh_from_db()
        tries.append(delivery.tries)
    assert tries == [0, 0, 0, 1, 2, 3]
