from collections.abc import Callable

import pytest
from django.test import Client

from config.accounts.models import User
from tests.stocksync.pages.reading import text


@pytest.fixture
def read(client: Client, user: User) -> Callable[..., str]:
    """`read(address, status=200)`: what somebody reads there who is signed in."""
    client.force_login(user)

    def read(address: str, status: int = 200, **options: object) -> str:
        response = client.get(address, **options)
        assert response.status_code == status
        return text(response)

    return read
