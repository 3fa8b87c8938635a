"""The ledger's process while others alter its tables, or drop them and make them anew."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.services.waiting import until
from tests.transactions.ledger.faults import SAMPLE, rows, sent_bodies, wait_for_health
from tests.transactions.ledger.stage import LedgerStage, body

DROP = "DROP TABLE historical_transactions;"
MAKE = """
CREATE TABLE historical_transactions (
    id {} PRIMARY KEY, provider_id integer REFERENCES initial_data, transaction_value {}
)
"""
BATCH_WAITS = """
SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
AND application_name = 'stockroom-ledger-intake' AND wait_event_type = 'Lock'
"""
REJECTS = "SELECT reason, body FROM stockroom_ledger.rejects ORDER BY id"


@pytest.mark.parametrize(
    ("change", "before"),
    [
        (
            "ALTER TABLE historical_transactions ALTER transaction_value TYPE numeric(12,2)",
            SAMPLE + 1,
        ),
        (DROP + MAKE.format("serial", "integer"), 0),
    ],
    ids=["altered", "made anew"],
)
def test_a_column_that_keeps_less_while_a_batch_waits_for_it(
    sample: LedgerStage, connect: Callable[[], Any], change: str, before: int
) -> None:
    """0.125 is neither rounded nor lost, and what is right goes on."""
    sample.start()
    sample.queue.send(body(1, 600))
    sample.wait_for_rows(SAMPLE + 1)
    others = connect()
    with others, others.cursor() as cursor:
        cursor.execute(change)
        sample.queue.send(body(1, 0.125), body(2, 700))
        until(lambda: sample.query(BATCH_WAITS), 60)
    sample.queue.send(body(1, 0.125), body(2, 800))
    sample.wait_for_rows(before + 2)
    until(lambda: len(sample.query(REJECTS)) == 2, 60)
    assert sample.transactions()[before:] == [(2, Decimal(700)), (2, Decimal(800))]
    found = [(reason, bytes(raw)) for reason, raw in sample.query(REJECTS)]
    assert found == 2 * [("bad_value", body(1, 0.125))]


def test_a_table_that_is_made_anew_without_ids_of_its_own(sample: LedgerStage) -> None:
    """That is no message's fault; it is summed anew without a restart."""
    process = sample.start()
    sample.queue.send(*sent_bodies(1))
    sample.wait_for_rows(SAMPLE + 1)
    sample.query(DROP + MAKE.format("integer", "numeric"))
    sample.queue.send(*sent_bodies(20))
    wait_for_health(process, "make it serial or identity")
    assert rows(sample) == 0
    sample.query("CREATE SEQUENCE others")
    sample.query("ALTER TABLE historical_transactions ALTER id SET DEFAULT nextval('others')")
    sample.wait_for_rows(20)
    assert [int(value) for _, value in sample.transactions()] == list(range(20))
    assert sample.query(REJECTS) == []
    totals = "SELECT sum(total), sum(transactions) FROM stockroom_ledger.totals"
    until(lambda: sample.query(totals) == [(sum(range(20)), 20)], 60)
    wait_for_health(process, None)
    assert "Traceback" not in process.log


def test_a_table_that_is_dropped_and_comes_later(sample: LedgerStage) -> None:
    process = sample.start()
    sample.queue.send(*sent_bodies(1))
    sample.wait_for_rows(SAMPLE + 1)
    sample.query(DROP)
    sample.queue.send(*sent_bodies(20))
    wait_for_health(process, "historical_transactions is missing: the producer makes it")
    sample.query(MAKE.format("serial", "numeric"))
    sample.wait_for_rows(20)
    assert [int(value) for _, value in sample.transactions()] == list(range(20))
    assert sample.query(REJECTS) == []
    assert "Traceback" not in process.log
