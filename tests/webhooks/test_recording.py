from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from tests.webhooks.test_claims import deliver
from webhooks.engine import claims, recording
from webhooks.engine.recording import Ended
from webhooks.engine.sender import Answer
from webhooks.models import Attempt, Delivery, Endpoint, Health

pytestmark = pytest.mark.django_db

SHOWN = {"webhook-id": "evt_1", "authorization": "•••"}


@pytest.fixture(autouse=True)
def _schedule(settings):
    settings.WEBHOOK_RETRY_SECONDS = [10, 100]
    settings.WEBHOOK_BREAK_AFTER = 3
    settings.WEBHOOK_BREAK_SECONDS = 30


def answer(status_code: int | None, error: str = "", body: str = "body", **headers: str) -> Answer:
    return Answer(status_code, error, headers, body, True, "127.0.0.1:9", 123)


def end(status_code: int | None, error: str = "", **headers: str) -> None:
    """All that is due is claimed and ends like this."""
    taken = claims.take(100, 100)
    assert taken
    recording.record([Ended(one, SHOWN, answer(status_code, error, **headers)) for one in taken])


def seconds_from_now(instant) -> float:
    return (instant - timezone.now()).total_seconds()


def test_a_success_ends_the_delivery_and_the_attempt(make_endpoint):
    (delivery,) = deliver(make_endpoint())
    end(204)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.last_status_code) == ("succeeded", 204)
    assert delivery.last_error == ""
    assert delivery.finished_at is not None
    assert (delivery.next_attempt_at, delivery.claimed_until) == (None, None)
    attempt = Attempt.objects.get()
    assert (attempt.state, attempt.status_code, attempt.duration_ms) == ("succeeded", 204, 123)
    assert (attempt.request_headers, attempt.address) == (SHOWN, "127.0.0.1:9")
    assert (attempt.response_body, attempt.response_truncated) == ("body", True)
    health = Health.objects.get()
    assert (health.failures_in_a_row, health.last_failure_at) == (0, None)
    assert health.last_success_at is not None


def test_a_failure_is_tried_again_by_the_schedule_until_that_ends(make_endpoint):
    (delivery,) = deliver(make_endpoint())
    for seconds in (10, 100):
        end(500)
        delivery.refresh_from_db()
        assert (delivery.state, delivery.finished_at) == ("pending", None)
        assert seconds_from_now(delivery.next_attempt_at) == pytest.approx(seconds, rel=0.2)
        Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
        Health.objects.update(held_until=None)
    end(None, "Connection refused.")
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts_made, delivery.last_error) == (
        *("failed", 3, "Connection refused."),
    )
    assert delivery.finished_at is not None
    assert list(Attempt.objects.order_by("number").values_list("number", "status_code")) == [
        *((1, 500), (2, 500), (3, None)),
    ]


def test_failures_in_a_row_open_the_circuit_and_a_success_closes_it(make_endpoint):
    endpoint = make_endpoint()
    for _ in range(3):
        deliver(endpoint)
        end(500)
    health = Health.objects.get()
    assert health.failures_in_a_row == 3
    assert health.failing_since <= health.last_failure_at
    assert seconds_from_now(health.held_until) == pytest.approx(30, abs=5)
    Health.objects.update(held_until=timezone.now() - timedelta(seconds=1))
    deliver(endpoint)
    end(200)
    health.refresh_from_db()
    assert (health.failures_in_a_row, health.failing_since, health.held_until) == (0, None, None)


def test_retry_after_holds_the_delivery_and_its_endpoint(make_endpoint):
    (delivery,) = deliver(make_endpoint())
    end(429, **{"retry-after": "50"})
    delivery.refresh_from_db()
    assert seconds_from_now(delivery.next_attempt_at) == pytest.approx(50, abs=5)
    assert seconds_from_now(Health.objects.get().held_until) == pytest.approx(50, abs=5)


def test_410_disables_the_endpoint_and_keeps_what_waits(make_endpoint, settings):
    settings.WEBHOOK_IN_FLIGHT_PER_ENDPOINT = 1
    endpoint = make_endpoint()
    gone, waiting = deliver(endpoint, 2)
    end(410)
    endpoint.refresh_from_db()
    assert (endpoint.enabled, endpoint.version) == (False, 2)
    assert "410" in endpoint.disabled_reason
    assert endpoint.disabled_at is not None
    states = dict(Delivery.objects.values_list("pk", "state"))
    assert states == {gone.pk: "failed", waiting.pk: "pending"}


def test_nothing_but_failures_for_days_disables_the_endpoint(make_endpoint, settings):
    settings.WEBHOOK_DISABLE_AFTER_HOURS = 120
    endpoint = make_endpoint()
    long_ago = timezone.now() - timedelta(hours=121)
    Health.objects.update(failures_in_a_row=2, failing_since=long_ago)
    deliver(endpoint)
    end(500)
    endpoint.refresh_from_db()
    assert not endpoint.enabled
    assert "120 hours" in endpoint.disabled_reason


def test_a_test_is_tried_once_and_says_nothing_of_the_health(make_endpoint):
    (delivery,) = deliver(make_endpoint(), by_hand=True, test=True)
    end(410)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.last_status_code) == ("failed", 410)
    assert Endpoint.objects.get().enabled
    assert Health.objects.get().last_failure_at is None


def test_an_attempt_to_an_endpoint_that_was_deleted_meanwhile_is_the_last(make_endpoint):
    endpoint = make_endpoint()
    (delivery,) = deliver(endpoint)
    (taken,) = claims.take(1, 1)
    Endpoint.objects.filter(pk=endpoint.pk).update(deleted_at=timezone.now())
    recording.record([Ended(taken, SHOWN, answer(500))])
    delivery.refresh_from_db()
    assert delivery.state == "failed"


def test_what_another_worker_has_by_now_stays_its_own(make_endpoint):
    (delivery,) = deliver(make_endpoint())
    (frozen,) = claims.take(1, 1)
    Delivery.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    claims.release_lost()
    (other,) = claims.take(1, 1)
    recording.record([Ended(frozen, SHOWN, answer(500))])
    delivery.refresh_from_db()
    assert (delivery.state, delivery.claim) == ("sending", other.claim)
    assert Health.objects.get().failures_in_a_row == 0
    # What really happened is kept all the same.
    assert Attempt.objects.get(pk=frozen.attempt_id).status_code == 500
    recording.record([Ended(other, SHOWN, answer(200))])
    delivery.refresh_from_db()
    assert delivery.state == "succeeded"


def test_recording_twice_is_as_good_as_once(make_endpoint):
    (delivery,) = deliver(make_endpoint())
    (taken,) = claims.take(1, 1)
    for _ in range(2):
        recording.record([Ended(taken, SHOWN, answer(500))])
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == ("pending", 1)
    assert Health.objects.get().failures_in_a_row == 1


def test_many_at_once_each_get_their_own_end(make_endpoint):
    endpoints = [make_endpoint() for _ in range(3)]
    for endpoint in endpoints:
        deliver(endpoint, 4)
    taken = claims.take(100, 100)
    codes = {one.delivery_id: 200 + place for place, one in enumerate(taken)}
    recording.record([Ended(one, SHOWN, answer(codes[one.delivery_id])) for one in taken])
    assert dict(Delivery.objects.values_list("pk", "last_status_code")) == codes
    assert set(Delivery.objects.values_list("state", flat=True)) == {"succeeded"}


def test_a_long_error_is_cut(make_endpoint):
    (delivery,) = deliver(make_endpoint())
    end(None, f"{'a' * 250} does not resolve.")
    delivery.refresh_from_db()
    assert len(delivery.last_error) == len(Attempt.objects.get().error) == 200
    assert delivery.last_error.endswith("a…")


def test_an_answer_that_can_not_be_kept_is_a_failure_of_its_own_delivery_only(make_endpoint):
    endpoints = [make_endpoint() for _ in range(3)]
    good, bad, other = (deliver(endpoint)[0] for endpoint in endpoints)
    answers = dict.fromkeys((good.pk, other.pk), answer(200))
    answers[bad.pk] = answer(200, body="NUL: \0")
    recording.record([Ended(one, SHOWN, answers[one.delivery_id]) for one in claims.take(10, 10)])
    assert dict(Delivery.objects.values_list("pk", "state")) == {
        good.pk: "succeeded",
        bad.pk: "pending",
        other.pk: "succeeded",
    }
    bad.refresh_from_db()
    assert "Stockroom itself failed" in bad.last_error
    assert bad.tries == 1


@pytest.mark.django_db(transaction=True)
def test_what_somebody_holds_keeps_nobody_else_from_being_recorded(make_endpoint, workers):
    held, free = make_endpoint(), make_endpoint()
    deliver(held)
    deliver(free)
    ended = [Ended(one, SHOWN, answer(200)) for one in claims.take(10, 10)]
    with transaction.atomic():
        Health.objects.select_for_update().get(pk=held.pk)
        left = workers(recording.record, ended).result(timeout=60)
    assert [one.taken.endpoint for one in left] == [held]
    states = Delivery.objects.values_list("endpoint", "state")
    assert dict(states) == {held.pk: "sending", free.pk: "succeeded"}
    assert recording.record(left) == []
    assert dict(states.all()) == {held.pk: "succeeded", free.pk: "succeeded"}


def test_the_log_says_when_a_pause_begins_and_ends(make_endpoint, caplog):
    endpoint = make_endpoint()
    caplog.set_level("INFO", "webhooks")
    for status_code in (500, 500, 500, 500, 200, 200):
        Health.objects.update(held_until=None)
        Delivery.objects.filter(state="pending").delete()
        deliver(endpoint)
        end(status_code)
    assert [record.getMessage() for record in caplog.records] == [
        f"webhook endpoint {endpoint.pk} is paused after 3 failures",
        f"webhook endpoint {endpoint.pk} works again after 4 failures",
    ]


def test_what_the_address_before_answered_says_nothing_of_the_new_one(make_endpoint):
    endpoint = make_endpoint()
    (delivery,) = deliver(endpoint)
    (taken,) = claims.take(1, 1)
    Endpoint.objects.filter(pk=endpoint.pk).update(url="http://127.0.0.1:9/new")
    recording.record([Ended(taken, SHOWN, answer(410))])
    delivery.refresh_from_db()
    assert delivery.state == "failed"
    assert Endpoint.objects.get().enabled
    assert Health.objects.get().failures_in_a_row == 0
