import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from config.accounts.actors import Actor
from config.accounts.models import Role
from config.accounts.tokens import issue

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


@pytest.fixture
def person() -> Iterator[Callable[..., Future]]:
    """`person(function, …)`: its Future, run in a thread with a connection of its own."""

    def work(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=8) as pool:
        yield lambda function, *arguments, **options: pool.submit(
            work, function, *arguments, **options
        )


def client_of(user, *scopes: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {issue(user, 'ERP', scopes)[1]}"})


def send(client: Client, method: str, path: str, data: Any = None, **headers: str):
    """A request with a JSON body; names of headers have `_` for `-`."""
    body = {} if method == "get" else {"content_type": "application/json"}
    if data is not None:
        body["data"] = json.dumps(data)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return getattr(client, method)(path, headers=named, **body)


def error(response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/json"
    return response.json()["error"]


def path_of(endpoint, action: str = "") -> str:
    return f"/api/webhooks/endpoints/{endpoint.pk}/{action}"
