"""Retry and replay: what they change, what they leave, and two of them at once."""

import logging

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.accounts.actors import Actor
from tests.services.waiting import until
from tests.webhooks.deliveries.conftest import NOON, deliver, minutes
from webhooks.deliveries import replay
from webhooks.engine import claims
from webhooks.models import Delivery, DeliveryState, Endpoint

pytestmark = pytest.mark.django_db


def present(delivery: Delivery) -> Delivery:
    return Delivery.objects.get(pk=delivery.pk)


def states(rows: list[Delivery]) -> list[str]:
    return [present(row).state for row in rows]


@pytest.mark.parametrize("state", ["pending", "succeeded", "failed"])
@pytest.mark.parametrize("test", [False, True])
def test_a_retry_waits_to_be_sent_at_once(endpoint, actor, state, test):
    later = NOON + minutes(10_000_000)
    columns = {"next_attempt_at": later} if state == "pending" else {}
    delivery = deliver(endpoint, state, tries=7, attempts_made=9, test=test, **columns)

    returned = replay.retry(actor, delivery.pk)

    found = present(delivery)
    assert (found.state, found.tries, found.by_hand, found.finished_at) == (
        "pending",
        0,
        True,
        None,
    )
    assert found.next_attempt_at <= timezone.now()
    assert (found.attempts_made, found.test) == (9, test)
    assert (returned.state, returned.next_attempt_at) == ("pending", found.next_attempt_at)


def test_one_that_is_being_sent_is_left_alone(endpoint, actor):
    delivery = deliver(endpoint, "sending", claim=3, tries=2)
    with pytest.raises(replay.InFlight):
        replay.retry(actor, delivery.pk)
    found = present(delivery)
    assert (found.state, found.claim, found.tries, found.by_hand) == ("sending", 3, 2, False)


def test_nothing_is_sent_to_a_deleted_endpoint(make_endpoint, actor):
    gone = make_endpoint(deleted_at=NOON)
    delivery = deliver(gone, "failed")
    with pytest.raises(replay.EndpointDeleted, match="deleted"):
        replay.retry(actor, delivery.pk)
    assert replay.count_failed(NOON) == replay.replay_failed(actor, NOON) == 0
    assert present(delivery).state == "failed"


def test_a_disabled_endpoint_can_be_sent_to_again(make_endpoint, actor):
    delivery = deliver(make_endpoint(enabled=False), "failed")
    assert replay.retry(actor, delivery.pk).state == "pending"


def test_there_may_be_no_such_delivery(db, actor):
    with pytest.raises(Delivery.DoesNotExist):
        replay.retry(actor, 1)


def test_the_log_file_says_who_did_it(endpoint, actor, caplog):
    caplog.set_level(logging.INFO, "webhooks")
    delivery = deliver(endpoint, "failed")
    replay.retry(actor, delivery.pk)
    deliver(endpoint, "failed")
    replay.replay_failed(actor, NOON, endpoint.pk)
    first, second = caplog.messages
    assert f"delivery {delivery.pk}" in first and first.endswith("by ana")
    assert "replay of 1 " in second and f"endpoint {endpoint.pk}" in second and "by ana" in second


def test_both_wake_the_engine(endpoint, actor):
    delivery, _ = deliver(endpoint, "failed"), deliver(endpoint, "failed")
    for act in (
        lambda: replay.retry(actor, delivery.pk),
        lambda: replay.replay_failed(actor, NOON),
    ):
        with CaptureQueriesContext(connection) as captured:
            act()
        assert sum("pg_notify" in query["sql"] for query in captured) == 1


def test_a_replay_takes_what_failed_since_then(make_endpoint, actor):
    one, two = make_endpoint(), make_endpoint()
    taken = [
        deliver(one, "failed", NOON, tries=10, by_hand=True),
        deliver(two, "failed", NOON - minutes(600), finished_at=NOON + minutes(1)),
    ]
    left = [
        deliver(one, "failed", NOON - minutes(0.001)),
        deliver(one, "failed", NOON + minutes(1), test=True),
        deliver(one, "succeeded", NOON),
        deliver(one, "pending", NOON, next_attempt_at=NOON + minutes(9)),
        deliver(one, "sending", NOON),
    ]
    before = states(left)

    assert replay.count_failed(NOON) == 2
    assert replay.replay_failed(actor, NOON) == 2

    assert states(taken) == ["pending", "pending"]
    found = present(taken[0])
    assert (found.tries, found.by_hand, found.finished_at) == (0, False, None)
    assert found.next_attempt_at <= timezone.now()
    assert states(left) == before
    assert present(left[3]).next_attempt_at == NOON + minutes(9)
    assert replay.count_failed(NOON) == replay.replay_failed(actor, NOON) == 0


def test_a_replay_can_be_of_one_endpoint(make_endpoint, actor):
    one, two = make_endpoint(), make_endpoint()
    rows = [deliver(each, "failed") for each in (one, two, one)]
    assert replay.count_failed(NOON, one.pk) == 2
    assert replay.replay_failed(actor, NOON, one.pk) == 2
    assert states(rows) == ["pending", "failed", "pending"]


def test_it_goes_in_batches_and_says_when_there_may_be_more(endpoint, actor, monkeypatch):
    monkeypatch.setattr(replay, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(replay, "AT_MOST", 8)
    rows = [deliver(endpoint, "failed") for _ in range(11)]
    assert replay.count_failed(NOON) == 9
    assert replay.replay_failed(actor, NOON) == 8
    assert states(rows) == ["pending"] * 8 + ["failed"] * 3
    assert replay.count_failed(NOON) == 3
    assert replay.replay_failed(actor, NOON) == 3
    assert set(states(rows)) == {"pending"}


@pytest.mark.django_db(transaction=True)
def test_replays_at_once_take_each_delivery_once(endpoint, actor, workers, monkeypatch):
    monkeypatch.setattr(replay, "ROWS_AT_ONCE", 7)
    rows = [deliver(endpoint, "failed") for _ in range(200)]
    replays = [workers(replay.replay_failed, actor, NOON) for _ in range(4)]
    assert sum(each.result() for each in replays) == 200
    assert set(states(rows)) == {"pending"}


@pytest.mark.django_db(transaction=True)
def test_a_replay_waits_for_nobody(endpoint, actor, workers):
    held, free = deliver(endpoint, "failed"), deliver(endpoint, "failed")
    with transaction.atomic():
        replay.retry(actor, held.pk)
        assert workers(replay.replay_failed, actor, NOON).result(30) == 1
        assert present(free).state == "pending"
    found = present(held)
    assert (found.state, found.by_hand) == ("pending", True)


def waiting() -> bool:
    """Whether somebody waits for a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return cursor.fetchone()[0]


@pytest.mark.django_db(transaction=True)
def test_a_retry_during_a_claim_leaves_it_to_the_worker(endpoint, actor, workers):
    delivery = deliver(endpoint, "pending")
    with transaction.atomic():
        (taken,) = claims.take(10, 10)
        retrying = workers(replay.retry, actor, delivery.pk)
        until(waiting)
    with pytest.raises(replay.InFlight):
        retrying.result(30)
    found = present(delivery)
    assert (found.state, found.claim) == (DeliveryState.SENDING, taken.claim)


@pytest.mark.django_db(transaction=True)
def test_two_retries_at_once_make_one_attempt(endpoint, actor, workers):
    delivery = deliver(endpoint, "failed")
    for retrying in [workers(replay.retry, actor, delivery.pk) for _ in range(4)]:
        assert retrying.result(30).state == "pending"
    assert [taken.delivery_id for taken in claims.take(10, 10)] == [delivery.pk]
    assert claims.take(10, 10) == []


def test_an_endpoint_that_is_enabled_later_gets_what_was_replayed(make_endpoint, actor: Actor):
    endpoint = make_endpoint(enabled=False)
    deliver(endpoint, "failed")
    assert replay.replay_failed(actor, NOON) == 1
    assert claims.take(10, 10) == []
    Endpoint.objects.update(enabled=True)
    assert len(claims.take(10, 10)) == 1
