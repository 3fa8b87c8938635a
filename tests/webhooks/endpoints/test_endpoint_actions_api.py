"""REST API of endpoints: event types, rotation of secrets, tests."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from tests.api_client import error, send
from tests.webhooks.endpoints.conftest import path_of
from webhooks.endpoints import service
from webhooks.event_types import EVENT_TYPES
from webhooks.models import Delivery, Secret

pytestmark = pytest.mark.django_db


def test_event_types_are_listed_with_samples(api):
    found = api.get("/api/webhooks/event-types/").json()["results"]
    assert [row["name"] for row in found] == list(EVENT_TYPES)
    for row in found:
        event_type = EVENT_TYPES[row["name"]]
        assert (row["description"], row["sample"]) == (event_type.description, event_type.sample)


def test_a_secret_is_rotated(api, make_endpoint):
    endpoint = make_endpoint()
    response = send(api, "post", path_of(endpoint, "rotate-secret/"))
    assert response.status_code == 200
    found = response.json()
    assert found["secret"] == Secret.objects.get(expires_at=None).value
    expires_at = parse_datetime(found["old_secret_expires_at"])
    assert timedelta(hours=23.9) < expires_at - timezone.now() <= timedelta(hours=24)
    assert "no-store" in response.headers["Cache-Control"]
    again = send(api, "post", path_of(endpoint, "rotate-secret/"), {}).json()
    active = service.active_secrets(endpoint.pk, timezone.now())
    assert active[:2] == [again["secret"], found["secret"]] and len(active) == 3


def test_without_time_for_the_old_secret_there_is_none(api, make_endpoint, settings):
    settings.WEBHOOK_ROTATION_HOURS = 0.0
    response = send(api, "post", path_of(make_endpoint(), "rotate-secret/"))
    assert response.json()["old_secret_expires_at"] is None


def test_a_rotation_takes_no_body(api, make_endpoint):
    response = send(api, "post", path_of(make_endpoint(), "rotate-secret/"), {"secret": "mine"})
    assert list(error(response, 400)["fields"]) == ["secret"]
    assert Secret.objects.count() == 1


@pytest.mark.parametrize("enabled", [True, False])
def test_a_test_is_answered_with_its_delivery(api, make_endpoint, enabled):
    endpoint = make_endpoint(enabled=enabled)
    response = send(api, "post", path_of(endpoint, "test/"), {"event_type": "product.updated"})

    assert response.status_code == 202
    delivery = Delivery.objects.get()
    assert (delivery.test, delivery.by_hand, delivery.endpoint) == (True, True, endpoint)
    path = f"/api/webhooks/deliveries/{delivery.pk}/"
    assert response.headers["Location"] == f"http://testserver{path}"
    found = response.json()
    assert (found["id"], found["state"], found["test"]) == (delivery.pk, "pending", True)
    assert found.items() <= api.get(path).json().items()


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, "event_type"),
        ({"event_type": "*"}, "event_type"),
        ({"event_type": None}, "event_type"),
        ({"event_type": "product.eaten"}, "event_type"),
        ({"event_type": "product.created", "times": 3}, "times"),
    ],
)
def test_other_tests_are_refused(api, make_endpoint, body, wrong):
    response = send(api, "post", path_of(make_endpoint(), "test/"), body)
    assert list(error(response, 400)["fields"]) == [wrong]
    assert not Delivery.objects.exists()
