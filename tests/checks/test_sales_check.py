"""Sales: the newest sums made again on real Kafka; a planted fault is found, an away Kafka said."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from config.checks.findings import NotChecked
from config.checks.kinds import sales
from tests.checks.looking import look, told
from tests.streaming.sales.kafka_stage import sale
from tests.streaming.sales.verify_log import VerifyLog, Written

pytestmark = pytest.mark.django_db


@pytest.fixture
def log(kafka: Any, settings: Any) -> Iterator[VerifyLog]:
    made = VerifyLog(settings)
    yield made
    made.close()


def test_right_sums_are_right_and_wrong_ones_found(log, monkeypatch):
    begin = round(time.time()) - 200
    records = log.take(
        Written((begin + n) * 1000, b"21491", sale("21491", begin + n, 1, 2)) for n in range(5)
    )
    outputs, letters = log.outcome(records)
    assert (len(outputs), letters) == (5, [])
    log.put_out(outputs, [])
    log.commit(len(records))
    outcome = look("sales")
    assert told(outcome) == []
    assert outcome.summary == (
        "5 inputs, 5 outputs and 0 dead letters of the last 60 minutes, in 1 partition."
    )
    monkeypatch.setattr(sales, "MOST_RECORDS", 0)
    with pytest.raises(NotChecked, match="too many"):
        look("sales")
    monkeypatch.undo()

    log.put_out(outputs[-1:], [])  # once more
    outcome = look("sales")
    assert outcome.found >= 1
    assert all(line.startswith("partition 0") for line in told(outcome))


def test_with_kafka_away_that_is_said_and_no_finding(settings, unused_tcp_port):
    settings.KAFKA_BOOTSTRAP_SERVERS = [f"127.0.0.1:{unused_tcp_port}"]
    with pytest.raises(NotChecked, match="can't be checked now"):
        look("sales")


def test_without_kafka_that_is_said(settings):
    settings.KAFKA_BOOTSTRAP_SERVERS = []
    with pytest.raises(NotChecked, match="No Kafka is known"):
        look("sales")
