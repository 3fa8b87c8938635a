from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tests.webhooks.endpoints.conftest import URL, values
from webhooks.dispatch import emit
from webhooks.endpoints import service
from webhooks.endpoints.service import FieldErrors, Stale, TooMany
from webhooks.engine import claims
from webhooks.engine.fan_out import fan_out
from webhooks.event_types import EVENT_TYPES
from webhooks.models import Delivery, DeliveryState, Endpoint, Event, Health, Secret

pytestmark = pytest.mark.django_db


def failing(endpoint: Endpoint) -> None:
    """It has failed for a while, and its circuit is open."""
    now = timezone.now()
    Health.objects.filter(pk=endpoint.pk).update(
        last_success_at=now - timedelta(hours=3),
        last_failure_at=now,
        failures_in_a_row=7,
        failing_since=now - timedelta(hours=2),
        held_until=now + timedelta(minutes=5),
    )


def is_fresh(endpoint: Endpoint) -> bool:
    health = Health.objects.get(pk=endpoint.pk)
    return (health.failures_in_a_row, health.failing_since, health.held_until) == (0, None, None)


def waiting(endpoint: Endpoint, count: int = 1) -> list[Delivery]:
    events = [emit("product.created", {}) for _ in range(count)]
    return Delivery.objects.bulk_create(
        Delivery(
            event=event,
            endpoint=endpoint,
            event_type=event.type,
            next_attempt_at=timezone.now(),
        )
        for event in events
    )


@pytest.fixture
def wakes(monkeypatch) -> list[int]:
    """One entry for each time that the engine was woken."""
    found: list[int] = []
    monkeypatch.setattr(service, "wake", lambda: found.append(1))
    return found


def test_a_new_endpoint_has_a_secret_and_a_health(actor, user):
    endpoint, secret = service.create(actor, values(headers={"X-A": "b"}, description="The shop"))
    found = Endpoint.objects.get()
    assert found == endpoint
    assert (found.url, found.headers, found.description) == (URL, {"X-A": "b"}, "The shop")
    assert (found.created_by, found.version, found.enabled, found.disabled_at) == (
        *(user, 1, True),
        None,
    )
    assert Secret.objects.get(endpoint=found).value == secret
    assert secret.startswith("whsec_")
    assert is_fresh(found)


def test_a_new_endpoint_may_be_disabled(actor):
    endpoint, _ = service.create(actor, values(enabled=False))
    assert not endpoint.enabled and endpoint.disabled_at is not None


def test_there_are_so_many_endpoints_at_most(actor, monkeypatch):
    monkeypatch.setattr(service, "MAX_ENDPOINTS", 2)
    first, _ = service.create(actor, values())
    service.create(actor, values())
    with pytest.raises(TooMany, match="There are 2 endpoints"):
        service.create(actor, values())
    assert Endpoint.objects.count() == Secret.objects.count() == 2
    service.delete(actor, first.pk)
    service.create(actor, values())


def test_a_change_makes_a_new_version(actor, make_endpoint):
    endpoint = make_endpoint()
    changed = service.update(actor, endpoint.pk, {"description": "The shop"})
    assert (changed.description, changed.version) == ("The shop", 2)
    assert changed.updated_at > endpoint.updated_at
    assert Endpoint.objects.get().version == 2


def test_what_is_so_already_is_no_change(actor, make_endpoint, wakes):
    endpoint = make_endpoint()
    failing(endpoint)
    same = {"url": endpoint.url, "enabled": True, "event_types": ["*"]}
    assert service.update(actor, endpoint.pk, same).version == 1
    assert Endpoint.objects.get().updated_at == endpoint.updated_at
    assert not is_fresh(endpoint) and not wakes


@pytest.mark.parametrize("seen", [1, "1"])
def test_who_was_overtaken_is_told(actor, make_endpoint, seen):
    endpoint = make_endpoint()
    service.update(actor, endpoint.pk, {"description": "mine"}, version=seen)
    for change in (
        lambda: service.update(actor, endpoint.pk, {"description": "x"}, version=seen),
        lambda: service.enable(actor, endpoint.pk, version=seen),
        lambda: service.disable(actor, endpoint.pk, version=seen),
        lambda: service.delete(actor, endpoint.pk, version=seen),
    ):
        with pytest.raises(Stale) as refused:
            change()
        assert refused.value.current.description == "mine"
    assert Endpoint.objects.get(deleted_at=None, enabled=True).description == "mine"


def test_who_disables_gives_no_reason(actor, make_endpoint):
    endpoint = make_endpoint()
    failing(endpoint)
    found = service.disable(actor, endpoint.pk)
    assert not found.enabled and found.disabled_at is not None and found.disabled_reason == ""
    assert found.version == 2
    assert not is_fresh(endpoint), "how it did can still be seen"


def test_disabling_again_keeps_the_engines_reason(actor, make_endpoint):
    endpoint = make_endpoint(
        enabled=False, disabled_at=timezone.now(), disabled_reason="It answered 410 Gone."
    )
    found = service.disable(actor, endpoint.pk)
    assert (found.disabled_reason, found.version) == ("It answered 410 Gone.", 1)


def test_an_enabled_endpoint_starts_anew(actor, make_endpoint, wakes):
    endpoint = make_endpoint(
        enabled=False, disabled_at=timezone.now(), disabled_reason="It answered 410 Gone."
    )
    failing(endpoint)
    found = service.enable(actor, endpoint.pk)
    assert found.enabled and found.disabled_at is None and found.disabled_reason == ""
    assert is_fresh(endpoint) and wakes == [1]
    health = Health.objects.get()
    assert health.last_success_at and health.last_failure_at, "these did happen"


def test_another_url_starts_anew(actor, make_endpoint, wakes):
    endpoint = make_endpoint()
    failing(endpoint)
    service.update(actor, endpoint.pk, {"description": "x", "headers": {"X-A": "b"}})
    assert not is_fresh(endpoint) and not wakes
    service.update(actor, endpoint.pk, {"url": "http://127.0.0.1:9/other"})
    assert is_fresh(endpoint) and wakes == [1]


def test_what_waits_for_a_deleted_endpoint_fails(actor, make_endpoint):
    endpoint, other = make_endpoint(), make_endpoint()
    gone, *_ = waiting(endpoint, 2)
    (stays,) = waiting(other)
    sending, done = waiting(endpoint, 2)
    Delivery.objects.filter(pk=sending.pk).update(state=DeliveryState.SENDING)
    Delivery.objects.filter(pk=done.pk).update(state=DeliveryState.SUCCEEDED)

    service.delete(actor, endpoint.pk)

    assert Endpoint.objects.get(pk=endpoint.pk).deleted_at is not None
    assert not Secret.objects.filter(endpoint=endpoint).exists()
    gone.refresh_from_db()
    assert (gone.state, gone.last_error) == (DeliveryState.FAILED, "The endpoint was deleted.")
    assert gone.finished_at is not None and gone.next_attempt_at is None
    states = dict(Delivery.objects.values_list("pk", "state"))
    assert states[stays.pk] == "pending"
    assert (states[sending.pk], states[done.pk]) == ("sending", "succeeded")


PLANS = {
    "the planner's choice": [],
    # What it chooses, too, where the tables were just analyzed and had no rows then.
    "nested loops": ["hashjoin", "mergejoin", "hashagg", "sort", "material"],
}


@pytest.mark.parametrize("without", PLANS.values(), ids=PLANS.keys())
def test_what_waits_is_ended_bit_by_bit(actor, make_endpoint, monkeypatch, without):
    monkeypatch.setattr(service, "ENDED_AT_ONCE", 2)
    with connection.cursor() as cursor:
        for method in without:
            cursor.execute(f"SET LOCAL enable_{method} = off")
    endpoint = make_endpoint()
    waiting(endpoint, 7)
    Endpoint.objects.update(deleted_at=timezone.now())
    assert service.end_deliveries_of_deleted(most=4) == 4
    assert service.end_deliveries_of_deleted() == 3
    assert service.end_deliveries_of_deleted() == 0


def test_a_deleted_endpoint_is_there_no_more(actor, make_endpoint):
    endpoint = make_endpoint()
    service.delete(actor, endpoint.pk)
    for act in (
        lambda: service.update(actor, endpoint.pk, {"description": "x"}),
        lambda: service.enable(actor, endpoint.pk),
        lambda: service.delete(actor, endpoint.pk),
        lambda: service.rotate(actor, endpoint.pk),
        lambda: service.send_test(actor, endpoint.pk, "product.created"),
        lambda: service.resume(actor, endpoint.pk),
    ):
        with pytest.raises(Endpoint.DoesNotExist):
            act()


@pytest.mark.parametrize("enabled", [True, False])
def test_a_test_is_one_delivery_of_a_sample(actor, make_endpoint, wakes, enabled):
    endpoint = make_endpoint(enabled=enabled, event_types=["product.created"])
    make_endpoint()
    delivery = service.send_test(actor, endpoint.pk, "products.deleted_all")

    assert delivery == Delivery.objects.get()
    assert (delivery.endpoint, delivery.event_type) == (endpoint, "products.deleted_all")
    assert (delivery.test, delivery.by_hand, delivery.state) == (True, True, "pending")
    assert delivery.next_attempt_at <= timezone.now()
    event = Event.objects.get()
    assert event.data == EVENT_TYPES["products.deleted_all"].sample
    assert event.fanned_out_at is not None and wakes == [1]


def test_a_test_of_an_unknown_event_is_refused(actor, make_endpoint):
    with pytest.raises(FieldErrors):
        service.send_test(actor, make_endpoint().pk, "*")
    assert not Event.objects.exists()


def test_what_happened_before_goes_by_what_was_wanted_then(actor, make_endpoint):
    """The engine may be stopped: the events wait to be fanned out."""
    wanted, chosen, disabled = make_endpoint(), make_endpoint(), make_endpoint(enabled=False)
    emit("product.created", {})
    service.disable(actor, wanted.pk)
    emit("product.updated", {})
    service.update(actor, chosen.pk, {"event_types": ["product.deleted"]})
    emit("product.deleted", {})
    service.enable(actor, disabled.pk)
    fan_out()
    assert set(Delivery.objects.values_list("endpoint", "event_type")) == {
        (wanted.pk, "product.created"),
        (chosen.pk, "product.created"),
        (chosen.pk, "product.updated"),
        (chosen.pk, "product.deleted"),
    }


def test_a_pause_is_ended_and_one_attempt_decides(actor, make_endpoint, wakes):
    endpoint = make_endpoint()
    failing(endpoint)
    waiting(endpoint, 3)
    assert claims.take(10, 10) == []
    before = Health.objects.get(pk=endpoint.pk)
    assert service.resume(actor, endpoint.pk) == endpoint
    after = Health.objects.get(pk=endpoint.pk)
    assert after.held_until is None and wakes == [1]
    assert after.failures_in_a_row == before.failures_in_a_row == 7
    assert after.failing_since == before.failing_since
    assert len(claims.take(10, 10)) == 1
