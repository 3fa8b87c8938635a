"""Fixtures of the tests that run prices on a real Valkey, or a real Kafka too."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from config.services.engine import Engine
from streaming.prices import loop as loop_module
from tests.streaming.prices.judge import empty_redis
from tests.streaming.prices.stage import PricesStage


@pytest.fixture
def prices_redis(own_valkey: Callable[[], Engine]) -> Engine:
    """A Valkey of the test's own, to be killed and started at will."""
    return own_valkey()


@pytest.fixture
def prices_stage(kafka: Engine, prices_redis: Engine, tmp_path: Path) -> Iterator[PricesStage]:
    """Fresh names on the run's Kafka, and instances that end with the test."""
    stage = PricesStage(
        kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"],
        tmp_path,
        prices_redis.variables()["PRICES_REDIS_URL"],
    )
    yield stage
    stage.close()


@pytest.fixture
def valkey(valkey_engine: Engine) -> Iterator[redis.Redis]:
    """A client of an empty database on the run's Valkey, which no other tests use."""
    with empty_redis(valkey_engine) as client:
        yield client


@pytest.fixture
def stepped_stage(
    prices_stage: PricesStage, kafka: Engine, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> PricesStage:
    """The same, with the settings that lead this process there."""
    settings.KAFKA_BOOTSTRAP_SERVERS = [kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"]]
    settings.PRICES_REDIS_URL = prices_stage.redis_url
    settings.PRICES_TOPIC = prices_stage.topic
    monkeypatch.setattr(loop_module, "LOOK_SECONDS", 0.1)
    return prices_stage
