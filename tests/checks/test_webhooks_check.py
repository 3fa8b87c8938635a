"""Events and deliveries: right after the engine's own work, each planted fault is found."""

from datetime import timedelta

import pytest
from django.utils import timezone

from config.accounts.actors import Actor
from tests.checks.looking import look, told
from webhooks.dispatch import Callback, call_back, emit
from webhooks.endpoints import service
from webhooks.engine import claims, fan_out
from webhooks.event_types import ALERT_RAISED
from webhooks.models import Attempt, Delivery, Endpoint, Event, Health, Secret

pytestmark = pytest.mark.django_db


@pytest.fixture
def endpoint(editor) -> Endpoint:
    made = Endpoint.objects.create(
        url="https://shop.example/hook", event_types=["*"], created_by=editor
    )
    Health.objects.create(endpoint=made)
    Secret.objects.create(endpoint=made, value="whsec_x")
    return made


def happened() -> Event:
    """An event with its deliveries."""
    event = emit("product.updated", {"product": {"sku": "a"}})
    fan_out.fan_out()
    return event


def sent() -> Delivery:
    """A delivery that has succeeded at once."""
    happened()
    (taken,) = claims.take(1, 1)
    now = timezone.now()
    Attempt.objects.filter(pk=taken.attempt_id).update(state="succeeded", finished_at=now)
    Delivery.objects.filter(pk=taken.delivery_id).update(
        state="succeeded", finished_at=now, claimed_until=None
    )
    return Delivery.objects.get(pk=taken.delivery_id)


def test_nothing_says_so():
    outcome = look("webhooks")
    assert (outcome.looked_at, outcome.found) == (0, 0)
    assert outcome.summary.startswith("There are no endpoints")


def test_what_the_engine_does_is_right(endpoint):
    sent()
    happened()
    happened()
    claims.take(1, 1)
    emit("product.updated", {})
    outcome = look("webhooks")
    assert told(outcome) == []
    assert outcome.summary == "4 events and 3 deliveries of the last 7 days, 1 endpoint."


def test_what_is_not_for_all_is_missed_by_nobody(endpoint, editor):
    """An alert must be wanted by its name, a test and a callback are for one endpoint each."""
    emit(ALERT_RAISED, {"alert": {}})
    fan_out.fan_out()
    other = Endpoint.objects.create(url="https://other.example/", event_types=["*"], enabled=False)
    Health.objects.create(endpoint=other)
    service.send_test(Actor(editor), other.pk, "product.updated")
    call_back("order.decided", [Callback(editor.pk, "https://asked.example/", {})])
    assert told(look("webhooks")) == []


def test_an_event_that_an_endpoint_was_never_told_of_is_found(endpoint):
    event = happened()
    Delivery.objects.all().delete()
    (said,) = told(look("webhooks"))
    assert said == (
        f"event evt_{event.pk.hex}: product.updated was never made a delivery for"
        " https://shop.example/hook, which wants it"
    )
    # Somebody has changed the endpoint since: it may have wanted something else.
    Endpoint.objects.update(updated_at=timezone.now() + timedelta(seconds=1))
    assert told(look("webhooks")) == []


def test_events_that_nobody_takes_are_one_finding(endpoint):
    for _ in range(3):
        emit("product.updated", {})
    Event.objects.update(occurred_at=timezone.now() - timedelta(minutes=10))
    (said,) = told(look("webhooks"))
    assert said.startswith("new events: 3 events without deliveries, the oldest for 6")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"state": "sending", "claimed_until": None}, "is being sent by nobody"),
        ({"state": "pending", "next_attempt_at": None}, "waits, and is never due"),
        ({"state": "failed", "finished_at": None}, "is failed, which does not go with its end"),
        ({"attempts_made": 3}, "counts 3 attempts, and 1 are kept"),
    ],
)
def test_states_that_can_not_be_are_found(endpoint, values, words):
    delivery = sent()
    if "state" in values:
        values = {"finished_at": None, **values}
    Delivery.objects.filter(pk=delivery.pk).update(**values)
    assert any(
        line.startswith(f"delivery {delivery.pk}: {words}") for line in told(look("webhooks"))
    )


def test_a_success_without_an_attempt_that_succeeded_is_found(endpoint):
    delivery = sent()
    Attempt.objects.update(state="failed")
    assert told(look("webhooks")) == [
        f"delivery {delivery.pk}: counts as succeeded, and no attempt did"
    ]
    Attempt.objects.update(state="sending")
    assert any("its attempt 1 is" in line for line in told(look("webhooks")))


def test_endpoints_that_can_not_be_sent_to_are_found(endpoint):
    Health.objects.all().delete()
    Secret.objects.all().delete()
    assert told(look("webhooks")) == [
        "endpoint https://shop.example/hook: has no health, so nothing is ever sent to it",
        "endpoint https://shop.example/hook: has no secret, so nothing is signed",
    ]
