"""Changes of endpoints that meet each other or the engine, each with a connection of its own."""

from collections.abc import Callable
from concurrent.futures import wait

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tests.services.waiting import until
from tests.webhooks.endpoints.conftest import values
from webhooks.dispatch import CHANNEL, emit
from webhooks.endpoints import service
from webhooks.endpoints.service import Stale, TooMany
from webhooks.models import Delivery, Endpoint, Health, Secret

pytestmark = pytest.mark.django_db(transaction=True)

# As the engine does it, see webhooks/engine/recording.py.
ENGINE_DISABLES = """
UPDATE webhooks_endpoint SET enabled = false, disabled_at = clock_timestamp(),
    disabled_reason = 'All attempts failed.', version = version + 1
WHERE id = %s AND enabled AND deleted_at IS NULL
"""


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_locks WHERE NOT granted")
        return cursor.fetchone() is not None


def engine_holds(endpoint: Endpoint) -> None:
    """What the engine locks first."""
    Health.objects.select_for_update().get(pk=endpoint.pk)


def engine_disables(endpoint: Endpoint) -> None:
    with connection.cursor() as cursor:
        cursor.execute(ENGINE_DISABLES, [endpoint.pk])


def deliver(endpoint: Endpoint) -> None:
    event = emit("product.created", {})
    Delivery.objects.create(event=event, endpoint=endpoint, event_type=event.type)


def test_secrets_rotated_at_once_all_sign(actor, make_endpoint, workers):
    endpoint = make_endpoint()
    before = service.active_secrets(endpoint.pk, timezone.now())
    rotations = [workers(service.rotate, actor, endpoint.pk) for _ in range(4)]
    made = {rotation.result() for rotation in rotations}
    assert set(service.active_secrets(endpoint.pk, timezone.now())) == made | set(before)
    assert Secret.objects.filter(expires_at=None).count() == 1


def test_the_second_of_two_editors_is_told(actor, make_endpoint, workers):
    endpoint = make_endpoint()
    with transaction.atomic():
        service.update(actor, endpoint.pk, {"description": "first"}, version=1)
        second = workers(service.update, actor, endpoint.pk, {"description": "second"}, version=1)
        until(waits_for_a_lock)
    with pytest.raises(Stale) as refused:
        second.result()
    assert refused.value.current.description == "first"


def test_an_edit_does_not_undo_what_the_engine_disabled_meanwhile(actor, make_endpoint, workers):
    endpoint = make_endpoint()
    with transaction.atomic():
        engine_holds(endpoint)
        edit = workers(service.update, actor, endpoint.pk, {"description": "edited"})
        until(waits_for_a_lock)
        engine_disables(endpoint)
    found = edit.result()
    assert (found.description, found.enabled) == ("edited", False)
    assert (found.disabled_reason, found.version) == ("All attempts failed.", 3)


def test_who_has_not_seen_that_the_engine_disabled_it_is_told(actor, make_endpoint, workers):
    endpoint = make_endpoint()
    with transaction.atomic():
        engine_holds(endpoint)
        edit = workers(service.update, actor, endpoint.pk, {"description": "x"}, version=1)
        until(waits_for_a_lock)
        engine_disables(endpoint)
    with pytest.raises(Stale) as refused:
        edit.result()
    assert refused.value.current.enabled is False


def test_disabled_by_both_at_once_it_has_the_first_ones_reason(actor, make_endpoint, workers):
    endpoint = make_endpoint()
    with transaction.atomic():
        service.disable(actor, endpoint.pk)
        engine = workers(engine_disables, endpoint)
        until(waits_for_a_lock)
    engine.result()
    found = Endpoint.objects.get()
    assert (found.enabled, found.disabled_reason, found.version) == (False, "", 2)


def test_an_edit_does_not_wait_for_who_makes_deliveries(actor, make_endpoint, workers):
    endpoint = make_endpoint()
    with transaction.atomic():
        service.update(actor, endpoint.pk, {"description": "edited"})
        workers(deliver, endpoint).result(timeout=60)
    assert Delivery.objects.count() == 1


def test_endpoints_added_at_once_are_not_too_many(actor, workers, monkeypatch):
    monkeypatch.setattr(service, "MAX_ENDPOINTS", 3)
    adding = [workers(service.create, actor, values()) for _ in range(8)]
    wait(adding)
    refused = [one.exception() for one in adding if one.exception() is not None]
    assert len(refused) == 5 and all(isinstance(error, TooMany) for error in refused)
    assert Endpoint.objects.count() == Secret.objects.count() == Health.objects.count() == 3


def test_a_test_and_a_deletion_at_once_leave_nothing_waiting(actor, make_endpoint, workers):
    endpoint = make_endpoint()
    with transaction.atomic():
        service.send_test(actor, endpoint.pk, "product.created")
        deletion = workers(service.delete, actor, endpoint.pk)
        until(waits_for_a_lock)
    deletion.result()
    assert Delivery.objects.get().state == "failed"


@pytest.mark.parametrize("change", [{"enabled": True}, {"url": "http://127.0.0.1:9/other"}])
def test_the_engine_is_woken_at_the_commit(actor, make_endpoint, workers, change):
    endpoint = make_endpoint(enabled="url" in change)
    assert notified(lambda: workers(service.update, actor, endpoint.pk, change).result())


def test_a_test_wakes_the_engine(actor, make_endpoint, workers):
    endpoint = make_endpoint()
    assert notified(
        lambda: workers(service.send_test, actor, endpoint.pk, "product.created").result()
    )


def notified(act: Callable[[], object]) -> bool:
    """Whether `act`, in another connection, wakes who listens."""

    def heard() -> bool:
        connection.connection.poll()  # it comes some time after the other one's commit
        return bool(connection.connection.notifies)

    with connection.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")
        try:
            act()
            return until(heard)
        finally:
            cursor.execute(f"UNLISTEN {CHANNEL}")
            connection.connection.notifies.clear()
