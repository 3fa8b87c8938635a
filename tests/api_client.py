"""The REST API as a program uses it: a token, JSON, and errors of one shape."""

import json
from typing import Any

from django.test import Client

from config.accounts.tokens import issue


def client_of(user, *scopes: str) -> Client:
    """A client with a token of `user` that has these scopes."""
    return Client(headers={"Authorization": f"Bearer {issue(user, 'ERP', scopes)[1]}"})


def send(client: Client, method: str, path: str, data: Any = None, **headers: str):
    """A request with a JSON body; names of headers have `_` for `-`."""
    body = {} if method == "get" else {"content_type": "application/json"}
    if data is not None:
        body["data"] = json.dumps(data)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return getattr(client, method)(path, headers=named, **body)


def error(response, status: int) -> dict[str, Any]:
    """What an answer says that refuses."""
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/json"
    return response.json()["error"]
