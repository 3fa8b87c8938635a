from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from config.accounts.models import Role, User
from webhooks.models import Attempt, Delivery, Endpoint, Event

SIGNED = {
    "content-type": "application/json",
    "user-agent": "Stockroom-Webhooks/1",
    "webhook-id": "evt_0198c2a4d7b97d33a1f04c1de7b9f2aa",
    "webhook-timestamp": "1795270953",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    "X-Api-Key": "•••",
}


@pytest.fixture
def user(django_user_model) -> User:
    """An editor."""
    return django_user_model.objects.create_user("ana", password="a-long-enough-password")


@pytest.fixture
def viewer(django_user_model) -> User:
    return django_user_model.objects.create_user("vera", role=Role.VIEWER)


@pytest.fixture
def make_delivery(db) -> Callable[..., Delivery]:
    """`make_delivery(endpoint, "failed", ago=…)`: of an event of its own, without attempts."""

    def make_delivery(
        endpoint: Endpoint,
        state: str = "succeeded",
        *,
        event_type: str = "product.updated",
        data: object = None,
        ago: timedelta = timedelta(minutes=2),
        **values,
    ) -> Delivery:
        at = timezone.now() - ago
        data = {"product": {"sku": "song-7"}} if data is None else data
        event = Event.objects.create(type=event_type, data=data, occurred_at=at, fanned_out_at=at)
        ended = at + timedelta(seconds=1) if state in ("succeeded", "failed") else None
        values = {"created_at": at, "finished_at": ended, "attempts_made": 1, "tries": 1} | values
        return Delivery.objects.create(
            event=event, endpoint=endpoint, event_type=event_type, state=state, **values
        )

    return make_delivery


@pytest.fixture
def make_attempt(db) -> Callable[..., Attempt]:
    """`make_attempt(delivery, 1, status_code=503)`: failed, unless `state` says otherwise."""

    def make_attempt(delivery: Delivery, number: int = 1, **values) -> Attempt:
        at: datetime = delivery.created_at + timedelta(minutes=number)
        values = {
            "state": "failed",
            "url": delivery.endpoint.url,
            "request_headers": SIGNED,
            "address": "93.184.215.14:443",
            "started_at": at,
            "finished_at": at + timedelta(milliseconds=133),
            "duration_ms": 133,
        } | values
        return Attempt.objects.create(
            delivery=delivery, endpoint=delivery.endpoint, number=number, **values
        )

    return make_attempt
