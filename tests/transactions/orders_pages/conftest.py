"""Fixtures of the pages of orders: an empty Redis of credit and prices, nobody on the board."""

from collections.abc import Callable, Iterator

import pytest
import redis
from django.test import Client
from pytest_django import Settings

from config.accounts.models import Role, User
from config.consumers import health
from tests.stocksync.pages.reading import text
from transactions import queue_depth
from transactions.orders import traders

DATABASE = 11  # of the run's Valkey, which no other tests use


@pytest.fixture
def market(valkey_engine, settings: Settings) -> Iterator[redis.Redis]:
    """A client of an empty Redis of credit and prices, which the settings lead to."""
    url = f"{valkey_engine.variables()['PRICES_REDIS_URL'].rpartition('/')[0]}/{DATABASE}"
    settings.PRICES_REDIS_URL = url
    settings.AMQP_URL = ""
    board: str = settings.REDIS_URL
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        _forget(board)
        yield client
        client.flushdb()
        _forget(board)


def _forget(board: str) -> None:
    """What pages keep for some seconds, and which consumers run."""
    traders.forget()
    queue_depth.forget()
    with redis.Redis.from_url(board) as client:
        client.delete(health.INDEX_KEY)


@pytest.fixture
def viewer(django_user_model: type[User]) -> User:
    return django_user_model.objects.create_user("vera", password="a-long-one", role=Role.VIEWER)


@pytest.fixture
def read(client: Client, user: User) -> Callable[..., str]:
    """`read(address, status=200)`: what somebody reads there who is signed in."""
    client.force_login(user)

    def read(address: str, status: int = 200, **options: object) -> str:
        response = client.get(address, **options)
        assert response.status_code == status
        return text(response)

    return read
