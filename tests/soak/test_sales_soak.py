"""Sales at length: instances killed and frozen, the broker killed, 200,000 records and more."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from config.services.engine import Engine
from tests.services.waiting import until
from tests.streaming.sales.chaos import Chaos, Feeder, committed_total, stream
from tests.streaming.sales.kafka_stage import KafkaStage

pytestmark = pytest.mark.soak

SECONDS = 600.0
RECORDS = 200_000
FAULTS = 20
SEED = 20261121
BROKER_KILLS = 5


def test_ten_minutes_of_faults(own_kafka: Callable[[], Engine], tmp_path: Path) -> None:
    engine = own_kafka()
    stage = KafkaStage(engine.variables()["KAFKA_BOOTSTRAP_SERVERS"], tmp_path)
    rng = random.Random(SEED)
    try:
        stage.create(8)
        feeder = Feeder(stage, stream(SEED, codes=300, seconds=0.02), rate=500.0)
        chaos = Chaos(stage, SEED, [None, None, "named", None])
        feeder.start()
        try:
            until(lambda: committed_total(stage, 8), 120)
            end = time.monotonic() + SECONDS
            kills = 0

            def kill_the_broker() -> None:
                engine.kill()
                engine.start()

            while (
                time.monotonic() < end
                or feeder.sent < RECORDS
                or chaos.faults.total() < FAULTS
                or kills < BROKER_KILLS
            ):
                chaos.wait(rng.uniform(0.5, 12))
                if rng.random() < 0.15 or time.monotonic() > end:
                    kill_the_broker()
                    kills += 1
                else:
                    chaos.any()
            chaos.end()
        finally:
            feeder.stop()
        stage.wait_until_done(300)

        judged = stage.assert_right()

        print(
            f"{feeder.sent} produced, {judged.right} outputs, {dict(judged.reasons)} dead letters;"
            f" {dict(chaos.faults)}, {kills} kills of the broker; {len(chaos.crashes)} crashes"
        )
        assert judged.right + judged.reasons.total() > 0.8 * RECORDS
        assert chaos.crashes == []
    finally:
        stage.close()
