"""Prices on a real Kafka and Valkey: instances as processes, judged by an independent script."""

import random
import signal

from config.consumers.health import consumer_health
from config.services.engine import Engine
from tests.services.waiting import until
from tests.streaming.prices.stage import PricesStage, price, prices
from tests.streaming.sales.kafka_stage import Message


def test_rows_of_a_topic_that_is_made_here_are_in_redis(prices_stage: PricesStage) -> None:
    """The value to the letter, and the time's leading zero."""
    stage = prices_stage
    stage.start(PRICES_PARTITIONS="3")
    until(lambda: stage.partitions(stage.topic) == 3, 60)
    stage.produce(
        [
            price("Stock1", "090006", 1734),
            price("stock1", "090010", ""),
            price("stock1", "090016", "12.50"),
            price("stock3", "090006", 5),
        ]
    )
    stage.wait_until_done()

    assert stage.values() == {
        "stock1": '{"id":1,"time":["090006","090010","090016"],"price":[1734,"",12.5],'
        '"performance":0}',
        "stock3": '{"id":3,"time":["090006"],"price":[5],"performance":0}',
    }
    assert stage.assert_right() == 4


def test_instances_come_and_go(prices_stage: PricesStage) -> None:
    """SIGTERM in the middle drains; what is left is taken over."""
    stage = prices_stage
    stage.create(4)
    stage.produce(prices(4000, stocks=12))
    first = stage.start(PRICES_BATCH="50")
    stage.wait_for_owners(1, 4)
    second = stage.start(PRICES_BATCH="50")
    stage.wait_for_owners(2, 4)
    assert len({each["instance"] for each in stage.snapshots()}) == 2
    producer = stage.producer()
    for number, each in enumerate(prices(4000, 4000, stocks=12)):
        producer.send(stage.topic, each.value, each.key)
        if number == 2000:
            producer.flush(timeout=30)
            first.send(signal.SIGTERM)
    producer.close(timeout=30)
    assert first.exit_code() == 0, first.log
    stage.wait_for_owners(1, 4)
    stage.wait_until_done()
    second.send(signal.SIGTERM)
    assert second.exit_code() == 0, second.log
    until(lambda: stage.snapshots() == [])

    assert stage.assert_right() == 8000


def test_poison_between_rows_stops_nothing(prices_stage: PricesStage) -> None:
    """More of it than a fetch takes, 1 MB each."""
    stage = prices_stage
    stage.create(1)
    rng = random.Random(7)
    long = b'{"stock": "' + b"x" * 1_000_000 + b'", "time": "090006", "price": 1}'
    garbage = [long, b"[" * 1_000_000, *(rng.randbytes(1_000_000) for _ in range(12)), None]
    messages = prices(300)
    for value in garbage:
        messages.insert(rng.randrange(1, len(messages)), Message(value, rng.randbytes(2000)))
    stage.produce(messages, max_request_size=2**21)
    stage.start()
    stage.wait_until_done()

    assert stage.assert_right() == 300
    assert len(stage.letters()) == len(garbage)


def test_engines_that_are_away_at_the_start_and_later(
    kafka: Engine, prices_redis: Engine, prices_stage: PricesStage
) -> None:
    """Said each time for what is waited for; nothing has to be started again."""
    stage = prices_stage
    stage.create(2)
    stage.produce(prices(100))

    def waits_for(words: str) -> None:
        stage.wait_until_shown(
            lambda shown: (
                shown and shown[0]["state"] == "waiting" and words in shown[0]["waiting_for"]
            )
        )

    try:
        kafka.kill()
        prices_redis.kill()
        instance = stage.start()
        waits_for("Redis at 127.0.0.1:")
        prices_redis.start()
        waits_for("Kafka can't be reached")
        kafka.start()
        stage.wait_until_done(90)
        prices_redis.kill()
        waits_for("Redis at 127.0.0.1:")
        stage.produce(prices(100, 100))
        prices_redis.start()
        stage.wait_until_done(90)
        kafka.kill()
        waits_for("Kafka")
        kafka.start()
        stage.produce(prices(100, 200))
        stage.wait_until_done(90)
        stage.wait_until_shown(lambda shown: shown and shown[0]["state"] == "running")
    finally:
        kafka.start()
        prices_redis.start()
    assert stage.assert_right() == 300
    assert instance.log.count("prices waits: Redis at") == 2, instance.log
    instance.send(signal.SIGTERM)
    assert instance.exit_code() == 0, instance.log


def test_a_topic_made_anew_is_said_and_freed_without_a_restart(prices_stage: PricesStage) -> None:
    stage = prices_stage
    stage.create(1)
    stage.produce(prices(50))
    old = stage.read(stage.topic)[0]
    instance = stage.start()
    stage.wait_until_done()
    stage.recreate(1)
    stage.produce(prices(80, 50))

    stage.wait_until_shown(lambda _: stage.halted() == {0: "topic_recreated"})
    (shown,) = stage.snapshots()
    assert shown["state"] == "halted"
    assert "seek_prices" in shown["partitions"][0]["halted"]["advice"]
    instance.says("partition 0 is halted: the topic was deleted and made again")
    pid = instance.child.pid

    def told() -> bool:
        return any(
            each["pid"] == pid and "made again" in (each["health"].get("halted") or "")
            for each in consumer_health()
        )

    until(told)
    assert sum(value.count('"0900') for value in stage.values().values()) == 50

    command = stage.command("seek_prices", "--to", "beginning")
    assert command.exit_code() == 0, command.log
    stage.wait_until_done()
    stage.wait_until_shown(lambda shown: shown and shown[0]["state"] == "running")
    assert instance.child.poll() is None
    assert stage.assert_right({0: old + stage.read(stage.topic)[0]}) == 130


def test_a_frozen_instance_that_wakes_up_doubles_nothing(prices_stage: PricesStage) -> None:
    """Frozen amid its work for longer than the session; the other has gone on meanwhile."""
    stage = prices_stage
    stage.create(1)
    stage.produce(prices(3000))
    frozen = stage.start(PRICES_BATCH="10")
    until(lambda: stage.positions().get(0, (0, ""))[0] > 50, 60)
    frozen.send(signal.SIGSTOP)
    try:
        stage.start()
        stage.wait_until_done(90)
    finally:
        frozen.send(signal.SIGCONT)
    stage.produce(prices(500, 3000))
    stage.wait_until_done()
    stage.wait_for_owners(1, 1)
    assert stage.assert_right() == 3500
