"""What Stockroom's own brokers are told."""

from pathlib import Path

import yaml

from config.services.kafka import SETTINGS

COMPOSE = Path(__file__).parents[3] / "docker-compose.yml"


def test_groups_are_remembered_for_a_month_wherever_it_runs():
    """Kafka's own default is a week: as long as it keeps messages."""
    kafka = yaml.safe_load(COMPOSE.read_text())["services"]["kafka"]["environment"]
    found = kafka["KAFKA_OFFSETS_RETENTION_MINUTES"], SETTINGS["offsets.retention.minutes"]
    assert [int(each) for each in found] == [30 * 24 * 60] * 2
