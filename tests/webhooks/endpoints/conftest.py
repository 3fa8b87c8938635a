from typing import Any

import pytest
from django.test import Client

from config.accounts.actors import Actor
from config.accounts.models import Role
from tests.api_client import client_of

URL = "http://127.0.0.1:9/hook"
BODY = {"url": URL, "event_types": ["product.created"]}


def values(**changes: Any) -> Any:
    """Cleaned values of an endpoint."""
    given = {
        "url": URL,
        "description": "",
        "event_types": ["*"],
        "headers": {},
        "enabled": True,
    }
    return given | changes


@pytest.fixture
def user(django_user_model):
    """An editor."""
    return django_user_model.objects.create_user("ana", role=Role.EDITOR)


@pytest.fixture
def actor(user) -> Actor:
    """`user` in a browser."""
    return Actor(user)


@pytest.fixture
def viewer(django_user_model):
    return django_user_model.objects.create_user("vera", role=Role.VIEWER)


@pytest.fixture
def api(user) -> Client:
    """A client with a token that may change endpoints."""
    return client_of(user, "webhooks:write")


def path_of(endpoint, action: str = "") -> str:
    return f"/api/webhooks/endpoints/{endpoint.pk}/{action}"
