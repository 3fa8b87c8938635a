"""Sales: the newest sums made again on real Kafka; a planted fault is found, an away Kafka said."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from config.checks.findings import NotChecked
from config.checks.kinds import sales
from config.checks.watch import Watch
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


def test_where_sales_are_dense_a_shorter_span_is_made_again(log, monkeypatch):
    """What is older than its windows need is not read, however much of it there is."""
    now = round(time.time())
    older = [now - 3000 + n for n in range(20)]
    newer = [now - 60 + n for n in range(5)]
    records = log.take(
        Written(epoch * 1000, b"21491", sale("21491", epoch, 1, 2)) for epoch in older + newer
    )
    outputs, _ = log.outcome(records)
    log.put_out(outputs, [])
    log.commit(len(records))
    monkeypatch.setattr(sales, "MOST_RECORDS", 49)  # 25 inputs and their outputs are 50
    assert look("sales").summary.startswith("5 inputs, 5 outputs and 0 dead letters of the last 15")
    unbounded = sales.run(Watch())
    assert unbounded.summary.startswith("25 inputs, 25 outputs")
    monkeypatch.setattr(sales, "MOST_RECORDS", 50)
    assert look("sales").summary == unbounded.summary


def test_where_all_are_too_many_some_partitions_are_made_again_each_day_others(
    kafka, settings, monkeypatch
):
    log = VerifyLog(settings, partitions=3)
    now = round(time.time())
    for partition, count in enumerate((4, 5, 6)):
        code = str(partition)
        records = log.take(
            (
                Written((now - 8 + n) * 1000, code.encode(), sale(code, now - 8 + n, 1, 2))
                for n in range(count)
            ),
            partition,
        )
        outputs, _ = log.outcome(records)
        log.put_out(outputs, [], partition)
        log.commit(len(records), partition)
    monkeypatch.setattr(sales, "MOST_RECORDS", 12)
    seen = set()
    for day in range(3):
        monkeypatch.setattr(sales, "DAY_SECONDS", time.time() / (3_000 + day + 0.5))
        seen.add(look("sales").summary.partition(",")[0])
    log.close()
    assert seen == {"4 inputs", "5 inputs", "6 inputs"}
    assert "in 1 partition of 3" in look("sales").summary


def test_with_kafka_away_that_is_said_and_no_finding(settings, unused_tcp_port):
    settings.KAFKA_BOOTSTRAP_SERVERS = [f"127.0.0.1:{unused_tcp_port}"]
    with pytest.raises(NotChecked, match="can't be checked now"):
        look("sales")


def test_without_any_sale_there_is_nothing_to_check(log):
    assert look("sales").summary.endswith("is empty or not there: nothing was ever sold.")


def test_a_topic_that_is_gone_is_not_nothing_to_check(log, settings):
    begin = round(time.time())
    log.put_out([Written(begin * 1000, b"21491", b"what came of a sale")], [])
    settings.SALES_INPUT_TOPIC = "gone"
    with pytest.raises(NotChecked, match="The topic gone is missing or empty, though"):
        look("sales")


def test_without_kafka_or_its_topic_there_is_nothing_to_check(settings, kafka):
    settings.SALES_INPUT_TOPIC, settings.SALES_OUTPUT_TOPIC = "never-made", "nor-this"
    outcome = look("sales")
    assert (outcome.looked_at, outcome.found) == (0, 0)
    assert outcome.summary == "The topic never-made is empty or not there: nothing was ever sold."
    settings.KAFKA_BOOTSTRAP_SERVERS = []
    outcome = look("sales")
    assert (outcome.looked_at, outcome.found) == (0, 0)
    assert outcome.summary.startswith("No Kafka is in use here")
