from concurrent.futures import Future
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from webhooks.dispatch import emit
from webhooks.engine import fan_out
from webhooks.models import Delivery, Endpoint, Event

pytestmark = pytest.mark.django_db


def made() -> set[tuple[str, str]]:
    """Event type and endpoint of each delivery."""
    return set(Delivery.objects.values_list("event_type", "endpoint__description"))


def test_each_event_goes_to_the_endpoints_that_want_its_type(make_endpoint):
    make_endpoint(description="all")
    make_endpoint(description="created", event_types=["product.created"])
    make_endpoint(description="two", event_types=["product.created", "product.deleted"])
    for event_type in ("product.created", "product.updated", "product.deleted"):
        emit(event_type, {})
    assert not fan_out.fan_out()
    assert made() == {
        ("product.created", "all"),
        ("product.created", "created"),
        ("product.created", "two"),
        ("product.updated", "all"),
        ("product.deleted", "all"),
        ("product.deleted", "two"),
    }
    delivery = Delivery.objects.earliest("pk")
    assert (delivery.state, delivery.tries, delivery.by_hand, delivery.test) == (
        *("pending", 0, False, False),
    )
    assert delivery.next_attempt_at == delivery.event.occurred_at


def test_an_event_is_fanned_out_once(make_endpoint):
    make_endpoint()
    event = emit("product.created", {})
    fan_out.fan_out()
    fan_out.fan_out()
    assert Delivery.objects.count() == 1
    Event.objects.filter(pk=event.pk).update(fanned_out_at=None)  # as if it had been forgotten
    fan_out.fan_out()
    assert Delivery.objects.count() == 1


def test_nobody_is_told_who_was_not_there_or_did_not_want_it(make_endpoint):
    make_endpoint(enabled=False)
    make_endpoint(deleted_at=timezone.now())
    Endpoint.objects.filter(pk=make_endpoint().pk).update(
        created_at=timezone.now() + timedelta(seconds=5)
    )
    event = emit("product.created", {})
    fan_out.fan_out()
    assert not Delivery.objects.exists()
    event.refresh_from_db()
    assert event.fanned_out_at is not None


def test_many_events_are_taken_in_bits_the_oldest_first(make_endpoint, monkeypatch):
    monkeypatch.setattr(fan_out, "EVENTS_AT_ONCE", 2)
    make_endpoint()
    now = timezone.now()
    for age in (1, 3, 2):
        Event.objects.create(type=f"t{age}", data={}, occurred_at=now + timedelta(seconds=60 - age))
    assert fan_out.fan_out()
    assert {event_type for event_type, _ in made()} == {"t3", "t2"}
    assert not fan_out.fan_out()
    assert Delivery.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_two_workers_take_different_events(make_endpoint, workers, monkeypatch):
    monkeypatch.setattr(fan_out, "EVENTS_AT_ONCE", 5)
    make_endpoint()
    for _ in range(10):
        emit("product.created", {})
    with transaction.atomic():
        fan_out.fan_out()
        other: Future[bool] = workers(fan_out.fan_out)
        assert other.result(timeout=60)  # it did not wait for the first
    assert Delivery.objects.count() == 10
