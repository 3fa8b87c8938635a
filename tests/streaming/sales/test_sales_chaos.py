"""Instances killed and frozen by a seed, a broker that goes away: 0 lost, 0 doubled, 0 wrong."""

import signal

from config.services.engine import Engine
from tests.services.waiting import until
from tests.streaming.sales.chaos import Chaos, Feeder, committed_total, stream
from tests.streaming.sales.kafka_stage import KafkaStage

SEED = 20261121
RATE = 500.0


def test_killed_and_frozen_instances_lose_nothing_and_double_nothing(
    kafka_stage: KafkaStage,
) -> None:
    stage = kafka_stage
    stage.create(4)
    feeder = Feeder(stage, stream(SEED), RATE)
    chaos = Chaos(stage, SEED, [None, None, "named"])
    feeder.start()
    try:
        until(lambda: committed_total(stage, 4), 60)
        chaos.freeze()
        chaos.wait(2)
        chaos.kill()
        chaos.wait(4.5)
        chaos.freeze()
        chaos.wait(6)
        chaos.kill()
        chaos.wait(2)
        chaos.end()
        until(lambda: committed_total(stage, 4) > 6000, 120)
    finally:
        feeder.stop()
    stage.wait_until_done(90)

    judged = stage.assert_right()

    assert chaos.crashes == []
    assert judged.right > 5000
    assert {"late", "ahead", "empty", "not_json", "not_utf8", "missing_field"} <= set(
        judged.reasons
    )


def test_a_broker_that_is_away_at_the_start_and_later(
    kafka: Engine, kafka_stage: KafkaStage
) -> None:
    stage = kafka_stage
    stage.create(4)
    feeder = Feeder(stage, stream(SEED + 1), RATE)
    try:
        kafka.kill()
        instance = stage.start()
        stage.wait_until_shown(lambda shown: shown and shown[0]["state"] == "waiting")
        kafka.start()
        feeder.start()
        until(lambda: committed_total(stage, 4) > 1000, 90)
        kafka.kill()
        kafka.start()
        done = committed_total(stage, 4)
        until(lambda: committed_total(stage, 4) > done + 500, 90)
    finally:
        kafka.start()
        feeder.stop()
    stage.wait_until_done()
    assert stage.assert_right().right > 1000
    instance.send(signal.SIGTERM)
    assert instance.exit_code() == 0, instance.log
