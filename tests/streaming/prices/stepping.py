"""Loops of prices in the tests' own process, step by step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.live.rates import Rates
from streaming.kafka_log import KafkaError
from streaming.prices.loop import Loop
from streaming.prices.preparation import Unprepared
from streaming.prices.snapshot import snapshot
from streaming.prices.store import Store
from tests.services.waiting import until
from tests.streaming.prices.stage import PricesStage


def store(stage: PricesStage) -> Store:
    return Store(redis.Redis.from_url(stage.redis_url, retry=Retry(NoBackoff(), 0)))


@contextmanager
def looping(stage: PricesStage, slot: str = "one", **other: Any) -> Iterator[Loop]:
    """A loop that owns its partitions."""
    loop = Loop(stage.options(**other), slot, store(stage))
    try:
        step_until(loop, lambda: loop.owned)
        yield loop
    finally:
        loop.close()


def step_until(loop: Loop, condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Step, and step again after what a step may raise, until `condition` holds."""

    def stepped() -> Any:
        with suppress(KafkaError, redis.RedisError, Unprepared):
            loop.step(0.05)
        return condition()

    until(stepped, seconds)


def work_off(loop: Loop, count: int) -> None:
    """Until so many have been taken in all."""
    step_until(loop, lambda: loop.added + loop.repeated + loop.refused >= count)
    assert loop.added + loop.repeated + loop.refused == count


def shown(loop: Loop) -> dict[str, Any]:
    return snapshot(loop, loop.options, "one", Rates())


def halted(loop: Loop) -> dict[int, str]:
    return {
        each["partition"]: each["halted"]["reason"]
        for each in shown(loop)["partitions"]
        if each["halted"]
    }


def position(loop: Loop, number: int = 0) -> int:
    return loop.owned[number].position if number in loop.owned else -1
