"""Retry and replay with a running engine and a real receiver."""

import pytest

from tests.services.waiting import until
from tests.webhooks.receiver import Receiver, status
from webhooks.deliveries import replay
from webhooks.dispatch import emit
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


def states() -> set[tuple[str, int]]:
    return set(Delivery.objects.values_list("state", "attempts_made"))


def test_what_succeeded_is_sent_again_with_the_same_id_and_body(make_endpoint, actor, deliverer):
    with Receiver() as receiver:
        make_endpoint(receiver.url)
        emit("product.created", {"product": {"id": 7}})
        until(lambda: states() == {("succeeded", 1)})
        replay.retry(actor, Delivery.objects.get().pk)
        until(lambda: states() == {("succeeded", 2)})
        first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


def test_what_failed_is_replayed_once_the_receiver_is_well(
    make_endpoint, actor, settings, deliverer
):
    settings.WEBHOOK_RETRY_SECONDS = [0]
    settings.WEBHOOK_BREAK_AFTER = 1000
    with Receiver(status(500)) as receiver:
        endpoint = make_endpoint(receiver.url)
        events = [emit("product.created", {"n": n}) for n in range(5)]
        until(lambda: states() == {("failed", 2)})
        receiver.answer = status(200)
        assert replay.replay_failed(actor, endpoint.created_at) == 5
        until(lambda: states() == {("succeeded", 3)})
        ids = [request.headers["webhook-id"] for request in receiver.requests[-5:]]
    assert set(ids) == {event.webhook_id for event in events}
