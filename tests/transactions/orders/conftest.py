"""Fixtures of the tests of orders: an empty Redis of credit and prices, a queue, instances."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from pytest_django import Settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.accounts.models import User
from config.services.engine import Engine
from tests.transactions.orders.stage import OrdersStage, clear_channels

DATABASE = 10  # of the run's Valkey, which no other tests use


@pytest.fixture
def user(django_user_model: type[User]) -> User:
    return django_user_model.objects.create_user("ana", password="a-long-enough-password")


@pytest.fixture
def market(valkey_engine: Engine, settings: Settings) -> Iterator[redis.Redis]:
    """A client of an empty Redis of credit and prices, which the settings lead to."""
    url = f"{valkey_engine.variables()['PRICES_REDIS_URL'].rpartition('/')[0]}/{DATABASE}"
    settings.PRICES_REDIS_URL = url
    with redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0)) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def no_rabbitmq(settings: Settings) -> None:
    """Orders go on by the sweep alone."""
    settings.AMQP_URL = ""


@pytest.fixture
def stage(
    transactional_db: None, market: redis.Redis, rabbitmq: Engine, settings: Any, tmp_path: Path
) -> Iterator[OrdersStage]:
    """A fresh queue, and instances that end with the test; verifications take 0.05 to 0.2 s."""
    settings.AMQP_URL = rabbitmq.variables()["AMQP_URL"]
    made = OrdersStage(market, settings, tmp_path)
    yield made
    made.close()
    clear_channels()


@pytest.fixture
def own_market(
    own_valkey: Callable[[], Engine], settings: Settings
) -> Iterator[tuple[Engine, redis.Redis]]:
    """A Valkey of the test's own, to be killed and frozen at will, and a client of it."""
    engine = own_valkey()
    settings.PRICES_REDIS_URL = engine.variables()["PRICES_REDIS_URL"]
    with redis.Redis.from_url(settings.PRICES_REDIS_URL, retry=Retry(NoBackoff(), 0)) as client:
        yield engine, client
