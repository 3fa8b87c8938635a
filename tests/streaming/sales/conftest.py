"""Fixtures of the tests that run sales on a real Kafka."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.services.engine import Engine
from tests.streaming.sales.kafka_stage import KafkaStage


@pytest.fixture
def kafka_stage(kafka: Engine, tmp_path: Path) -> Iterator[KafkaStage]:
    """Fresh names on the run's Kafka, and instances that end with the test."""
    stage = KafkaStage(kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"], tmp_path)
    yield stage
    stage.close()


@pytest.fixture
def stage(kafka_stage: KafkaStage, kafka: Engine, settings: Any) -> KafkaStage:
    """Where the settings lead, too: for loops of this process."""
    settings.KAFKA_BOOTSTRAP_SERVERS = [kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"]]
    return kafka_stage
