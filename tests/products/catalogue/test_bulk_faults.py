"""Bulk changes through a running Stockroom of which a part is killed in the middle of one.

Whatever happens, each product is changed, kept, recorded and told of exactly once.
"""

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import psycopg2
import pytest

from tests.products.imports.import_oracle import Stored
from tests.products.imports.stack import SECONDS, Gate, RunningStockroom, running_stockroom
from tests.services.waiting import until

ROWS = 3_000
BATCH = 200
MIDDLE = f"sku-{ROWS // 2}"

START = """
from config.accounts.actors import Actor
from config.accounts.models import User
from products.catalogue import bulk, deletions
from products.catalogue.filters import Filter
actor = Actor(User.objects.get(username="demo"))
print("id", {call}.pk)
"""


@pytest.fixture(scope="module")
def running() -> Iterator[RunningStockroom]:
    """One for all tests of this file; each puts back what it has killed."""
    with running_stockroom(
        IMPORT_STALE_SECONDS="2",
        IMPORT_SWEEP_SECONDS="1",
        IMPORT_STEP_SECONDS="1",
        BULK_AT_ONCE="10",
        BULK_BATCH_ROWS=str(BATCH),
        WEB_CONCURRENCY="1",
    ) as stockroom:
        yield stockroom


@pytest.fixture
def stockroom(running: RunningStockroom) -> RunningStockroom:
    numbers = range(ROWS)
    running.set_catalogue(
        {f"sku-{n}": Stored(f"sku-{n}", f"Name {n}", "Text", True) for n in numbers}
    )
    running.query("DELETE FROM webhooks_event")
    return running


def start(stockroom: RunningStockroom, call: str) -> int:
    """The id of the bulk change that `call` starts, in a process of its own."""
    said = stockroom.stack.manage("shell", "-v", "0", "-c", START.format(call=call))
    return int(said.split("id ")[-1].split()[0])


def start_on_all(stockroom: RunningStockroom, action: str) -> int:
    return start(stockroom, f'bulk.start(actor, "{action}", filter=Filter("sku"))')


@contextmanager
def gate_in_the_middle(stockroom: RunningStockroom) -> Iterator[Gate]:
    """Until the end of the block a batch has to wait at this product."""
    with closing(stockroom.connect()) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM products_product WHERE sku = %s FOR UPDATE", (MIDDLE,))
        yield Gate(stockroom, connection)
        with suppress(psycopg2.Error):
            connection.rollback()


def row(stockroom: RunningStockroom, bulk_id: int) -> dict[str, Any]:
    statement = "SELECT to_jsonb(b) FROM products_bulkchange b WHERE id = %s"
    return stockroom.query(statement, bulk_id)[0][0]


def in_the_middle(change: dict[str, Any]) -> bool:
    return change["state"] == "running" and BATCH <= change["changed"] < ROWS


def end(stockroom: RunningStockroom, bulk_id: int) -> dict[str, Any]:
    """The bulk change once it has ended: with these counts, history and events."""
    until(lambda: row(stockroom, bulk_id)["state"] not in ("queued", "running"), SECONDS)
    change = row(stockroom, bulk_id)
    assert (change["state"], change["error"]) == ("done", ""), f"{change}\n{stockroom.log}"
    assert (change["expected"], change["matched"], change["changed"]) == (ROWS, ROWS, ROWS)
    history = "SELECT count(*), count(DISTINCT product_id) FROM products_productchange"
    assert stockroom.query(f"{history} WHERE bulk_id = %s", bulk_id) == [(ROWS, ROWS)]
    told = "SELECT data->'count' FROM webhooks_event WHERE (data->'bulk_change')::bigint = %s"
    assert stockroom.query(told, bulk_id) == [(ROWS,)]
    return change


def products(stockroom: RunningStockroom) -> list[tuple]:
    return stockroom.query("SELECT * FROM products_product ORDER BY id")


def test_the_worker_is_killed_while_it_deactivates(stockroom):
    with gate_in_the_middle(stockroom) as gate:
        bulk_id = start_on_all(stockroom, "deactivate")
        gate.reached()
        assert in_the_middle(row(stockroom, bulk_id))
        stockroom.kill_group("worker.1")

    end(stockroom, bulk_id)
    states = "SELECT active, count(*) FROM products_product GROUP BY active"
    assert stockroom.query(states) == [(False, ROWS)]


def test_the_worker_is_killed_while_it_deletes_and_again_while_it_restores(stockroom):
    before = products(stockroom)
    with gate_in_the_middle(stockroom) as gate:
        bulk_id = start_on_all(stockroom, "delete")
        gate.reached()
        assert in_the_middle(row(stockroom, bulk_id))
        stockroom.kill_group("worker.1")
    deletion_id = end(stockroom, bulk_id)["deletion_id"]
    assert products(stockroom) == []
    kept = "SELECT rows FROM products_deletion WHERE id = %s"
    assert stockroom.query(kept, deletion_id) == [(ROWS,)]

    with stockroom.gate_at(MIDDLE) as gate:
        undo_id = start(stockroom, f"deletions.undo(actor, {deletion_id})")
        gate.reached()
        assert in_the_middle(row(stockroom, undo_id))
        stockroom.kill_group("worker.1")

    end(stockroom, undo_id)
    assert products(stockroom) == before
    left = "SELECT count(*) FROM products_deletedproduct WHERE deletion_id = %s"
    assert stockroom.query(left, deletion_id) == [(0,)]


def test_a_frozen_worker_loses_it_to_another_and_does_no_harm(stockroom):
    cut_off = "server closed the connection unexpectedly"
    before = stockroom.said("worker.1").count(cut_off)
    frozen = []
    try:
        with gate_in_the_middle(stockroom) as gate:
            bulk_id = start_on_all(stockroom, "delete")
            gate.reached()
            frozen = stockroom.processes("worker.1")
            stockroom.signal(frozen, signal.SIGSTOP)
            stockroom.stack.start_processes(["worker.2"])
        change = end(stockroom, bulk_id)
        stockroom.signal(frozen, signal.SIGCONT)
        until(lambda: stockroom.said("worker.1").count(cut_off) > before, SECONDS)
        assert row(stockroom, bulk_id) == change
        assert products(stockroom) == []
    finally:
        stockroom.signal(frozen, signal.SIGCONT)
        stockroom.stack.processes["worker.2"].stop()


def test_postgres_is_killed_while_a_worker_deletes(stockroom):
    with gate_in_the_middle(stockroom) as gate:
        bulk_id = start_on_all(stockroom, "delete")
        gate.reached()
        done = row(stockroom, bulk_id)["changed"]
        stockroom.restart_engine("postgres")

    assert row(stockroom, bulk_id)["changed"] >= done
    end(stockroom, bulk_id)


def test_one_that_was_asked_for_while_valkey_was_away_is_done_later(stockroom):
    valkey = stockroom.stack.engines["valkey"]
    valkey.kill()
    try:
        bulk_id = start_on_all(stockroom, "deactivate")
        assert row(stockroom, bulk_id)["state"] == "queued"
    finally:
        valkey.start()

    end(stockroom, bulk_id)
