from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from config.accounts.actors import Actor
from config.accounts.models import Role
from tests.api_client import client_of
from webhooks.models import Delivery, Endpoint, Event

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FINISHED = ("succeeded", "failed")


def deliver(
    endpoint: Endpoint, state: str = "succeeded", at: datetime = NOON, **columns: Any
) -> Delivery:
    """A delivery of an event of its own that was made, and where it fits ended, at `at`."""
    event_type = columns.pop("event_type", "product.updated")
    data = columns.pop("data", {"n": 1})
    event = Event.objects.create(type=event_type, data=data, occurred_at=at, fanned_out_at=at)
    values = {
        "created_at": at,
        "finished_at": at if state in FINISHED else None,
        "next_attempt_at": at if state == "pending" else None,
        "claimed_until": at if state == "sending" else None,
    }
    return Delivery.objects.create(
        event=event, endpoint=endpoint, event_type=event_type, state=state, **(values | columns)
    )


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


@pytest.fixture
def endpoint(make_endpoint, db) -> Endpoint:
    return make_endpoint()


@pytest.fixture
def user(django_user_model):
    """An editor."""
    return django_user_model.objects.create_user("ana", role=Role.EDITOR)


@pytest.fixture
def actor(user) -> Actor:
    """`user` in a browser."""
    return Actor(user)


@pytest.fixture
def api(user) -> Client:
    """A client with a token that may send deliveries again."""
    return client_of(user, "webhooks:write")
