"""Instances killed and frozen, Redis killed, by a seed: each row once and in order."""

import json
import random
from collections.abc import Iterator

from config.services.engine import Engine
from tests.services.waiting import until
from tests.streaming.prices.stage import PricesStage, price
from tests.streaming.sales.chaos import Chaos, Feeder
from tests.streaming.sales.kafka_stage import Message

SEED = 20261122
RATE = 600.0
STOCKS = 30
MALFORMED = [
    None,
    b"",
    b"no row",
    b"\xff",
    b"[]",
    b'{"time": "090006"}',
    json.dumps({"time": 90006, "stock": "stock1", "price": 1}).encode(),
    json.dumps({"time": "090060", "stock": "stock1", "price": 1}).encode(),
    json.dumps({"time": "090006", "stock": "user1", "price": 1}).encode(),
    json.dumps({"time": "090006", "stock": "stock1", "price": -1}).encode(),
    json.dumps({"time": "090006", "stock": "stock1", "price": "much"}).encode(),
    json.dumps({"time": "090006", "stock": "stock1", "price": 1, "x": 2}).encode(),
    b"x" * 100_000,
]


def stream(seed: int) -> Iterator[Message]:
    """Rows of STOCKS stocks without end, each price another, and what is no row."""
    rng = random.Random(seed)
    number = 0
    while True:
        number += 1
        stock = f"stock{rng.randrange(1, STOCKS + 1)}"
        kind = rng.random()
        if kind < 0.03:
            yield Message(rng.choice(MALFORMED), stock.encode())
            continue
        time = f"{number // 3600 % 24:02}{number // 60 % 60:02}{number % 60:02}"
        yield price(stock, time, "" if kind < 0.1 else number if kind < 0.8 else number + 0.25)


def done(stage: PricesStage) -> int:
    return sum(offset for offset, _ in stage.positions().values())


def test_killed_and_frozen_instances_and_a_killed_redis(
    prices_redis: Engine, prices_stage: PricesStage
) -> None:
    """SIGSTOP for longer than the session, several partitions, a Redis that comes back."""
    stage = prices_stage
    stage.create(4)
    feeder = Feeder(stage, stream(SEED), RATE)
    chaos = Chaos(stage, SEED, [None, None, None])

    def redis() -> None:
        prices_redis.kill()
        chaos.wait(0.5)
        prices_redis.start()

    feeder.start()
    try:
        until(lambda: done(stage) > 500, 90)
        chaos.freeze()
        chaos.wait(1)
        chaos.kill()
        redis()
        chaos.wait(4)
        chaos.kill()
        chaos.wait(1)
        redis()
        for _ in range(3):
            chaos.any({"redis": redis})
            chaos.wait(2)
        chaos.end()
        until(lambda: done(stage) > 4000, 120)
    finally:
        prices_redis.start()
        feeder.stop()
    stage.wait_until_done(120)

    assert stage.assert_right() > 3000
    assert chaos.crashes == []
    reasons = {each.reason for each in stage.letters()}
    assert {"empty", "not_json", "not_utf8", "bad_time", "negative_price", "too_large"} <= reasons
