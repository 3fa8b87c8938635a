"""What the consumer says of itself, and what Operations makes of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from config import health
from config.consumers.overview import overview
from config.operations.facts import consumers, engines
from config.operations.problems import problems
from config.services.engine import Engine
from tests.services.waiting import until
from tests.transactions.orders.stage import OrdersStage, make_order, set_credit, set_price


@pytest.fixture
def shown(own_valkey: Callable[[], Engine], settings: Any) -> None:
    """Health of nobody else's consumers; that Redis takes writes whatever the market does."""
    settings.REDIS_URL = own_valkey().variables()["REDIS_URL"]


@pytest.fixture
def alone(
    transactional_db: None,
    shown: None,
    own_market: tuple[Engine, redis.Redis],
    settings: Any,
    tmp_path: Path,
) -> Iterator[OrdersStage]:
    """With one open order."""
    _, market = own_market
    set_price(market, "stock1", 100)
    set_credit(market, "user1", 1_000_000)
    make_order()
    stage = OrdersStage(market, settings, tmp_path)
    yield stage
    stage.close()
    health._monitor.forget()


def said(word: str) -> str:
    """What `orders` says under that word of its health, "" for nothing."""
    (record,) = [each for each in overview() if each["name"] == "orders"]
    return str(record.get("health", {}).get(word) or "")


def told() -> list[str]:
    """What Operations says of consumers."""
    health._monitor.forget()
    sample = {"consumers": consumers.facts({}), "engines": engines.facts({})}
    found = [f"{each.key} {each.severity}" for each in problems(sample)]
    return [each for each in found if each.startswith("consumer:")]


def test_without_rabbitmq_a_redis_that_takes_no_writes_is_told(
    no_rabbitmq: None, alone: OrdersStage
) -> None:
    alone.market.config_set("maxmemory", 1)
    alone.start()
    until(lambda: "PRICES_REDIS_URL" in said("waiting_for"))
    until(lambda: told() == ["consumer:orders:waiting critical"])
    assert "AMQP_URL" in said("queue_trouble") and "AMQP_URL" not in said("waiting_for")
    alone.market.config_set("maxmemory", 0)
    alone.wait_until_decided()
    until(lambda: "AMQP_URL" in said("queue_trouble") and not said("waiting_for"))
    assert told() == []


def test_who_may_not_take_from_rabbitmq_decides_all_and_says_so(
    rabbitmq: Engine, alone: OrdersStage, settings: Any
) -> None:
    settings.AMQP_URL = rabbitmq.variables()["AMQP_URL"]
    alone.start(AMQP_URL=f"amqp://nobody:wr0ng@{settings.AMQP_URL.rpartition('@')[2]}")
    alone.wait_until_decided()
    until(lambda: "ACCESS_REFUSED" in said("queue_trouble"))
    until(lambda: told() == ["consumer:orders:queue warning"])
    assert not said("waiting_for")
