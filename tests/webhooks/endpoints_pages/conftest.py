from typing import Any

import pytest
from django.test import Client

from config.accounts.models import Role
from webhooks.models import Delivery, DeliveryState, Endpoint, Event, Health

URL = "https://127.0.0.1/hooks/stockroom"
LIST = "/webhooks/"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def user(django_user_model):
    """An editor."""
    return django_user_model.objects.create_user("ana", role=Role.EDITOR)


@pytest.fixture
def viewer(django_user_model):
    return django_user_model.objects.create_user("vera", role=Role.VIEWER)


@pytest.fixture
def client(client, user) -> Client:
    client.force_login(user)
    return client


@pytest.fixture
def reader(viewer) -> Client:
    """The viewer's Client."""
    client = Client()
    client.force_login(viewer)
    return client


@pytest.fixture
def endpoint(make_endpoint) -> Endpoint:
    """For two types of events, with a header."""
    return make_endpoint(
        URL,
        description="The shop",
        event_types=["product.created", "product.updated"],
        headers={"X-Shop": "s3cret-value"},
    )


def page_of(endpoint: Endpoint, action: str = "") -> str:
    return f"/webhooks/endpoints/{endpoint.pk}/{action}"


def text(response) -> str:
    return response.content.decode()


def said(response) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def fields_of(page) -> dict[str, Any]:
    """What a browser would send of a shown form when nothing was touched."""
    form, context = page.context["form"], page.context
    sent: dict[str, Any] = {
        "url": form.values["url"],
        "description": form.values["description"],
        "events": "all" if form.all_events else "some",
        "event_types": [name for name in form.values["event_types"] if name != "*"],
        "header_name": [row.name for row in form.header_rows],
        "header_value": [row.value for row in form.header_rows],
    }
    if form.values["enabled"]:
        sent["enabled"] = "on"
    if context["endpoint"] is None:
        return sent | {"once": context["once"]}
    return sent | {"version": str(context["version"]), "seen": form.seen_as_text}


def add_deliveries(endpoint: Endpoint, count: int, **columns: Any) -> list[Delivery]:
    """As many events, each on its way to the endpoint."""
    data = {"product": {"sku": "lamp-1"}}
    made = []
    for _ in range(count):
        event = Event.objects.create(type="product.created", data=data)
        made.append(
            Delivery.objects.create(
                event=event,
                endpoint=endpoint,
                **{"event_type": event.type, "state": DeliveryState.PENDING, **columns},
            )
        )
    return made


def set_health(endpoint: Endpoint, **columns: Any) -> None:
    Health.objects.filter(pk=endpoint.pk).update(**columns)
